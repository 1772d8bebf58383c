"""A whole fleet in memory: twins behind every port around the shipped controller, in virtual or real time."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from failover.controller.app import Controller, build
from failover.controller.clock import InlineCompute
from failover.controller.ports import ApiServer, Identity, Ports
from failover.lab.twins.cluster import ClusterWorld, TwinCluster
from failover.lab.twins.prober import PathWorld, TwinProber
from failover.lab.twins.store import StoreDisk, TwinStore
from failover.lab.twins.zone import TwinZone, ZoneWorld
from failover.model.ids import ClusterName, ZoneName
from failover.model.observation import Observation, VantageReport
from failover.model.policy import Policy, WorkloadRef
from failover.model.ports import Clock, Store
from failover.model.telemetry import TelemetryEvent
from failover.probes import ProbeRunner


@dataclass(slots=True)
class Log:
    """Every telemetry event, as text with its (virtual) time: the log that the same seed repeats."""

    lines: list[str] = field(default_factory=list)

    def emit(self, event: TelemetryEvent) -> None:
        self.lines.append(f"{event.at.isoformat()} {event.name} {event.sentence}")


class TwinFleet:
    """The world (clusters, zones, paths, disk) and the controllers that run in it."""

    def __init__(self, policy: Policy, clock: Clock, *, seed: int, ready_s: float = 1.0) -> None:
        self.policy = policy
        self.clock = clock
        self.random = random.Random(seed)  # noqa: S311 - reproducible, not secret
        self.paths = PathWorld()
        self.disk = StoreDisk()
        self.clusters = {
            entry.name: ClusterWorld(entry.name, clock, ready_s=ready_s) for entry in policy.fleet.clusters
        }
        self.zones = {zone.name: ZoneWorld(zone, clock) for zone in policy.zones}
        self.log = Log()
        self.controller: Controller | None = None
        self._task: asyncio.Task[None] | None = None
        self._vantages: list[ProbeRunner] = []
        self._lives = 0

    # -- the world -----------------------------------------------------------------------------------------------------

    def kill_cluster(self, name: str) -> None:
        """The cluster, its endpoint and its API server are gone."""
        self.paths.kill(name)
        self.clusters[ClusterName(name)].faults.down = True

    def revive_cluster(self, name: str) -> None:
        self.paths.revive(name)
        self.clusters[ClusterName(name)].faults.down = False

    def addresses(self, zone: str, name: str, record_type: str = "A") -> tuple[str, ...]:
        """What the primary serves now."""
        found = self.zones[ZoneName(zone)].current.record_sets.get((name, record_type))
        return found.values if found else ()

    def replicas(self, ref: WorkloadRef) -> dict[str, tuple[int, int]]:
        """(wanted, ready) by cluster."""
        return {
            name: ((workload := world.settle(ref)).wanted, workload.ready)
            for name, world in self.clusters.items()
            if ref in world.workloads
        }

    # -- vantages and controllers --------------------------------------------------------------------------------------

    def start_vantages(self) -> None:
        """Every vantage but the controller's own; each reports what it saw a moment later."""
        for entry in self.policy.fleet.vantages:
            if not entry.controller:
                self._vantages.append(self._vantage(entry.name))

    def _vantage(self, name: str) -> ProbeRunner:
        runner = ProbeRunner(
            vantage=name,  # type: ignore[arg-type]
            boot_id=f"boot-{name}",
            prober=TwinProber(name, self.paths, self.clock, self.random),
            clock=self.clock,
            source_of_random=self.random,
            sink=lambda observation, ended: self._report(observation),
            jitter=self.policy.fleet.timing.jitter,
        )
        assert self.controller is not None
        runner.update(self.controller.definitions, self.policy.generation)
        return runner

    def _report(self, observation: Observation) -> None:
        controller = self.controller
        region = next(v.region for v in self.policy.fleet.vantages if v.name == observation.vantage)
        if controller is None or self._dead_region(region):
            return
        report = VantageReport(
            vantage=observation.vantage,
            boot_id=observation.boot_id,
            sequence=observation.sequence,
            generation=observation.generation,
            observations=(observation,),
        )
        asyncio.get_running_loop().call_later(0.05, lambda: controller.receive(report))

    def _dead_region(self, region: str) -> bool:
        entries = [entry for entry in self.policy.fleet.clusters if entry.region == region]
        return bool(entries) and all(self.clusters[entry.name].faults.down for entry in entries)

    def boot(self, store: Store | None = None) -> Controller:
        """A new controller process over the same disk and world. `store`: another one than the twin over `disk`."""
        self._lives += 1
        holder = f"controller-{self._lives}"
        own = next((entry.name for entry in self.policy.fleet.vantages if entry.controller), "control")
        ports = Ports(
            clock=self.clock,
            compute=InlineCompute(),
            store=store or TwinStore(self.disk, self.clock),
            telemetry=self.log,
            prober=TwinProber(own, self.paths, self.clock, self.random),
            clusters={name: TwinCluster(world) for name, world in self.clusters.items()},
            zones={name: TwinZone(world) for name, world in self.zones.items()},
            api_servers={
                name: ApiServer(address="192.0.2.1", port=6443, server_name=str(name), ca_pem="")
                for name in self.clusters
            },
            identity=Identity(holder=holder, boot_id=holder, process=self._lives),
            random=self.random,
        )
        self.controller = build(ports, self.policy, read_ca=lambda path: "")
        self._task = asyncio.ensure_future(self.controller.run())
        return self.controller

    async def crash(self) -> None:
        """The controller process dies here: nothing is released, nothing more is written."""
        assert self._task is not None
        assert self.controller is not None
        holder = self.controller.ports.identity.holder
        self.controller.context.leadership.lease = None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self.disk.gone.add(holder)
        self.controller = None

    async def until(self, what: Callable[[], Any], *, seconds: float, step: float = 0.05) -> float:
        """Wait until something holds; returns how long it took. Raises TimeoutError with the log's tail."""
        began = self.clock.now().mono
        while not what():
            if self.clock.now().mono - began > seconds:
                raise TimeoutError(
                    f"not within {seconds} s; the log ends:\n" + "\n".join(self.log.lines[-30:])
                )
            await self.clock.sleep(step)
        return self.clock.now().mono - began

    async def stop(self) -> None:
        for runner in self._vantages:
            runner.stop()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

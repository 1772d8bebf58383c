"""The simulated world: its truth, and the lives of controllers in it. Faults turn its knobs; oracles read its truth."""

import asyncio
import random
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from typing import Any

from failover.controller.app import Controller, build
from failover.controller.clock import InlineCompute
from failover.controller.pace import Pace
from failover.controller.ports import ApiServer, Identity, Ports
from failover.lab.twins.store import StoreDisk
from failover.lab.virtual import VirtualClock
from failover.model.errors import FailoverError, Refused
from failover.model.ids import ClusterName, Epoch, RegionName, Subject, VantageName
from failover.model.journal import IntentRecorded
from failover.model.observation import Observation, Outcome, ProbeDefinition, Signal
from failover.model.policy import Policy, WorkloadRef
from failover.model.records import RecordSet, RecordType

from . import trace
from .fleet import (
    API,
    BATCH,
    BOOKS,
    LARGE,
    REPLICAS,
    SHELVES,
    TTL_S,
    WEB,
    WHOLE,
    ZONE,
    Shape,
    build_policy,
)
from .layers import Knobs, Layers
from .lives import Life, LifeLog
from .places import SimCluster, SimZone
from .twins import LifeClock, SimClusterPort, SimProber, SimStorePort, SimZonePort
from .vantages import STEP_S, Probing, VantageState, probe_of

PERSON = "ada@desk"
ANSWER_S = 60.0
"""How long a person waits for a controller's answer."""
PACE = Pace(tick_s=1.0, reconsider_s=2.0, status_every_s=60.0, save_every_s=20.0, meters_its_loop=False)
"""Coarser than the shipped one: simulated minutes are many, and a virtual loop is never late."""


class World:
    """Everything outside the controller, and the controllers."""

    def __init__(self, seed: int, shape: Shape = WHOLE) -> None:
        self.random = random.Random(seed)  # noqa: S311 - reproducible, not secret
        self.clock = VirtualClock()
        self.policy: Policy = build_policy(self.random, shape)
        self.policies = 0
        self.written = self.policy
        """The policy that would be in force if none of the clusters `left_out` were."""
        self.left_out: list[ClusterName] = []
        self.were_left_out: set[ClusterName] = set()
        """Those that ever were: what one ran that came back unseen nobody knows."""
        self.in_force = {self.policy.generation: self.policy}
        """Every policy that was ever in force, by its generation."""
        self.disk = StoreDisk()
        self.backups: list[StoreDisk] = []
        self.paths = Layers()
        self.dead = Layers()
        self.knobs = Knobs()
        self.watchers: list[Callable[[trace.Event], None]] = []
        self.hearers: list[Callable[[trace.Heard], None]] = []
        self.lines: list[str] = []
        self.kept_upto = 0
        self.kept: set[str] = set()
        self.lives: list[Life] = []
        self.heads: dict[str, tuple[int, str]] = {}
        """The journal entry that each vantage was told of last, and its mark."""
        self.chores: list[asyncio.Future[Any]] = []
        self.clusters = {
            entry.name: SimCluster(entry.name, self.clock, nodes=3, ready_s=1.0)
            for entry in self.policy.fleet.clusters
        }
        self.zones = {zone.name: SimZone(self, zone) for zone in self.policy.zones}
        self.vantages = {
            entry.name: VantageState(name=entry.name, region=entry.region)
            for entry in self.policy.fleet.vantages
        }
        self._region = {entry.name: entry.region for entry in self.policy.fleet.clusters}
        self._members: dict[str, list[ClusterName]] = {}
        for entry in self.policy.fleet.clusters:
            self._members.setdefault(entry.region, []).append(entry.name)
        self._address = {entry.ipv4[0]: entry.name for entry in self.policy.fleet.clusters}
        self._serving: dict[tuple[ClusterName, str], bool] = {}
        self.recovered: list[tuple[str, str, float, float]] = []
        """Cluster, application, when its clients were served again, and for how long they had not been."""
        self._fell: dict[tuple[str, str], float] = {}
        self.deleted: set[tuple[str, WorkloadRef]] = set()
        """What somebody deleted once: its replicas may be no demand any more."""
        self.beaten: dict[tuple[str, str], deque[float]] = defaultdict(lambda: deque(maxlen=4))
        """When each controller lately heard a heartbeat of a cluster."""
        self.forgotten: set[str] = set()
        """Runs whose history was restored away: what they moved or gave up, no controller knows of."""
        self.thawed = float("-inf")
        """When a process that was frozen last went on."""
        self._beats = 0
        self._furnish(shape)

    def _furnish(self, shape: Shape) -> None:
        for name, cluster in self.clusters.items():
            for ref in (WEB, API):
                workload = cluster.add(ref, REPLICAS)
                workload.requests = LARGE if shape.short else workload.requests
            if shape.short:
                cluster.add(BATCH, 1).requests = LARGE
            if name in SHELVES:
                cluster.add(BOOKS, 1 if name == SHELVES[0] else 0, single_writer=True)
            for application in ("", "shop"):
                self._serving[name, application] = True
        addresses = tuple(sorted(self._address))
        self.zones[ZONE].set_records(
            *(
                RecordSet(name=item.name, record_type=RecordType.A, ttl=TTL_S, values=addresses)
                for app in self.policy.applications
                for item in app.dns
            ),
            RecordSet(name="mail.example.test.", record_type=RecordType.A, ttl=300, values=("203.0.113.9",)),
        )

    # -- truth -----------------------------------------------------------------------------------------------------------

    @property
    def names_changed(self) -> float:
        """When a zone last got another version."""
        return max(zone.current.since_mono for zone in self.zones.values())

    @property
    def mono(self) -> float:
        return self.clock.now().mono

    def note(self, event: trace.Event) -> None:
        """Tell every oracle."""
        for watcher in self.watchers:
            watcher(event)

    def hear(self, event: trace.Heard) -> None:
        """Tell who keeps what controllers have heard."""
        for hearer in self.hearers:
            hearer(event)

    def say(self, sentence: str) -> None:
        """One line of the log, which must be the same each time that the seed is played."""
        self.lines.append(f"{self.mono:10.3f} {sentence}")

    def region_of(self, cluster: str) -> RegionName:
        return self._region[ClusterName(cluster)]

    def cluster_at(self, address: str) -> ClusterName | None:
        return self._address.get(address)

    def is_dead(self, cluster: str) -> bool:
        """The machines are gone: endpoint, API server, pods."""
        return self.dead.has(cluster)

    def serves(self, cluster: str, application: str = "") -> bool:
        """Whether clients are served there, by the truth."""
        found = self._outcome(cluster, application, Signal.DATA_PLANE)
        return found is Outcome.OK

    def ready(self, cluster: str, ref: Any) -> int:
        """Replicas that truly serve in a cluster."""
        place = self.clusters[ClusterName(cluster)]
        if self.is_dead(cluster) or ref not in place.workloads:
            return 0
        return place.settle(ref).ready

    def refresh_truth(self) -> None:
        """Tell of clusters whose clients begin or cease to be served."""
        for (name, application), before in list(self._serving.items()):
            serving = self.serves(name, application)
            if serving == before:
                continue
            self._serving[name, application] = serving
            if serving:
                fell = self._fell.get((name, application), 0.0)
                self.recovered.append((name, application, self.mono, self.mono - fell))
            else:
                self._fell[name, application] = self.mono
            if not application:
                self.note(trace.Turned(at=self.mono, cluster=name, serving=serving))

    def failed_within(self, cluster: str, application: str, seconds: float) -> bool:
        """Whether clients were truly not served there (or only partly: a gray failure) at some moment lately."""
        return self.is_gray(cluster) or self.was_out_within(cluster, application, seconds)

    def was_out_within(self, cluster: str, application: str, seconds: float) -> bool:
        """Whether clients were truly not served there, not even some of them, at some moment lately."""
        if not self.serves(cluster, application):
            return True
        return any(
            self.mono - at <= seconds
            for name, app, at, _ in reversed(self.recovered)
            if name == cluster and app in ("", application)
        )

    def is_gray(self, cluster: str) -> bool:
        """Whether only a part of its clients is served: the others get errors, or wait for longer than anybody does."""
        return self.gray_share(cluster) > 0

    def gray_share(self, cluster: str) -> float:
        """Of how many of its clients that is true."""
        least_s, most_s = self.slowness(cluster, Signal.DATA_PLANE)
        timeout_s = self.policy.fleet.timing.timeout_s
        late = min(1.0, (most_s - timeout_s) / (most_s - least_s)) if most_s > timeout_s else 0.0
        errors: float = self.paths.top(("errors", cluster), 0.0)
        return 1.0 - (1.0 - errors) * (1.0 - late)

    def gray_no_more(self, cluster: str) -> None:
        """All its clients are served from now on; they were never quite without."""
        self.recovered.append((cluster, "", self.mono, 0.0))

    def slowness(self, cluster: str, signal: Signal) -> tuple[float, float]:
        """By how many seconds its answers are late, at least and at most."""
        mean_s = self.paths.top(("slow", signal, cluster), 0.0)
        return 0.5 * mean_s, 1.5 * mean_s

    def out_for(self, cluster: str) -> float:
        """For how many seconds by now its clients have not been served, without a moment in between; 0 where they are."""
        served = self._serving.get((ClusterName(cluster), ""), True)
        return 0.0 if served else self.mono - self._fell[cluster, ""]

    def blind_vantages(self, cluster: str) -> set[str]:
        """Outside vantages that cannot see it by no fault of its own."""
        region = self.region_of(cluster)
        return {
            entry.name
            for entry in self.policy.fleet.outside_vantages(region)
            if self.paths.has(("dark", entry.name, cluster))
            or self.vantages[entry.name].faults.has("blind")
            or (entry.controller and any(life.cut_off for life in self.lives))
        }

    def serving_since(self, cluster: str, applications: Iterable[str]) -> float:
        """When clients of these were last not served there, by the truth; the beginning of time if they always were. An outage so
        short that no vantage can fail often enough to vote is none.
        """
        concerned = {"", *applications}
        timing = self.policy.fleet.timing
        blink = (timing.fall - 1) * timing.interval_s
        if not all(self.serves(cluster, application) for application in concerned):
            return self.mono
        times = (
            at
            for name, application, at, lasted in self.recovered
            if name == cluster and application in concerned and lasted >= blink
        )
        return max(times, default=float("-inf"))

    def put_in_force(self, policy: Policy) -> None:
        """What everybody is to follow from now on."""
        self.policy = self.in_force[policy.generation] = policy

    def put_back(self, disk: StoreDisk) -> None:
        """Another copy of the state stands in its place, and what was on the one before is not on it."""
        runs = {line.run for line in self.disk.journal}
        self.disk.restore(disk)
        self.forgotten |= runs - {line.run for line in self.disk.journal}
        self.kept_upto, self.kept = 0, set()
        self.note(trace.Lived(at=self.mono, holder="", what="restored"))

    def leased_until(self, life: Life, epoch: Epoch) -> float:
        """Until when a life might send in this epoch: not by its own word."""
        return life.leases.get(epoch, float("-inf")) - self.policy.fleet.timing.lease_margin_s

    def is_kept(self, intent: str) -> bool:
        """Whether an intent is in the journal as a power cut would leave it."""
        journal = self.disk.synced().journal
        if self.kept_upto > len(journal):  # a power cut took the end away
            self.kept_upto, self.kept = 0, set()
        if not self.disk.lying:
            for line in journal[self.kept_upto :]:
                if isinstance(line.entry, IntentRecorded):
                    self.kept.add(line.entry.intent.id)
            self.kept_upto = len(journal)
        return intent in self.kept

    # -- what probes meet ------------------------------------------------------------------------------------------------

    def _outcome(self, cluster: str, application: str, signal: Signal) -> Outcome:
        if not self.paths and not self.dead:
            return Outcome.OK
        if self.dead.has(cluster):
            return Outcome(self.dead.top(cluster, Outcome.REFUSED))
        if self.slowness(cluster, signal)[0] >= self.policy.fleet.timing.timeout_s:
            return Outcome.TIMEOUT
        if signal is Signal.CONTROL_PLANE:
            return Outcome(self.paths.top(("control", cluster), Outcome.OK))
        if application and self.paths.has(("application", application, cluster)):
            return Outcome(self.paths.top(("application", application, cluster), Outcome.OK))
        return Outcome(self.paths.top(("data", cluster), Outcome.OK))

    def meets(self, vantage: str, subject: Subject, signal: Signal) -> tuple[Outcome, float]:
        """Outcome and extra seconds of one probe now."""
        cluster = subject.cluster
        state = self.vantages[vantage]  # type: ignore[index]
        throttle = signal is Signal.CONTROL_PLANE and self.clusters[cluster].faults.throttle > 0
        if not self.paths and not self.dead and not state.faults and not throttle:
            return Outcome.OK, 0.0
        if self.paths.has(("dark", vantage, cluster)) or state.faults.has("blind"):
            return Outcome.TIMEOUT, 0.0
        if state.faults.has("local") or self.paths.has(("local", vantage, cluster)):
            return Outcome.LOCAL, 0.0
        outcome = self._outcome(cluster, subject.application or "", signal)
        if throttle and outcome is Outcome.OK:  # 429: whoever comes next is turned away, a prober as well
            self.clusters[cluster].faults.throttle -= 1
            outcome = Outcome.LOCAL
        least_s, most_s = self.slowness(cluster, signal)
        slow_s = self.random.uniform(least_s, most_s) if most_s else 0.0
        share = self.paths.top(("errors", cluster), 0.0)
        if signal is Signal.DATA_PLANE and outcome is Outcome.OK and self.random.random() < share:
            outcome = Outcome.SERVER_ERROR
        return outcome, slow_s

    def takes(self, vantage: str, definition: ProbeDefinition) -> tuple[Outcome, float]:
        """What one probe that begins now meets, and how many seconds it takes."""
        return probe_of(self, vantage, definition)

    def says(self, vantage: str, definition: ProbeDefinition, outcome: Outcome) -> Outcome:
        """What the vantage tells of it: one that lies always says up."""
        del definition
        return Outcome.OK if self.vantages[vantage].faults.has("always-up") else outcome  # type: ignore[index]

    # -- vantages --------------------------------------------------------------------------------------------------------

    def start_vantages(self) -> None:
        """Every vantage but the controller's own, which each life brings along."""
        for entry in self.policy.fleet.vantages:
            if not entry.controller:
                self.start_vantage(entry.name)
        self.beat()
        self._step()

    def _step(self) -> None:
        now = self.mono
        for state in self.vantages.values():
            if state.probing is not None:
                state.probing.step(now)
        asyncio.get_running_loop().call_later(STEP_S, self._step)

    def start_vantage(self, name: str) -> None:
        """Start (again) a vantage's probing, with a new boot id."""
        state = self.vantages[VantageName(name)]
        if state.probing is not None:
            state.probing.stop()
        state.boot += 1
        state.probing = Probing(self, state)

    @property
    def lists_probes(self) -> Controller | None:
        """The controller that tells vantages what to probe: the one that acts, or any that answers."""
        reached = [
            life.controller
            for life in self.lives
            if life.controller is not None and life.alive and not life.cut_off and life.clock.running.is_set()
        ]
        return next((one for one in reached if one.acting), next(iter(reached), None))

    def is_cut_off(self, state: VantageState) -> bool:
        """Whether nothing that a vantage says arrives."""
        faults = state.faults
        if faults.has("dead") or faults.has("mute") or self.paths.has("own-network"):
            return True
        if not self.dead:
            return False
        region = self._members.get(state.region)
        return region is not None and all(self.dead.has(name) for name in region)

    def beat(self) -> None:
        """Heartbeats leave every cluster that lives and pushes them, whatever probes from outside meet (H)."""
        self._beats += 1
        for entry in self.policy.fleet.clusters:
            if not entry.heartbeat_sha256 or self.is_dead(entry.name):
                continue
            for life in self.lives:
                if life.controller is not None and life.hears and not life.cut_off:
                    life.controller.beat(entry.name, f"{entry.name}-1", self._beats)
                    self.beaten[life.holder, str(entry.name)].append(self.mono)
        interval = self.policy.fleet.timing.interval_s
        asyncio.get_running_loop().call_later(interval, self.beat)

    # -- lives -----------------------------------------------------------------------------------------------------------

    def boot(self) -> Life:
        """A new controller process over the same disk and world."""
        number = len(self.lives) + 1
        life = Life(
            holder=f"controller-{number}", clock=LifeClock(self.clock), paths=self.paths, born=self.mono
        )
        own = next(entry.name for entry in self.policy.fleet.vantages if entry.controller)
        prober = SimProber(self, own, life)
        ports = Ports(
            clock=life.clock,
            compute=InlineCompute(),
            store=SimStorePort(self, life),
            telemetry=LifeLog(self, life.holder),
            prober=prober,
            clusters={name: SimClusterPort(self, place, life) for name, place in self.clusters.items()},
            zones={name: SimZonePort(self, place, life) for name, place in self.zones.items()},
            api_servers={
                name: ApiServer(address="192.0.2.1", port=6443, server_name=str(name), ca_pem="")
                for name in self.clusters
            },
            identity=Identity(holder=life.holder, boot_id="machine-1", process=number),
            random=self.random,
        )
        life.controller = build(ports, self.policy, read_ca=lambda path: "", pace=PACE)
        self._listen(life, prober)
        life.task = asyncio.ensure_future(life.controller.run())
        self.lives.append(life)
        self.note(trace.Lived(at=self.mono, holder=life.holder, what="boot"))
        return life

    def _listen(self, life: Life, prober: SimProber) -> None:
        """The controller's own vantage: what it sees is heard at once."""
        controller = life.controller
        assert controller is not None

        def heard(observation: Observation) -> None:
            now = self.mono
            met = prober.met[(*observation.subject.key, observation.signal.value)]
            self.hear(trace.Heard(now, life.holder, observation, now, met))

        controller.on_own_observation = heard

    async def kill(self, life: Life) -> None:
        """SIGKILL: nothing is released, nothing more is written."""
        if life.task is None or life.controller is None:
            return
        life.controller.context.leadership.lease = None
        life.task.cancel()
        life.clock.running.set()
        await asyncio.gather(life.task, return_exceptions=True)
        self.disk.gone.add(life.holder)
        torn = self.disk.torn
        self.disk.crash()
        for entry in torn:
            late_s = self.mono - self.disk.torn_mono
            self.note(trace.Journaled(at=self.mono, holder=life.holder, entry=entry, late_s=late_s))
        life.controller = None
        self.note(trace.Lived(at=self.mono, holder=life.holder, what="killed"))

    @property
    def acting(self) -> Life | None:
        """The life that acts, or any that is alive; one that is frozen only where there is no other."""
        alive = [life for life in self.lives if life.alive and life.controller is not None]
        alive.sort(key=lambda life: not life.clock.running.is_set())
        leading = [life for life in alive if life.controller is not None and life.controller.acting]
        return next(iter(leading or alive), None)

    async def command(self, verb: str, **request: Any) -> dict[str, Any]:
        """A person's command to the controller that acts; an error is an answer too. Who gets none stops waiting, while a
        controller that was frozen over it may still carry it out when it wakes up.
        """
        life = self.acting
        if life is None or life.controller is None or not life.clock.running.is_set():
            return {"error": "no controller answers"}
        asking = asyncio.ensure_future(self._asked(life, life.controller, verb, request))
        self.chores.append(asking)
        done, _ = await asyncio.wait([asking], timeout=ANSWER_S)
        return asking.result() if done else {"error": "no answer in time"}

    async def _asked(
        self, life: Life, controller: Controller, verb: str, request: dict[str, Any]
    ) -> dict[str, Any]:
        asked = {"actor": PERSON, "verb": verb, **request}
        refused: tuple[str, ...] = ()
        try:
            answer = await controller.command(asked)
        except Refused as error:
            answer, refused = {"error": str(error)}, tuple(item.code for item in error.refusals)
        except FailoverError as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        self.say(f"person {verb} {request} -> {str(answer)[:100]}")
        self.note(
            trace.Said(
                at=self.mono, holder=life.holder, verb=verb, request=asked, answer=answer, refused=refused
            )
        )
        return answer

    async def stop(self) -> None:
        """End every life and vantage."""
        for state in self.vantages.values():
            if state.probing is not None:
                state.probing.stop()
        for life in self.lives:
            if life.alive:
                await self.kill(life)

"""The in-memory twin of a cluster: resourceVersions, capacity, pods that become ready after a while, the fence, faults.

Everything happens on the injected clock; states are worked out when they are asked for, so nothing runs in between.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from failover.model.errors import (
    Conflict,
    FencedOff,
    NotFound,
    OutcomeUnknown,
    Rejected,
    Throttled,
    Unavailable,
)
from failover.model.ids import ClusterName
from failover.model.inventory import (
    Autoscaler,
    ClusterInventory,
    NodeState,
    Resources,
    RightProblem,
    WorkloadState,
)
from failover.model.journal import RaiseFence, ScaleChange
from failover.model.permit import Permit
from failover.model.plan import ScaleField
from failover.model.policy import WorkloadRef
from failover.model.ports import Clock
from failover.model.resources import CPU, total

T = TypeVar("T")


@dataclass(slots=True)
class TwinWorkload:
    """One scalable object. `ripening`: replicas that found a place, (monotonic second, how many are ready from then on)."""

    wanted: int
    requests: Resources = field(default_factory=lambda: Resources(cpu_m=100, memory=128 << 20))
    version: int = 1
    managers: tuple[str, ...] = ("kubectl",)
    autoscaler: Autoscaler | None = None
    single_writer: bool = False
    ready: int = 0
    ripening: list[tuple[float, int]] = field(default_factory=list)

    @property
    def placed(self) -> int:
        """Replicas that have a place: the others wait for one."""
        return self.ready + sum(count for _, count in self.ripening)

    def shrink(self, replicas: int) -> None:
        """What is too many goes, the youngest first."""
        while self.ripening and self.placed > replicas:
            at, count = self.ripening.pop()
            left = replicas - self.placed
            if left > 0:
                self.ripening.append((at, min(count, left)))
        self.ready = min(self.ready, replicas)


@dataclass(slots=True)
class ClusterFaults:
    """What goes wrong at the API server. `down`: refuses; `throttle`: 429s to come; `lose_answers`: applied, then silent."""

    down: bool = False
    throttle: int = 0
    lose_answers: int = 0
    conflicts: int = 0
    never_ready: bool = False


class ClusterWorld:
    """The truth about one cluster, shared by every `TwinCluster` over it."""

    def __init__(self, name: str, clock: Clock, *, nodes: int = 4, ready_s: float = 1.0) -> None:
        self.name = ClusterName(name)
        self.clock = clock
        self.uid = f"uid-{name}"
        self.ready_s = ready_s
        self.node_size = Resources(cpu_m=16000, memory=64 << 30, pods=110)
        self.nodes = nodes
        self._free: tuple[object, list[Resources]] | None = None
        self.limits: list[int] = []
        """Each bounds how many replicas get a place here, and no inventory tells it: a quota, addresses, volumes."""
        self.utilisation: float | None = None
        self.workloads: dict[WorkloadRef, TwinWorkload] = {}
        self.faults = ClusterFaults()
        self.fence: int | None = None
        self.fence_installed = True
        self.writes: list[tuple[str, str, int]] = []

    def add(self, ref: WorkloadRef, replicas: int, *, single_writer: bool = False) -> TwinWorkload:
        """An object whose replicas are ready already."""
        workload = TwinWorkload(wanted=replicas, ready=replicas, single_writer=single_writer)
        self.workloads[ref] = workload
        return workload

    def settle(self, ref: WorkloadRef) -> TwinWorkload:
        """The workload with everything ripened that is due by now. What is due while nothing gets ready waits for the fault's end:
        a look changes nothing of what comes.
        """
        workload = self.workloads[ref]
        if self.faults.never_ready:
            return workload
        now = self.clock.now().mono
        for item in [item for item in workload.ripening if item[0] <= now]:
            workload.ripening.remove(item)
            workload.ready = min(workload.wanted, workload.ready + item[1])
        return workload

    def state(self, ref: WorkloadRef) -> WorkloadState:
        """What a read of it gives at this moment."""
        if ref not in self.workloads:
            return WorkloadState(ref=ref, exists=False)
        workload = self.settle(ref)
        return WorkloadState(
            ref=ref,
            exists=True,
            wanted=workload.wanted,
            ready=workload.ready,
            pods=workload.ready,
            resource_version=str(workload.version),
            requests=workload.requests,
            autoscaler=workload.autoscaler,
            managers=workload.managers,
            single_writer=workload.single_writer,
        )

    def set_replicas(self, ref: WorkloadRef, replicas: int, manager: str) -> None:
        """As any writer would; room on the nodes bounds what becomes ready."""
        workload = self.settle(ref)
        workload.version += 1
        workload.managers = (*(name for name in workload.managers if name != manager), manager)
        workload.wanted = replicas
        workload.shrink(replicas)
        self.find_places()

    def set_nodes(self, nodes: int, *, noticed_s: float = 0.0) -> None:
        """Nodes are lost, the last ones first, with the replicas on them, or come back. `noticed_s`: how long it takes until who
        lost its place is given another.
        """
        for ref in self.workloads:
            self.settle(ref)
        kept = self._spread({ref: item.placed for ref, item in self.workloads.items()})[:nodes]
        self.nodes = nodes
        for ref, workload in self.workloads.items():
            workload.ripening.clear()
            workload.ready = min(workload.ready, sum(held[ref] for _, held in kept))
        self.find_places(noticed_s)

    def find_places(self, after_s: float = 0.0) -> None:
        """Give replicas that wait a place where there is room: they are ready a while later."""
        placed = {ref: self.settle(ref).placed for ref in self.workloads}
        waiting = {ref: item.wanted - placed[ref] for ref, item in self.workloads.items()}
        nodes = self._spread(placed, waiting)
        allowed = min(self.limits, default=sum(placed.values()) + sum(waiting.values()))
        allowed -= sum(placed.values())
        for ref, workload in self.workloads.items():
            fits = sum(held[ref] for _, held in nodes) - placed[ref]
            found = min(fits, allowed)
            if found > 0:
                allowed -= found
                workload.ripening.append((self.clock.now().mono + after_s + self.ready_s, found))

    def requested(self) -> Resources:
        """What all replicas that are wanted ask for."""
        amounts: dict[str, int] = {}
        for item in self.workloads.values():
            for name, amount in item.requests.amounts():
                amounts[name] = amounts.get(name, 0) + amount * item.wanted
        return Resources.of(amounts)

    def free(self) -> list[Resources]:
        """What each node has free, as an inventory tells: every replica that is wanted went to some node, where one holds it."""
        wanted = {ref: item.wanted for ref, item in self.workloads.items()}
        asked = {ref: item.requests for ref, item in self.workloads.items()}
        key = (self.nodes, self.node_size, wanted, asked)
        if self._free is None or self._free[0] != key:
            self._free = key, [Resources.of(free) for free, _ in self._spread(wanted)]
        return list(self._free[1])

    def _spread(self, *turns: Mapping[WorkloadRef, int]) -> list[tuple[dict[str, int], Counter[WorkloadRef]]]:
        """Each node's free resources, and what it holds: in each turn every replica goes to the node that has most."""
        nodes = [(self.node_size.by_name(), Counter[WorkloadRef]()) for _ in range(self.nodes)]
        for turn in turns:
            for ref, count in turn.items():
                asked = list(self.workloads[ref].requests.by_name().items())
                for _ in range(count):
                    fitting = [
                        node
                        for node in nodes
                        if all(node[0].get(name, 0) >= amount for name, amount in asked)
                    ]
                    if not fitting:
                        break
                    free, held = max(fitting, key=lambda node: node[0][CPU])
                    held[ref] += 1
                    for name, amount in asked:
                        free[name] = free.get(name, 0) - amount
        return nodes


class TwinCluster:
    """The Cluster port over a ClusterWorld. `latency_s`: how long every answer takes."""

    def __init__(self, world: ClusterWorld, latency_s: float = 0.005) -> None:
        self.name = world.name
        self._world = world
        self._latency_s = latency_s

    async def inventory(self, workloads: Sequence[WorkloadRef]) -> ClusterInventory:
        began = self._world.clock.now().mono
        await self._reach()
        world = self._world
        requested = world.requested()
        return ClusterInventory(
            cluster=self.name,
            uid=world.uid,
            taken_mono=began,
            nodes_total=world.nodes,
            nodes_ready=world.nodes,
            nodes=tuple(
                NodeState(name=f"node-{number}", free=free, whole=world.node_size)
                for number, free in enumerate(world.free())
            ),
            allocatable=total([world.node_size] * world.nodes),
            requested=requested,
            utilisation=world.utilisation,
            workloads=self.states(workloads),
            fence_epoch=world.fence,
        )

    async def read_workloads(self, workloads: Sequence[WorkloadRef]) -> tuple[WorkloadState, ...]:
        await self._reach()
        return self.states(workloads)

    def states(self, workloads: Sequence[WorkloadRef]) -> tuple[WorkloadState, ...]:
        """What a read gives of these at this moment."""
        return tuple(self._world.state(ref) for ref in workloads)

    async def scale(self, permit: Permit, change: ScaleChange) -> WorkloadState:
        return await self._write(permit, change.cluster_uid, lambda: self._take_scale(permit, change))

    async def _write(self, permit: Permit, uid: str, take: Callable[[], T]) -> T:
        """The way there, the last look before the send (I22), and what the server makes of it."""
        await self._reach()
        self._about_to_send(permit, uid)
        return take()

    def _about_to_send(self, permit: Permit, uid: str) -> None:
        self._identify(uid)
        if not permit.still_good(self._world.clock.now().mono):
            raise Conflict(f"{self.name}: the permit ran out before the request was sent", target=self.name)

    def _take_scale(self, permit: Permit, change: ScaleChange) -> WorkloadState:
        world = self._world
        self._check_fence(int(permit.epoch))
        if change.workload not in world.workloads:
            raise NotFound(f"{change.workload} does not exist", target=self.name)
        workload = world.settle(change.workload)
        if world.faults.conflicts:
            world.faults.conflicts -= 1
            workload.version += 1
        self._apply(permit, change, workload)
        world.writes.append((permit.field_manager, str(change.workload), change.after))
        if world.faults.lose_answers:
            world.faults.lose_answers -= 1
            raise OutcomeUnknown("the connection broke after the request was sent", target=self.name)
        return world.state(change.workload)

    def _apply(self, permit: Permit, change: ScaleChange, workload: TwinWorkload) -> None:
        world = self._world
        if change.field is ScaleField.REPLICAS:
            self._check_version(change.resource_version, str(workload.version), "the object")
            world.set_replicas(change.workload, change.after, permit.field_manager)
            return
        owner = workload.autoscaler
        if owner is None or owner.name != change.autoscaler:
            raise NotFound(f"autoscaler {change.autoscaler} does not exist", target=self.name)
        self._check_version(change.resource_version, owner.resource_version, "the autoscaler")
        highest = max(owner.max_replicas, change.autoscaler_max or 0, change.after)
        workload.autoscaler = Autoscaler(
            name=owner.name,
            min_replicas=change.after,
            max_replicas=highest,
            resource_version=str(int(owner.resource_version) + 1),
        )
        if workload.wanted < change.after:
            world.set_replicas(change.workload, change.after, "horizontal-pod-autoscaler")

    async def raise_fence(self, permit: Permit, change: RaiseFence) -> None:
        await self._write(permit, change.cluster_uid, lambda: self._take_fence(permit, change))

    def _take_fence(self, permit: Permit, change: RaiseFence) -> None:
        del permit
        self._check_fence(int(change.epoch))
        self._world.fence = max(self._world.fence or 0, int(change.epoch))

    async def record_event(self, permit: Permit, change: ScaleChange, message: str) -> None:
        del permit, change, message
        await self._reach()

    async def check_rights(
        self, workloads: Sequence[WorkloadRef], *, fence: bool
    ) -> tuple[RightProblem, ...]:
        await self._reach()
        missing = [ref for ref in workloads if ref not in self._world.workloads]
        problems = [
            RightProblem(
                target=self.name, sentence=f"{ref} does not exist (0 replicas will do)", warning=True
            )
            for ref in missing
        ]
        if fence and not self._world.fence_installed:
            problems.append(RightProblem(target=self.name, sentence="the fence policy is not installed"))
        return tuple(problems)

    async def close(self) -> None:
        return

    async def _reach(self) -> None:
        await self._world.clock.sleep(self._latency_s)
        faults = self._world.faults
        if faults.down:
            raise Unavailable("connection refused", target=self.name)
        if faults.throttle:
            faults.throttle -= 1
            raise Throttled("too many requests", target=self.name, retry_after_s=1.0)

    def _check_version(self, given: str, current: str, what: str) -> None:
        """As an API server does: who names no version asks for none."""
        if given and given != current:
            raise Conflict(f"{what} has been modified", target=self.name)

    def _identify(self, expected: str) -> None:
        if expected and expected != self._world.uid:
            raise Rejected(
                f"{self.name}: the kubeconfig reaches another cluster ({self._world.uid}, before it was {expected})",
                target=self.name,
            )

    def _check_fence(self, epoch: int) -> None:
        fence = self._world.fence
        if self._world.fence_installed and fence is not None and epoch < fence:
            raise FencedOff(f"the fence carries epoch {fence}, this write {epoch}", target=self.name)

"""The ports of one simulated controller's life: the shared twins, with a gate (a frozen process does nothing) and a record."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from failover.lab.twins.cluster import TwinCluster, TwinWorkload
from failover.lab.twins.store import TwinStore
from failover.lab.twins.zone import TwinZone
from failover.model.errors import LocalFault, OutcomeUnknown, TargetError, Unavailable
from failover.model.ids import ApplicationName, Epoch
from failover.model.inventory import ClusterInventory, WorkloadState
from failover.model.journal import Entry, JournalEntry, RaiseFence, ScaleChange
from failover.model.observation import Outcome, ProbeDefinition, ProbeResult, Signal
from failover.model.permit import Permit
from failover.model.plan import ScaleField
from failover.model.policy import WorkloadRef
from failover.model.ports import Clock, Lease
from failover.model.records import RecordSet, ServerAnswer, ZoneChange, ZoneState
from failover.model.time import Now

from . import trace

if TYPE_CHECKING:
    from .lives import Life
    from .places import SimCluster, SimZone
    from .world import World


T = TypeVar("T")
CONNECT_TIMEOUT_S = 3.0
WRITE_TIMEOUT_S = 10.0
"""Both as `kube/transport.py` has them."""


class Unanswered(NamedTuple):
    """Why a write is never answered, and how long after it was sent that is plain."""

    why: str
    after_s: float


class LifeClock:
    """The machine's clock as one process sees it: while the process is frozen nothing that sleeps wakes up."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.running = asyncio.Event()
        self.running.set()

    def now(self) -> Now:
        return self._clock.now()

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        if not self.running.is_set():
            await self.running.wait()


class SimClusterPort(TwinCluster):
    """A cluster as one life reaches it."""

    def __init__(self, world: "World", place: "SimCluster", life: "Life") -> None:
        super().__init__(place)
        self._sim, self._place, self._life = world, place, life

    def states(self, workloads: Sequence[WorkloadRef]) -> tuple[WorkloadState, ...]:
        old = self._place.api.top("stale", {})
        if old:
            self._place.told_old_at = self._sim.mono
        return tuple(old.get(state.ref, state) for state in super().states(workloads))

    async def inventory(self, workloads: Sequence[WorkloadRef]) -> ClusterInventory:
        seen = await super().inventory(workloads)
        await self._life.gate()
        if self._place.api.has("breaks-off"):
            raise Unavailable("the list broke off after its first page", target=self.name)
        return seen

    async def read_workloads(self, workloads: Sequence[WorkloadRef]) -> tuple[WorkloadState, ...]:
        states = await super().read_workloads(workloads)
        self._sim.note(trace.Looked(at=self._sim.mono, holder=self._life.holder, target=self.name))
        await self._life.gate()
        return states

    async def scale(self, permit: Permit, change: ScaleChange) -> WorkloadState:
        await self._life.gate()
        if self._place.faults.conflicts and change.workload in self._place.workloads:
            workload = self._place.settle(
                change.workload
            )  # somebody else writes between our read and our write
            self._place.set_replicas(change.workload, workload.wanted + 1, "somebody")
        try:
            return await super().scale(permit, change)
        finally:
            await self._life.gate()

    async def raise_fence(self, permit: Permit, change: RaiseFence) -> None:
        await self._life.gate()
        await super().raise_fence(permit, change)

    def _take_fence(self, permit: Permit, change: RaiseFence) -> None:
        super()._take_fence(permit, change)
        self._sim.note(
            trace.Applied(
                at=self._sim.mono,
                holder=self._life.holder,
                target=self.name,
                kind="fence",
                intent=permit.intent,
                epoch=int(permit.epoch),
                after=int(change.epoch),
                leased_until=self._sim.leased_until(self._life, permit.epoch),
                kept=self._sim.is_kept(permit.intent),
            )
        )

    async def _reach(self) -> None:
        faults = self._place.api
        await self._world.clock.sleep(self._latency_s + faults.top("slow", 0.0))
        if self._nothing_arrives or self._sim.is_dead(self._place.name) or faults.has("silent"):
            await self._world.clock.sleep(CONNECT_TIMEOUT_S)
            raise Unavailable("no answer in time", target=self.name)
        if faults.has("local"):
            raise LocalFault(faults.top("local", ""), target=self.name)
        for layer in ("refuses", "fails"):
            if faults.has(layer):
                raise Unavailable(faults.top(layer, ""), target=self.name)
        await super()._reach()

    async def _write(self, permit: Permit, uid: str, take: Callable[[], T]) -> T:
        """As the shipped adapter tells of it (kube/responses.py): what was sent and not answered is unknown (I19). A look went
        before every write, so that a connection stands; what arrives may take effect, and whatever is said to it is lost.
        """
        unanswered = self._unanswered()
        if unanswered is None:
            return await super()._write(permit, uid, take)
        await self._world.clock.sleep(self._latency_s + self._place.api.top("slow", 0.0))
        self._about_to_send(permit, uid)
        if not self._nothing_arrives and self._sim.random.random() < 0.5:
            with contextlib.suppress(TargetError):
                take()
        await self._world.clock.sleep(unanswered.after_s)
        raise OutcomeUnknown(unanswered.why, target=self.name)

    @property
    def _nothing_arrives(self) -> bool:
        """Whether what is sent there is lost on its way, or where it should be heard."""
        name = self._place.name
        silent = self._sim.is_dead(name) and self._sim.dead.top(name, None) is not Outcome.REFUSED
        return silent or self._place.api.has("isolated") or self._life.cut_off

    def _unanswered(self) -> Unanswered | None:
        """Why a write that is sent now gets no answer that tells what came of it; None: it gets one, or is not even sent."""
        name, faults = self._place.name, self._place.api
        if self._nothing_arrives:
            return Unanswered("no answer in time", WRITE_TIMEOUT_S)
        if self._sim.is_dead(name):
            return None  # no connection: it is refused
        if faults.has("silent"):
            return Unanswered("no answer in time", WRITE_TIMEOUT_S)
        if faults.has("local") or faults.has("refuses") or not faults.has("fails"):
            return None
        return Unanswered(faults.top("fails", ""), 0.0)

    def _apply(self, permit: Permit, change: ScaleChange, workload: TwinWorkload) -> None:
        minimum = change.field is ScaleField.AUTOSCALER_MIN
        seen = workload.autoscaler.min_replicas if minimum and workload.autoscaler else workload.wanted
        super()._apply(permit, change, workload)
        self._sim.note(
            trace.Applied(
                at=self._sim.mono,
                holder=self._life.holder,
                target=self.name,
                kind="scale",
                intent=permit.intent,
                epoch=int(permit.epoch),
                expected=change.before,
                seen=seen,
                after=change.after,
                workload=str(change.workload),
                leased_until=self._sim.leased_until(self._life, permit.epoch),
                kept=self._sim.is_kept(permit.intent),
            )
        )


class SimZonePort(TwinZone):
    """A zone as one life reaches it."""

    def __init__(self, world: "World", place: "SimZone", life: "Life") -> None:
        super().__init__(place)
        self._sim, self._place, self._life = world, place, life

    async def read(
        self, names: Sequence[RecordSet | tuple[str, str]], applications: Sequence[ApplicationName]
    ) -> ZoneState:
        state = await super().read(names, applications)
        self._sim.note(trace.Looked(at=self._sim.mono, holder=self._life.holder, target=self.name))
        await self._life.gate()
        return state

    async def change(self, permit: Permit, change: ZoneChange) -> None:
        await self._life.gate()
        self._place.in_flight[id(change)] = (permit, self._life)
        try:
            await super().change(permit, change)
        finally:
            self._place.in_flight.pop(id(change), None)
            await self._life.gate()

    async def verify(self, record_sets: Sequence[RecordSet]) -> tuple[ServerAnswer, ...]:
        if self._life.cut_off:
            await self._clock.sleep(self._zone.timeout_s)
            return tuple(
                ServerAnswer(server=server.name, answered=False, matches=False, detail="no answer")
                for server in self._world.servers
            )
        answers = await super().verify(record_sets)
        self._sim.note(trace.Looked(at=self._sim.mono, holder=self._life.holder, target=self.name))
        await self._life.gate()
        return answers

    async def _reach(self, *, sent_changes: bool) -> None:
        if self._life.cut_off:
            if sent_changes:
                # On the connection that the look before it left open: nobody tells whether it arrived.
                await self._lost(f"zone {self.name}")
            await self._clock.sleep(self._zone.timeout_s)
            raise Unavailable(f"zone {self.name}: no connection in time; nothing was sent", target=self.name)
        await super()._reach(sent_changes=sent_changes)


class SimStorePort(TwinStore):
    """The store as one life reaches it."""

    def __init__(self, world: "World", life: "Life") -> None:
        super().__init__(world.disk, world.clock)
        self._sim, self._life = world, life

    async def append_batch(
        self, epoch: Epoch, entries: Sequence[tuple[str, Entry]]
    ) -> tuple[JournalEntry, ...]:
        await self._life.gate()
        written = await super().append_batch(epoch, entries)
        for entry in written:
            self._sim.note(trace.Journaled(at=self._sim.mono, holder=self._life.holder, entry=entry))
        return written

    async def acquire(self, holder: str, **asked: Any) -> Lease:
        lease = await super().acquire(holder, **asked)
        self._life.leases[lease.epoch] = lease.expires_mono
        return lease

    async def renew(self, lease: Lease, *, seconds: float) -> Lease:
        renewed = await super().renew(lease, seconds=seconds)
        self._life.leases[renewed.epoch] = renewed.expires_mono
        return renewed

    async def release(self, lease: Lease) -> None:
        await super().release(lease)
        self._life.leases[lease.epoch] = self._sim.mono


class SimProber:
    """What the probes of a controller's own vantage meet."""

    def __init__(self, world: "World", vantage: str, life: "Life") -> None:
        self._world = world
        self._vantage = vantage
        self._life = life
        self.met: dict[tuple[str, str, str], Outcome] = {}

    async def probe(self, definition: ProbeDefinition) -> ProbeResult:
        """One probe by the controller's own vantage."""
        world = self._world
        outcome, latency_s = Outcome.TIMEOUT, definition.timeout_s
        if not self._life.cut_off:
            outcome, latency_s = world.takes(self._vantage, definition)
        self.met[definition.key] = outcome
        await world.clock.sleep(latency_s)
        return ProbeResult(
            outcome=world.says(self._vantage, definition, outcome), latency_ms=latency_s * 1000
        )


def data_plane(definition: ProbeDefinition) -> bool:
    """Whether a probe goes the clients' way."""
    return definition.signal is Signal.DATA_PLANE

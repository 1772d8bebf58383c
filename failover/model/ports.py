"""Ports: what the controller needs of the outside, each a Protocol of a few methods. Adapters and twins implement them.

Errors: only those of `failover.model.errors`. Every mutating method takes a Permit and raises FencedOff or Conflict,
never applies partly, and raises OutcomeUnknown when a request was sent and no trustworthy answer came.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Protocol, TypeVar

from failover.model.ids import ApplicationName, ClusterName, Epoch, ZoneName
from failover.model.inventory import ClusterInventory, RightProblem, WorkloadState
from failover.model.journal import Entry, JournalEntry, RaiseFence, ScaleChange
from failover.model.observation import ProbeDefinition, ProbeResult
from failover.model.permit import Permit
from failover.model.policy import WorkloadRef
from failover.model.records import Quota, RecordSet, ServerAnswer, ZoneCapabilities, ZoneChange, ZoneState
from failover.model.telemetry import TelemetryEvent
from failover.model.time import Now

T = TypeVar("T")


class Clock(Protocol):
    """Both clocks of this machine, and waiting."""

    def now(self) -> Now: ...

    async def sleep(self, seconds: float) -> None: ...


class Compute(Protocol):
    """Runs a pure function without holding up the loop: a process pool in the shell, inline in the simulation."""

    async def run(self, function: Callable[..., T], *arguments: Any) -> T: ...


class Prober(Protocol):
    """Runs one probe of the kinds it knows. Never raises for what the target does; cancellation is the caller's."""

    async def probe(self, definition: ProbeDefinition) -> ProbeResult: ...


class Cluster(Protocol):
    """One cluster's API server. One instance per cluster, one client inside."""

    name: ClusterName

    async def inventory(self, workloads: Sequence[WorkloadRef]) -> ClusterInventory:
        """A complete look, or an error; `workloads` are those that the policies name (absent ones: exists=False)."""
        ...

    async def read_workloads(self, workloads: Sequence[WorkloadRef]) -> tuple[WorkloadState, ...]:
        """The named workloads only, cheaply (for waiting and read-back), in the order asked."""
        ...

    async def scale(self, permit: Permit, change: ScaleChange) -> WorkloadState:
        """Set replicas, or minReplicas, absolutely, if resourceVersion and cluster identity still hold.

        Raises Conflict on a stale resourceVersion, FencedOff where the fence refuses, Rejected on another identity.
        """
        ...

    async def raise_fence(self, permit: Permit, change: RaiseFence) -> None:
        """Write the epoch into the fence ConfigMap, upwards only. FencedOff if it is higher already."""
        ...

    async def record_event(self, permit: Permit, change: ScaleChange, message: str) -> None:
        """A Kubernetes Event on the touched object; best effort."""
        ...

    async def check_rights(
        self, workloads: Sequence[WorkloadRef], *, fence: bool
    ) -> tuple[RightProblem, ...]:
        """What a failover would need and this cluster refuses (SelfSubjectAccessReview and dry runs)."""
        ...

    async def close(self) -> None: ...


class DNSZone(Protocol):
    """One zone at one provider."""

    name: ZoneName

    @property
    def capabilities(self) -> ZoneCapabilities: ...

    async def read(
        self, names: Sequence[RecordSet | tuple[str, str]], applications: Sequence[ApplicationName]
    ) -> ZoneState:
        """The record sets of the (name, type) pairs and the applications' fences, whole, at the primary; or an error."""
        ...

    async def change(self, permit: Permit, change: ZoneChange) -> None:
        """One atomic compare-and-swap, fence included. Conflict: some precondition did not hold, nothing changed."""
        ...

    async def verify(self, record_sets: Sequence[RecordSet]) -> tuple[ServerAnswer, ...]:
        """Ask every authoritative address, and those that clients are sent to besides; silent ones are answered=False."""
        ...

    async def ask_resolvers(self, record_sets: Sequence[RecordSet]) -> tuple[ServerAnswer, ...]:
        """Ask the recursive servers that the policy names; a TTL may have run down there. Never raises TargetError."""
        ...

    async def check(self, names: Sequence[tuple[str, str]]) -> tuple[RightProblem, ...]:
        """What a failover would need and this zone refuses (served, key good, updates allowed), changing nothing."""
        ...

    async def quotas(self) -> tuple[Quota, ...]:
        """What the provider counts of the zone and its account, asked now; () where it counts nothing. Raises TargetError."""
        ...

    def forget(self) -> None:
        """Our own last change proves nothing any more: somebody else may have led, and changed the zone, since."""
        ...

    async def close(self) -> None: ...


class Lease(Protocol):
    """Acting leadership as the store holds it: who, in which epoch, until when (monotonic seconds of this machine)."""

    holder: str
    epoch: Epoch
    expires_mono: float


class Store(Protocol):
    """Durable state: small keyed documents, the journal, and leadership. No SQL shape.

    Every write raises StoreUnavailable when it is not durably on disk on return (I20), StaleEpoch when `epoch` is not
    the acting one.
    """

    async def get(self, key: str) -> tuple[int, str] | None:
        """(version, JSON text) of a document."""
        ...

    async def cas(self, key: str, expected_version: int, value: str, *, epoch: Epoch | None = None) -> int:
        """Write if the version still holds (0: absent); returns the new version. Conflict otherwise."""
        ...

    async def append_batch(
        self, epoch: Epoch, entries: Sequence[tuple[str, Entry]]
    ) -> tuple[JournalEntry, ...]:
        """Append (run id or "", entry) pairs in one durable transaction, guarded by the epoch."""
        ...

    async def entries(
        self, *, after: int = 0, run: str | None = None, limit: int = 100_000
    ) -> tuple[JournalEntry, ...]:
        """Journal entries in order."""
        ...

    async def acquire(
        self,
        holder: str,
        *,
        boot_id: str,
        process: int,
        seconds: float,
        minimum_epoch: int = 0,
        take_over: bool = False,
    ) -> Lease:
        """Become the acting leader with a new epoch (one more than the highest known). NotLeader where another acts."""
        ...

    async def renew(self, lease: Lease, *, seconds: float) -> Lease:
        """Extend; NotLeader where it was lost."""
        ...

    async def release(self, lease: Lease) -> None: ...

    async def leader(self) -> Lease | None:
        """The row as it stands, expired or not."""
        ...

    def watch(self, *, after: int) -> AsyncIterator[JournalEntry]:
        """New journal entries as they come."""
        ...

    async def close(self) -> None: ...


class Telemetry(Protocol):
    """Where events go: metrics, logs, notifications. Never raises, never blocks."""

    def emit(self, event: TelemetryEvent) -> None: ...

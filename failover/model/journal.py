"""The journal: what was decided, intended and seen. A run is the fold of its events; nothing else is remembered of it.

Every entry is hash-chained (`failover audit verify`): hash = SHA-256(previous hash || canonical JSON of the entry).
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, TypeAlias

from failover.model.ids import ApplicationName, Epoch, IntentId, RunId, StepId
from failover.model.plan import Phase, Plan, ScaleField
from failover.model.policy import WorkloadRef
from failover.model.reasons import Refusal
from failover.model.records import FenceRecord, ServerAnswer, Verification, ZoneChange

JOURNAL_SCHEMA = 1


class RunState(StrEnum):
    """Where a run stands. The last five are final."""

    AWAITING_APPROVAL = "awaiting-approval"
    RUNNING = "running"
    HALTED = "halted"
    DONE = "done"
    PARTIAL = "partial"
    ABORTED = "aborted"
    FAILED = "failed"
    REFUSED = "refused"

    @property
    def final(self) -> bool:
        return self in (RunState.DONE, RunState.ABORTED, RunState.FAILED, RunState.REFUSED, RunState.PARTIAL)


class EffectResult(StrEnum):
    """What is known of one external change. `unknown` is neither: it is read back (I19)."""

    APPLIED = "applied"
    UNCHANGED = "unchanged"
    CONFLICT = "conflict"
    REJECTED = "rejected"
    FENCED = "fenced"
    UNAVAILABLE = "unavailable"
    THROTTLED = "throttled"
    UNKNOWN = "unknown"

    @property
    def landed(self) -> bool:
        return self in (EffectResult.APPLIED, EffectResult.UNCHANGED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleChange:
    """One absolute, preconditioned scale. `resource_version` is what was read just before the intent."""

    kind: ClassVar[str] = "scale"
    cluster: str
    cluster_uid: str
    workload: WorkloadRef
    field: ScaleField
    before: int
    after: int
    resource_version: str
    autoscaler: str = ""
    autoscaler_max: int | None = None

    @property
    def target(self) -> str:
        return self.cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordsChange:
    """One atomic zone change."""

    kind: ClassVar[str] = "records"
    change: ZoneChange

    @property
    def target(self) -> str:
        return self.change.zone


@dataclass(frozen=True, slots=True, kw_only=True)
class RaiseFence:
    """Write our epoch into a cluster's fence ConfigMap, only ever upwards."""

    kind: ClassVar[str] = "raise-fence"
    cluster: str
    cluster_uid: str
    epoch: Epoch

    @property
    def target(self) -> str:
        return self.cluster


Change: TypeAlias = ScaleChange | RecordsChange | RaiseFence


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """The durable record written before an external change (I16).

    `id` is unique: `<run>/<step>/<attempt>`. `evidence`: observation ids and ages, or the person and their fresh probe.
    `rules`: guards that allowed it; `overrides`: rules that a person named.
    """

    id: IntentId
    run: RunId
    step: StepId
    attempt: int
    epoch: Epoch
    change: Change
    actor: str
    reason: str
    evidence: tuple[str, ...]
    rules: tuple[str, ...]
    overrides: tuple[str, ...] = ()


# -- events of a run ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOpened:
    """A plan became a run. `actor`: `automation` or a person's name. Times are wall times of the phases before it.

    `failed_at`: first failure of the evidence (None for a person's command); `verdict_at`: the verdict was confirmed.
    `citations`: evidence at opening. `approved`: False waits in `awaiting-approval`.
    """

    kind: ClassVar[str] = "run-opened"
    plan: Plan
    actor: str
    reason: str = ""
    approved: bool = True
    failed_at: datetime | None = None
    verdict_at: datetime | None = None
    citations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunApproved:
    """A person approved the waiting run."""

    kind: ClassVar[str] = "run-approved"
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunWidened:
    """Further clusters of the same region, or steering that became evacuation: the plan from here on."""

    kind: ClassVar[str] = "run-widened"
    plan: Plan
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentRecorded:
    """Written before the first byte is sent."""

    kind: ClassVar[str] = "intent"
    intent: Intent


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectRecorded:
    """The one audit record of a change (I30): what became of an intent. `not_before`: retry not earlier (wall)."""

    kind: ClassVar[str] = "effect"
    intent: IntentId
    step: StepId
    result: EffectResult
    before: str = ""
    after: str = ""
    detail: str = ""
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDone:
    """A step's effect was read back as intended (or its waiting is over). `verification` for record changes."""

    kind: ClassVar[str] = "step-done"
    step: StepId
    note: str = ""
    verification: Verification | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolversAsked:
    """What the policy's resolvers gave once the old TTL of a served change was over. It may come after the run's end."""

    kind: ClassVar[str] = "resolvers-asked"
    step: StepId
    answers: tuple[ServerAnswer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFailed:
    """A step cannot be done: the run goes on where it may and ends partial."""

    kind: ClassVar[str] = "step-failed"
    step: StepId
    refusal: Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHalted:
    """The run stops at a safe point: pause, freeze, lost leadership, stale evidence, doubt. It resumes or is aborted."""

    kind: ClassVar[str] = "run-halted"
    refusal: Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResumed:
    """The run goes on."""

    kind: ClassVar[str] = "run-resumed"
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AbortRequested:
    """A person, or the source's recovery before the first DNS write, asks to stop for good; additions are kept."""

    kind: ClassVar[str] = "abort-requested"
    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunClosed:
    """The run is over."""

    kind: ClassVar[str] = "run-closed"
    state: RunState
    sentence: str


RunEvent: TypeAlias = (
    RunOpened
    | RunApproved
    | RunWidened
    | IntentRecorded
    | EffectRecorded
    | StepDone
    | ResolversAsked
    | StepFailed
    | RunHalted
    | RunResumed
    | AbortRequested
    | RunClosed
)


# -- other entries of the same chain --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonSaid:
    """pause, resume, ack, cordon, uncordon, approve, take-over: what a person told the controller."""

    kind: ClassVar[str] = "person-said"
    verb: str
    target: str = ""
    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderChanged:
    """A holder began to act with a new epoch. `boot_id`, `origin`: its machine's boot and wall time of monotonic second 0."""

    kind: ClassVar[str] = "leader-changed"
    holder: str
    epoch: Epoch
    previous: str = ""
    boot_id: str = ""
    origin: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyLoaded:
    """Another policy generation came into force."""

    kind: ClassVar[str] = "policy-loaded"
    generation: str
    previous: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFinished:
    """A scheduled job ended. `result`: done, failed, missed, refused; the last three are shown as unknown."""

    kind: ClassVar[str] = "job-finished"
    schedule: str
    result: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockJumped:
    """The wall clock jumped by that many seconds: every earlier time of a run moves along, so that no window, wait or
    deadline gets shorter (or endless) by it. `boot_id`, `origin` as in LeaderChanged, after the jump.
    """

    kind: ClassVar[str] = "clock-jumped"
    by_s: float
    boot_id: str = ""
    origin: datetime | None = None


Entry: TypeAlias = RunEvent | PersonSaid | LeaderChanged | PolicyLoaded | JobFinished | ClockJumped


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """One entry as kept. `sequence` from 1 without gaps; `run` "" for entries that belong to none.

    `mark`: the beginning of its hash, by which others remember it and all before it.
    """

    sequence: int
    epoch: Epoch
    at: datetime
    run: str
    entry: Entry
    previous_hash: str
    hash: str

    @property
    def mark(self) -> str:
        return self.hash[:16]


# -- a run, folded -----------------------------------------------------------------------------------------------------


class StepState(StrEnum):
    """Where a step stands. `intended`: an intent without a known effect: read back first."""

    PENDING = "pending"
    INTENDED = "intended"
    EFFECTED = "effected"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepProgress:
    """One step's state. `attempts`: intents so far; `not_before`: of the next attempt; `since`: last change of state."""

    state: StepState = StepState.PENDING
    attempts: int = 0
    intent: Intent | None = None
    result: EffectResult | None = None
    not_before: datetime | None = None
    since: datetime
    note: str = ""
    refusal: Refusal | None = None
    verification: Verification | None = None
    resolvers: tuple[ServerAnswer, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseTime:
    """When a phase was reached."""

    phase: Phase
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The execution of one plan, as folded from its events by `execution.fold`.

    `dns_landed`: a record change is known to have been applied; `dns_written`: that, or one may have been (in flight).
    `resumed_at`: end of the last halt or approval: deadlines of what waits are counted from there at the earliest.
    `person_at`: when a person last approved or resumed it.
    """

    id: RunId
    state: RunState
    plan: Plan
    actor: str
    reason: str
    opened_at: datetime
    epoch: Epoch
    steps: dict[StepId, StepProgress]
    approved_by: str = ""
    failed_at: datetime | None = None
    verdict_at: datetime | None = None
    closed_at: datetime | None = None
    abort: AbortRequested | None = None
    halted: Refusal | None = None
    sentence: str = ""
    phases: tuple[PhaseTime, ...] = ()
    citations: tuple[str, ...] = ()
    widened: tuple[str, ...] = ()
    dns_written: bool = field(default=False)
    dns_landed: bool = field(default=False)
    resumed_at: datetime | None = None
    person_at: datetime | None = None

    @property
    def applications(self) -> tuple[ApplicationName, ...]:
        return tuple(part.application for part in self.plan.applications if part.left_out is None)


def fence_of(run: Run, *, owner: str, application: ApplicationName, epoch: Epoch, holder: str) -> FenceRecord:
    """The fence record that a run's change of an application's names carries."""
    return FenceRecord(
        owner=owner,
        application=application,
        plan=run.plan.short_hash,
        generation=run.plan.policy_generation,
        epoch=epoch,
        holder=holder,
    )

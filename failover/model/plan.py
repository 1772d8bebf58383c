"""A plan: pure data. Steps, reasons, assumptions, and a hash over what decided it."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, TypeAlias

from failover.model.codec import canonical_json, digest, later
from failover.model.ids import ApplicationName, ClusterName, Domain, RunId, StepId, ZoneName
from failover.model.policy import ZONE_PATIENCE_S, Mode, WorkloadRef
from failover.model.reasons import Refusal
from failover.model.records import RecordChange, RecordSet
from failover.model.verdict import VerdictKind

PLAN_SCHEMA = 1


class RunKind(StrEnum):
    """What a run is for."""

    STEERING = "steering"
    EVACUATION = "evacuation"
    DRAIN = "drain"
    FAILBACK = "failback"
    REBALANCE = "rebalance"
    DRILL = "drill"
    REPAIR = "repair"
    """A zone gets what runs have decided: drift is put right, a provider that was away is caught up."""
    ADOPTION = "adoption"
    """Names that exist get our fence, and stay as they are."""

    @property
    def about_names(self) -> bool:
        """It moves nothing away from a cluster: it makes a zone say what is decided already."""
        return self in (RunKind.REPAIR, RunKind.ADOPTION)


class Phase(StrEnum):
    """Phases of a run, in the order of the report."""

    DETECT = "detect"
    DECIDE = "decide"
    SHED = "shed"
    CAPACITY = "capacity"
    DNS_CHANGE = "dns-change"
    DNS_EFFECTIVE = "dns-effective"
    RELEASE = "release"


class ScaleField(StrEnum):
    """Which number is moved: the workload's replicas, or its autoscaler's minReplicas."""

    REPLICAS = "replicas"
    AUTOSCALER_MIN = "autoscaler-min"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleStep:
    """Set a workload's replicas in one cluster to an absolute number (I18).

    `before`: what the plan saw (precondition; resourceVersion is read at execution). `after`: what shall be.
    `needs`: steps that must be done first. `owner`: the application that the workload belongs to, where it is another than
    the one that the step is made for: in phase `shed` it gives up replicas, and a failback gives them back.
    """

    kind: ClassVar[str] = "scale"
    id: StepId
    application: ApplicationName
    phase: Phase
    cluster: ClusterName
    workload: WorkloadRef
    field: ScaleField = ScaleField.REPLICAS
    before: int
    after: int
    autoscaler: str = ""
    autoscaler_max: int | None = None
    owner: ApplicationName | None = None
    needs: tuple[StepId, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitReadyStep:
    """Wait until at least `ready` replicas of the application's workloads are ready over the named scale targets.

    `targets`: (cluster, workload, replicas that must be ready there). `deadline_s`: then the run is partial.
    `share`: percent of the sum of targets that suffices (the floor, I9), 100 for all.
    """

    kind: ClassVar[str] = "wait-ready"
    id: StepId
    application: ApplicationName
    phase: Phase
    targets: tuple[tuple[ClusterName, WorkloadRef, int], ...]
    share: int = 100
    deadline_s: float = 600.0
    needs: tuple[StepId, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRecordsStep:
    """One atomic change of one application's record sets in one zone, then read-back everywhere.

    `traffic_percent`: the real share of addresses that the affected domain holds afterwards (failback ramps), or None.
    `adopt`: the names stay as they are and get our fence, as a person asked. `patience_s`: the zone's.
    """

    kind: ClassVar[str] = "change-records"
    id: StepId
    application: ApplicationName
    phase: Phase
    zone: ZoneName
    changes: tuple[RecordChange, ...]
    traffic_percent: int | None = None
    needs: tuple[StepId, ...] = ()
    reason: str = ""
    adopt: bool = later(False)
    patience_s: float = later(ZONE_PATIENCE_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitStep:
    """Wait `seconds` after the steps it needs are done: the old TTL and a margin (I15), or a ramp's dwell."""

    kind: ClassVar[str] = "wait"
    id: StepId
    application: ApplicationName
    phase: Phase
    seconds: float
    needs: tuple[StepId, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProveGoneStep:
    """A single writer: wait until no replica of it is left in the source (I10), read from the source's API server."""

    kind: ClassVar[str] = "prove-gone"
    id: StepId
    application: ApplicationName
    phase: Phase
    cluster: ClusterName
    workload: WorkloadRef
    deadline_s: float = 600.0
    needs: tuple[StepId, ...] = ()
    reason: str = ""


Step: TypeAlias = ScaleStep | WaitReadyStep | ChangeRecordsStep | WaitStep | ProveGoneStep


class AssumptionKind(StrEnum):
    """What a plan takes for granted; `apply` checks each again and names the first that fails."""

    GENERATION = "generation"
    VERDICT = "verdict"
    REPLICAS = "replicas"
    RECORD_SET = "record-set"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumption:
    """One fact that the plan rests on: `what` (a cluster, `cluster workload`, `zone name type`) is `value`."""

    about: AssumptionKind
    what: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Replicas of one workload in one cluster before and after; `reason` says why it got what it got.

    `rule`: what bound it, in one word; `would_change`: what would give another answer, "" where nothing would.
    """

    workload: WorkloadRef
    cluster: ClusterName
    before: int
    after: int
    ready: int = 0
    reason: str = ""
    rule: str = ""
    would_change: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shed:
    """Replicas that another application gives up in a cluster (`after` below `before`), or gets back, and for what."""

    owner: ApplicationName
    workload: WorkloadRef
    cluster: ClusterName
    before: int
    after: int
    made_room_for: WorkloadRef


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationPlan:
    """One application's part. Where `left_out` is set nothing of it is done, and it delays no other.

    `sheds`: what applications of a later tier give up for it. `lost`, `replaced`, `unplaced`: replicas. `demand`, `capacity_after`: replicas wanted and ready-or-added elsewhere.
    `record_zones`: the zone of each of `records`, for a name may stand at several providers. Empty in plans of before.
    """

    application: ApplicationName
    mode: Mode
    left_out: Refusal | None = None
    notes: tuple[str, ...] = ()
    placements: tuple[Placement, ...] = ()
    sheds: tuple[Shed, ...] = ()
    records: tuple[RecordChange, ...] = ()
    lost: int = 0
    replaced: int = 0
    unplaced: int = 0
    demand: int = 0
    capacity_after: int = 0
    record_zones: tuple[ZoneName, ...] = later(())

    def zoned_records(self) -> tuple[tuple[ZoneName | None, RecordChange], ...]:
        """Each change with its zone, None in plans of before."""
        zones = self.record_zones or (None,) * len(self.records)
        return tuple(zip(zones, self.records, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What shall be done, why, and what it rests on. The same input gives the same bytes.

    `sources`: clusters that are evacuated, steered away from, drained or brought back. `hypothetical`: made with
    assumed verdicts (`--assume-down`); never executed automatically. `overrides`: rules that a person named.
    """

    schema: int = PLAN_SCHEMA
    run_kind: RunKind
    domain: Domain
    sources: tuple[ClusterName, ...]
    policy_generation: str
    verdicts: tuple[tuple[ClusterName, VerdictKind], ...]
    applications: tuple[ApplicationPlan, ...]
    steps: tuple[Step, ...]
    reasons: tuple[str, ...] = ()
    assumptions: tuple[Assumption, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    hypothetical: bool = False
    overrides: tuple[str, ...] = ()
    undoes: tuple[RunId, ...] = field(default=())

    @property
    def hash(self) -> str:
        """SHA-256 over policy generation, verdicts, placements and record sets: not over ages or resourceVersions."""
        return digest(
            {
                "schema": self.schema,
                "run_kind": self.run_kind,
                "domain": self.domain,
                "sources": self.sources,
                "generation": self.policy_generation,
                "verdicts": self.verdicts,
                "applications": [
                    {
                        "application": part.application,
                        "left_out": part.left_out.code if part.left_out else None,
                        "placements": [(p.workload, p.cluster, p.before, p.after) for p in part.placements],
                        "sheds": [(s.workload, s.cluster, s.before, s.after) for s in part.sheds],
                        "records": part.zoned_records() if part.record_zones else part.records,
                    }
                    for part in self.applications
                ],
                "overrides": self.overrides,
            }
        )

    @property
    def short_hash(self) -> str:
        return self.hash[:12]

    @property
    def is_empty(self) -> bool:
        """Nothing would change."""
        return not any(isinstance(step, ScaleStep | ChangeRecordsStep) for step in self.steps)

    def to_json(self) -> str:
        """Canonical bytes of the whole plan."""
        return canonical_json(self)

    def after_records(self) -> tuple[RecordSet, ...]:
        """What record sets shall hold; once where several zones shall hold the same."""
        found = (change.after for part in self.applications for change in part.records)
        return tuple(dict.fromkeys(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """What is asked of the planner.

    `sources`: clusters concerned (one run may take all of a region's). `assume_down`: clusters whose verdict is taken as
    DOWN (what-if). `by_person`: a person's command: cites the person in place of the automatic evidence rules. `moves`:
    replicas that a rebalancing may move at most.
    """

    run_kind: RunKind
    domain: Domain
    sources: tuple[ClusterName, ...]
    by_person: bool = False
    overrides: tuple[str, ...] = ()
    assume_down: tuple[ClusterName, ...] = ()
    applications: tuple[ApplicationName, ...] = ()
    moves: int = 0

"""What a plan takes for granted, and whether it still holds (`apply` asks before it does anything)."""

from collections.abc import Iterable

from failover.model.ids import ClusterName
from failover.model.inventory import WorkloadState
from failover.model.plan import (
    Assumption,
    AssumptionKind,
    ChangeRecordsStep,
    Plan,
    ProveGoneStep,
    ScaleField,
    ScaleStep,
    Step,
    WaitReadyStep,
)
from failover.model.policy import Policy
from failover.model.reasons import Refusal
from failover.model.records import RecordSet
from failover.model.snapshot import Snapshot
from failover.planner.world import absolute

ABSENT = "absent"
UNREAD = "not known now"


def assumptions_of(
    generation: str,
    verdicts: Iterable[tuple[ClusterName, str]],
    steps: Iterable[Step],
    sources: frozenset[ClusterName],
) -> tuple[Assumption, ...]:
    """Generation, verdicts of sources and of every cluster that is touched, replicas and record sets as they were seen."""
    steps = tuple(steps)
    touched = set(sources)
    replicas: dict[str, str] = {}
    for step in steps:
        if isinstance(step, ScaleStep):
            touched.add(step.cluster)
            if step.field is ScaleField.REPLICAS:
                replicas.setdefault(f"{step.cluster} {step.workload}", str(step.before))
            else:
                replicas.setdefault(f"{step.cluster} {step.workload} minimum", str(step.before))
        elif isinstance(step, WaitReadyStep):
            touched.update(cluster for cluster, _, _ in step.targets)
        elif isinstance(step, ProveGoneStep):
            touched.add(step.cluster)
    records: dict[str, str] = {}
    for step in steps:
        if isinstance(step, ChangeRecordsStep):
            for change in step.changes:
                what = f"{step.zone} {change.after.name} {change.after.record_type}"
                records.setdefault(what, _text(change.before))
    return (
        Assumption(about=AssumptionKind.GENERATION, what="policy", value=generation),
        *(
            Assumption(about=AssumptionKind.VERDICT, what=cluster, value=str(kind))
            for cluster, kind in verdicts
            if cluster in touched
        ),
        *(
            Assumption(about=AssumptionKind.REPLICAS, what=what, value=value)
            for what, value in sorted(replicas.items())
        ),
        *(
            Assumption(about=AssumptionKind.RECORD_SET, what=what, value=value)
            for what, value in sorted(records.items())
        ),
    )


def check_assumptions(plan: Plan, snapshot: Snapshot, policy: Policy) -> Refusal | None:
    """The first assumption that no longer holds, in the plan's order; None where all do."""
    verdicts = {
        verdict.subject.cluster: str(verdict.kind)
        for verdict in snapshot.judgement.verdicts
        if verdict.subject.application is None
    }
    replicas = _replicas(plan, snapshot)
    zones = {zone.zone: zone for zone in snapshot.zones}
    records = {
        f"{zone.zone} {absolute(item.name)} {item.record_type}": _text(item)
        for zone in zones.values()
        for item in zone.record_sets
    }
    for assumption in plan.assumptions:
        match assumption.about:
            case AssumptionKind.GENERATION:
                found = policy.generation
            case AssumptionKind.VERDICT:
                found = verdicts.get(ClusterName(assumption.what), UNREAD)
            case AssumptionKind.REPLICAS:
                found = replicas.get(assumption.what, UNREAD)
            case AssumptionKind.RECORD_SET:
                read = any(zone == assumption.what.split(" ", 1)[0] for zone in zones)
                found = records.get(assumption.what, ABSENT if read else UNREAD)
        if found != assumption.value:
            return Refusal(
                code="stale-plan",
                sentence=(
                    f"the plan rests on {_word(assumption)} {assumption.what} being {assumption.value}, "
                    f"and it is {found}: make a new plan"
                ),
                evidence=(f"expected={assumption.value}", f"found={found}"),
                overridable=False,
            )
    return None


def _replicas(plan: Plan, snapshot: Snapshot) -> dict[str, str]:
    touched = {step.cluster for step in plan.steps if isinstance(step, ScaleStep)}
    found: dict[str, str] = {}
    for inventory in snapshot.inventories:
        if inventory.cluster not in touched:
            continue
        for state in inventory.workloads:
            found.update(_counts(inventory.cluster, state))
    return found


def _counts(cluster: ClusterName, state: WorkloadState) -> dict[str, str]:
    if not state.exists:
        return {}
    counts = {f"{cluster} {state.ref}": str(state.wanted)}
    if state.autoscaler is not None:
        counts[f"{cluster} {state.ref} minimum"] = str(state.autoscaler.min_replicas)
    return counts


def _text(held: RecordSet | None) -> str:
    """A record set on one line; the TTL belongs to it."""
    if held is None:
        return ABSENT
    weights = f" weights {' '.join(map(str, held.weights))}" if held.weights else ""
    return f"{held.ttl} {' '.join(sorted(held.values))}{weights}"


def _word(assumption: Assumption) -> str:
    match assumption.about:
        case AssumptionKind.GENERATION:
            return "the generation of the"
        case AssumptionKind.VERDICT:
            return "the verdict of"
        case AssumptionKind.REPLICAS:
            return "the replicas of"
        case AssumptionKind.RECORD_SET:
            return "the record set"

"""Rules over one change of record sets: our names only, never empty, nothing dead in, nothing that serves out."""

from collections.abc import Collection, Iterator

from failover.execution.carrying import not_carried
from failover.execution.evidence import absolute_name
from failover.execution.ownership import not_ours
from failover.execution.rules import refuse
from failover.execution.situation import Situation
from failover.model.ids import ApplicationName, ClusterName, ZoneName
from failover.model.journal import Intent, RecordsChange, Run
from failover.model.plan import RunKind
from failover.model.policy import Application, ClusterEntry, DNSName, Publish
from failover.model.reasons import Refusal
from failover.model.records import RecordChange, RecordType, ZoneChange
from failover.model.verdict import VerdictKind
from failover.planner.traffic import not_adopted
from failover.planner.world import canonical


def record_refusals(
    records: RecordsChange, intent: Intent, run: Run, situation: Situation
) -> Iterator[Refusal]:
    """Every reason against one atomic change of a zone."""
    change = records.change
    application = next((a for a in situation.policy.applications if a.name == change.application), None)
    if application is None:
        yield refuse("own-names", f"application {change.application} is not in the policy")
        return
    yield from _fences(change, intent, situation)
    yield from _unowned(change, situation)
    for item in change.changes:
        yield from _names(item, change, application, situation)
        yield from _values(item, application, run, situation)


def _carried(
    left: Collection[ClusterName], application: Application, run: Run, situation: Situation
) -> Iterator[Refusal]:
    """A drain sends clients away from what serves: what they are left with carries the floor now, and not only when it got ready."""
    part = next((one for one in run.plan.applications if one.application == application.name), None)
    if part is not None:
        rows = [row for row in part.placements if row.after > 0 and row.cluster in left]
        yield from not_carried(application, part.demand, rows, situation, without=", ".join(run.plan.sources))


def _fences(change: ZoneChange, intent: Intent, situation: Situation) -> Iterator[Refusal]:
    """The fence travels with the data: ours before, or none; our epoch after (section 6 of the design)."""
    before, after = change.fence_before, change.fence_after
    if before is not None and before.owner != situation.policy.fleet.name:
        yield refuse("own-names", f"the fence says that {before.owner} owns these names")
    if before is not None and before.epoch > intent.epoch:
        yield refuse("epoch", f"the zone's fence has epoch {before.epoch}, ours is {intent.epoch}")
    if (after.epoch, after.owner, after.application) != (
        intent.epoch,
        situation.policy.fleet.name,
        change.application,
    ):
        yield refuse("epoch", f"the change would write another's fence: {after.text}")


def _unowned(change: ZoneChange, situation: Situation) -> Iterator[Refusal]:
    """What exists is changed only where a change of ours landed before, or a person or the policy says that it is ours."""
    zone = next((zone for zone in situation.policy.zones if zone.name == change.zone), None)
    if change.adopt or (zone is not None and zone.adopt):
        return
    strange = not_ours(change.changes, change.zone, change.application, change.fence_before, situation.owned)
    if strange:
        refusal = not_adopted(change.application, change.zone, strange)
        yield refuse(refusal.code, refusal.sentence, *refusal.evidence)


def _names(
    item: RecordChange, change: ZoneChange, application: Application, situation: Situation
) -> Iterator[Refusal]:
    after = item.after
    zone = next((zone for zone in situation.policy.zones if zone.name == change.zone), None)
    name = _dns_name(item, application, change.zone)
    if name is None or zone is None:
        yield refuse("own-names", f"{after.name} {after.record_type} is no name of {application.name} there")
        return
    apex = absolute_name(zone.apex)
    held = absolute_name(after.name)
    if held != apex and not held.endswith(f".{apex}"):
        yield refuse("own-names", f"{after.name} does not lie in zone {zone.apex}")
    if held == apex and after.record_type is RecordType.CNAME:
        yield refuse("own-names", f"a CNAME at the apex of {zone.apex} would hide its NS and SOA")
    if item.before is not None and item.before.key != after.key:
        yield refuse("own-names", f"{item.before.name} would become {after.name}")


def _dns_name(item: RecordChange, application: Application, zone: ZoneName | None = None) -> DNSName | None:
    """The policy's entry of a record set, in a zone or in any. Its types are A, AAAA and CNAME: never NS, SOA, DS."""
    key = (absolute_name(item.after.name), item.after.record_type)
    return next(
        (
            name
            for name in application.dns
            if (absolute_name(name.name), name.record_type) == key and zone in (None, name.zone)
        ),
        None,
    )


def _values(
    item: RecordChange, application: Application, run: Run, situation: Situation
) -> Iterator[Refusal]:
    kind = item.after.record_type
    what = f"{item.after.name} {kind}"
    if len(item.after.weights) not in (0, len(item.after.values)):
        yield refuse("never-empty", f"{what} would hold values without a weight")
        return
    # What has weight 0 is given to nobody: it has left. All of them 0 would be an equal split, the very opposite.
    after = {canonical(kind, value) for value in item.after.answered}
    before = {canonical(kind, value) for value in item.before.answered} if item.before else set()
    if not after or (kind is RecordType.CNAME and len(after) > 1):
        yield refuse("never-empty", f"{what} would hold {len(after)} values")
    for value in sorted(after - before):
        owners = _owners(value, kind, situation)
        if not owners:
            yield refuse("unknown-endpoint", f"{value} in {what} is no cluster's endpoint")
        elif all(_gone(entry, situation) for entry in owners):
            names = ", ".join(entry.name for entry in owners)
            yield refuse("dead-endpoint", f"{value} in {what} is of {names}, which no longer serves")
    if before - after and run.plan.run_kind is RunKind.DRAIN:
        left = {entry.name for value in after for entry in _owners(value, kind, situation)}
        yield from _carried(left, application, run, situation)
    for value in sorted(before - after):
        owners = _owners(value, kind, situation)
        if not owners:
            yield refuse(
                "serving-member",
                f"{what} would lose {value}, which is no cluster's endpoint: whether it serves is unknown",
            )
        for entry in owners:
            if not _may_leave(entry, item, application, run):
                verdict = situation.judgement.of_cluster(entry.name)
                yield refuse(
                    "serving-member",
                    f"{what} would lose {value} of {entry.name}, which is "
                    f"{verdict.kind if verdict else VerdictKind.UNKNOWN} and not what this run moves away from",
                )


def _owners(value: str, kind: RecordType, situation: Situation) -> tuple[ClusterEntry, ...]:
    """Clusters that publish this value."""
    return tuple(
        entry
        for entry in situation.policy.fleet.clusters
        if value in {canonical(kind, own) for own in endpoint_values(entry, kind)}
    )


def endpoint_values(entry: ClusterEntry, kind: RecordType) -> tuple[str, ...]:
    """What a record set of this type publishes of a cluster."""
    if kind is RecordType.A:
        return entry.ipv4
    if kind is RecordType.AAAA:
        return entry.ipv6
    return (absolute_name(entry.hostname),) if entry.hostname else ()


def _gone(entry: ClusterEntry, situation: Situation) -> bool:
    """Only what a quorum says is down counts as gone; what is unknown may be published."""
    verdict = situation.judgement.of_cluster(entry.name)
    return verdict is not None and verdict.kind.no_longer_serves


def _may_leave(entry: ClusterEntry, item: RecordChange, application: Application, run: Run) -> bool:
    """A source of the run may leave, and what a rebalancing leaves with nothing. With a failback its stand-ins may: those that keep nothing of the application,
    and where a name publishes one cluster only, the one that the home takes over from.
    """
    if run.plan.run_kind is RunKind.REBALANCE:
        return _shrinks(entry, application.name, run)
    if run.plan.run_kind is not RunKind.FAILBACK:
        return entry.name in run.plan.sources
    name = _dns_name(item, application)
    if name is not None and (name.publish is Publish.FIRST or name.record_type is RecordType.CNAME):
        return entry.name not in run.plan.sources
    return _shrinks(entry, application.name, run)


def _shrinks(entry: ClusterEntry, application: ApplicationName, run: Run) -> bool:
    rows = [
        row
        for part in run.plan.applications
        if part.application == application
        for row in part.placements
        if row.cluster == entry.name
    ]
    return bool(rows) and all(row.after == 0 for row in rows)

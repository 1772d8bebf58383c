"""One zone made to say what is decided already: a repair after drift or a provider's outage, and an adoption.

What is decided is what runs made of a record set last, at whichever provider it landed; where no run ever touched it,
what another provider of the same zone holds. Nothing is made up from verdicts: that would be a failover.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from failover.model.ids import ClusterName, ZoneName
from failover.model.plan import ApplicationPlan, ChangeRecordsStep, Plan, RunKind
from failover.model.policy import Application, DNSName
from failover.model.records import RecordChange, RecordSet
from failover.planner.assumptions import assumptions_of
from failover.planner.steps import Builder
from failover.planner.traffic import current_set, is_ours, not_adopted, zone_unreadable
from failover.planner.world import World, absolute


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    plan: ApplicationPlan
    steps: tuple[ChangeRecordsStep, ...] = ()


def plan_names(world: World) -> Plan:
    """The plan of a repair or an adoption of the zone that the request's domain names."""
    zone, request = ZoneName(world.request.domain.name), world.request
    asked = set(request.applications)
    parts = [
        _part(world, application, zone)
        for application in world.policy.applications
        if (not asked or application.name in asked) and any(name.zone == zone for name in application.dns)
    ]
    steps = tuple(step for part in parts for step in part.steps)
    sources = _leaving(world, steps) if request.run_kind is RunKind.REPAIR else ()
    verdicts = tuple((cluster, world.kind(cluster)) for cluster in sources)
    acting = [part for part in parts if part.steps]
    count = sum(len(part.plan.records) for part in acting)
    return Plan(
        run_kind=request.run_kind,
        domain=request.domain,
        sources=sources,
        policy_generation=world.policy.generation,
        verdicts=verdicts,
        applications=tuple(part.plan for part in parts),
        steps=steps,
        reasons=(f"{request.run_kind} of zone {zone}: {count} record sets of {len(acting)} applications",),
        assumptions=assumptions_of(world.policy.generation, verdicts, steps, frozenset(sources)),
        overrides=tuple(sorted(request.overrides)),
    )


def _part(world: World, application: Application, zone: ZoneName) -> _Part:
    part = ApplicationPlan(application=application.name, mode=application.mode)
    state = world.zones.get(zone)
    if state is None:
        return _Part(plan=replace(part, left_out=zone_unreadable(application.name, zone)))
    names = [name for name in application.dns if name.zone == zone]
    fence = state.fence(application.name)
    if world.request.run_kind is RunKind.ADOPTION:
        again = fence is None or world.policy.zone(zone).prepare
        held = [
            found
            for name in names
            if (found := current_set(world, name)) is not None
            and (again or not is_ours(world, application.name, name))
        ]
        if fence is not None and not held:
            return _Part(plan=replace(part, notes=(f"its names in zone {zone} are ours: {fence.text}",)))
        changes = tuple(RecordChange(before=item, after=item) for item in held)
        return _steps(world, part, zone, changes, "its names exist and become ours as they are", ())
    changes, notes = _repairs(world, [name for name in names if is_ours(world, application.name, name)])
    strange = [
        f"{absolute(name.name)} {name.record_type}"
        for name in names
        if not is_ours(world, application.name, name) and _repairs(world, [name])[0]
    ]
    if strange:
        refusal = not_adopted(application.name, zone, strange)
        if not changes:
            return _Part(plan=replace(part, left_out=refusal))
        notes = [*notes, refusal.sentence]
    return _steps(world, part, zone, changes, "the zone says what runs have decided", tuple(notes))


def _repairs(world: World, names: Sequence[DNSName]) -> tuple[tuple[RecordChange, ...], list[str]]:
    changes, notes = [], []
    for name in names:
        held, wanted = current_set(world, name), _decided(world, name)
        if wanted is None:
            notes.append(
                f"{absolute(name.name)} {name.record_type}: no run and no other provider says what it shall hold"
            )
        elif not wanted.same_data(held):
            changes.append(RecordChange(before=held, after=wanted))
    return tuple(changes), notes


def _decided(world: World, name: DNSName) -> RecordSet | None:
    """What the record set shall hold, with the policy's TTL."""
    key = (absolute(name.name), name.record_type.value)
    intended = next((item for item in world.snapshot.intended if item.key == key), None)
    if intended is None:
        intended = next(
            (
                item
                for (zone, *other), item in sorted(world.record_sets.items())
                if tuple(other) == key
                and zone != name.zone
                and world.policy.zone(zone).apex == _apex(world, name)
            ),
            None,
        )
    if intended is None:
        held = current_set(world, name)
        return replace(held, ttl=name.ttl) if held is not None else None
    return replace(intended, ttl=name.ttl)


def _apex(world: World, name: DNSName) -> str:
    return world.policy.zone(name.zone).apex


def _steps(
    world: World,
    part: ApplicationPlan,
    zone: ZoneName,
    changes: tuple[RecordChange, ...],
    reason: str,
    notes: tuple[str, ...],
) -> _Part:
    part = replace(part, records=changes, record_zones=(zone,) * len(changes), notes=notes)
    if not changes:
        return _Part(plan=part)
    build = Builder(application=part.application)
    adopt = world.request.run_kind is RunKind.ADOPTION
    steps = build.change_records_in_parts(world, zone, changes, reason=reason, adopt=adopt)
    return _Part(plan=part, steps=steps)


def _leaving(world: World, steps: Sequence[ChangeRecordsStep]) -> tuple[ClusterName, ...]:
    """Clusters that a repair takes out of record sets, as the runs before it did: its sources."""
    found: set[ClusterName] = set()
    for step in steps:
        for change in step.changes:
            if change.before is None:
                continue
            kind = change.after.record_type
            gone = set(change.before.answered) - set(change.after.answered)
            for value in gone:
                found.update(world.owners.get((kind, value), ()))
    return tuple(sorted(found))

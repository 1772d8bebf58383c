"""The record sets that follow: sources out, carrying clusters in, never empty, no serving member lost on the way."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from failover.model.ids import ApplicationName, ClusterName, ZoneName
from failover.model.plan import RunKind
from failover.model.policy import Application, DNSName, Publish
from failover.model.reasons import Refusal
from failover.model.records import RecordChange, RecordSet, RecordType
from failover.planner.world import World, absolute, canonical

WHOLE = 100
"""The weight of a value that gets its whole share; a ramp gives less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Changes by zone for one application; `refusal`: its traffic cannot be moved at all."""

    changes: tuple[tuple[ZoneName, RecordChange], ...] = ()
    notes: tuple[str, ...] = ()
    refusal: Refusal | None = None

    def by_zone(self) -> dict[ZoneName, tuple[RecordChange, ...]]:
        """Changes of each zone, in the order of the policy: one atomic step a zone."""
        zones: dict[ZoneName, tuple[RecordChange, ...]] = {}
        for zone, change in self.changes:
            zones[zone] = (*zones.get(zone, ()), change)
        return zones


def plan_traffic(
    world: World,
    application: Application,
    added: frozenset[ClusterName],
    takes_traffic: Callable[[ClusterName], bool],
) -> Traffic:
    """The record changes that take the sources out and bring the clusters in that carry the application.

    `added`: clusters that get replicas by this plan; `takes_traffic(cluster)`: it may be published in addition.
    A record set that would be left without a serving cluster keeps its last good values, and the plan says so; where
    none can move, or a drain would then take away what is still published, the application is refused (I13).
    """

    def serves(cluster: ClusterName) -> bool:
        if cluster in world.sources or not world.kind(cluster).serves:
            return False
        own = world.application_verdicts.get((cluster, application.name))
        return own is None or not own.kind.no_longer_serves or takes_traffic(cluster)

    changes: list[tuple[ZoneName, RecordChange]] = []
    notes: dict[str, None] = {}
    stuck: list[Refusal] = []
    for name in application.dns:
        if not added & set(name.clusters) and not _publishes_source(world, name):
            continue  # no client of it is sent to what is lost, and what else somebody made of it is drift, not ours to plan
        if name.zone not in world.zones:
            note = unreadable_beside(world, application, name)
            if note is None:
                return Traffic(refusal=zone_unreadable(application.name, name.zone))
            notes[note] = None
            continue
        before = current_set(world, name)
        for value in foreign_values(world, name, before):
            notes[
                f"{absolute(name.name)} {name.record_type} holds {value}, which is no cluster's endpoint: kept"
            ] = None
        after = _next_values(world, name, before, takes_traffic, serves)
        if after is None:
            continue
        if not is_ours(world, application.name, name):
            stuck.append(not_adopted(application.name, name.zone, (_text(name),)))
            continue
        if not any(is_served(world, name, value, serves) for value in after):
            stuck.append(_nobody_left(application.name, name, before, after))
            continue
        changes.append((name.zone, RecordChange(before=before, after=record_set(name, after))))
    if stuck and (not changes or world.request.run_kind is RunKind.DRAIN):
        return Traffic(notes=tuple(notes), refusal=stuck[0])
    return Traffic(changes=tuple(changes), notes=(*notes, *(refusal.sentence for refusal in stuck)))


def current_set(world: World, name: DNSName) -> RecordSet | None:
    """The record set as the zone holds it; the caller knows that the zone was read."""
    return world.record_sets.get((name.zone, absolute(name.name), name.record_type.value))


def record_set(name: DNSName, values: frozenset[str], weights: Mapping[str, int] | None = None) -> RecordSet:
    """The record set with these values and the policy's TTL. `weights`: where they are not all the same."""
    ordered = tuple(sorted(values))
    shares = tuple((weights or {}).get(value, WHOLE) for value in ordered) if name.weighted else ()
    return RecordSet(
        name=absolute(name.name),
        record_type=name.record_type,
        ttl=name.ttl,
        values=ordered,
        weights=shares,
    )


def values_of(name: DNSName, held: RecordSet | None) -> frozenset[str]:
    """Values in canonical text."""
    return frozenset(canonical(name.record_type, value) for value in held.values) if held else frozenset()


def foreign_values(world: World, name: DNSName, held: RecordSet | None) -> tuple[str, ...]:
    """Values that belong to no cluster of the fleet."""
    return tuple(
        value for value in sorted(values_of(name, held)) if (name.record_type, value) not in world.owners
    )


def is_served(world: World, name: DNSName, value: str, serves: Callable[[ClusterName], bool]) -> bool:
    """Some cluster behind this value serves its clients."""
    return any(serves(owner) for owner in world.owners.get((name.record_type, value), ()))


def source_values(world: World, name: DNSName) -> frozenset[str]:
    """Values behind which there is nothing but sources."""
    return frozenset(
        value
        for source in world.sources
        for value in world.published.get((name.record_type, source), ())
        if world.sources.issuperset(world.owners[(name.record_type, value)])
    )


def publishes_one(name: DNSName) -> bool:
    """A CNAME holds one value; `first` publishes one cluster."""
    return name.publish is Publish.FIRST or name.record_type is RecordType.CNAME


def unreadable_beside(world: World, application: Application, name: DNSName) -> str | None:
    """What to note where a zone cannot be read and the same name can at another provider: that one goes ahead.

    None where nothing goes ahead: there is no other, or a drain would take the source away from clients of this one.
    """
    if world.request.run_kind is RunKind.DRAIN:
        return None
    key = (name.name, name.record_type)
    others = sorted(
        other.zone
        for other in application.dns
        if (other.name, other.record_type) == key and other.zone in world.zones
    )
    if not others:
        return None
    return (
        f"zone {name.zone} could not be read: {absolute(name.name)} {name.record_type} changes at "
        f"{', '.join(others)} only; `failover dns repair {name.zone}` catches it up"
    )


def is_ours(world: World, application: ApplicationName, name: DNSName) -> bool:
    """Whether a name may be written: it does not exist yet, or it was written or adopted under the fence that stands (I14)."""
    zone = world.policy.zone(name.zone)
    if zone.adopt or current_set(world, name) is None:
        return True
    key = (name.zone, application, absolute(name.name), name.record_type.value)
    return world.zones[name.zone].fence(application) is not None and key in world.snapshot.owned


def not_adopted(application: ApplicationName, zone: ZoneName, names: Sequence[str]) -> Refusal:
    """Names that exist, and that no change of ours was ever made of, are somebody's: a person says that they are ours."""
    listed = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return Refusal(
        code="own-names",
        sentence=(
            f"zone {zone} holds {listed} of {application}, nothing says that we wrote that, and the zone says adopt: false; "
            f"`failover dns adopt {zone}` shows it and makes it ours"
        ),
        evidence=tuple(names),
        application=application,
        overridable=False,
    )


def zone_unreadable(application: ApplicationName, zone: ZoneName) -> Refusal:
    """What cannot be read is unknown: it is neither empty nor as it was."""
    return Refusal(
        code="zone-unreadable",
        sentence=f"zone {zone} could not be read, so the record sets of {application} are unknown and stay",
        application=application,
        overridable=False,
    )


def _text(name: DNSName) -> str:
    return f"{absolute(name.name)} {name.record_type}"


def _publishes_source(world: World, name: DNSName) -> bool:
    return name.zone in world.zones and bool(
        values_of(name, current_set(world, name)) & source_values(world, name)
    )


def _next_values(
    world: World,
    name: DNSName,
    before: RecordSet | None,
    takes_traffic: Callable[[ClusterName], bool],
    serves: Callable[[ClusterName], bool],
) -> frozenset[str] | None:
    """The values that shall be there, or None where nothing changes."""
    current = values_of(name, before)
    leaving = current & source_values(world, name)
    staying = current - leaving
    additions = [
        frozenset(world.published.get((name.record_type, cluster), ()))
        for cluster in name.clusters
        if cluster not in world.sources and takes_traffic(cluster)
    ]
    additions = [values for values in additions if values]
    if not publishes_one(name):
        after = staying.union(*additions)
    elif any(is_served(world, name, value, serves) for value in staying) or (current and not leaving):
        after = staying
    else:
        first = additions[0] if additions else frozenset()
        after = first if name.record_type is RecordType.CNAME and first else staying | first
    if name.record_type is RecordType.CNAME and len(after) > 1:
        after = frozenset([min(after)])
    if after == current or (before is None and not after):
        return None
    return after


def _nobody_left(
    application: ApplicationName, name: DNSName, before: RecordSet | None, after: frozenset[str]
) -> Refusal:
    held = ", ".join(before.values) if before else "nothing"
    return Refusal(
        code="empty-record-set",
        sentence=(
            f"no serving cluster would be left in {absolute(name.name)} {name.record_type}; "
            f"its last good set stays ({held})"
        ),
        evidence=(f"left={','.join(sorted(after)) or '-'}",),
        application=application,
        overridable=False,
    )

"""Bringing clients home: which record sets change, in which stages, and what share each stage really gives.

Weighted record sets give the share asked for. Plain ones have no weights: a share is made of a subset of the home's
addresses (facts/dns.md section 2.3), so a stage takes the number of addresses that comes nearest, and says the share
that comes of it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from failover.model.ids import ClusterName, ZoneName
from failover.model.plan import ChangeRecordsStep
from failover.model.policy import Application, DNSName
from failover.model.reasons import Refusal
from failover.model.records import RecordChange, RecordSet, RecordType
from failover.model.snapshot import Displacement
from failover.planner.traffic import (
    WHOLE,
    current_set,
    is_ours,
    not_adopted,
    publishes_one,
    record_set,
    unreadable_beside,
    values_of,
    zone_unreadable,
)
from failover.planner.world import World, absolute, canonical

Key: TypeAlias = tuple[ZoneName, str, RecordType]
Moved: TypeAlias = tuple[frozenset[str], frozenset[str]]
"""Values that left a record set, and those that came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Changes by zone that are made together; `percent` asked for, `real_percent` of the addresses by zone."""

    percent: int
    changes: tuple[tuple[ZoneName, tuple[RecordChange, ...]], ...]
    real_percent: dict[ZoneName, int]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ramp:
    """All stages of one application's way home; `net`: from what is there now to the last stage."""

    stages: tuple[Stage, ...] = ()
    net: tuple[tuple[ZoneName, RecordChange], ...] = ()
    notes: tuple[str, ...] = ()
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """One name's way: its record set at each stage, the last one being the goal."""

    name: DNSName
    held: RecordSet | None
    home: frozenset[str]
    stages: tuple[RecordSet, ...]


def plan_ramp(
    world: World,
    application: Application,
    displacements: Iterable[Displacement],
    emptied: frozenset[ClusterName],
) -> Ramp:
    """Stages that undo what the displacements changed. `emptied`: stand-ins that keep nothing of the application."""
    moved = _moved(application, displacements)
    ways: list[_Way] = []
    notes: list[str] = []
    for name in application.dns:
        removed, added = _moved_in(moved, name)
        if not removed and not added:
            continue
        if name.zone not in world.zones:
            note = unreadable_beside(world, application, name)
            if note is None:
                return Ramp(refusal=zone_unreadable(application.name, name.zone))
            notes.append(note)
            continue
        way = _way(world, application, name, removed, added, emptied)
        if way.stages and not is_ours(world, application.name, name):
            strange = f"{absolute(name.name)} {name.record_type}"
            return Ramp(refusal=not_adopted(application.name, name.zone, (strange,)))
        if way.stages:
            ways.append(way)
        if publishes_one(name) and len(application.failback_steps) > 1 and way.stages:
            notes.append(
                f"{absolute(name.name)} {name.record_type} publishes one cluster: it returns in one step"
            )
    stages = _stages(application, ways)
    net = tuple((way.name.zone, RecordChange(before=way.held, after=way.stages[-1])) for way in ways)
    return Ramp(stages=stages, net=net, notes=tuple(notes))


def _moved(application: Application, displacements: Iterable[Displacement]) -> dict[Key, Moved]:
    """Values that the finished runs took out of each record set, and those that they put in."""
    moved: dict[Key, Moved] = {}
    for displacement in displacements:
        for step in displacement.plan.steps:
            if not isinstance(step, ChangeRecordsStep) or step.application != application.name:
                continue
            for change in step.changes:
                kind = change.after.record_type
                key = (step.zone, absolute(change.after.name), kind)
                before = (
                    frozenset(canonical(kind, value) for value in change.before.values)
                    if change.before
                    else None
                )
                after = frozenset(canonical(kind, value) for value in change.after.values)
                removed, added = moved.get(key, (frozenset(), frozenset()))
                moved[key] = (
                    removed | ((before or frozenset()) - after),
                    added | (after - (before or frozenset())),
                )
    return moved


def _moved_in(moved: Mapping[Key, Moved], name: DNSName) -> Moved:
    """What left and came in one zone. Where no run changed it, as at its other providers: a repair caught it up to them."""
    key = (name.zone, absolute(name.name), name.record_type)
    if key in moved:
        return moved[key]
    others = [found for (_, *other), found in moved.items() if tuple(other) == key[1:]]
    return (
        frozenset().union(*(removed for removed, _ in others)),
        frozenset().union(*(added for _, added in others)),
    )


def _way(
    world: World,
    application: Application,
    name: DNSName,
    removed: frozenset[str],
    added: frozenset[str],
    emptied: frozenset[ClusterName],
) -> _Way:
    held = current_set(world, name)
    current = values_of(name, held)
    homes = _homes(world, name, removed)
    if publishes_one(name):
        single = name.record_type is RecordType.CNAME
        home = frozenset(value for values in (homes[:1] if single else homes) for value in values)
        staying = current - added - home
        if single and staying:
            home = frozenset()
        goal = (staying | home) if home else current
        stages = (record_set(name, goal),) if goal != current else ()
        return _Way(name=name, held=held, home=home, stages=stages)
    leaving = frozenset(
        value for value in added if set(world.owners.get((name.record_type, value), ("",))) <= set(emptied)
    )
    order = _in_turn(homes)
    order.sort(key=lambda value: value not in current)
    home = frozenset(order)
    goal = (current | home) - (leaving - home)
    if not home or goal == current:
        return _Way(name=name, held=held, home=home, stages=())
    others = len(current - home)
    if name.weighted and others:
        weights = [_weight(percent, len(home), others) for percent in _percents(application)]
        parts = [record_set(name, current | home, dict.fromkeys(home, weight)) for weight in weights]
    else:
        counts = [_nearest(percent, len(order), others) for percent in _percents(application)]
        parts = [record_set(name, current | frozenset(order[:count])) for count in counts]
    return _Way(name=name, held=held, home=home, stages=(*parts, record_set(name, goal)))


def _percents(application: Application) -> list[int]:
    """The stages before the last, which always is all of it."""
    return [percent for percent in sorted(set(application.failback_steps)) if 0 < percent < 100]


def _nearest(percent: int, home: int, others: int) -> int:
    """How many of `home` addresses beside `others` come nearest to `percent` of what all of them would get.

    Clients spread over addresses evenly: k of k + others addresses get k / (k + others) of them. Alone there is no
    share to choose, and everybody would meet on a few addresses: then all at once.
    """
    if not others:
        return home
    wanted = Fraction(percent * home, 100 * (home + others))
    return min(range(1, home + 1), key=lambda count: (abs(Fraction(count, count + others) - wanted), -count))


def _weight(percent: int, home: int, others: int) -> int:
    """The weight of each of `home` values beside `others` of WHOLE that gives `percent` of what all of home would get.

    w * home / (w * home + WHOLE * others) = percent / 100 * home / (home + others), solved for w.
    """
    weight = Fraction(WHOLE * percent * others, 100 * (home + others) - percent * home)
    return max(1, round(weight))


def _homes(world: World, name: DNSName, removed: frozenset[str]) -> list[tuple[str, ...]]:
    """Addresses of the clusters that return to this name, in its order: those that it published when they left.

    A value that belongs to nobody now is an address that changed meanwhile: then every source that it lists returns.
    """
    left = {owner for value in removed for owner in world.owners.get((name.record_type, value), ())}
    if any((name.record_type, value) not in world.owners for value in removed):
        left |= world.sources.intersection(name.clusters)
    order = [*name.clusters, *sorted(left - set(name.clusters))]
    return [
        values
        for cluster in order
        if cluster in world.sources and cluster in left
        if (values := world.published.get((name.record_type, cluster), ()))
    ]


def _in_turn(homes: list[tuple[str, ...]]) -> list[str]:
    """One address of each cluster in turn, so that a small subset already spreads over all of them."""
    longest = max((len(values) for values in homes), default=0)
    turns = [values[turn] for turn in range(longest) for values in homes if turn < len(values)]
    return list(dict.fromkeys(turns))


def _share(after: RecordSet, home: frozenset[str]) -> int:
    """Percent of the clients that home gets: of its weights, or of the addresses, which clients spread over evenly."""
    weights = after.weights or (1,) * len(after.values)
    kind = after.record_type
    mine = sum(
        weight for value, weight in zip(after.values, weights, strict=True) if canonical(kind, value) in home
    )
    return round(100 * mine / sum(weights))


def _said(way: _Way, after: RecordSet, share: int) -> str:
    if after.weights:
        return f"weights in {after.name} {after.record_type} give home {share} % of the answers"
    count = len(values_of(way.name, after) & way.home)
    return (
        f"{count} of {len(way.home)} home addresses in {after.name} {after.record_type}, "
        f"{share} % of what it publishes"
    )


def _key(way: _Way) -> tuple[str, str, str]:
    return (way.name.zone, way.name.name, way.name.record_type)


def _stages(application: Application, ways: list[_Way]) -> tuple[Stage, ...]:
    """Stages of all names together; one that changes nothing is left out."""
    stages: list[Stage] = []
    held: dict[tuple[str, str, str], RecordSet | None] = {_key(way): way.held for way in ways}
    for index, percent in enumerate([*_percents(application), 100]):
        zones: dict[ZoneName, tuple[RecordChange, ...]] = {}
        real: dict[ZoneName, int] = {}
        said: list[str] = []
        for way in ways:
            if len(way.stages) == 1 and percent != 100:
                continue
            after = way.stages[0] if len(way.stages) == 1 else way.stages[index]
            key = _key(way)
            before = held[key]
            values = values_of(way.name, after)
            if values == values_of(way.name, before) and before and after.weights == before.weights:
                continue
            held[key] = after
            zones[way.name.zone] = (*zones.get(way.name.zone, ()), RecordChange(before=before, after=after))
            share = _share(after, way.home)
            real[way.name.zone] = max(share, real.get(way.name.zone, 0))
            said.append(_said(way, after, share))
        if zones:
            stages.append(
                Stage(
                    percent=percent,
                    changes=tuple(zones.items()),
                    real_percent=real,
                    reason=f"{percent} % asked: {'; '.join(said)}",
                )
            )
    return tuple(stages)

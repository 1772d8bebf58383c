"""Record sets that hold something else than runs made of them: somebody edited the zone, or its provider was away while a run
brought the others there; and TTLs that are not the policy's. Told; put right by a repair only.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from failover.controller.context import Context
from failover.execution.moves import intended_records
from failover.execution.ownership import not_ours
from failover.model.ids import ZoneName
from failover.model.journal import Run
from failover.model.policy import DNSName, Policy
from failover.model.records import OwnedName, RecordChange, RecordSet, ZoneState
from failover.planner.traffic import not_adopted
from failover.planner.world import absolute

DRIFT_EVERY_S = 20.0
"""Longer than a zone's look takes: what was read before our own change is not seen twice."""


def drifted(
    policy: Policy, runs: Iterable[Run], zones: Mapping[ZoneName, ZoneState]
) -> dict[ZoneName, tuple[str, ...]]:
    """By zone, one sentence for each record set that differs. A zone that could not be read is unknown, not different.

    Of an application that a run is at work on nothing is said: what is decided is on its way.
    """
    runs = tuple(runs)
    moving = {name for run in runs if not run.state.final for name in run.applications}
    wanted = {item.key: item for item in intended_records(runs)}
    found: dict[ZoneName, tuple[str, ...]] = {}
    for application in policy.applications:
        if application.name in moving:
            continue
        for name in application.dns:
            state = zones.get(name.zone)
            if state is not None:
                held = state.find(absolute(name.name), name.record_type)
                intended = wanted.get((absolute(name.name), name.record_type.value))
                said = (
                    f"{sentence} ({application.name}; `failover dns plan {name.zone}`)"
                    for sentence in _of(name, held, intended)
                )
                found[name.zone] = (*found.get(name.zone, ()), *said)
    return {zone: sentences for zone, sentences in found.items() if sentences}


def _of(name: DNSName, held: RecordSet | None, intended: RecordSet | None) -> Iterator[str]:
    """How one record set differs from what the last run made of it, if one did, and from the policy's TTL."""
    what = f"{absolute(name.name)} {name.record_type}"
    if intended is not None and (
        held is None or (held.values, held.weights) != (intended.values, intended.weights)
    ):
        yield (
            f"{what} holds {_held(held)}, and the last run made it {_held(intended)}: it was edited, or missed the change"
        )
    if held is not None and held.ttl != name.ttl:
        yield f"{what} has a TTL of {held.ttl} s, not {name.ttl} s: clients hold the old answer for that long"


def unadopted(
    policy: Policy, owned: frozenset[OwnedName], zones: Mapping[ZoneName, ZoneState]
) -> dict[ZoneName, tuple[str, ...]]:
    """By zone, one sentence for each application with names that a failover would leave alone: they exist, and nothing says
    that they are ours. A zone that could not be read is unknown.
    """
    found: dict[ZoneName, tuple[str, ...]] = {}
    for zone in policy.zones:
        state = zones.get(zone.name)
        if state is None or zone.adopt:
            continue
        for application in policy.applications:
            held = [
                RecordChange(before=item, after=item)
                for name in application.dns
                if name.zone == zone.name
                and (item := state.find(absolute(name.name), name.record_type)) is not None
            ]
            fence = state.fence(application.name)
            if strange := not_ours(held, zone.name, application.name, fence, owned):
                sentence = not_adopted(application.name, zone.name, strange).sentence
                found[zone.name] = (*found.get(zone.name, ()), f"no failover changes it: {sentence}")
    return found


def _held(record_set: RecordSet | None) -> str:
    if record_set is None:
        return "nothing"
    if not record_set.weights:
        return ", ".join(record_set.values)
    return ", ".join(
        f"{value} ({weight})" for value, weight in zip(record_set.values, record_set.weights, strict=True)
    )


@dataclass(slots=True)
class DriftWatch:
    """Tells once of each record set that differs, when it is seen a second time. `seen`: whether told, by sentence."""

    context: Context
    seen: dict[str, bool] = field(default_factory=dict)

    def look(self) -> None:
        """Compare what was read last with what runs made of it."""
        context, before = self.context, self.seen
        found = drifted(context.policy, context.runs.values(), context.world.zones)
        self.seen = {}
        for zone, sentences in found.items():
            for sentence in sentences:
                if before.get(sentence) is False:
                    context.tell("zone.drift", f"zone {zone}: {sentence}", target=zone)
                self.seen[sentence] = sentence in before

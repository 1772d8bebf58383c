"""Why a compare-and-swap did not land, from what stands in the zone now: told the same for every provider."""

from failover.dnszones.fences import fence_text, foreign_fence
from failover.dnszones.names import canonical_record_set
from failover.model.errors import Conflict, FencedOff, TargetError
from failover.model.records import RecordSet, ZoneChange, ZoneState


def explain_conflict(state: ZoneState, change: ZoneChange, said: str) -> TargetError:
    """FencedOff where a newer or foreign fence stands (stop), else Conflict (decide again). `said`: by the provider."""
    where = f"zone {change.zone}, application {change.application}"
    fence, ours = state.fence(change.application), change.fence_after
    if fence is not None and (foreign := foreign_fence(fence, ours)):
        return FencedOff(f"{where}: {foreign}", target=change.zone)
    if fence_text(fence) == ours.text:
        return Conflict(f"{where}: this very change is in the zone already ({said})", target=change.zone)
    expected = {canonical_record_set(item.after).key: item.before for item in change.changes}
    actual = {item.key: item for item in state.record_sets}
    different = sorted(
        " ".join(key) for key, before in expected.items() if _data_of(actual.get(key)) != _data_of(before)
    )
    aliases = sorted(f"{name} {kind}" for name, kind in actual if (name, kind) not in expected)
    if fence_text(fence) != fence_text(change.fence_before):
        different.append(f"the fence ({fence_text(fence) or 'absent'})")
    different += [f"{alias} in its place" for alias in aliases]
    what = ", ".join(different[:5]) or "something that has changed back meanwhile, or another type at a name"
    return Conflict(f"{where}: not as it was read ({said}): {what}; nothing was changed", target=change.zone)


def _data_of(record_set: RecordSet | None) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Its values and weights in canonical form, empty where there is none, as they stand where they are no values."""
    if record_set is None:
        return (), ()
    try:
        found = canonical_record_set(record_set)
    except TargetError:
        return record_set.values, record_set.weights
    return found.values, found.weights

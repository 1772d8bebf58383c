"""Record changes that one atomic change cannot hold: in parts, first every addition, then every removal."""

from collections.abc import Iterator, Sequence

from failover.model.records import RecordChange, RecordSet

Changes = tuple[RecordChange, ...]


def in_parts(changes: Changes, atomic_names: int) -> tuple[Changes, ...]:
    """The changes as they are where they fit, else in parts of which each is atomic and carries the fence.

    No name loses a value before every name has got its new ones: between two parts clients see more, and never less.
    A weighted value keeps the weight that it has, a new one gets the weight that it shall have; weights that stay, and a TTL,
    change with the removals.
    """
    cost = sum(_cost(change) for change in changes)
    if cost <= atomic_names or len(changes) < 2:
        return (changes,)
    adding = [(change, _union(change)) for change in changes]
    first = [
        RecordChange(before=change.before, after=union)
        for change, union in adding
        if change.before is None or set(union.values) != set(change.before.values)
    ]
    grown = {change.after.key: change.after for change in first}
    then = [
        RecordChange(before=grown.get(change.after.key, change.before), after=change.after)
        for change in changes
        if not change.after.same_data(grown.get(change.after.key))
    ]
    return (*_portions(first, atomic_names), *_portions(then, atomic_names))


def _cost(change: RecordChange) -> int:
    """In names of one address: providers count values, old and new."""
    before = len(change.before.values) if change.before is not None else 0
    return max(1, -(-(before + len(change.after.values)) // 2))


def _union(change: RecordChange) -> RecordSet:
    """What is there, and what shall be. A CNAME has one value, and a set is weighted or plain: these turn at once."""
    before, after = change.before, change.after
    if before is None or bool(after.weights) != bool(before.weights):
        return after
    if after.record_type.value == "CNAME" and not after.weights:
        return after
    values = tuple(sorted({*before.values, *after.values}))
    weights: tuple[int, ...] = ()
    if after.weights:
        of = dict(zip(after.values, after.weights, strict=True))
        of |= dict(zip(before.values, before.weights, strict=True))
        weights = tuple(of[value] for value in values)
    return RecordSet(
        name=after.name, record_type=after.record_type, ttl=after.ttl, values=values, weights=weights
    )


def _portions(changes: Sequence[RecordChange], atomic_names: int) -> Iterator[Changes]:
    portion: list[RecordChange] = []
    left = atomic_names
    for change in changes:
        if portion and _cost(change) > left:
            yield tuple(portion)
            portion, left = [], atomic_names
        portion.append(change)
        left -= _cost(change)
    if portion:
        yield tuple(portion)

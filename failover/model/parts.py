"""Record changes that one atomic change cannot hold: in parts, first every addition, then every removal."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from failover.model.records import RecordChange, RecordSet, RecordType, ZoneCapabilities

Changes = tuple[RecordChange, ...]

RECORD_HEADER = 10
"""Bytes of a record on the wire besides its name and data: type, class, TTL, length."""

POINTER = 2
"""Bytes of a name that is, or ends in, one that stands in the message already; the zone's own name always does."""

ADDRESS_BYTES = {RecordType.A: 4, RecordType.AAAA: 16}


def in_parts(changes: Changes, able: ZoneCapabilities, apex: str) -> tuple[Changes, ...]:
    """The changes as they are where the provider's atomic change holds them, else in parts of which each is atomic and carries the fence.

    No name loses a value before every name has got its new ones: between two parts clients see more, and never less.
    A weighted value keeps the weight that it has, a new one gets the weight that it shall have; weights that stay, and a TTL,
    change with the removals. A name whose old and new values together are more than its provider holds under one name turns at
    once, in one atomic change as ever: clients are never without its values, old or new.
    """
    room = _Room(able, apex)
    if len(changes) < 2 or len(list(room.portions(changes))) == 1:
        return (changes,)
    adding = [(change, _union(change, able)) for change in changes]
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
    return (*room.portions(first), *room.portions(then))


@dataclass(frozen=True, slots=True)
class _Room:
    """What one atomic change of a zone holds: so many names, and so many bytes."""

    able: ZoneCapabilities
    apex: str

    def portions(self, changes: Sequence[RecordChange]) -> Iterator[Changes]:
        """As few parts as the order allows, none of them over either limit (but for a single name that is)."""
        portion: list[RecordChange] = []
        names, size = 0, 0
        for change in changes:
            names += _names(change)
            size += self._bytes(change)
            if portion and (names > self.able.atomic_names or size > self.able.atomic_bytes):
                yield tuple(portion)
                portion, names, size = [], _names(change), self._bytes(change)
            portion.append(change)
        if portion:
            yield tuple(portion)

    def _bytes(self, change: RecordChange) -> int:
        """At most so many: of values where the provider counts those, else of prerequisites and updates (RFC 2136)."""
        before = change.before.values if change.before is not None else ()
        values = (*before, *change.after.values)
        if not self.able.message:
            return sum(len(value) for value in values)
        name = len(change.after.name) + 1  # as many bytes as its text without escapes, its root included
        inside = change.after.name == self.apex or change.after.name.endswith(f".{self.apex}")
        owner = max(POINTER, name - (len(self.apex) + 1) + POINTER) if inside else name
        # A prerequisite a value, or that there is none (and no CNAME); one deletion of the set; an addition a value.
        others = 1 + (0 if before else 2)
        data = sum(ADDRESS_BYTES.get(change.after.record_type, len(value) + 2) for value in values)
        return (len(values) + others) * (owner + RECORD_HEADER) + data


def _names(change: RecordChange) -> int:
    """In names of one address: providers count values, old and new."""
    before = len(change.before.values) if change.before is not None else 0
    return max(1, -(-(before + len(change.after.values)) // 2))


def _union(change: RecordChange, able: ZoneCapabilities) -> RecordSet:
    """What is there, and what shall be. A CNAME has one value, and a set is weighted or plain: these turn at once."""
    before, after = change.before, change.after
    if before is None or bool(after.weights) != bool(before.weights):
        return after
    if after.record_type.value == "CNAME" and not after.weights:
        return after
    values = tuple(sorted({*before.values, *after.values}))
    most = able.weighted_max if after.weights else able.values_max
    if most and len(values) > most:
        return after
    weights: tuple[int, ...] = ()
    if after.weights:
        of = dict(zip(after.values, after.weights, strict=True))
        of |= dict(zip(before.values, before.weights, strict=True))
        weights = tuple(of[value] for value in values)
    return RecordSet(
        name=after.name, record_type=after.record_type, ttl=after.ttl, values=values, weights=weights
    )

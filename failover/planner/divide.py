"""Splitting replicas over clusters in proportion to weights, with minimum, maximum, capacity and what already runs.

Follows the replica planner of Kubernetes Federation and KubeFed (`pkg/controller/util/planner`): minimums first, then
what runs already is kept, then the rest by weight. Two differences, both deliberate: the rest is rounded by largest
remainder (the old planner rounded up in order), and bounds are met exactly in one pass over the clusters that they
touch, so no number of replicas makes it slower.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one cluster may get.

    `weight`: its part of what is left after the minimums; 0: its minimum and what it has, no more. `minimum`,
    `maximum` (None: unbounded), `capacity` (None: unbounded) and `existing`: replicas, all of them totals.
    """

    weight: int = 1
    minimum: int = 0
    maximum: int | None = None
    existing: int = 0
    capacity: int | None = None

    def upper(self, otherwise: int) -> int:
        """The most that it may hold, or `otherwise` where nothing bounds it."""
        bounds = [bound for bound in (self.maximum, self.capacity) if bound is not None]
        return min(bounds, default=otherwise)


def divide(replicas: int, shares: Mapping[str, Share], *, key: str = "", keep: bool = True) -> dict[str, int]:
    """Replicas by cluster, never more than `replicas` in sum and never above a maximum or a capacity.

    `keep`: what exists stays as far as bounds and `replicas` allow. `key` varies the tie-break between workloads.
    Independent of the mapping's order: ties fall by weight, then by `tie_break`, then by name.
    """
    order = sorted(shares, key=lambda name: (-shares[name].weight, tie_break(name, key), name))
    left = max(0, replicas)
    granted: dict[str, int] = {}
    for name in order:
        share = shares[name]
        capacity = share.minimum if share.capacity is None else share.capacity
        granted[name] = max(0, min(share.minimum, capacity, left))
        left -= granted[name]
    base = dict(granted)
    if keep:
        for name in order:
            share = shares[name]
            extra = max(0, min(share.existing, share.upper(share.existing)) - granted[name])
            extra = min(extra, left)
            granted[name] += extra
            left -= extra
    weighted = [name for name in order if shares[name].weight > 0]
    pool = left + sum(granted[name] - base[name] for name in weighted)
    bounds = {
        name: (
            granted[name] - base[name],
            max(granted[name] - base[name], shares[name].upper(base[name] + pool) - base[name]),
        )
        for name in weighted
    }
    for name, extra in _fill(
        pool, weighted, {name: shares[name].weight for name in weighted}, bounds
    ).items():
        granted[name] = base[name] + extra
    return granted


def _fill(
    pool: int, order: list[str], weights: Mapping[str, int], bounds: Mapping[str, tuple[int, int]]
) -> dict[str, int]:
    """`pool` by weight with every part between its bounds: the parts that a bound fixes are fixed, round by round."""
    fixed: dict[str, int] = {}
    free = list(order)
    while free:
        rest = pool - sum(fixed.values())
        total = sum(weights[name] for name in free)
        over = {name: rest * weights[name] - bounds[name][1] * total for name in free}
        under = {name: bounds[name][0] * total - rest * weights[name] for name in free}
        excess = sum(value for value in over.values() if value > 0)
        want = sum(value for value in under.values() if value > 0)
        if not excess and not want:
            return fixed | _largest_remainder(max(0, rest), free, weights, bounds)
        side, index = (over, 1) if excess >= want else (under, 0)
        fixed.update({name: bounds[name][index] for name in free if side[name] > 0})
        free = [name for name in free if name not in fixed]
    return fixed


def _largest_remainder(
    rest: int, order: Iterable[str], weights: Mapping[str, int], bounds: Mapping[str, tuple[int, int]]
) -> dict[str, int]:
    """Whole parts by Hamilton's method; an exact quota lies within the bounds, so its rounding does too."""
    names = list(order)
    total = sum(weights[name] for name in names)
    parts = {name: rest * weights[name] // total for name in names}
    by_remainder = sorted(names, key=lambda name: -(rest * weights[name] % total))
    for name in by_remainder[: rest - sum(parts.values())]:
        parts[name] = min(parts[name] + 1, bounds[name][1])
    return parts


def tie_break(name: str, key: str) -> int:
    """Who is first among equals: the smallest. Without a key the old planner's order, FNV-1 of the name.

    With one it is a hash of both: FNV-1 hardly mixes its last bytes in, so `web-1` and `web-2` would favour the same
    cluster, and a hundred alike workloads would pile their odd replicas up there.
    """
    if not key:
        return fnv1_32(name.encode())
    return int.from_bytes(sha256(f"{key}\0{name}".encode()).digest()[:4], "big")


def fnv1_32(data: bytes) -> int:
    """FNV-1, 32 bits."""
    value = 0x811C9DC5
    for byte in data:
        value = (value * 0x01000193) & 0xFFFFFFFF
        value ^= byte
    return value

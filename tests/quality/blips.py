"""Paths that go dark by themselves, and the moments at which several are dark at once: sampled exactly, by conditioning.

A path is a two-state Markov process: up, it goes dark at rate `L` (so many times a year of uptime); dark, it comes back after
an exponential time of mean `u`. Paths are independent and stationary. A path is *shadowed* at a moment when it was dark at
some moment of the last `w` seconds, so the shadow hides every gap that probes may miss. With `d = L u / (1 + L u)`:

* a path is shadowed with probability `s = 1 - (1 - d) exp(-L w)`, and falls into shadow `n = L (1 - d) exp(-L w)` times a year;
* the number of shadowed paths of `m` rises from `k - 1` to `k` at the rate `m n C(m-1, k-1) s^(k-1) (1 - s)^(m-k)`.

What needs `k` shadowed paths at the moment at which it happens, happens inside such an *overlap* (from that rise until fewer
than `k` are shadowed), and in exactly one. So, by the Palm formula for stationary processes,

    events a year = overlaps a year  x  E[events inside an overlap, given that it begins at second 0],

and the expectation is over what `overlap` draws: the path that fell into shadow at 0 was up for `w` before it; of the others
`k - 1` are shadowed and `m - k` are not, each in its stationary state given that. Past and future of a Markov process are
independent given its state, and the two-state process looks the same backwards; so both are simply continued. Nothing is
approximated but the horizon (paths are cut 40 mean blips away, where 4e-18 of them would still be dark).
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

YEAR_S = 365.25 * 86_400.0
HORIZON_MEANS = 40.0

Darkness = list[tuple[float, float]]
"""When a path is dark: (from, to), in order, apart from each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blips:
    """How one path fails. `per_year`: blips a year of uptime; `mean_s`: their mean length."""

    per_year: float
    mean_s: float

    @property
    def rate(self) -> float:
        """Blips a second of uptime."""
        return self.per_year / YEAR_S

    @property
    def dark(self) -> float:
        """Share of time in the dark."""
        return self.rate * self.mean_s / (1 + self.rate * self.mean_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """`paths` of one region, of which `together` must be in shadow at once; `shadow_s`: how long a blip's shadow is."""

    blips: Blips
    paths: int
    together: int
    shadow_s: float

    @property
    def shadowed(self) -> float:
        """Probability that a path is in shadow."""
        return 1 - (1 - self.blips.dark) * math.exp(-self.blips.rate * self.shadow_s)

    @property
    def overlaps_per_year(self) -> float:
        """How often `together` paths come to be in shadow at once."""
        falls = self.blips.per_year * (1 - self.blips.dark) * math.exp(-self.blips.rate * self.shadow_s)
        others, wanted = self.paths - 1, self.together - 1
        chosen = math.comb(others, wanted) * self.shadowed**wanted
        return self.paths * falls * chosen * (1 - self.shadowed) ** (others - wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """One overlap, which begins at 0. `ends`: when fewer than `together` paths are in shadow again."""

    ends: float
    after: tuple[Darkness, ...]
    """From `-shadow_s` on, one a path."""
    dark_before: tuple[bool, ...]
    """Whether each path was dark at `-shadow_s`."""


def overlap(crowd: Crowd, chance: random.Random) -> Overlap:
    """Draw one overlap of a crowd."""
    blips, shadow_s = crowd.blips, crowd.shadow_s
    horizon = HORIZON_MEANS * blips.mean_s + shadow_s
    order = list(range(crowd.paths))
    chance.shuffle(order)
    after: list[Darkness] = [[] for _ in order]
    dark_before = [False] * crowd.paths
    for place, path in enumerate(order):
        if place == 0:
            after[path] = _onwards(blips, 0.0, True, horizon, chance)
        elif place < crowd.together:
            if chance.random() < blips.dark / crowd.shadowed:
                dark_before[path] = True
                after[path] = _onwards(blips, -shadow_s, True, horizon, chance)
            else:
                begins = -shadow_s + _within(blips.rate, shadow_s, chance)
                after[path] = _onwards(blips, begins, True, horizon, chance)
        else:
            after[path] = _onwards(blips, 0.0, False, horizon, chance)
    ends = _ends(after, shadow_s, crowd.together, horizon)
    return Overlap(ends=ends, after=tuple(after), dark_before=tuple(dark_before))


def whole(
    crowd: Crowd, found: Overlap, quiet_s: float, chance: random.Random
) -> tuple[float, list[Darkness]]:
    """The overlap with its past: a second before which all paths were up for `quiet_s`, and each path's darkness."""
    horizon = -HORIZON_MEANS * crowd.blips.mean_s - crowd.shadow_s - quiet_s
    paths = []
    for after, dark in zip(found.after, found.dark_before, strict=True):
        before = _mirrored(_onwards(crowd.blips, crowd.shadow_s, dark, -horizon, chance))
        if dark:
            paths.append([*before[:-1], (before[-1][0], after[0][1]), *after[1:]])
        else:
            paths.append(before + after)
    begin = 0.0
    for start, end in sorted((pair for path in paths for pair in path), key=lambda pair: -pair[1]):
        if start < begin and end > begin - quiet_s:
            begin = start
    return begin, paths


def _onwards(blips: Blips, begin: float, dark: bool, horizon: float, chance: random.Random) -> Darkness:
    """A path from a second on, whose state is known there."""
    found: Darkness = []
    second = begin if dark else begin + chance.expovariate(blips.rate)
    while second < horizon:
        end = second + chance.expovariate(1 / blips.mean_s)
        found.append((second, end))
        second = end + chance.expovariate(blips.rate)
    return found


def _mirrored(darkness: Darkness) -> Darkness:
    return [(-end, -start) for start, end in reversed(darkness)]


def _within(rate: float, limit: float, chance: random.Random) -> float:
    """An exponential time of this rate, given that it is less than the limit."""
    return -math.log1p(-chance.random() * -math.expm1(-rate * limit)) / rate


def _ends(paths: Sequence[Darkness], shadow_s: float, together: int, horizon: float) -> float:
    """The first moment from 0 on at which fewer than `together` paths are in shadow."""
    changes = []
    for darkness in paths:
        until = -math.inf
        for start, end in darkness:
            if start > until:
                changes.append((start, 1))
            else:
                changes.remove((until, -1))
            until = end + shadow_s
            changes.append((until, -1))
    count = 0
    for second, change in sorted(changes):
        count += change
        if second > 0 and count < together:
            return second
    return horizon

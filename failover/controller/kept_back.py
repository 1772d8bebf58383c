"""Steps that were asked for and may not go yet: why, for how long, and whose turn it is. In memory only: a restart asks anew."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from failover.model.ids import RunId, StepId

Key = tuple[RunId, StepId]

MOST_AT_ONCE_S = 15.0
"""Of the time between two refusals so much counts at most: while nobody asked, nobody knows that it could not have gone."""


@dataclass(frozen=True, slots=True)
class Kept:
    """`why`: "" where nothing is known to be in the way just now. `refused_mono`: when a rule said so last (None: none did);
    `waited_s`: for how long rules have. `trouble`: no rule is in the way, but what has to go before.
    """

    why: str = ""
    refused_mono: float | None = None
    waited_s: float = 0.0
    trouble: bool = False


class KeptBack:
    """By run and step; who was kept back last stands last."""

    def __init__(self) -> None:
        self._kept: dict[Key, Kept] = {}

    def by_rule(self, key: Key, why: str, now_mono: float) -> float:
        """A rule says: not yet. Seconds that rules have said so."""
        before = self._kept.pop(key, Kept())
        since = 0.0 if before.refused_mono is None else min(now_mono - before.refused_mono, MOST_AT_ONCE_S)
        self._kept[key] = Kept(why, now_mono, before.waited_s + since)
        return self._kept[key].waited_s

    def by_trouble(self, key: Key, why: str) -> None:
        """What has to go before it (a read, the fence) did not go."""
        before = self._kept.pop(key, Kept())
        self._kept[key] = replace(before, why=why, trouble=True)

    def over(self, keys: Iterable[Key], *, trouble_only: bool = True) -> None:
        """What was in their way is; whether anything else is will be seen. They keep their turn, and what they have waited."""
        for key in keys:
            kept = self._kept.get(key)
            if kept is not None and (kept.trouble or not trouble_only):
                self._kept[key] = replace(kept, why="", trouble=False)

    def goes(self, key: Key) -> None:
        """It may go, or never will."""
        self._kept.pop(key, None)

    def forget(self, run: RunId) -> None:
        """Nobody drives this run any more."""
        for key in [key for key in self._kept if key[0] == run]:
            del self._kept[key]

    def turns(self) -> Mapping[Key, int]:
        """From 1 on: the higher, the later its turn."""
        return {key: number for number, key in enumerate(self._kept, 1)}

    def reasons(self) -> Mapping[Key, str]:
        """What is in the way now."""
        return {key: kept.why for key, kept in self._kept.items() if kept.why}

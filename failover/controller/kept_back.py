"""Steps that were asked for and may not go yet: why, since when, and whose turn it is. In memory only: a restart asks anew."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from failover.model.ids import RunId, StepId

Key = tuple[RunId, StepId]


@dataclass(frozen=True, slots=True)
class Kept:
    """`why`: "" where nothing is known to be in the way just now. `since`: when a rule first said so (None: none did). `trouble`:
    no rule, but what has to go before.
    """

    why: str
    since: datetime | None
    trouble: bool = False


class KeptBack:
    """By run and step; who was kept back last stands last."""

    def __init__(self) -> None:
        self._kept: dict[Key, Kept] = {}

    def by_rule(self, key: Key, why: str, at: datetime) -> None:
        """A rule says: not yet."""
        before = self._kept.pop(key, None)
        self._kept[key] = Kept(why, before.since if before and before.since else at)

    def by_trouble(self, key: Key, why: str) -> None:
        """What has to go before it (a read, the fence) did not go."""
        before = self._kept.pop(key, None)
        self._kept[key] = Kept(why, before.since if before else None, trouble=True)

    def over(self, keys: Iterable[Key]) -> None:
        """That trouble is over; whether a rule is in the way will be seen. They keep their turn and their patience."""
        for key in keys:
            kept = self._kept.get(key)
            if kept is not None and kept.trouble:
                self._kept[key] = Kept("", kept.since)

    def goes(self, key: Key) -> None:
        """It may go, or never will."""
        self._kept.pop(key, None)

    def forget(self, run: RunId) -> None:
        """Nobody drives this run any more."""
        for key in [key for key in self._kept if key[0] == run]:
            del self._kept[key]

    def since(self, key: Key) -> datetime | None:
        """When a rule first kept it back, of all the times in a row."""
        kept = self._kept.get(key)
        return kept.since if kept else None

    def turns(self) -> Mapping[Key, int]:
        """From 1 on: the higher, the later its turn."""
        return {key: number for number, key in enumerate(self._kept, 1)}

    def reasons(self) -> Mapping[Key, str]:
        """What is in the way now."""
        return {key: kept.why for key, kept in self._kept.items() if kept.why}

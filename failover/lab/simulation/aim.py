"""Dice that fall as a scenario says: a fault that takes any region, cluster or vantage takes the one that is named."""

import random
from collections.abc import Sequence
from typing import Any


class Aimed(random.Random):
    """`names`: what is chosen wherever it is among the choices; everything else is left to the world's own dice."""

    def __init__(self, dice: random.Random, names: Sequence[str]) -> None:
        super().__init__()
        self.setstate(dice.getstate())
        self._names = tuple(names)
        self.met: set[str] = set()

    def choice(self, seq: Any) -> Any:
        found = self._among(seq)
        return found[0] if found else super().choice(seq)

    def sample(self, population: Any, k: int, *, counts: Any = None) -> list[Any]:
        found = self._among(population)[:k]
        rest = [item for item in population if item not in found]
        return found + super().sample(rest, k - len(found), counts=counts)

    @property
    def missed(self) -> list[str]:
        """Names that no choice offered: the scenario means something that this fault cannot do."""
        return [name for name in self._names if name not in self.met]

    def _among(self, choices: Sequence[Any]) -> list[Any]:
        by_name = {str(getattr(item, "name", item)): item for item in choices}
        found = [name for name in self._names if name in by_name]
        self.met.update(found)
        return [by_name[name] for name in found]

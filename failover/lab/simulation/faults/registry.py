"""The table of faults."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from failover.lab.simulation.layers import Undo
from failover.lab.simulation.world import World

Begin = Callable[[World], "Undo | Awaitable[Undo | None] | None"]


class NothingToBefall(Exception):
    """Raised by a fault that would change nothing now: it does not count as met."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """`longest_s`: how long it may last; `lasting`: it may be left on when all others end (a region that stays dead)."""

    name: str
    area: str
    begin: Begin
    longest_s: float = 60.0
    lasting: bool = False


FAULTS: dict[str, Fault] = {}


def fault(
    name: str, area: str, *, longest_s: float = 60.0, lasting: bool = False
) -> Callable[[Begin], Begin]:
    """Enter a function into the table."""

    def entered(begin: Begin) -> Begin:
        if name in FAULTS:
            raise ValueError(f"there are two faults called {name}")
        FAULTS[name] = Fault(name=name, area=area, begin=begin, longest_s=longest_s, lasting=lasting)
        return begin

    return entered


def all_of(*undos: Undo) -> Undo:
    """Mend several things at once."""

    def undo() -> None:
        for one in undos:
            one()

    return undo


def ender(task: "asyncio.Task[None]") -> Undo:
    """End a fault that goes on by itself."""

    def undo() -> None:
        task.cancel()

    return undo

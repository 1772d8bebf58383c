"""What an account may send: a token bucket that all zones of the account share, with a part kept for failovers."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from weakref import WeakValueDictionary

RESERVED = 0.4
"""Share of the burst that looking at a zone never uses up: a failover finds it there."""


_URGENT: ContextVar[bool] = ContextVar("urgent", default=False)


@contextmanager
def urgently() -> Iterator[None]:
    """What is asked inside, also by tasks begun there, is for a failover: it may use what is kept."""
    token = _URGENT.set(True)
    try:
        yield
    finally:
        _URGENT.reset(token)


def is_urgent() -> bool:
    """Whether somebody is waiting for a failover here."""
    return _URGENT.get()


class AccountBudget:
    """`rate` requests a second, `burst` at once. Other programs may use the same account: `drained` when it says so."""

    def __init__(self, *, rate: float, burst: float) -> None:
        self.rate, self.burst = rate, burst
        self._level = burst
        self._at = 0.0

    async def take(self, *, urgent: bool) -> None:
        """Wait until one request may be sent. `urgent`: it belongs to a change, and may use what is kept for them."""
        kept = 0.0 if urgent else self.burst * RESERVED
        while True:
            missing = 1.0 + kept - self.left
            if missing <= 1e-9:
                self._level -= 1.0
                return
            await asyncio.sleep(missing / self.rate)

    @property
    def left(self) -> float:
        """Requests that could be sent now."""
        now = asyncio.get_running_loop().time()
        if self._at:
            self._level = min(self.burst, self._level + (now - self._at) * self.rate)
        self._at = now
        return self._level

    def drained(self) -> None:
        """The provider throttles us, whatever we counted."""
        self._level = min(self.left, 0.0)


_BUDGETS: "WeakValueDictionary[tuple[str, ...], AccountBudget]" = WeakValueDictionary()


def budget_of(account: tuple[str, ...], *, rate: float, burst: float) -> AccountBudget:
    """The one budget of an account in this process."""
    found = _BUDGETS.get(account)
    if found is None or (found.rate, found.burst) != (rate, burst):
        _BUDGETS[account] = found = AccountBudget(rate=rate, burst=burst)
    return found

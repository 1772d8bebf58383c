"""How many changes go to each target (I12): those that were sent, and those that may be sent and have not been yet.

Several runs change one cluster at a time, and between a permit and its bytes lies a write to the journal: what was permitted counts
from that moment on, or two runs would each find room for the same change.
"""

from collections import Counter, defaultdict, deque
from types import TracebackType


class Changes:
    """By target: sent in the last second, the latest one, and permitted ones that are still to be sent."""

    def __init__(self) -> None:
        self._sent: dict[str, deque[float]] = defaultdict(deque)
        self._latest: dict[str, float] = {}
        self._permitted: Counter[str] = Counter()

    def note(self, target: str, now_mono: float) -> None:
        """One is sent now."""
        self._sent[target].append(now_mono)
        self._latest[target] = now_mono

    def latest(self) -> dict[str, float]:
        """Monotonic second of the latest one that was sent."""
        return dict(self._latest)

    def last_sent(self, now_mono: float) -> dict[str, float]:
        """The same; what may be sent at any moment counts as sent now."""
        return self._latest | dict.fromkeys(+self._permitted, now_mono)

    def last_second(self, now_mono: float) -> dict[str, int]:
        """Counts; what may be sent at any moment is among them."""
        for times in self._sent.values():
            while times and times[0] <= now_mono - 1.0:
                times.popleft()
        counts = Counter({target: len(times) for target, times in self._sent.items() if times})
        return dict(counts + self._permitted)

    def permits(self) -> "Permits":
        """For what one batch may send; whatever of it was not sent is given back at its end."""
        return Permits(self._permitted)


class Permits:
    """What a batch may still send. A context manager."""

    def __init__(self, permitted: Counter[str]) -> None:
        self._permitted = permitted
        self._held: Counter[str] = Counter()

    def hold(self, target: str) -> None:
        """One more may be sent there."""
        self._held[target] += 1
        self._permitted[target] += 1

    def spend(self, target: str) -> None:
        """One of them is sent now, or will not be."""
        if self._held[target] > 0:
            self._held[target] -= 1
            self._permitted[target] -= 1

    def __enter__(self) -> "Permits":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._permitted.subtract(self._held)
        self._held.clear()

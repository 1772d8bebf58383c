"""A wall clock that does not jump: windows, waits and deadlines of runs are told by it.

They are kept as wall times, so that they outlive a restart. When the machine's wall clock jumps against its monotonic one,
this clock goes on as before until the jump stands in the journal, which moves all earlier times along.
"""

from datetime import datetime, timedelta

from failover.model.time import Now

SLEW = timedelta(seconds=1)
"""Smaller differences are a clock being disciplined, and are followed."""


class SteadyWall:
    """`origin`: the wall time of monotonic second 0 that is gone by; None before the first reading."""

    def __init__(self) -> None:
        self.origin: datetime | None = None
        self._good: tuple[Now, datetime | None] | None = None

    def read(self, now: Now) -> Now:
        """The reading with the wall time that does not jump (looked at once, where the same one is read again)."""
        good = self._good
        if good is not None and good[0] is now and good[1] is self.origin:
            return now
        jump = self.jump(now)
        if jump:
            return Now(mono=now.mono, wall=now.wall - jump)
        self._good = (now, self.origin)
        return now

    def jump(self, now: Now) -> timedelta:
        """How far the machine's wall clock is away, nothing while it is merely disciplined."""
        origin = now.wall - timedelta(seconds=now.mono)
        if self.origin is None or abs(origin - self.origin) < SLEW:
            self.origin = origin
            return timedelta()
        return origin - self.origin

    def accept(self, now: Now) -> None:
        """The jump stands in the journal (or nobody here acts): go by the machine's wall clock again."""
        self.origin = now.wall - timedelta(seconds=now.mono)

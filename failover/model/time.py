"""Time as a value: the core is told what time it is, it never asks."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """One reading of both clocks of this machine.

    `mono`: seconds of the monotonic clock (deadlines, ages, cadence; meaningless after a reboot).
    `wall`: aware UTC datetime (calendars, people, and what must outlive a restart).
    """

    mono: float
    wall: datetime

    def wall_of(self, mono: float) -> datetime:
        """The wall time at which the monotonic clock showed `mono`, by today's relation of the two."""
        return self.wall - timedelta(seconds=self.mono - mono)


EPOCH_START = datetime(1970, 1, 1, tzinfo=UTC)

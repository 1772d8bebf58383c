"""Time windows: which hold at a moment, on which days they begin, and where the clocks skip a beginning.

A window begins each time that its cron expression comes due in its time zone, and holds for its duration (real seconds, so
that a change of the clocks in the middle makes it neither longer nor shorter).
"""

import zoneinfo
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any

from failover.model.policy import Application, Window
from failover.policy.cron import translated, trigger_of, zone_of

GAP_YEARS = range(2024, 2031)


def holding(window: Window, at: datetime) -> datetime | None:
    """When the window that holds at this moment began; None where none does. Raises CronError."""
    after = at.astimezone(UTC) - timedelta(seconds=window.duration_s) + timedelta(microseconds=1)
    began = trigger_for(window.cron, window.timezone).get_next_fire_time(None, after)
    return began.astimezone(UTC) if began is not None and began <= at else None


@lru_cache(maxsize=1024)
def trigger_for(cron: str, timezone: str) -> Any:
    """The calendar's trigger of a window. It keeps no state: one for all questions about the same times. Raises CronError."""
    return trigger_of(cron, timezone)


def active(application: Application, at: datetime) -> Window | None:
    """The window that holds, or None. The loader refuses windows that overlap."""
    return next((window for window in application.windows if holding(window, at) is not None), None)


def in_gap(window: Window) -> datetime | None:
    """A local time (without zone) at which it would begin and that the clocks skip; None where there is none."""
    for begin, end in _gaps(zone_of(window.timezone)):
        at = begin
        while at < end:
            if due_on(at.date(), window.cron) and _due_at(at, window.cron):
                return at
            at += timedelta(minutes=1)
    return None


@lru_cache(maxsize=1024)
def _fields(cron: str) -> dict[str, frozenset[str] | None]:
    """Values of each field, None for every one."""
    return {
        name: None if text == "*" else frozenset(text.split(",")) for name, text in translated(cron).items()
    }


def _fits(cron: str, field: str, value: str) -> bool:
    allowed = _fields(cron)[field]
    return allowed is None or value in allowed


def due_on(day: date, cron: str) -> bool:
    """It comes due on this local day, at whatever time. Raises CronError."""
    weekday = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[day.weekday()]
    days = (_fits(cron, "day", str(day.day)), _fits(cron, "day_of_week", weekday))
    either = not any(part.startswith("*") for part in cron.split()[2::2])
    return (any(days) if either else all(days)) and _fits(cron, "month", str(day.month))


def _due_at(at: datetime, cron: str) -> bool:
    return _fits(cron, "minute", str(at.minute)) and _fits(cron, "hour", str(at.hour))


@lru_cache(maxsize=64)
def _gaps(zone: zoneinfo.ZoneInfo) -> tuple[tuple[datetime, datetime], ...]:
    """(first local time that does not exist, first that does again), as naive local times."""
    found = []
    at, end = datetime(GAP_YEARS[0], 1, 1, tzinfo=UTC), datetime(GAP_YEARS[-1] + 1, 1, 1, tzinfo=UTC)
    while at < end:
        after = at + timedelta(days=1)
        if _offset(after, zone) > _offset(at, zone):
            low, high = at, after
            while high - low > timedelta(minutes=1):
                middle = low + (high - low) / 2
                middle = middle.replace(second=0, microsecond=0)
                low, high = (low, middle) if _offset(middle, zone) > _offset(at, zone) else (middle, high)
            local = high.replace(tzinfo=None)
            found.append((local + _offset(at, zone), local + _offset(after, zone)))
        at = after
    return tuple(found)


def _offset(at: datetime, zone: zoneinfo.ZoneInfo) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta()

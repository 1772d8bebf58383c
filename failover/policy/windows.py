"""Time windows: which hold at a moment, when one next begins or ends, and where a calendar makes nonsense of them.

A window begins each time that its cron expression comes due in its time zone, and holds for its duration (real seconds, so
that a change of the clocks in the middle makes it neither longer nor shorter).
"""

import zoneinfo
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Any

from failover.model.policy import Application, Window
from failover.policy.cron import translated, trigger_of, zone_of

LOOKED_AT_DAYS = 366
LOOKED_AT_FROM = datetime(2024, 1, 1, tzinfo=UTC)
"""A leap year: every expression that ever comes due does so in it."""
GAP_YEARS = range(2024, 2031)
STARTS_MAX = 800


def holding(window: Window, at: datetime) -> datetime | None:
    """When the window that holds at this moment began; None where none does. Raises CronError."""
    after = at.astimezone(UTC) - timedelta(seconds=window.duration_s) + timedelta(microseconds=1)
    began = _trigger(window.cron, window.timezone).get_next_fire_time(None, after)
    return began.astimezone(UTC) if began is not None and began <= at else None


@lru_cache(maxsize=1024)
def _trigger(cron: str, timezone: str) -> Any:
    """It keeps no state: one for all questions about the same times."""
    return trigger_of(cron, timezone)


def active(application: Application, at: datetime) -> Window | None:
    """The window that holds, or None. The loader refuses windows that overlap."""
    return next((window for window in application.windows if holding(window, at) is not None), None)


def starts(window: Window) -> Iterator[datetime]:
    """When it begins within a year, at most `STARTS_MAX` times. Raises CronError."""
    at, end = LOOKED_AT_FROM, LOOKED_AT_FROM + timedelta(days=LOOKED_AT_DAYS)
    trigger = _trigger(window.cron, window.timezone)
    for _ in range(STARTS_MAX):
        found = trigger.get_next_fire_time(None, at)
        if found is None or found > end:
            return
        yield found.astimezone(UTC)
        at = found.astimezone(UTC) + timedelta(microseconds=1)


def overlap(windows: Sequence[Window]) -> tuple[Window, Window, datetime] | None:
    """The first two windows that hold at once, and when the later one begins: the same twice where one runs into itself."""
    rows = sorted(((start, number) for number, one in enumerate(windows) for start in starts(one)))
    for (start, number), (later, other) in pairwise(rows):
        if later < start + timedelta(seconds=windows[number].duration_s):
            return windows[number], windows[other], later
    return None


def in_gap(window: Window) -> datetime | None:
    """A local time (without zone) at which it would begin and that the clocks skip; None where there is none."""
    fields = {name: _numbers(text) for name, text in translated(window.cron).items()}
    for begin, end in _gaps(zone_of(window.timezone)):
        at = begin
        while at < end:
            if _due(at, fields, window.cron):
                return at
            at += timedelta(minutes=1)
    return None


def _numbers(text: str) -> frozenset[str] | None:
    """Values of a field, or None for every one."""
    return None if text == "*" else frozenset(text.split(","))


def _due(at: datetime, fields: dict[str, frozenset[str] | None], cron: str) -> bool:
    def fits(name: str, value: str) -> bool:
        allowed = fields[name]
        return allowed is None or value in allowed

    weekday = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[at.weekday()]
    days = (fits("day", str(at.day)), fits("day_of_week", weekday))
    either = not any(part.startswith("*") for part in cron.split()[2::2])
    on_day = any(days) if either else all(days)
    return (
        on_day
        and fits("minute", str(at.minute))
        and fits("hour", str(at.hour))
        and fits("month", str(at.month))
    )


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

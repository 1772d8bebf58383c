"""Do windows ever hold at once? Every start in 28 years is looked at, and each constellation of days once.

A calendar repeats itself after 28 years (weekdays and leap days), and what the clocks of a zone do on which weekday of a month
with it. Most of these days are alike: what a window that begins on a day can run into is decided by which of the days around
it each window is due on, and by the clocks' offsets on them. So only days that differ in that are looked at start by start.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

from failover.model.policy import Window
from failover.policy.cron import translated, zone_of
from failover.policy.windows import due_on, trigger_for

FIRST_DAY = date(2024, 1, 1)
DAYS = 28 * 365 + 7
DAYS_AROUND = 2
"""Two local days with the same date begin at most 26 hours apart."""
MINUTES_A_DAY = 1440
DAY_S = 86_400

Found = tuple[Window, Window, datetime]


@lru_cache(maxsize=256)
def overlap(windows: tuple[Window, ...]) -> Found | None:
    """The first two windows that hold at once, and when the later one begins: the same twice where one runs into itself.

    Raises CronError.
    """
    if not windows:
        return None
    longest = int(max(window.duration_s for window in windows) // DAY_S) + 1
    due = [_due_days(window.cron) for window in windows]
    clocks = [_offsets(window.timezone) for window in windows]
    seen: set[tuple[object, ...]] = set()
    for day in range(DAYS_AROUND, DAYS - longest - DAYS_AROUND):
        if not any(days[day] for days in due):
            continue
        around = slice(day - DAYS_AROUND, day + longest + DAYS_AROUND + 1)
        constellation = (*(days[around] for days in due), *(zone[around] for zone in clocks))
        if constellation in seen:
            continue
        seen.add(constellation)
        found = _on_day(windows, day, range(around.start, around.stop - 1))
        if found is not None:
            return found
    return None


def _on_day(windows: Sequence[Window], day: int, around: range) -> Found | None:
    """What a window that begins on this (local) day runs into first."""
    rows = sorted(
        (start, number, at == day)
        for number, window in enumerate(windows)
        for at in around
        if _due_days(window.cron)[at]
        for start in _starts(window.cron, window.timezone, at)
    )
    for index, (start, number, begins_today) in enumerate(rows[:-1]):
        later, other, _ = rows[index + 1]
        if begins_today and later < start + windows[number].duration_s:
            return windows[number], windows[other], datetime.fromtimestamp(later, UTC)
    return None


@lru_cache(maxsize=1024)
def _due_days(cron: str) -> bytes:
    """For each day 1 where the expression comes due on it, at whatever time."""
    return bytes(due_on(FIRST_DAY + timedelta(days=day), cron) for day in range(DAYS))


@lru_cache(maxsize=1024)
def _minutes(cron: str) -> tuple[int, ...]:
    """The minutes of a day on which it is due."""
    fields = translated(cron)
    hours = range(24) if fields["hour"] == "*" else map(int, fields["hour"].split(","))
    minutes = range(60) if fields["minute"] == "*" else sorted(map(int, fields["minute"].split(",")))
    return tuple(60 * hour + minute for hour in sorted(hours) for minute in minutes)


@lru_cache(maxsize=64)
def _offsets(timezone: str) -> tuple[int, ...]:
    """Seconds before UTC at the beginning of each local day. Raises CronError."""
    zone = zone_of(timezone)
    found = []
    for day in range(DAYS):
        offset = datetime.combine(FIRST_DAY + timedelta(days=day), time(), zone).utcoffset()
        found.append(int(offset.total_seconds()) if offset is not None else 0)
    return tuple(found)


def _starts(cron: str, timezone: str, day: int) -> Iterator[float]:
    """When it begins on a local day, in seconds since 1970; by the calendar itself where the clocks change on that day."""
    offsets = _offsets(timezone)
    begins = _since_1970(day) - offsets[day]
    if offsets[day] == offsets[day + 1]:
        yield from (begins + 60 * minute for minute in _minutes(cron))
        return
    trigger = trigger_for(cron, timezone)
    ends = _since_1970(day + 1) - offsets[day + 1]
    at = datetime.fromtimestamp(begins, UTC)
    for _ in range(2 * MINUTES_A_DAY):
        found = trigger.get_next_fire_time(None, at)
        if found is None or found.timestamp() >= ends:
            return
        yield found.timestamp()
        at = found.astimezone(UTC) + timedelta(microseconds=1)


def _since_1970(day: int) -> int:
    return DAY_S * ((FIRST_DAY - date(1970, 1, 1)).days + day)

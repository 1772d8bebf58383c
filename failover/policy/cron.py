"""Cron expressions as people write them, and the trigger that runs them: one reading for `validate` and for the calendar.

Every field becomes the list of its values, so that nothing is left for APScheduler to read its own way: its weekday 0 is
Monday, and it refuses or misreads `fri-7`, `mon-fri/2` and `*/90`. APScheduler is imported when a trigger is built.
"""

import re
import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
LONGEST_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
GAPS_LOOKED_AT = 8
_PART = re.compile(r"(\*|[0-9a-z]{1,9}(?:-[0-9a-z]{1,9})?)(?:/([0-9]{1,9}))?")


class CronError(ValueError):
    """An expression, a time zone or a jitter that no calendar can follow. `str()` is a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    """One of the five. `words`: names for the values from `low` on. `high`: the greatest value that may be written."""

    name: str
    low: int
    high: int
    last: int
    words: tuple[str, ...] = ()


_FIELDS = (
    _Field(name="minute", low=0, high=59, last=59),
    _Field(name="hour", low=0, high=23, last=23),
    _Field(name="day", low=1, high=31, last=31),
    _Field(name="month", low=1, high=12, last=12, words=MONTHS),
    _Field(name="weekday", low=0, high=7, last=6, words=WEEKDAYS),
)


def trigger_of(cron: str, timezone: str = "UTC", jitter_s: float = 0.0) -> Any:
    """The APScheduler trigger of an expression. Raises CronError for whatever the calendar could not run.

    Where both day and weekday are named, cron means either; where one begins with `*`, it means both.
    """
    from apscheduler.triggers.combining import OrTrigger
    from apscheduler.triggers.cron import CronTrigger

    fields, zone = translated(cron), zone_of(timezone)
    named = [part for part in cron.split()[2::2] if not part.startswith("*")]
    variants = [fields | {"day_of_week": "*"}, fields | {"day": "*"}] if len(named) == 2 else [fields]
    try:
        made = [CronTrigger(timezone=zone, **variant) for variant in variants]
        _check_jitter(OrTrigger(made), jitter_s)
    except CronError:
        raise
    except (ValueError, TypeError, LookupError, OverflowError) as error:
        raise CronError(f"{cron!r} cannot be scheduled: {error}") from None
    return OrTrigger(made, jitter=jitter_s or None)


def translated(cron: str) -> dict[str, str]:
    """APScheduler's fields of an expression, each `*` or a list of values. Raises CronError."""
    parts = cron.lower().split()
    if len(parts) != len(_FIELDS):
        raise CronError(
            f"{cron[:60]!r} has {len(parts)} fields; a cron expression has five: minute hour day month weekday"
        )
    minute, hour, day, month, weekday = (
        _values(part, field) for part, field in zip(parts, _FIELDS, strict=True)
    )
    if not any(number <= LONGEST_MONTHS[which - 1] for which in month for number in day):
        raise CronError(f"{cron!r} never comes due: no such month has day {min(day)}")
    return {
        "minute": _listed(minute, _FIELDS[0]),
        "hour": _listed(hour, _FIELDS[1]),
        "day": _listed(day, _FIELDS[2]),
        "month": _listed(month, _FIELDS[3]),
        "day_of_week": "*" if len(weekday) == 7 else ",".join(WEEKDAYS[number] for number in weekday),
    }


def zone_of(name: str) -> zoneinfo.ZoneInfo:
    """A time zone by its IANA name. Raises CronError."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError, ImportError):
        raise CronError(f"there is no time zone {name[:60]!r} (IANA names, such as Europe/Berlin)") from None


def first_due(cron: str, timezone: str, after: datetime) -> datetime | None:
    """When an expression first comes due after a moment, jitter apart. Raises CronError."""
    found: datetime | None = trigger_of(cron, timezone).get_next_fire_time(
        None, after.astimezone(UTC) + timedelta(microseconds=1)
    )
    return found


def _check_jitter(trigger: Any, jitter_s: float) -> None:
    """A run that is put off to after the next one would be lost."""
    if not jitter_s:
        return
    times = list(_times(trigger, GAPS_LOOKED_AT + 1))
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(times)]
    if gaps and jitter_s >= min(gaps):
        raise CronError(f"a jitter of {jitter_s:g} s is not less than the {min(gaps):g} s between two runs")


def _times(trigger: Any, count: int) -> Iterator[datetime]:
    at = datetime(2024, 1, 1, tzinfo=UTC)
    for _ in range(count):
        found = trigger.get_next_fire_time(None, at)
        if found is None:
            return
        yield found.astimezone(UTC)
        at = found.astimezone(UTC) + timedelta(seconds=1)


def _listed(values: list[int], field: _Field) -> str:
    every = len(values) == field.last - field.low + 1
    return "*" if every else ",".join(str(value) for value in values)


def _values(part: str, field: _Field) -> list[int]:
    """Every value that one field names, each once, in the order in which it is written."""
    found: dict[int, None] = {}
    for piece in part.split(","):
        found.update(dict.fromkeys(_of_piece(piece, field)))
    return list(found)


def _of_piece(piece: str, field: _Field) -> list[int]:
    match = _PART.fullmatch(piece)
    if match is None:
        raise CronError(f"{piece[:60]!r} is no {field.name}")
    low, _, high = match[1].partition("-")
    first, last = (field.low, field.last) if low == "*" else _ends(piece, low, high, field)
    if match[2] is None:
        return [_folded(value, field) for value in range(first, last + 1)]
    if low != "*" and not high:  # `5/10`: from 5 on
        last = max(first, field.last)
    step = int(match[2])
    if step == 0:
        raise CronError(f"{piece!r} has a step of 0")
    if step > last - first:
        raise CronError(f"{piece!r} has a step of {step}, which is more than there is from {first} to {last}")
    return [_folded(value, field) for value in range(first, last + 1, step)]


def _ends(piece: str, low: str, high: str, field: _Field) -> tuple[int, int]:
    """Both ends of a span. Sunday is 0, and 7 (or `sun`) where a span ends with it."""
    first = _number(piece, low, field)
    if not high:
        return first, first
    last = _number(piece, high, field)
    if field.name == "weekday" and high == "sun" and first > 0:
        last = 7
    if first > last:
        raise CronError(f"{piece!r} runs backwards")
    return first, last


def _number(piece: str, text: str, field: _Field) -> int:
    number = field.words.index(text) + field.low if text in field.words else None
    if text.isdigit():
        number = int(text)
    if number is None or not field.low <= number <= field.high:
        raise CronError(f"{piece!r} is no {field.name} ({field.low}-{field.high})")
    return number


def _folded(value: int, field: _Field) -> int:
    """Weekday 7 is weekday 0."""
    return 0 if field.name == "weekday" and value == 7 else value

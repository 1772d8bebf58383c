"""Cron as people write it: what `validate` takes is what the calendar runs, and it runs what the words say."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failover.policy.cron import CronError, first_due, translated, trigger_of

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)


def days(cron: str, count: int = 7) -> str:
    """The weekdays of the first runs."""
    at, found = MONDAY - timedelta(minutes=1), []
    for _ in range(count):
        due = first_due(cron, "UTC", at)
        assert due is not None
        found.append(f"{due:%a}".lower())
        at = due
    return " ".join(found)


@pytest.mark.parametrize(
    ("cron", "runs"),
    [
        ("0 3 * * fri-7", "fri sat sun fri sat sun fri"),
        ("0 3 * * fri-sun", "fri sat sun fri sat sun fri"),
        ("0 3 * * mon-5", "mon tue wed thu fri mon tue"),
        ("0 3 * * mon-fri/2", "mon wed fri mon wed fri mon"),
        ("0 3 * * sun-mon", "mon sun mon sun mon sun mon"),
        ("0 3 * * 0", "sun sun sun sun sun sun sun"),
        ("0 3 * * 7", "sun sun sun sun sun sun sun"),
        ("0 3 * * 0-7", "mon tue wed thu fri sat sun"),
        ("0 3 * * sat,1", "mon sat mon sat mon sat mon"),
    ],
)
def test_weekdays_mean_what_they_say(cron: str, runs: str) -> None:
    assert days(cron) == runs


def test_months_step_as_they_say_and_a_day_or_a_weekday_means_either() -> None:
    assert translated("0 0 1 jan-mar/2 *")["month"] == "1,3"
    first = first_due("0 0 1 12 mon", "UTC", datetime(2026, 11, 30, 12, tzinfo=UTC))
    assert first == datetime(2026, 12, 1, tzinfo=UTC)  # a Tuesday: the day of the month suffices
    assert first_due("0 0 1 12 mon", "UTC", first) == datetime(2026, 12, 7, tzinfo=UTC)
    both = first_due("0 0 */2 12 mon", "UTC", datetime(2026, 11, 30, 12, tzinfo=UTC))
    assert both == datetime(2026, 12, 7, tzinfo=UTC)  # where one begins with `*`, both must hold


@pytest.mark.parametrize(
    ("cron", "sentence"),
    [
        ("*/90 * * * *", "'*/90' has a step of 90, which is more than there is from 0 to 59"),
        ("* */30 * * *", "'*/30' has a step of 30, which is more than there is from 0 to 23"),
        ("5/70 * * * *", "'5/70' has a step of 70, which is more than there is from 5 to 59"),
        ("* * 1-5/9 * *", "'1-5/9' has a step of 9, which is more than there is from 1 to 5"),
        ("*/0 * * * *", "'*/0' has a step of 0"),
        ("* * * * 5-1", "'5-1' runs backwards"),
        ("* * * * friday", "'friday' is no weekday (0-7)"),
        ("0 0 30,31 2 *", "'0 0 30,31 2 *' never comes due: no such month has day 30"),
        ("* * * *", "'* * * *' has 4 fields"),
        ("*/" + "9" * 5000 + " * * * *", "is no minute"),
    ],
)
def test_what_no_calendar_could_run_is_refused(cron: str, sentence: str) -> None:
    with pytest.raises(CronError) as error:
        trigger_of(cron)
    assert sentence in str(error.value)
    assert len(str(error.value)) < 200


def test_a_run_is_never_put_off_to_after_the_next_one() -> None:
    trigger_of("*/5 * * * *", jitter_s=200.0)
    with pytest.raises(CronError) as error:
        trigger_of("*/5 * * * *", jitter_s=600.0)
    assert str(error.value) == "a jitter of 600 s is not less than the 300 s between two runs"


def _pieces(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    span = st.tuples(number, number).map(lambda ends: f"{min(ends)}-{max(ends)}")
    step = st.tuples(st.sampled_from(["*"]) | span | number.map(str), st.integers(1, 40)).map(
        lambda pair: f"{pair[0]}/{pair[1]}"
    )
    piece = st.just("*") | number.map(str) | span | step
    return st.lists(piece, min_size=1, max_size=3).map(",".join)


def _says(field: str, value: int, last: int) -> bool:
    """Read by another hand: does a field name this value?"""
    for piece in field.split(","):
        span, _, step = piece.partition("/")
        low, _, high = ("0-99" if span == "*" else span).partition("-")
        start = 0 if span == "*" and last != 31 else 1 if span == "*" else int(low)
        end = last if span == "*" or (step and not high) else int(high or low)
        if value in range(start, end + 1, int(step or 1)):
            return True
    return False


@given(_pieces(0, 59), _pieces(0, 23), _pieces(0, 7))
@settings(max_examples=150, deadline=None)
def test_every_expression_that_is_taken_comes_due_when_it_says(minute: str, hour: str, weekday: str) -> None:
    cron = f"{minute} {hour} * * {weekday}"
    try:
        trigger = trigger_of(cron)
    except CronError:
        return
    at = trigger.get_next_fire_time(None, MONDAY)
    expected = MONDAY
    for _ in range(8 * 24 * 60):
        day = expected.isoweekday()
        named = _says(weekday, day, 6) or (day == 7 and _says(weekday, 0, 6))
        if named and _says(hour, expected.hour, 23) and _says(minute, expected.minute, 59):
            break
        expected += timedelta(minutes=1)
    assert at == expected, cron


def test_time_zones_are_known_on_a_machine_that_brings_none() -> None:
    wanted = "from failover.policy.cron import zone_of; print(zone_of('Europe/Berlin'))"
    done = subprocess.run(
        [sys.executable, "-c", wanted],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONTZPATH": ""},
    )
    assert done.stdout == "Europe/Berlin\n", done.stderr


def test_status_starts_without_a_scheduler() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import failover.cli.main, failover.cli.status, sys; print('apscheduler' in sys.modules)",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n"

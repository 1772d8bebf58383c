"""Windows that hold at once are found whenever they first do, against the calendar's own triggers."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failover.model.policy import Window
from failover.policy.overlaps import FIRST_DAY, overlap
from failover.policy.windows import trigger_for

HOUR = 3600.0


def window(name: str, cron: str, hours: float, timezone: str = "UTC") -> Window:
    return Window(name=name, cron=cron, timezone=timezone, duration_s=hours * HOUR)


def first(*windows: Window) -> tuple[str, str, str] | None:
    found = overlap(windows)
    return None if found is None else (found[0].name, found[1].name, f"{found[2]:%Y-%m-%d %H:%M}")


def test_windows_that_follow_one_another_do_not_overlap() -> None:
    assert first() is None
    assert first(window("day", "0 8 * * *", 10), window("night", "0 18 * * *", 14)) is None
    assert first(window("short", "*/2 * * * *", 1 / 60)) is None


def test_those_that_touch_by_a_minute_do() -> None:
    assert first(window("day", "0 8 * * *", 10), window("night", "59 17 * * *", 1)) == (
        "day",
        "night",
        "2024-01-03 17:59",
    )


def test_one_may_run_into_itself() -> None:
    assert first(window("long", "0 8 * * *", 25)) == ("long", "long", "2024-01-04 08:00")


def test_what_never_meets_in_2024_is_found_in_the_year_in_which_it_does() -> None:
    """The 13th is a Friday in September 2024 at the earliest, the 29th of February a Monday in 2044."""
    friday = window("friday", "0 8 1-7 1 *", 2)
    new_year_on_sunday = window("monday", "0 9 2 1 *", 2)
    assert first(friday, new_year_on_sunday) == ("friday", "monday", "2025-01-02 09:00")
    leap = window("leap", "0 8 29 2 *", 2)
    mondays = window("monday", "0 9 * 2 mon", 2)
    assert first(leap, mondays) == ("leap", "monday", "2044-02-29 09:00")


def test_more_than_eight_hundred_beginnings_a_year_are_looked_at() -> None:
    """Four times a day: the eight hundredth beginning is in July."""
    often = window("often", "0 0,6,12,18 * * *", 1)
    assert first(often, window("late", "30 18 24 12 *", 1)) == ("often", "late", "2024-12-24 18:30")


def test_clocks_that_change_in_one_zone_only_bring_windows_together() -> None:
    """An hour apart in winter and in summer; for three weeks in March New York is an hour closer to Berlin."""
    berlin = window("berlin", "0 18 * * *", 1, "Europe/Berlin")
    new_york = window("new-york", "0 13 * * *", 1, "America/New_York")
    assert first(berlin, new_york) == ("berlin", "new-york", "2024-03-10 17:00")
    assert first(berlin, window("new-york", "0 14 * * *", 1, "America/New_York")) is None


CRONS = st.builds(
    "{} {} {} {} {}".format,
    st.sampled_from(["0", "30", "0,45", "*/20"]),
    st.sampled_from(["0", "8", "1,13", "*/6", "2-4"]),
    st.sampled_from(["*", "1", "*/10", "28-31"]),
    st.sampled_from(["*", "3", "2,10", "*/4"]),
    st.sampled_from(["*", "mon", "sat,sun", "*/3"]),
)
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Auckland"])
WINDOWS = st.builds(
    window, st.just("w"), CRONS, st.sampled_from([1 / 60, 0.25, 0.5, 2, 26, 100]), timezone=ZONES
)


def by_the_calendar(windows: tuple[Window, ...], until: date) -> datetime | None:
    """The first beginning, by the triggers, that falls into a window that holds."""
    rows: list[tuple[datetime, float]] = []
    for one in windows:
        at = datetime.combine(FIRST_DAY, datetime.min.time(), UTC) + timedelta(days=4)
        trigger = trigger_for(one.cron, one.timezone)
        while (found := trigger.get_next_fire_time(None, at)) is not None and found.date() < until:
            rows.append((found.astimezone(UTC), one.duration_s))
            at = found.astimezone(UTC) + timedelta(microseconds=1)
    rows.sort()
    for (start, lasts), (later, _) in pairwise(rows):
        if later < start + timedelta(seconds=lasts):
            return later
    return None


@settings(max_examples=20, deadline=None)
@given(windows=st.lists(WINDOWS, min_size=1, max_size=2).map(tuple))
def test_nothing_that_the_calendar_would_run_is_overlooked(windows: tuple[Window, ...]) -> None:
    """Over two years; the windows of the calendar that overlap are found, and no others."""
    named = tuple(Window(**{**_plain(one), "name": str(number)}) for number, one in enumerate(windows))
    truth = by_the_calendar(named, date(2026, 1, 1))
    found = overlap(named)
    if truth is not None:
        assert found is not None
        assert found[2] <= truth
    elif found is not None:
        assert found[2] >= datetime(2025, 12, 25, tzinfo=UTC) or found[2] < datetime(2024, 1, 12, tzinfo=UTC)


def _plain(one: Window) -> dict[str, object]:
    return {"cron": one.cron, "timezone": one.timezone, "duration_s": one.duration_s}


@pytest.mark.parametrize("cron", ["*/2 * * * *", "0 8 * * mon-fri"])
def test_a_year_s_worth_of_beginnings_is_looked_at_quickly(cron: str) -> None:
    """No timing: it ends, although it begins hundreds of times a day for 28 years."""
    assert first(window("often", cron, 1 / 60)) is None

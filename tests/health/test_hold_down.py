"""Hold-down: three turns in ten minutes make a subject ineligible for five minutes, doubling, and no clock shortens it."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failover.health import durable, initial_state, release_hold_down, restore
from failover.health.damping import held, note_verdict, release
from failover.health.state import History
from failover.model.ids import Subject
from failover.model.policy import Timing
from failover.model.time import Now
from failover.model.verdict import VerdictKind
from tests.health.stories import BORN, NORTH

TIMING = Timing()
UP, DOWN = VerdictKind.HEALTHY, VerdictKind.DOWN
NORTH_SUBJECT = Subject(cluster=NORTH)


def flapped(times: int, *, start: float = 0.0, pace: float = 10.0, history: History | None = None) -> History:
    """A history of so many turns, `pace` seconds apart, the last one at `start` + times * pace."""
    made = history or note_verdict(None, UP, TIMING, start)
    for number in range(1, times + 1):
        kind = DOWN if made.serving else UP
        made = note_verdict(made, kind, TIMING, start + number * pace)
    return made


def test_two_turns_are_an_outage_and_the_third_within_ten_minutes_is_flapping() -> None:
    assert flapped(2).hold_until is None
    third = flapped(3)
    assert third.hold_until == 30.0 + TIMING.hold_down_base_s


def test_turns_further_apart_than_the_window_are_no_flapping() -> None:
    assert flapped(20, pace=TIMING.hold_down_window_s).hold_until is None


def test_only_turns_between_serving_and_not_count() -> None:
    history = note_verdict(None, UP, TIMING, 0.0)
    for second in range(1, 60):
        kind = (VerdictKind.PATH_PROBLEM, VerdictKind.UNKNOWN, VerdictKind.CONTROL_PLANE_DOWN, UP)[second % 4]
        history = note_verdict(history, kind, TIMING, float(second))
    assert (history.turns, history.hold_until) == ((), None)


def test_each_hold_down_doubles_up_to_six_hours() -> None:
    history, now, lengths = None, 0.0, []
    for _ in range(10):
        history = flapped(3, start=now, history=history)
        turned = now + 30.0
        assert history.hold_until is not None
        lengths.append(history.hold_until - turned)
        now = history.hold_until + TIMING.hold_down_window_s
    expected = [min(TIMING.hold_down_base_s * 2**number, TIMING.hold_down_max_s) for number in range(10)]
    assert lengths == expected
    assert lengths[0] == 300.0
    assert lengths[-1] == 21_600.0


def test_quiet_days_are_forgiven_one_each() -> None:
    history, now = None, 0.0
    for _ in range(4):
        history = flapped(3, start=now, history=history)
        now = (history.hold_until or 0.0) + TIMING.hold_down_window_s
    assert history is not None
    assert history.escalations == 4
    again = flapped(3, start=now + 2 * 86_400.0, history=history)
    assert again.escalations == 3


def test_a_turn_while_held_begins_the_same_hold_again() -> None:
    history = flapped(3)
    once_more = note_verdict(history, UP if not history.serving else DOWN, TIMING, 100.0)
    assert once_more.escalations == history.escalations
    assert once_more.hold_until == 100.0 + TIMING.hold_down_base_s


def test_an_ack_releases_and_the_next_hold_is_longer_all_the_same() -> None:
    history = release(flapped(3))
    assert not held(history, 31.0)
    assert flapped(3, start=100.0, history=history).escalations == 2


def test_an_ack_of_a_cluster_is_one_of_its_applications_too() -> None:
    state = replace(
        initial_state(at(100.0)),
        histories={
            NORTH_SUBJECT: flapped(3),
            replace(NORTH_SUBJECT, application="shop"): flapped(3),
            Subject(cluster="south-1"): flapped(3),
        },
    )
    released = release_hold_down(state, NORTH_SUBJECT)
    still = {str(subject) for subject, history in released.histories.items() if held(history, 100.0)}
    assert still == {"south-1"}


# -- across restarts ---------------------------------------------------------------------------------------------------


def at(mono: float, jump: float = 0.0) -> Now:
    return Now(mono=mono, wall=BORN + timedelta(seconds=mono + jump))


def saved_at(now: Now, boot: str) -> object:
    state = replace(initial_state(now), histories={NORTH_SUBJECT: flapped(3)})
    return durable(state, now, boot_id=boot)


@settings(max_examples=60)
@given(st.floats(0, 280), st.floats(-1e7, 1e7))
def test_within_one_boot_no_jump_of_the_wall_clock_matters(away: float, jump: float) -> None:
    saved = saved_at(at(40.0), "boot")
    state = restore(saved, at(40.0 + away, jump), boot_id="boot")  # type: ignore[arg-type]
    until = state.histories[NORTH_SUBJECT].hold_until
    assert until == pytest.approx(30.0 + TIMING.hold_down_base_s)


@settings(max_examples=60)
@given(st.floats(0, 1e6))
def test_after_a_reboot_a_wall_clock_that_ran_backwards_shortens_nothing(back: float) -> None:
    """The new boot's monotonic clock begins near zero; the wall says that no time has passed, or less."""
    saved = saved_at(at(40.0), "boot")
    state = restore(saved, Now(mono=5.0, wall=at(40.0).wall - timedelta(seconds=back)), boot_id="another")  # type: ignore[arg-type]
    history = state.histories[NORTH_SUBJECT]
    assert history.hold_until == pytest.approx(5.0 + 290.0)
    assert history.escalations == 1


def test_what_is_left_after_a_reboot_is_what_the_wall_says() -> None:
    saved = saved_at(at(40.0), "boot")
    state = restore(saved, Now(mono=5.0, wall=at(140.0).wall), boot_id="another")  # type: ignore[arg-type]
    assert state.histories[NORTH_SUBJECT].hold_until == pytest.approx(5.0 + 190.0)
    late = restore(saved, Now(mono=5.0, wall=at(4000.0).wall), boot_id="another")  # type: ignore[arg-type]
    assert late.histories[NORTH_SUBJECT].hold_until is None
    assert late.histories[NORTH_SUBJECT].escalations == 1, "over, and remembered"


def test_a_restored_state_warms_up_and_remembers_no_vote() -> None:
    state = restore(saved_at(at(40.0), "boot"), at(41.0), boot_id="boot")  # type: ignore[arg-type]
    assert state.warm_cause == "start"
    assert state.series == {}

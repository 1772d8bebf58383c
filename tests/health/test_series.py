"""One vantage's series: fall and rise, what counts, what is fresh, and that nothing counts twice."""

from failover.health.series import Series, extend, forgive
from failover.model.ids import ClusterName, Subject, VantageName
from failover.model.observation import Observation, Outcome, Signal
from failover.model.verdict import Vote

from .world import BALANCED, DEFINITION

OK, BAD, LOCAL = Outcome.OK, Outcome.TIMEOUT, Outcome.LOCAL
STEP = BALANCED.interval_s


def seen(outcome: Outcome, sequence: int, *, boot: str = "b", definition: str = DEFINITION) -> Observation:
    return Observation(
        vantage=VantageName("v"),
        boot_id=boot,
        sequence=sequence,
        subject=Subject(cluster=ClusterName("c")),
        signal=Signal.DATA_PLANE,
        outcome=outcome,
        age_s=0.0,
        definition=definition,
    )


def fold(
    outcomes: list[Outcome], series: Series | None = None, *, begin: float = 0.0, first: int = 1
) -> Series:
    for index, outcome in enumerate(outcomes):
        series = extend(series, seen(outcome, first + index), begin + index * STEP, BALANCED)
    assert series is not None
    return series


def last(outcomes: list[Outcome]) -> float:
    return (len(outcomes) - 1) * STEP


def vote(outcomes: list[Outcome]) -> Vote:
    return fold(outcomes).vote(last(outcomes), BALANCED)


def test_a_vote_falls_after_three_failures_in_a_row() -> None:
    assert vote([OK] * 6) is Vote.UP
    assert vote([OK] * 6 + [BAD] * 2) is Vote.UP
    assert vote([OK] * 6 + [BAD] * 3) is Vote.DOWN
    assert vote([OK] * 6 + [BAD, BAD, OK, BAD, BAD]) is Vote.UP


def test_a_vote_rises_after_six_successes_the_first_time_too() -> None:
    assert vote([OK] * 5) is Vote.UNKNOWN
    assert vote([OK] * 6) is Vote.UP
    assert vote([BAD] * 3 + [OK] * 5) is Vote.UNKNOWN
    assert vote([BAD] * 3 + [OK] * 6) is Vote.UP


def test_the_first_success_ends_a_down_vote() -> None:
    """Votes that stay down until `rise` convict by old failures."""
    assert vote([BAD] * 5) is Vote.DOWN
    assert vote([BAD] * 5 + [OK]) is Vote.UNKNOWN
    assert vote([BAD] * 5 + [OK, BAD, BAD]) is Vote.UNKNOWN


def test_local_faults_neither_extend_nor_break_a_series() -> None:
    assert vote([BAD, BAD, LOCAL]) is Vote.UNKNOWN
    assert vote([LOCAL] * 20) is Vote.UNKNOWN
    assert vote([BAD, LOCAL, LOCAL, LOCAL, BAD, LOCAL, BAD]) is Vote.DOWN
    assert vote([OK] * 3 + [LOCAL, LOCAL] + [OK] * 3) is Vote.UP


def test_local_faults_do_not_keep_a_vote_fresh() -> None:
    down = [BAD] * 3
    assert vote([*down, LOCAL, LOCAL]) is Vote.DOWN
    assert vote([*down, LOCAL, LOCAL, LOCAL]) is Vote.UNKNOWN


def test_local_faults_do_not_join_failures_of_different_days() -> None:
    assert vote([BAD, BAD] + [LOCAL] * 2000 + [BAD]) is Vote.UNKNOWN


def test_a_vote_lasts_two_intervals_and_the_timeout() -> None:
    series = fold([BAD] * 3)
    end = last([BAD] * 3) + BALANCED.evidence_max_age_s
    assert series.vote(end, BALANCED) is Vote.DOWN
    assert series.vote(end + 0.001, BALANCED) is Vote.UNKNOWN


def test_what_lies_before_a_silence_proves_nothing() -> None:
    quiet = last([BAD] * 2) + BALANCED.evidence_max_age_s + 0.1
    series = extend(fold([BAD] * 2), seen(BAD, 3), quiet, BALANCED)
    assert series.failures == 1
    assert series.vote(quiet, BALANCED) is Vote.UNKNOWN
    back = last([OK] * 9) + BALANCED.evidence_max_age_s + 0.1
    assert extend(fold([OK] * 9), seen(OK, 10), back, BALANCED).vote(back, BALANCED) is Vote.UNKNOWN


def test_what_is_not_newer_changes_nothing() -> None:
    series = fold([OK, BAD, BAD])
    for sequence in (1, 2, 3):
        for outcome in Outcome:
            assert extend(series, seen(outcome, sequence), 100.0, BALANCED) is series


def test_another_boot_begins_its_own_numbers_and_keeps_the_series() -> None:
    series = extend(fold([BAD, BAD]), seen(BAD, 1, boot="b2"), 2 * STEP, BALANCED)
    assert series.failures == 3
    assert extend(series, seen(OK, 1, boot="b2"), 3 * STEP, BALANCED) is series


def test_another_definition_begins_anew() -> None:
    series = extend(fold([BAD] * 5), seen(BAD, 6, definition="other"), 5 * STEP, BALANCED)
    assert series.failures == 1


def test_a_vantage_that_suspects_itself_adds_successes_but_no_failures() -> None:
    series = fold([OK] * 6)
    assert extend(series, seen(BAD, 7), 6 * STEP, BALANCED, excused=True).failures == 0
    assert extend(series, seen(OK, 7), 6 * STEP, BALANCED, excused=True).successes == 7
    assert forgive(fold([OK] * 6 + [BAD] * 2)).failures == 0


def test_a_success_counts_as_the_latest_until_a_failure_follows_or_it_grows_stale() -> None:
    assert fold([BAD]).success_ended(BALANCED) == float("-inf")
    assert fold([OK]).success_ended(BALANCED) == BALANCED.evidence_max_age_s
    assert fold([OK, BAD, BAD]).success_ended(BALANCED) == STEP
    assert fold([OK, LOCAL, LOCAL]).success_ended(BALANCED) == BALANCED.evidence_max_age_s

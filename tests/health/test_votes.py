"""One vantage's series: idempotent, local faults never count, votes never outlive freshness, `rise` to return."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from failover.health.series import Series, extend, forgive
from failover.health.votes import Seat, vote_of
from failover.model.ids import Subject, VantageName
from failover.model.observation import Observation, Outcome, Signal
from failover.model.verdict import Vote
from tests.health.stories import NORTH
from tests.support.policies import FAST

LIMIT = FAST.evidence_max_age_s
FAILURE = st.sampled_from([outcome for outcome in Outcome if outcome.counts_as_failure])
COUNTING = st.one_of(st.just(Outcome.OK), FAILURE)


def observation(sequence: int, outcome: Outcome) -> Observation:
    return Observation(
        vantage=VantageName("control"),
        boot_id="boot-1",
        sequence=sequence,
        subject=Subject(cluster=NORTH),
        signal=Signal.DATA_PLANE,
        outcome=outcome,
        age_s=0.0,
        definition="hash",
    )


def told(outcomes: list[Outcome], *, pace: float = 1.0) -> Series | None:
    """The series of outcomes that came `pace` seconds apart, the first at second `pace`."""
    series: Series | None = None
    for number, outcome in enumerate(outcomes, start=1):
        series = extend(series, observation(number, outcome), number * pace, FAST)
    return series


def ground(series: Series | None) -> tuple[object, ...] | None:
    """What decides a vote, without the bookkeeping of what was heard."""
    if series is None or series.latest is None:
        return None
    return (
        series.failures,
        series.successes,
        series.first_failure,
        series.down_since,
        series.up,
        series.last_success,
        series.measured_mono,
    )


@given(st.lists(COUNTING, max_size=30), st.data())
def test_local_outcomes_neither_extend_nor_break_a_series(
    outcomes: list[Outcome], data: st.DataObject
) -> None:
    """Each may be followed by local faults at the same moment: the series is the same as without them."""
    series: Series | None = None
    sequence = 0
    for number, outcome in enumerate(outcomes, start=1):
        sequence += 1
        series = extend(series, observation(sequence, outcome), float(number), FAST)
        for _ in range(data.draw(st.integers(0, 3))):
            sequence += 1
            series = extend(series, observation(sequence, Outcome.LOCAL), float(number), FAST)
    assert ground(series) == ground(told(outcomes))


@given(st.integers(1, 100))
def test_local_faults_alone_make_no_vote(count: int) -> None:
    series = told([Outcome.LOCAL] * count)
    assert series is not None
    assert series.latest is None
    assert series.vote(float(count), FAST) is Vote.UNKNOWN


@given(st.lists(st.sampled_from(Outcome), min_size=1, max_size=30), st.data())
def test_what_is_told_twice_or_late_changes_nothing(outcomes: list[Outcome], data: st.DataObject) -> None:
    series = told(outcomes)
    assert series is not None
    old = data.draw(st.integers(1, len(outcomes)))
    lie = data.draw(st.sampled_from(Outcome))
    moment = data.draw(st.floats(0, 1000))
    assert extend(series, observation(old, lie), moment, FAST) == series


@given(st.lists(st.sampled_from(Outcome), max_size=30), st.floats(0.001, 1e6))
def test_no_vote_outlives_its_evidence(outcomes: list[Outcome], later: float) -> None:
    series = told(outcomes)
    if series is None:
        return
    end = series.measured_mono if series.latest is not None else 0.0
    assert series.vote(end + LIMIT + later, FAST) is Vote.UNKNOWN


@given(st.lists(COUNTING, min_size=1, max_size=40))
def test_down_is_fall_failures_in_a_row_and_up_is_rise_successes(outcomes: list[Outcome]) -> None:
    series = told(outcomes)
    assert series is not None
    row = 0
    for outcome in reversed(outcomes):
        if outcome.is_success:
            break
        row += 1
    vote = series.vote(float(len(outcomes)), FAST)
    assert (vote is Vote.DOWN) == (row >= FAST.fall)
    if vote is Vote.UP:
        assert longest_row_of_successes(outcomes) >= FAST.rise


def longest_row_of_successes(outcomes: list[Outcome]) -> int:
    longest = row = 0
    for outcome in outcomes:
        row = row + 1 if outcome.is_success else 0
        longest = max(longest, row)
    return longest


@given(st.lists(COUNTING, max_size=20), st.integers(3, 10))
def test_a_success_ends_a_down_vote_at_once_and_rise_are_needed_for_up(
    before: list[Outcome], failures: int
) -> None:
    outcomes = [*before, *([Outcome.TIMEOUT] * failures)]
    down = told(outcomes)
    assert down is not None
    assert down.vote(float(len(outcomes)), FAST) is Vote.DOWN
    for successes in range(1, FAST.rise + 1):
        outcomes.append(Outcome.OK)
        series = told(outcomes)
        assert series is not None
        expected = Vote.UP if successes >= FAST.rise else Vote.UNKNOWN
        assert series.vote(float(len(outcomes)), FAST) is expected


@given(st.lists(FAILURE, min_size=1, max_size=10), st.floats(LIMIT + 0.001, 10_000))
def test_a_gap_longer_than_evidence_lasts_starts_the_series_anew(outcomes: list[Outcome], gap: float) -> None:
    series = told(outcomes)
    assert series is not None
    after = extend(series, observation(1000, Outcome.TIMEOUT), float(len(outcomes)) + gap, FAST)
    assert after.failures == 1
    assert after.vote(after.measured_mono, FAST) is Vote.UNKNOWN


def test_local_faults_bridge_a_series_for_a_while_and_not_for_an_hour() -> None:
    series = told([Outcome.TIMEOUT] * 2)
    for second in range(3, 3600):
        series = extend(series, observation(second, Outcome.LOCAL), float(second), FAST)
    late = extend(series, observation(3600, Outcome.TIMEOUT), 3600.0, FAST)
    assert late.failures == 1


def test_an_excused_failure_counts_as_local_and_an_excused_success_as_one() -> None:
    series = told([Outcome.TIMEOUT] * 2)
    excused = extend(series, observation(3, Outcome.TIMEOUT), 3.0, FAST, excused=True)
    assert (excused.failures, excused.measured_mono) == (2, 2.0)
    assert extend(excused, observation(4, Outcome.OK), 4.0, FAST, excused=True).failures == 0


def test_a_vantage_that_finds_itself_at_fault_takes_back_its_failures() -> None:
    down = told([Outcome.TIMEOUT] * 5)
    assert down is not None
    assert down.vote(5.0, FAST) is Vote.DOWN
    assert forgive(down).vote(5.0, FAST) is Vote.UNKNOWN


def test_every_unknown_vote_says_why() -> None:
    outside = Seat(vantage=VantageName("control"), outside=True)
    inside = replace(outside, outside=False)
    suspect = replace(outside, abstains="abstains (SELF_SUSPECT): no reference answers")
    signal = Signal.DATA_PLANE
    up = told([Outcome.OK] * 6)
    cases = {
        "no observation yet": vote_of(outside, None, signal, 6.0, FAST),
        "nothing but local faults yet": vote_of(outside, told([Outcome.LOCAL]), signal, 6.0, FAST),
        "its latest observation is too old": vote_of(outside, up, signal, 60.0, FAST),
        "2 of 3 failures": vote_of(outside, told([Outcome.RESET] * 2), signal, 2.0, FAST),
        "2 of 6 successes": vote_of(outside, told([Outcome.OK] * 2), signal, 2.0, FAST),
        "sits in the same region: what it sees of the data plane counts for nothing": vote_of(
            inside, up, signal, 6.0, FAST
        ),
        "abstains (SELF_SUSPECT): no reference answers": vote_of(suspect, up, signal, 6.0, FAST),
    }
    for reason, view in cases.items():
        assert (view.vote, view.reason) == (Vote.UNKNOWN, reason)
    assert vote_of(inside, up, Signal.CONTROL_PLANE, 6.0, FAST).vote is Vote.UP, "C may be seen from inside"

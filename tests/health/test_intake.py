"""Replays, duplicates, disorder, old boots and liars about time change nothing."""

import math
import random
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from failover.model.ids import VantageName
from failover.model.observation import Outcome, Received
from failover.model.verdict import VerdictKind, Vote
from tests.health.stories import LOCAL, NORTH, OUTSIDE_NORTH, REFUSED, C, D, Story

ANYTHING = st.sampled_from(Outcome)


def votes(story: Story) -> list[tuple[str, Vote, int, int]]:
    return [
        (view.vantage, view.vote, view.failures, view.successes)
        for verdict in story.judgement.verdicts
        for view in (*verdict.data.votes, *verdict.control.votes)
    ]


@settings(max_examples=40, deadline=None)
@given(st.lists(ANYTHING, min_size=1, max_size=12), st.integers(0, 2**32))
def test_everything_told_again_changes_nothing(outcomes: list[Outcome], seed: int) -> None:
    story = Story().warm()
    for outcome in outcomes:
        story.fail(NORTH, outcome=outcome)
        story.second()
    before = (votes(story), [verdict.kind for verdict in story.judgement.verdicts], story.state.clocks)
    replayed = list(story.sent)
    random.Random(seed).shuffle(replayed)
    story.judge(*(replace(item, received_mono=story.mono) for item in replayed))
    assert (
        votes(story),
        [verdict.kind for verdict in story.judgement.verdicts],
        story.state.clocks,
    ) == before


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32))
def test_within_one_batch_the_order_of_arrival_does_not_matter(seed: int) -> None:
    orderly, shuffled = Story(), Story()
    chance = random.Random(seed)
    for second in range(12):
        for story in (orderly, shuffled):
            story.mono += 1
        batch = [
            orderly.look(vantage, NORTH, signal, REFUSED if second > 7 else Outcome.OK)
            for vantage in OUTSIDE_NORTH
            for signal in (D, C)
        ]
        orderly.judge(*batch)
        chance.shuffle(batch)
        shuffled.judge(*batch, *batch)
        assert orderly.state == shuffled.state


def test_an_older_boot_is_not_listened_to_again() -> None:
    story = Story().warm()
    late = [story.look(vantage, NORTH, D, REFUSED) for vantage in OUTSIDE_NORTH for _ in range(5)]
    for vantage in OUTSIDE_NORTH:
        story.boots[vantage] = "boot-2"
    story.run(2)
    assert story.north.kind is VerdictKind.HEALTHY, "a restart of a vantage forgets no success"
    before = votes(story)
    story.judge(*late)
    assert votes(story) == before


def test_what_an_unheard_older_boot_says_late_is_not_taken_for_a_newer_one() -> None:
    story = Story().warm()
    story.boots["control"] = "boot-0"
    ghost = story.look("control", NORTH, D, REFUSED)
    story.boots["control"] = "boot-1"
    story.second()
    before = votes(story)
    story.judge(ghost)
    story.second()
    assert [vote[:2] for vote in votes(story)] == [vote[:2] for vote in before]


def test_an_observation_from_the_future_is_not_fresher_than_now() -> None:
    story = Story().warm()
    future = [
        replace(story.look(v, NORTH, D, Outcome.OK), measured_mono=story.mono + 1e6) for v in OUTSIDE_NORTH
    ]
    story.judge(*future)
    story.silent.update(OUTSIDE_NORTH)
    story.run(10)
    assert story.north.kind is VerdictKind.UNKNOWN


def test_a_time_that_is_no_number_is_left_out() -> None:
    story = Story().warm()
    before = votes(story)
    bad: list[Received] = [
        replace(story.look("control", NORTH, D, REFUSED), measured_mono=value)
        for value in (math.nan, math.inf, -math.inf)
    ]
    story.judge(*bad)
    assert votes(story) == before


def test_a_vantage_that_is_not_configured_has_no_vote() -> None:
    story = Story().warm()
    story.fail(NORTH)
    story.silent.update(OUTSIDE_NORTH)
    for _ in range(10):
        story.second()
        story.judge(*(story.look(f"stranger-{n}", NORTH, D, REFUSED) for n in range(9)))
    assert story.north.kind is VerdictKind.UNKNOWN
    assert len(story.north.data.votes) == 5


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.lists(st.sampled_from([None, LOCAL]), min_size=4, max_size=4),
        min_size=1,
        max_size=40,
    )
)
def test_silence_and_local_faults_never_convict(seconds: list[list[Outcome | None]]) -> None:
    """I1 and I5 in one: whatever mixture of nothing and our own faults, nothing is down, split or confirmed."""
    story = Story().warm()
    for second in seconds:
        for vantage, outcome in zip(OUTSIDE_NORTH, second, strict=True):
            story.seen_by[vantage, NORTH, D] = outcome
            story.seen_by[vantage, NORTH, C] = outcome
        story.second()
        assert story.north.kind in (
            VerdictKind.HEALTHY,
            VerdictKind.CONTROL_PLANE_UNKNOWN,
            VerdictKind.UNKNOWN,
        )
        assert not story.north.confirmed


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(OUTSIDE_NORTH),
            st.sampled_from([None, LOCAL, REFUSED, Outcome.OK]),
            min_size=4,
        ),
        min_size=4,
        max_size=40,
    )
)
def test_a_down_verdict_has_its_quorum_and_no_fresh_success_and_confirm_is_unbroken(
    seconds: list[dict[VantageName, Outcome | None]],
) -> None:
    """I2 and I3 over arbitrary histories, against a plain recount of what was told."""
    story = Story().warm()
    timing = story.policy.fleet.timing
    last: dict[VantageName, tuple[float, Outcome]] = {}
    successes = [story.mono]
    for second in seconds:
        for vantage, outcome in second.items():
            story.seen_by[vantage, NORTH, D] = outcome
        story.second()
        for vantage, outcome in second.items():
            if outcome is None or outcome is LOCAL:
                continue
            last[vantage] = (story.mono, outcome)
            if outcome.is_success:
                successes.append(story.mono)
        verdict = story.north
        if verdict.kind.no_longer_serves:
            fresh = {
                vantage: outcome
                for vantage, (at, outcome) in last.items()
                if story.mono - at <= timing.evidence_max_age_s
            }
            assert sum(outcome.counts_as_failure for outcome in fresh.values()) >= story.policy.fleet.quorum
            assert all(
                story.mono - item.measured_mono <= timing.evidence_max_age_s for item in verdict.evidence
            )
        if verdict.confirmed:
            assert verdict.kind.no_longer_serves
            assert max(successes) <= story.mono - verdict.confirm_needed_s

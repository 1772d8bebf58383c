"""A quorum of configured vantages, one fresh outside dissenter, and what no data means."""

import pytest

from failover.model.observation import Outcome
from failover.model.policy import Policy
from failover.model.verdict import SignalState, VerdictKind, Vote
from tests.health.stories import (
    CLUSTERS,
    INSIDE_NORTH,
    NORTH,
    OUTSIDE_NORTH,
    REFUSED,
    C,
    D,
    Story,
)

FAILURES = tuple(outcome for outcome in Outcome if outcome.counts_as_failure)


def test_the_quorum_is_a_strict_majority_of_the_configured() -> None:
    made: Policy = Story().policy
    assert len(made.fleet.vantages) == 5
    assert made.fleet.quorum == 3


@pytest.mark.parametrize("outcome", FAILURES, ids=lambda outcome: outcome.value)
def test_every_class_of_failure_convicts_after_fall(outcome: Outcome) -> None:
    story = Story().warm()
    story.fail(NORTH, outcome=outcome)
    story.run(story.policy.fleet.timing.fall - 1)
    assert not story.north.kind.no_longer_serves
    story.second()
    assert story.north.kind is VerdictKind.DOWN
    assert len(story.north.evidence) >= story.policy.fleet.quorum


@pytest.mark.parametrize("dissenter", OUTSIDE_NORTH)
def test_one_fresh_outside_dissenter_always_stops_down(dissenter: str) -> None:
    story = Story().warm()
    story.fail(NORTH)
    story.seen_by[dissenter, NORTH, D] = Outcome.OK
    for _ in range(60):
        story.second()
        assert not story.north.kind.no_longer_serves
        assert not story.north.confirmed
    assert story.north.kind is VerdictKind.PATH_PROBLEM
    codes = {(alert.code, alert.page) for alert in story.judgement.alerts}
    assert {("path-problem", True), ("lone-dissenter", True)} <= codes


def test_a_dissenter_that_falls_silent_stops_nothing_once_its_vote_is_stale() -> None:
    story = Story().warm()
    story.fail(NORTH)
    story.silent.add("control")
    limit = int(story.policy.fleet.timing.evidence_max_age_s)
    for _ in range(limit):
        story.second()
        assert story.north.kind is not VerdictKind.DOWN, "its last success is still fresh"
    story.run(2)
    assert story.north.kind is VerdictKind.DOWN


def test_what_a_vantage_sees_of_its_own_region_counts_for_nothing_in_d() -> None:
    story = Story().warm()
    story.fail(NORTH)
    story.seen_by[INSIDE_NORTH, NORTH, D] = Outcome.OK
    story.seen_by[INSIDE_NORTH, NORTH, C] = Outcome.OK
    story.run(4)
    own = next(view for view in story.north.data.votes if view.vantage == INSIDE_NORTH)
    assert (own.vote, own.outcome) == (Vote.UNKNOWN, Outcome.OK)
    assert "same region" in own.reason
    assert story.north.data.state is SignalState.DOWN


def test_an_inside_vantage_does_not_help_to_convict_either() -> None:
    story = Story().warm()
    story.fail(NORTH)
    for silent in OUTSIDE_NORTH[:2]:
        story.silent.add(silent)
    story.run(30)
    assert story.north.data.state is SignalState.UNKNOWN, (
        "two outside votes and one inside are no quorum of five"
    )
    assert story.north.kind is VerdictKind.UNKNOWN


@pytest.mark.parametrize("answering", range(5))
def test_votes_are_counted_against_the_configured_not_the_answering(answering: int) -> None:
    story = Story().warm()
    story.silent.update(OUTSIDE_NORTH[answering:])
    story.fail(NORTH)
    story.run(20)
    assert story.north.data.quorum == 3
    assert story.north.data.configured == 5
    assert story.north.kind.no_longer_serves == (answering >= 3)


def test_no_data_is_not_down() -> None:
    story = Story().warm()
    story.silent.update(vantage.name for vantage in story.policy.fleet.vantages)
    story.run(120)
    assert {verdict.kind for verdict in story.judgement.verdicts} == {VerdictKind.UNKNOWN}
    assert not any(verdict.confirmed for verdict in story.judgement.verdicts)
    assert "no data is not down" in story.north.sentence
    assert len(story.judgement.silent_vantages) == 5


def test_api_server_health_alone_never_takes_a_region_down() -> None:
    story = Story().warm()
    for cluster in CLUSTERS:
        story.fail(cluster, C)
    story.run(120)
    assert {verdict.kind for verdict in story.judgement.verdicts} == {VerdictKind.CONTROL_PLANE_DOWN}
    assert story.judgement.freeze is None


def test_votes_both_ways_without_a_quorum_up_are_split() -> None:
    story = Story().warm()
    for vantage in OUTSIDE_NORTH[:2]:
        story.seen_by[vantage, NORTH, D] = REFUSED
    story.run(5)
    assert story.north.data.state is SignalState.SPLIT
    assert story.north.kind is VerdictKind.PATH_PROBLEM


def test_a_quorum_up_outvotes_a_lone_failing_path() -> None:
    story = Story().warm()
    story.seen_by[OUTSIDE_NORTH[0], NORTH, D] = REFUSED
    story.run(30)
    assert story.north.kind is VerdictKind.HEALTHY


def test_what_a_cordoned_vantage_sees_counts_for_nothing_and_it_stays_configured() -> None:
    story = Story().warm()
    story.fail(NORTH)
    story.seen_by["control", NORTH, D] = Outcome.OK
    story.run(10)
    assert story.north.kind is VerdictKind.PATH_PROBLEM
    story.cordoned = frozenset({OUTSIDE_NORTH[0]})
    story.second()
    assert story.north.kind is VerdictKind.DOWN
    assert story.north.data.configured == 5
    assert not story.north.confirmed, "the confirm clock begins when the cordon falls, never in the past"


def test_an_observation_of_another_definition_does_not_count() -> None:
    story = Story().warm()
    story.definitions = dict.fromkeys(story.definitions, "changed")
    story.fail(NORTH)
    story.run(20)
    assert story.north.kind is VerdictKind.UNKNOWN
    assert story.judgement.warm_up is not None

"""What holds all automation back: warm-up (I7), the correlated freeze (I6), vantages that suspect themselves (I5)."""

from dataclasses import replace
from datetime import timedelta

import pytest

from failover.health import lift_freeze, restart_warm_up, suspect_regions
from failover.model.ids import RegionName
from failover.model.observation import Outcome
from failover.model.verdict import VerdictKind, Vote
from tests.health.stories import NORTH, OUTSIDE_NORTH, SOUTH, VANTAGES, WEST, C, D, Story
from tests.support.policies import FAST, policy

LIMIT = int(FAST.evidence_max_age_s)


def test_after_a_start_nothing_automatic_happens_before_rise_intervals() -> None:
    story = Story()
    for second in range(1, FAST.rise):
        story.second()
        warm_up = story.judgement.warm_up
        assert warm_up is not None, second
        assert warm_up.cause == "start"
    story.second()
    assert story.judgement.warm_up is None


def test_the_warm_up_waits_for_a_quorum_of_vantages() -> None:
    story = Story()
    story.silent.update(VANTAGES[:3])
    story.run(60)
    assert story.judgement.warm_up is not None
    assert (story.judgement.warm_up.vantages_ready, story.judgement.warm_up.quorum) == (2, 3)
    story.silent.remove(VANTAGES[0])
    story.run(FAST.rise)
    assert story.judgement.warm_up is None


def test_vantages_that_see_nothing_but_local_faults_do_not_warm_up() -> None:
    story = Story()
    for cluster in (NORTH, SOUTH, WEST):
        story.fail(cluster, outcome=Outcome.LOCAL)
    story.run(60)
    assert story.judgement.warm_up is not None


@pytest.mark.parametrize("cause", ["leadership", "clock-jump", "un-freeze"])
def test_every_cause_starts_the_warm_up_and_the_confirm_clock_anew(cause: str) -> None:
    story = Story().warm()
    story.fail(NORTH)
    story.run(5)
    assert story.north.confirmed
    story.state = restart_warm_up(story.state, story.now, cause)
    story.second()
    assert story.judgement.warm_up is not None
    assert story.judgement.warm_up.cause == cause
    assert not story.north.confirmed
    story.run(FAST.rise)
    assert story.judgement.warm_up is None
    assert story.north.confirmed


@pytest.mark.parametrize("jump", [timedelta(hours=-3), timedelta(seconds=-15), timedelta(days=400)], ids=str)
def test_a_wall_clock_that_jumps_begins_a_warm_up(jump: timedelta) -> None:
    story = Story().warm()
    story.jumped = jump
    story.second()
    assert story.judgement.warm_up is not None
    assert story.judgement.warm_up.cause == "clock-jump"
    assert story.north.kind is VerdictKind.HEALTHY, "probing runs on monotonic time, so nothing went stale"


def test_a_controller_that_slept_warms_up_instead_of_taking_its_own_silence_for_theirs() -> None:
    story = Story().warm()
    story.mono += 600
    story.judge()
    assert story.judgement.warm_up is not None
    assert story.judgement.freeze is None
    assert {verdict.kind for verdict in story.judgement.verdicts} == {VerdictKind.UNKNOWN}


# -- the correlated freeze ---------------------------------------------------------------------------------------------


def test_more_regions_than_the_limit_at_once_freeze_everything() -> None:
    story = Story().warm()
    story.fail(NORTH)
    story.run(5)
    assert story.judgement.freeze is None
    story.fail(SOUTH)
    story.run(FAST.fall)
    freeze = story.judgement.freeze
    assert freeze is not None
    assert freeze.regions == ("north", "south")
    assert "at most 1 may" in freeze.sentence
    assert any(alert.code == "frozen" and alert.page for alert in story.judgement.alerts)


def test_going_dark_counts_and_a_single_up_vote_counts_against_it() -> None:
    story = Story().warm()
    for cluster in (SOUTH, WEST):
        for vantage in VANTAGES:
            story.seen_by[vantage, cluster, D] = None
    story.seen_by["control", WEST, D] = Outcome.OK
    story.run(LIMIT + 2)
    assert story.of(SOUTH).kind is VerdictKind.UNKNOWN
    assert story.of(WEST).kind is VerdictKind.UNKNOWN
    assert story.judgement.freeze is None, "one region only: somebody still sees the other up"
    story.seen_by["control", WEST, D] = None
    story.run(LIMIT + 1)
    assert story.judgement.freeze is not None


def test_a_dead_control_plane_never_counts_towards_the_freeze() -> None:
    story = Story().warm()
    for cluster in (NORTH, SOUTH, WEST):
        story.fail(cluster, C)
    story.run(60)
    assert story.judgement.freeze is None


def test_two_clusters_of_one_region_count_once() -> None:
    story = Story(policy(clusters_per_region=2)).warm()
    story.fail("north-1")
    story.fail("north-2")
    story.run(30)
    assert story.of("north-2").kind is VerdictKind.DOWN
    assert story.judgement.freeze is None


def test_nothing_freezes_during_warm_up() -> None:
    story = Story()
    for cluster in (NORTH, SOUTH, WEST):
        story.fail(cluster)
    for _ in range(FAST.rise - 1):
        story.second()
        assert story.judgement.warm_up is not None
        assert story.judgement.freeze is None
    story.run(2)
    assert story.judgement.freeze is not None


def test_a_freeze_ends_one_evidence_limit_below_the_limit_and_a_warm_up_follows() -> None:
    story = Story().warm()
    story.fail(NORTH)
    story.fail(SOUTH)
    story.run(5)
    assert story.judgement.freeze is not None
    story.heal(SOUTH)
    story.run(FAST.rise)
    assert story.of(SOUTH).kind is VerdictKind.HEALTHY
    for _ in range(LIMIT - 1):
        story.second()
        assert story.judgement.freeze is not None
    story.second()
    assert story.judgement.freeze is None
    assert story.judgement.warm_up is not None
    assert story.judgement.warm_up.cause == "un-freeze"


def test_a_relapse_starts_the_way_out_of_a_freeze_anew() -> None:
    story = Story().warm()
    story.fail(NORTH)
    story.fail(SOUTH)
    story.run(5)
    assert story.judgement.freeze is not None
    since = story.judgement.freeze.since
    for _ in range(4):
        story.heal(SOUTH)
        story.run(FAST.rise)
        story.fail(SOUTH)
        story.run(FAST.fall)
        assert story.judgement.freeze is not None
        assert story.judgement.freeze.since == since


def test_a_person_lifts_a_freeze_and_it_comes_back_only_after_the_warm_up() -> None:
    story = Story().warm()
    story.fail(NORTH)
    story.fail(SOUTH)
    story.run(5)
    story.state = lift_freeze(story.state, story.now)
    story.second()
    assert story.judgement.freeze is None
    assert story.judgement.warm_up is not None
    story.run(FAST.rise + 1)
    assert story.judgement.freeze is not None, "it is still true that two regions look wrong"


def test_a_region_without_a_sign_of_life_since_the_victim_failed_is_suspect() -> None:
    story = Story().warm()
    story.fail(NORTH)
    for vantage in VANTAGES:
        story.seen_by[vantage, SOUTH, D] = None
    story.run(2)
    assert story.judgement.freeze is None
    found = suspect_regions(
        story.judgement, story.policy.fleet, [RegionName("north")], story.north.first_failure_mono
    )
    assert found == ("south",)
    story.seen_by["control", SOUTH, D] = Outcome.OK
    story.second()
    found = suspect_regions(
        story.judgement, story.policy.fleet, [RegionName("north")], story.north.first_failure_mono
    )
    assert found == ()


# -- vantages ----------------------------------------------------------------------------------------------------------


def test_a_suspect_vantage_abstains_and_its_failures_are_forgiven() -> None:
    story = Story().warm()
    for vantage in OUTSIDE_NORTH[:3]:
        story.seen_by[vantage, NORTH, D] = Outcome.TIMEOUT
        story.seen_by[vantage, NORTH, C] = Outcome.TIMEOUT
    story.run(4)
    assert story.north.kind is VerdictKind.PATH_PROBLEM
    story.suspects["control"] = "1 of 3 references answers"
    story.second()
    view = next(item for item in story.north.data.votes if item.vantage == "control")
    assert (view.vote, view.failures) == (Vote.UNKNOWN, 0)
    assert "SELF_SUSPECT: 1 of 3 references answers" in view.reason.replace("(", "").replace(")", "")
    assert story.judgement.suspect_vantages == ("control",)
    assert any(alert.code == "self-suspect" for alert in story.judgement.alerts)
    del story.suspects["control"]
    story.seen_by.clear()
    story.second()
    assert story.judgement.suspect_vantages == ()


def test_failures_of_a_vantage_that_suspects_itself_convict_nobody_afterwards() -> None:
    story = Story().warm()
    story.fail(NORTH)
    for vantage in OUTSIDE_NORTH[:2]:
        story.suspects[vantage] = "no reference answers"
    story.run(30)
    assert story.north.kind is VerdictKind.UNKNOWN
    story.suspects.clear()
    story.run(FAST.fall - 1)
    assert story.north.kind is VerdictKind.UNKNOWN, "`fall` failures of trusted vantages are needed anew"
    story.second()
    assert story.north.kind is VerdictKind.DOWN


def test_a_success_of_a_suspect_vantage_still_stops_the_confirm_clock() -> None:
    story = Story().warm()
    story.fail(NORTH)
    story.suspects["control"] = "no reference answers"
    story.seen_by["control", NORTH, D] = Outcome.OK
    story.run(60)
    assert not story.north.confirmed


def test_a_changed_probe_begins_a_warm_up_and_the_same_policy_again_does_not() -> None:
    story = Story().warm()
    story.policy = replace(story.policy)
    story.definitions = dict(story.definitions)
    story.second()
    assert story.judgement.warm_up is None
    story.definitions = {**story.definitions, (NORTH, "", "D"): "another"}
    story.second()
    assert story.judgement.warm_up is not None
    assert story.judgement.warm_up.cause == "policy"

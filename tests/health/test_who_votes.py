"""Who votes on what, what a quorum is, and that one dissenter is enough."""

from dataclasses import replace

import pytest

from failover.health.quorum import state_of
from failover.model.ids import VantageName
from failover.model.observation import Outcome
from failover.model.verdict import SignalState, VerdictKind, Vote

from .world import FIVE, C, D, World, definitions_of, fleet_policy

V = VerdictKind


def test_a_quorum_is_a_strict_majority_of_the_configured_vantages() -> None:
    for vantages, quorum in ((1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (7, 4)):
        names = tuple(f"v{index}" for index in range(vantages))
        assert fleet_policy(vantages=names).fleet.quorum == quorum


@pytest.mark.parametrize(
    ("downs", "ups", "outside_ups", "state"),
    [
        (3, 0, 0, SignalState.DOWN),
        (4, 0, 0, SignalState.DOWN),
        (3, 1, 1, SignalState.SPLIT),
        (3, 1, 0, SignalState.DOWN),
        (2, 0, 0, SignalState.UNKNOWN),
        (2, 2, 2, SignalState.SPLIT),
        (2, 3, 3, SignalState.UP),
        (0, 3, 2, SignalState.UP),
        (0, 2, 2, SignalState.UNKNOWN),
        (1, 1, 1, SignalState.SPLIT),
        (0, 0, 0, SignalState.UNKNOWN),
    ],
)
def test_votes_make_a_state(downs: int, ups: int, outside_ups: int, state: SignalState) -> None:
    assert state_of(downs, ups, outside_ups, quorum=3) is state


def test_a_healthy_fleet_is_healthy() -> None:
    world = World().warm()
    assert {verdict.kind for verdict in world.judgement.verdicts} == {V.HEALTHY}
    assert world.judgement.alerts == ()
    assert "4 of 5 vantages see the data plane of north-1 up" in world.verdict("north-1").sentence


def test_a_vantage_that_says_up_about_its_own_region_counts_for_nothing() -> None:
    world = World().warm()
    world.see(Outcome.REFUSED, cluster="north-1", vantages=("south", "east", "far-1", "far-2"))
    world.run(10)
    assert world.kind("north-1") is V.DOWN
    own = next(vote for vote in world.verdict("north-1").data.votes if vote.vantage == "north")
    assert own.vote is Vote.UNKNOWN
    assert "same region" in own.reason


def test_a_vantage_that_says_down_about_its_own_region_counts_for_nothing_either() -> None:
    """Three of five say so, but one of them from inside: that is two votes."""
    world = World().warm()
    world.see(Outcome.REFUSED, cluster="north-1", vantages=("north", "south", "east"), signals=(D,))
    world.see(None, cluster="north-1", vantages=("far-1", "far-2"))
    world.run(10)
    assert world.data("north-1") is SignalState.UNKNOWN


def test_every_vantage_votes_on_the_control_plane() -> None:
    world = World().warm()
    world.see(Outcome.SERVER_ERROR, cluster="north-1", signals=(C,), vantages=("north", "south", "east"))
    world.see(None, cluster="north-1", signals=(C,), vantages=("far-1", "far-2"))
    world.run(10)
    assert world.kind("north-1") is V.CONTROL_PLANE_DOWN


def test_one_dissenter_stops_a_verdict() -> None:
    world = World().warm()
    world.see(Outcome.TIMEOUT, cluster="north-1", vantages=("south", "east", "far-1"))
    world.run(60)
    assert world.kind("north-1") is V.PATH_PROBLEM
    assert not world.verdict("north-1").confirmed
    assert "far-2 sees it up" in world.verdict("north-1").sentence


def test_one_dissenter_on_the_control_plane_keeps_it_from_being_down() -> None:
    world = World().warm()
    world.see(Outcome.TIMEOUT, cluster="north-1", signals=(D,))
    world.see(Outcome.TIMEOUT, cluster="north-1", signals=(C,), vantages=("south", "east", "far-1", "north"))
    world.run(60)
    assert world.kind("north-1") is V.DATA_PLANE_DOWN
    assert world.verdict("north-1").control.state is SignalState.SPLIT


def test_an_api_server_that_is_down_is_never_evidence_against_its_region() -> None:
    world = World().warm()
    world.see(Outcome.TIMEOUT, signals=(C,))
    world.run(120)
    assert {verdict.kind for verdict in world.judgement.verdicts} == {V.CONTROL_PLANE_DOWN}
    assert world.judgement.freeze is None
    assert not any(verdict.confirmed for verdict in world.judgement.verdicts)


def test_no_data_is_not_down() -> None:
    """I1: every vantage falls silent; nothing was seen to fail."""
    world = World().warm()
    world.silence(*FIVE)
    world.run(60)
    assert {verdict.kind for verdict in world.judgement.verdicts} == {V.UNKNOWN}
    assert "no data is not down" in world.verdict("north-1").sentence


def test_local_faults_are_not_region_faults() -> None:
    """I5: our token expired everywhere."""
    world = World().warm()
    world.see(Outcome.LOCAL)
    world.run(60)
    assert {verdict.kind for verdict in world.judgement.verdicts} == {V.UNKNOWN}
    votes = world.verdict("north-1").data.votes
    assert {vote.vote for vote in votes} == {Vote.UNKNOWN}
    assert "only local faults lately" in {vote.reason for vote in votes}


def test_a_quorum_is_not_of_those_that_answer() -> None:
    """Two vantages are left and both say down: two of five are not a quorum."""
    world = World().warm()
    world.silence("north", "south", "east")
    world.see(Outcome.REFUSED, cluster="north-1", vantages=("far-1", "far-2"))
    world.run(30)
    assert world.data("north-1") is SignalState.UNKNOWN


def test_a_vantage_that_suspects_itself_abstains_and_still_counts_among_the_configured() -> None:
    world = World().warm()
    world.suspects["far-1"] = "0 of 3 references answer"
    world.see(Outcome.TIMEOUT, vantages=("far-1",))
    world.run(30)
    assert {verdict.kind for verdict in world.judgement.verdicts} == {V.HEALTHY}
    view = world.verdict("north-1").data
    assert (view.quorum, view.configured) == (3, 5)
    own = next(vote for vote in view.votes if vote.vantage == "far-1")
    assert "SELF_SUSPECT" in own.reason
    assert world.judgement.suspect_vantages == ("far-1",)


def test_a_vantage_takes_back_its_failures_when_it_finds_itself_at_fault() -> None:
    """Its uplink broke: it sees three regions fail, then finds that its references fail too, then recovers."""
    world = World().warm()
    world.see(Outcome.TIMEOUT, vantages=("far-1",))
    world.run(6)
    world.suspects["far-1"] = "0 of 3 references answer"
    world.run(3)
    world.see(Outcome.OK, vantages=("far-1",))
    del world.suspects["far-1"]
    world.run(0.5)
    votes = {vote.vantage: vote for vote in world.verdict("north-1").data.votes}
    assert votes["far-1"].vote is not Vote.DOWN
    assert votes["far-1"].failures == 0


def test_a_cordoned_vantage_does_not_vote() -> None:
    world = World().warm()
    world.see(Outcome.REFUSED, cluster="north-1", vantages=("south", "east", "far-1"))
    world.cordoned = frozenset({VantageName("far-2")})
    world.run(10)
    assert world.kind("north-1") is V.DOWN
    assert not world.verdict("north-1").dissent_possible


def test_fresh_heartbeats_make_a_cluster_isolated_instead_of_down() -> None:
    world = World().warm()
    world.kill("north")
    world.beating = {"north-1"}
    world.run(10)
    assert world.kind("north-1") is V.ISOLATED
    assert world.verdict("north-1").confirmed
    assert "heartbeats still come" in world.verdict("north-1").sentence
    world.beating = set()
    world.run(10)
    assert world.kind("north-1") is V.DOWN


def test_an_application_that_fails_at_one_cluster_is_its_own_affair() -> None:
    """One broken application never steers another's DNS, and never evacuates the cluster."""
    world = World(fleet_policy(applications=("shop", "mail"))).warm()
    world.see(Outcome.SERVER_ERROR, cluster="north-1", application="shop", signals=(D,))
    world.run(10)
    assert world.kind("north-1", "shop") is V.DATA_PLANE_DOWN
    assert world.verdict("north-1", "shop").confirmed
    assert world.kind("north-1", "mail") is V.HEALTHY
    assert world.kind("north-1") is V.HEALTHY
    assert world.kind("south-1", "shop") is V.HEALTHY
    assert world.judgement.freeze is None


def test_an_application_is_not_down_even_where_its_cluster_is() -> None:
    world = World(fleet_policy(applications=("shop",))).warm()
    world.kill("north")
    world.run(10)
    assert world.kind("north-1") is V.DOWN
    assert world.kind("north-1", "shop") is V.DATA_PLANE_DOWN


def test_an_application_inherits_the_control_plane_of_its_cluster() -> None:
    world = World(fleet_policy(applications=("shop",))).warm()
    world.see(Outcome.TIMEOUT, cluster="north-1", signals=(C,))
    world.run(10)
    assert world.kind("north-1", "shop") is V.CONTROL_PLANE_DOWN
    assert world.verdict("north-1", "shop").control == world.verdict("north-1").control


def test_an_application_without_a_probe_of_its_own_is_not_judged() -> None:
    policy = fleet_policy(applications=("shop",))
    definitions = {key: item for key, item in definitions_of(policy).items() if not key[1]}
    world = World(policy, definitions=definitions).warm()
    assert len(world.judgement.verdicts) == 3


def test_what_lies_outside_the_policy_counts_for_nothing() -> None:
    """I29: a cluster that was removed from the file is not a failed one, and a stranger has no vote."""
    world = World().warm()
    before = world.judgement
    subject = world.verdict("north-1").subject
    stranger = replace(
        world.observation("far-1", subject, D, Outcome.REFUSED).observation, vantage=VantageName("stranger")
    )
    received = [replace(world.observation("far-1", subject, D, Outcome.OK), observation=stranger)]
    world.tick(received)
    assert {v.kind for v in world.judgement.verdicts} == {v.kind for v in before.verdicts}
    smaller = fleet_policy(regions=("north", "south"))
    world.policy, world.definitions = smaller, definitions_of(smaller)
    world.tick()
    assert [verdict.subject.cluster for verdict in world.judgement.verdicts] == ["north-1", "south-1"]
    assert world.judgement.warm_up is None


def test_a_vantage_whose_references_flap_does_not_dissent_with_what_it_saw_minutes_ago() -> None:
    """Its failures are excused again and again, so they never make a row; its last success is long over."""
    world = World(tick_s=0.1).warm()
    world.kill("north")
    began = world.seconds
    while world.seconds - began < 60:
        world.suspects = {} if world.suspects else {"far-1": "0 of 3 references answer"}
        world.run(0.9)
    assert world.kind("north-1") is V.DOWN
    assert world.verdict("north-1").confirmed

"""Sentences and alerts: who sees what, since when, who is paged, and what to type."""

from failover.health import release_hold_down
from failover.model.ids import ClusterName, Subject
from failover.model.observation import Outcome
from failover.model.verdict import Alert, VerdictKind

from .world import BALANCED, C, D, World, fleet_policy


def alert(world: World, code: str) -> Alert:
    return next(item for item in world.judgement.alerts if item.code == code)


def test_a_dead_region_is_told_in_one_sentence() -> None:
    world = World(fleet_policy(timing=BALANCED)).warm()
    world.kill("north", Outcome.TIMEOUT)
    world.until(lambda _: (world.verdict("north-1").confirming_s or 0) > 11.9)
    sentence = world.verdict("north-1").sentence
    assert sentence.startswith(
        "4 of 5 vantages see the data plane of north-1 down (timeout), and its control plane for "
    )
    assert sentence.endswith("; confirming, 18 s to go")
    world.run(20)
    assert world.verdict("north-1").sentence.endswith("; confirmed")
    assert alert(world, "down").page


def test_every_vote_is_there_with_its_ground() -> None:
    world = World().warm()
    world.kill("north")
    world.run(4)
    votes = {vote.vantage: vote for vote in world.verdict("north-1").data.votes}
    assert set(votes) == {"north", "south", "east", "far-1", "far-2"}
    for name in ("south", "east", "far-1", "far-2"):
        assert votes[name].outcome is Outcome.REFUSED
        assert votes[name].failures >= 3
        assert world.now().mono - (votes[name].measured_mono or 0.0) <= 1.2
    assert all(vote.reason for vote in votes.values() if vote.vote == "unknown")


def test_a_path_problem_is_paged_after_three_intervals_and_keeps_its_time() -> None:
    world = World().warm()
    world.see(Outcome.TIMEOUT, cluster="north-1", vantages=("far-1", "far-2"))
    begin = world.seconds
    world.see(Outcome.TIMEOUT, cluster="north-1", vantages=("south", "far-1", "far-2"))
    world.until(lambda _: world.kind("north-1") is VerdictKind.PATH_PROBLEM)
    split = world.seconds
    world.until(lambda _: "path-problem" in world.alert_codes())
    assert world.seconds - split >= 3 * world.timing.interval_s - 0.01
    assert alert(world, "path-problem").page
    since = alert(world, "path-problem").since
    world.run(30)
    assert alert(world, "path-problem").since == since, "an alert keeps the time at which it was raised"
    assert world.seconds > begin
    world.see(Outcome.OK)
    world.run(15)
    assert world.judgement.alerts == ()


def test_a_lone_dissenter_is_named_with_what_to_type() -> None:
    world = World().warm()
    world.see(Outcome.REFUSED, cluster="north-1", vantages=("south", "east", "far-1"))
    world.run(30)
    told = alert(world, "lone-dissenter")
    assert "vantage far-2 alone has seen north-1 up" in told.sentence
    assert "failover cordon vantage/far-2" in told.sentence
    assert told.page


def test_two_vantages_that_still_see_it_up_are_no_lone_dissenter() -> None:
    world = World().warm()
    world.see(Outcome.REFUSED, cluster="north-1", vantages=("south", "east"))
    world.run(30)
    assert "path-problem" in world.alert_codes()
    assert "lone-dissenter" not in world.alert_codes()


def test_a_control_plane_that_is_down_is_told_and_nobody_is_woken() -> None:
    world = World().warm()
    world.see(Outcome.SERVER_ERROR, cluster="north-1", signals=(C,))
    world.run(10)
    told = alert(world, "control-plane-down")
    assert not told.page
    assert "never evacuated for that, no target, no change there" in told.sentence
    assert "its control plane is down (5 of 5 vantages)" in told.sentence


def test_a_silent_vantage_and_one_that_suspects_itself_are_told() -> None:
    world = World().warm()
    world.silence("far-1")
    world.suspects["far-2"] = "0 of 3 references answer"
    world.run(10)
    assert world.judgement.silent_vantages == ("far-1",)
    assert "vantage far-1 has sent nothing for" in alert(world, "vantage-silent").sentence
    assert alert(world, "self-suspect").sentence.endswith("0 of 3 references answer")
    assert "no-dissent" in world.alert_codes()


def test_status_says_where_nobody_could_dissent() -> None:
    world = World().warm()
    world.silence("far-1")
    world.run(10)
    told = [item for item in world.judgement.alerts if item.code == "no-dissent"]
    assert [item.subject for item in told] == ["north-1", "south-1", "east-1"]
    assert "fewer than 4 of the 4 vantages outside north have a fresh vote on north-1" in told[0].sentence
    assert "`confirm` takes 30 s" in told[0].sentence


def test_a_cluster_that_nobody_sees_is_told_but_not_during_warm_up() -> None:
    world = World()
    world.run(3)
    assert world.judgement.alerts == ()
    world.warm()
    world.see(None, cluster="north-1")
    world.run(10)
    told = alert(world, "unknown")
    assert not told.page
    assert "no data is not down" in told.sentence


def test_a_freeze_pages_and_says_how_it_ends() -> None:
    world = World().warm()
    world.kill("north")
    world.kill("south")
    world.run(10)
    told = alert(world, "frozen")
    assert told.page
    assert (
        "2 regions look wrong at once, at most 1 may: north (north-1 is DOWN); south (south-1 is DOWN)"
        in told.sentence
    )
    assert "failover resume" in told.sentence


def test_a_hold_down_is_told_with_its_end_and_its_release() -> None:
    world = World().warm()
    for _ in range(2):
        world.see(Outcome.REFUSED, cluster="north-1")
        world.until(lambda _: world.kind("north-1") is VerdictKind.DOWN)
        world.see(Outcome.OK, cluster="north-1")
        world.until(lambda _: world.kind("north-1") is VerdictKind.HEALTHY)
    verdict = world.verdict("north-1")
    assert verdict.hold_down_until is not None
    left = (verdict.hold_down_until - world.now().wall).total_seconds()
    assert 290 < left <= 300
    assert "failover ack north-1" in alert(world, "held-down").sentence
    world.state = release_hold_down(world.state, Subject(cluster=ClusterName("north-1")))
    world.run(0.1)
    assert world.verdict("north-1").hold_down_until is None
    assert "held-down" not in world.alert_codes()


def test_an_application_that_fails_is_told_by_its_name() -> None:
    world = World(fleet_policy(applications=("shop",))).warm()
    world.see(Outcome.WRONG_ANSWER, cluster="north-1", application="shop", signals=(D,))
    world.run(10)
    told = alert(world, "data-plane-down")
    assert told.subject == "shop@north-1"
    assert "the data plane of shop@north-1 down (wrong-answer)" in told.sentence

"""I7: nothing automatic until the detectors of a quorum of vantages have seen `rise` intervals since the cause."""

from failover.health import initial_state, restart_warm_up
from failover.model.ids import ClusterName, Subject
from failover.model.observation import Outcome
from failover.model.verdict import VerdictKind

from .world import BALANCED, FAST, FIVE, C, D, World, at, definitions_of, fleet_policy


def test_a_start_warms_up_for_rise_intervals() -> None:
    world = World()
    world.run(0.1)
    warm = world.judgement.warm_up
    assert warm is not None
    assert (warm.cause, warm.quorum) == ("start", 3)
    took = world.until(lambda judgement: judgement.warm_up is None)
    assert FAST.rise * FAST.interval_s * 0.9 <= took <= (FAST.rise + 2) * FAST.interval_s


def test_warm_up_ends_with_verdicts_and_without_a_freeze() -> None:
    """The votes of every cluster are formed by then: an empty sight must not look like a fleet gone dark."""
    for seed in range(20):
        world = World(seed=seed)
        world.until(lambda judgement: judgement.warm_up is None)
        world.run(10)
        assert not any(judgement.freeze for _, judgement in world.log)
        assert {verdict.kind for verdict in world.judgement.verdicts} == {VerdictKind.HEALTHY}


def test_warm_up_waits_for_a_quorum_of_vantages() -> None:
    world = World()
    world.silence("north", "south", "east")
    world.run(120)
    warm = world.judgement.warm_up
    assert warm is not None
    assert warm.vantages_ready == 2


def test_a_vantage_that_sees_only_local_faults_is_not_ready() -> None:
    world = World()
    world.see(Outcome.LOCAL, vantages=("north", "south", "east"))
    world.run(120)
    assert world.judgement.warm_up is not None


def test_one_cluster_with_a_broken_kubeconfig_does_not_hold_up_the_fleet() -> None:
    world = World()
    world.see(Outcome.LOCAL, cluster="north-1", signals=(C,))
    world.until(lambda judgement: judgement.warm_up is None, seconds=10)


def test_a_region_that_is_dead_at_the_start_warms_up_like_any_other() -> None:
    world = World()
    world.kill("north", Outcome.TIMEOUT)
    world.until(lambda judgement: judgement.warm_up is None, seconds=12)
    world.run(5)
    assert world.kind("north-1") is VerdictKind.DOWN


def test_what_was_measured_before_the_cause_does_not_warm() -> None:
    """A vantage delivers its backlog of an hour: that is not what was seen since."""
    world = World(fleet_policy(timing=BALANCED))
    subject = Subject(cluster=ClusterName("north-1"))
    backlog = [
        world.observation(name, subject, D, Outcome.OK, ended=-100.0 + step, arrival=0.1)
        for name in FIVE
        for step in range(90)
    ]
    world.seconds = 0.1
    world.tick(backlog)
    warm = world.judgement.warm_up
    assert warm is not None
    assert warm.vantages_ready == 0


def test_leadership_begins_a_warm_up_and_a_confirm_clock() -> None:
    world = World().warm()
    world.kill("north")
    world.run(10)
    assert world.verdict("north-1").confirmed
    world.state = restart_warm_up(world.state, world.now(), "leadership")
    world.run(0.1)
    warm = world.judgement.warm_up
    assert warm is not None
    assert warm.cause == "leadership"
    assert world.kind("north-1") is VerdictKind.DOWN
    assert not world.verdict("north-1").confirmed
    world.run(10)
    assert world.judgement.warm_up is None
    assert world.verdict("north-1").confirmed


def test_a_wall_clock_that_jumps_begins_a_warm_up() -> None:
    for jump in (-3600.0, 3600.0, 86400.0):
        world = World().warm()
        since = world.verdict("north-1").since
        world.jump_s = jump
        world.run(0.1)
        warm = world.judgement.warm_up
        assert warm is not None
        assert warm.cause == "clock-jump"
        moved = (world.verdict("north-1").since - since).total_seconds()
        assert abs(moved - jump) < 0.01, "`since` is told by the clock that people see now"
        world.until(lambda judgement: judgement.warm_up is None, seconds=10)


def test_a_clock_that_is_only_disciplined_warms_nothing() -> None:
    world = World().warm()
    world.jump_s = 0.4
    world.run(1)
    assert world.judgement.warm_up is None


def test_a_detector_that_slept_warms_up_instead_of_seeing_a_fleet_gone_dark() -> None:
    world = World().warm()
    world.sleep(20)
    world.tick()
    warm = world.judgement.warm_up
    assert warm is not None
    assert warm.cause == "stall"
    world.run(20)
    assert world.judgement.warm_up is None
    assert not any(judgement.freeze for _, judgement in world.log)


def test_new_probe_definitions_warm_up_and_a_new_generation_alone_does_not() -> None:
    world = World().warm()
    policy = fleet_policy(correlated_limit=2)
    world.policy = policy
    world.run(0.1)
    assert world.judgement.warm_up is None
    assert world.kind("north-1") is VerdictKind.HEALTHY
    world.definitions = definitions_of(policy, "e" * 16)
    world.run(0.1)
    warm = world.judgement.warm_up
    assert warm is not None
    assert warm.cause == "policy"
    assert world.kind("north-1") is VerdictKind.UNKNOWN
    world.run(20)
    assert {verdict.kind for verdict in world.judgement.verdicts} == {VerdictKind.HEALTHY}
    assert not any(judgement.freeze for _, judgement in world.log)


def test_an_initial_state_says_why_it_warms() -> None:
    assert initial_state(at(0), cause="leadership").warm_cause == "leadership"

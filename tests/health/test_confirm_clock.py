"""The confirm clock, and that a dead region has its verdict in time."""

import pytest

from failover.model.ids import VantageName
from failover.model.observation import Outcome
from failover.model.verdict import VerdictKind

from .world import BALANCED, FAST, C, D, World, fleet_policy

V = VerdictKind
OUTSIDE = ("south", "east", "far-1", "far-2")


def confirmed(world: World, cluster: str = "north-1") -> bool:
    return world.verdict(cluster).confirmed


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def detection_times(outcome: Outcome, worlds: int) -> list[float]:
    """Seconds from the fault to DOWN, confirmed; phases and the moment of the fault are random."""
    found = []
    for seed in range(worlds):
        world = World(seed=seed, tick_s=0.05).warm()
        world.run(world.random.uniform(0, 1))
        fault = world.seconds
        world.kill("north", outcome)
        world.until(lambda judgement, w=world: w.kind("north-1") is V.DOWN and confirmed(w), seconds=30)  # type: ignore[misc]
        found.append(world.seconds - fault)
    return found


@pytest.mark.parametrize(("outcome", "figure"), [(Outcome.REFUSED, 5.2), (Outcome.TIMEOUT, 6.2)])
def test_a_dead_region_is_down_and_confirmed_in_the_time_that_the_profile_promises(
    outcome: Outcome, figure: float
) -> None:
    """DESIGN's walk through `fast`: five vantages, one dead with its region; p99, before transport and the tick."""
    times = detection_times(outcome, worlds=60)
    tick = 0.05
    assert percentile(times, 0.99) <= figure + tick + 1e-6
    assert min(times) >= figure - 5.2 + 4.0, "fall and confirm follow each other"


def test_a_dead_region_passes_through_a_path_problem_and_nobody_is_paged_for_that() -> None:
    world = World().warm()
    fault = world.seconds
    world.kill("north")
    world.until(lambda _: confirmed(world))
    kinds = world.kinds_since("north-1", fault)
    assert kinds[0] is V.HEALTHY
    assert V.PATH_PROBLEM in kinds
    assert kinds[-1] is V.DOWN
    paged = [alert.code for _, judgement in world.log for alert in judgement.alerts if alert.page]
    assert "path-problem" not in paged


def test_the_clock_begins_when_the_quorum_falls() -> None:
    world = World(fleet_policy(timing=BALANCED)).warm()
    world.kill("north")
    world.until(lambda _: world.kind("north-1") is V.DOWN)
    verdict = world.verdict("north-1")
    assert verdict.confirming_s is not None
    assert verdict.confirming_s <= 0.2
    world.run(15)
    verdict = world.verdict("north-1")
    assert verdict.confirming_s == pytest.approx(15, abs=0.3)
    assert not verdict.confirmed
    assert verdict.sentence.startswith("4 of 5 vantages see the data plane of north-1 down (refused)")
    assert verdict.sentence.endswith("confirming, 15 s to go")
    world.run(15.2)
    assert confirmed(world)
    assert world.verdict("north-1").sentence.endswith("confirmed")


def test_any_outside_success_sets_the_clock_back_to_zero() -> None:
    """One probe of one vantage gets through at the last moment."""
    world = World(fleet_policy(timing=BALANCED)).warm()
    world.kill("north")
    world.until(lambda _: (world.verdict("north-1").confirming_s or 0.0) > 25)
    subject = world.verdict("north-1").subject
    world.tick([world.observation("far-1", subject, D, Outcome.OK)])
    assert world.verdict("north-1").confirming_s is None
    assert "a probe succeeded lately" in world.verdict("north-1").sentence
    success = world.seconds
    world.until(lambda _: confirmed(world))
    assert world.seconds - success >= BALANCED.confirm_s


def test_a_success_counts_even_where_no_tick_saw_it_alone() -> None:
    """A success and the failure after it arrive in one batch: the clock was reset all the same."""
    world = World(fleet_policy(timing=BALANCED)).warm()
    world.kill("north")
    world.until(lambda _: (world.verdict("north-1").confirming_s or 0.0) > 25)
    subject = world.verdict("north-1").subject
    ended = world.seconds
    pair = [world.observation("far-1", subject, D, outcome) for outcome in (Outcome.OK, Outcome.REFUSED)]
    world.tick(pair)
    assert (world.verdict("north-1").confirming_s or 0.0) < 1.0
    world.until(lambda _: confirmed(world))
    assert world.seconds - ended >= BALANCED.confirm_s - 0.1


def test_a_success_from_inside_the_region_resets_nothing() -> None:
    world = World().warm()
    world.see(Outcome.REFUSED, cluster="north-1", vantages=OUTSIDE)
    world.run(8)
    assert confirmed(world)


def test_a_success_of_a_vantage_that_suspects_itself_is_a_success() -> None:
    """It abstains from voting; what answered it did answer."""
    world = World().warm()
    world.suspects["far-2"] = "1 of 3 references answers"
    world.see(Outcome.REFUSED, cluster="north-1", vantages=("south", "east", "far-1"))
    world.run(60)
    assert world.kind("north-1") is V.DOWN
    assert world.verdict("north-1").confirming_s is None


def test_down_waits_for_both_signals() -> None:
    """The control plane falls long after the data plane: steering was confirmed, evacuation is not yet."""
    world = World(fleet_policy(timing=BALANCED)).warm()
    world.see(Outcome.TIMEOUT, cluster="north-1", signals=(D,))
    world.until(lambda _: confirmed(world))
    assert world.kind("north-1") is V.DATA_PLANE_DOWN
    world.see(Outcome.TIMEOUT, cluster="north-1", signals=(C,))
    world.until(lambda _: world.kind("north-1") is V.DOWN)
    assert not confirmed(world)
    fell = world.seconds
    world.until(lambda _: confirmed(world))
    assert world.seconds - fell == pytest.approx(BALANCED.confirm_s, abs=0.3)


def test_a_control_plane_that_flickers_keeps_down_from_confirming_but_not_the_data_plane() -> None:
    """One vantage's readyz gets through now and then: no evacuation, but steering has all that it needs."""
    world = World(fleet_policy(timing=BALANCED)).warm()
    world.kill("north", Outcome.TIMEOUT)
    subject = world.verdict("north-1").subject
    for _ in range(6):
        world.run(20)
        world.tick([world.observation("far-1", subject, C, Outcome.OK)])
    world.run(20)
    verdict = world.verdict("north-1")
    assert verdict.kind is V.DOWN
    assert not verdict.confirmed
    assert verdict.data_confirmed


def test_where_nobody_could_dissent_confirm_takes_thirty_seconds() -> None:
    """Three outside vantages are left, and a quorum is three."""
    world = World().warm()
    world.silence("far-2")
    world.run(5)
    fault = world.seconds
    world.kill("north")
    world.until(lambda _: world.kind("north-1") is V.DOWN)
    verdict = world.verdict("north-1")
    assert not verdict.dissent_possible
    assert verdict.confirm_needed_s == 30.0
    assert "nobody is left who could dissent" in verdict.sentence
    world.until(lambda _: confirmed(world))
    assert world.seconds - fault >= 30.0
    assert verdict.confirm_needed_s > FAST.confirm_s


def test_with_three_vantages_all_outside_one_may_still_dissent() -> None:
    world = World(fleet_policy(vantages=("far-1", "far-2", "far-3"))).warm()
    assert world.verdict("north-1").dissent_possible
    world.kill("north")
    world.run(6)
    assert confirmed(world)


def test_taking_away_a_dissenter_starts_the_clock_now_and_not_in_the_past() -> None:
    """A person cordons the only vantage that sees the cluster up: automation does not act in the same second."""
    world = World().warm()
    world.see(Outcome.REFUSED, cluster="north-1", vantages=("south", "east", "far-1"))
    world.run(120)
    assert world.kind("north-1") is V.PATH_PROBLEM
    world.cordoned = frozenset({VantageName("far-2")})
    world.run(0.1)
    verdict = world.verdict("north-1")
    assert verdict.kind is V.DOWN
    assert not verdict.confirmed
    assert verdict.confirming_s is not None
    assert verdict.confirming_s <= 0.2
    world.run(31)
    assert confirmed(world)


def test_a_dissenter_that_falls_silent_starts_the_clock_when_its_vote_grows_stale() -> None:
    world = World().warm()
    world.see(Outcome.REFUSED, cluster="north-1", vantages=("south", "east", "far-1"))
    world.run(60)
    world.see(None, cluster="north-1", vantages=("far-2",))
    world.until(lambda _: world.kind("north-1") is V.DOWN)
    verdict = world.verdict("north-1")
    assert verdict.confirming_s is not None
    assert verdict.confirming_s <= 0.2
    assert not verdict.dissent_possible


def test_evidence_and_first_failure_are_of_the_present_outage() -> None:
    """One vantage has had a bad path to the region for an hour; then the region dies."""
    world = World().warm()
    world.see(Outcome.TIMEOUT, cluster="north-1", vantages=("far-1",))
    world.run(3600 / 30)
    fault = world.seconds
    world.kill("north")
    world.until(lambda _: confirmed(world))
    verdict = world.verdict("north-1")
    assert verdict.first_failure_mono is not None
    assert verdict.last_success_mono is not None
    assert verdict.first_failure_mono > verdict.last_success_mono
    assert fault - 1.1 <= verdict.first_failure_mono - world.now().mono + world.seconds <= fault + 1.2
    limit = world.now().mono - FAST.evidence_max_age_s
    cited = {item.vantage for item in verdict.evidence if item.measured_mono >= limit and item.signal is D}
    assert cited == set(OUTSIDE)


def test_a_backlog_that_arrives_late_confirms_nothing_at_once() -> None:
    """The controller was cut off for a minute and learns everything in one batch: the clock begins now."""
    world = World(fleet_policy(timing=BALANCED)).warm()
    begin = world.seconds
    subject = world.verdict("north-1").subject
    late = [
        world.observation(name, subject, signal, Outcome.TIMEOUT, ended=begin + 5 * step, arrival=begin + 60)
        for step in range(12)
        for signal in (D, C)
        for name in OUTSIDE
    ]
    world.sleep(60)
    world.tick(late)
    assert world.kind("north-1") is V.DOWN
    assert not confirmed(world)
    assert world.judgement.warm_up is not None

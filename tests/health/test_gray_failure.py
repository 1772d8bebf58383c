"""A data plane that serves, and not well enough: DEGRADED, told to people, and nothing moves for it."""

from dataclasses import replace

import pytest

from failover.model.observation import Outcome
from failover.model.policy import Objective, Timing
from failover.model.verdict import Judgement, VerdictKind

from .world import BALANCED, FAST, World, fleet_policy

V = VerdictKind


def a_sick_world(seed: int) -> World:
    world = World(fleet_policy(timing=BALANCED), seed=seed, tick_s=0.5).warm()
    world.sicken("north-1", 0.3)
    return world


def test_a_share_of_errors_is_noticed_within_a_minute() -> None:
    """By chance one in a hundred takes a moment longer; `make quality` counts them."""
    seconds = sorted(a_sick_world(seed).until(lambda judged: _told(judged)) for seed in range(20))
    assert seconds[-2] <= 60


def _told(judged: Judgement) -> bool:
    return any(alert.code == "degraded" for alert in judged.alerts)


@pytest.mark.parametrize("seed", range(4))
def test_a_share_of_errors_never_convicts(seed: int) -> None:
    world = a_sick_world(seed)
    began = world.seconds
    world.until(lambda judged: world.kind("north-1") is V.DEGRADED)
    assert "% of the probes" in world.verdict("north-1").sentence
    world.run(600)
    assert not any(verdict.confirmed for _, judged in world.log for verdict in judged.verdicts)
    assert V.DOWN not in world.kinds_since("north-1", began)


def test_what_is_well_again_is_healthy_after_the_window() -> None:
    world = World(fleet_policy(timing=BALANCED), tick_s=0.5).warm()
    world.sicken("north-1", 0.3)
    world.until(lambda judged: world.kind("north-1") is V.DEGRADED)
    world.sicken("north-1", 0.0)
    world.run(BALANCED.objective.window_s + 30)
    assert world.kind("north-1") is V.HEALTHY


def test_one_vantages_bad_path_is_not_a_bad_data_plane() -> None:
    world = World(fleet_policy(timing=BALANCED), tick_s=0.5).warm()
    began = world.seconds
    world.sicken("north-1", 0.5, vantages=("far-1", "far-2"))
    world.run(300)
    assert V.DEGRADED not in world.kinds_since("north-1", began)


def test_an_outage_does_not_linger_as_a_gray_failure() -> None:
    world = World(timing_of(FAST)).warm()
    world.kill("north")
    world.run(20)
    back = world.seconds
    world.see(Outcome.OK)
    world.until(lambda judged: world.kind("north-1") is V.HEALTHY)
    assert V.DEGRADED not in world.kinds_since("north-1", back)


def test_an_outage_that_begins_is_no_gray_failure() -> None:
    """Failures with no success between them are none of a share of errors, however many vantages meet them."""
    world = World(timing_of(BALANCED), tick_s=0.5).warm()
    began = world.seconds
    world.kill("north")
    world.until(lambda judged: world.kind("north-1") is V.DOWN)
    assert V.DEGRADED not in world.kinds_since("north-1", began)


def test_an_answer_that_takes_too_long_misses_an_objective_that_names_a_latency() -> None:
    """The worlds' probes take 20 ms."""
    patient = World(timing_of(FAST, Objective(latency_ms=1000.0))).warm()
    patient.run(30)
    assert patient.kind("north-1") is V.HEALTHY
    strict = World(timing_of(FAST, Objective(latency_ms=1.0))).warm()
    strict.run(30)
    assert strict.kind("north-1") is V.DEGRADED


def test_a_few_failures_are_within_the_objective() -> None:
    world = World(fleet_policy(timing=BALANCED), tick_s=0.5).warm()
    began = world.seconds
    world.sicken("north-1", 0.01)
    world.run(1200)
    assert V.DEGRADED not in world.kinds_since("north-1", began)


def timing_of(timing: Timing, objective: Objective | None = None):  # type: ignore[no-untyped-def]
    return fleet_policy(timing=replace(timing, objective=objective or timing.objective))

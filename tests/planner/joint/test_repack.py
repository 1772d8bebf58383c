"""Sites packed anew: the small fleets that lost most by replicas that no chain of moves finds room for."""

from dataclasses import replace

import numpy as np
import pytest

from failover.planner.joint.arrays import Prepared
from failover.planner.joint.problem import Problem
from failover.planner.joint.repack import WORK, WORK_EACH
from failover.planner.joint.solution import Placement
from failover.planner.joint.solve import PLAN, Engine, solve
from failover.planner.joint.state import State, missing_by_tier
from tests.benchmarks.planner.fleet import make_fleet, small_shape
from tests.planner.joint.problems import anywhere, demand, fleet, site

UNPLACED = {82: 62, 415: 38, 887: 82}
"""By seed, the most that may stay without a place; before, it was 66, 49 and 88. HiGHS proves that no plan that keeps the
minimums leaves fewer than 56 and 78 of the first and the last."""


def fleet_of(seed: int) -> Problem:
    return make_fleet(small_shape(seed))


def held(problem: Problem, plan: Placement) -> dict[str, dict[str, int]]:
    return {demand.key: dict(plan.placed(demand.key)) for demand in problem.demands}


@pytest.mark.parametrize("seed", sorted(UNPLACED))
def test_the_worst_known_fleets_are_packed_well(seed: int) -> None:
    plan = solve(fleet_of(seed))
    prepared, state = plan.prepared, plan.state
    assert sum(plan.unplaced.values()) <= UNPLACED[seed]
    assert (state.free >= 0).all()
    assert (state.held <= prepared.maximum).all()
    used = np.zeros_like(state.free)
    np.add.at(used, prepared.site, prepared.request[prepared.demand] * state.held[:, None])
    assert (used + state.free == prepared.free).all()


def test_the_order_of_the_input_is_nothing_to_what_is_packed_where() -> None:
    problem = fleet_of(887)
    turned = replace(problem, sites=problem.sites[::-1], demands=problem.demands[::-1])
    assert held(turned, solve(turned)) == held(problem, solve(problem))


def plain(engine: Engine) -> tuple[Prepared, State]:
    """What is placed before anything is packed anew."""
    state = State.begin(engine.prepared)
    engine._place(state, replace(PLAN, repacks=False))
    return engine.prepared, state


def partly_running(problem: Problem) -> Problem:
    """The same fleet when a third of what a plan places runs already."""
    prepared, state = plain(Engine.of(problem))
    runs = state.held // 3
    used = np.zeros_like(prepared.free)
    np.add.at(used, prepared.site, prepared.request[prepared.demand] * runs[:, None])
    left = prepared.free - used
    sites = [
        replace(site, free=dict(zip(prepared.resources, left[at].tolist(), strict=True)))
        for at, site in enumerate(prepared.sites)
    ]
    demands = [
        replace(
            demand,
            current={
                prepared.sites[prepared.site[row]].name: int(runs[row])
                for row in range(prepared.rows_of(at).start, prepared.rows_of(at).stop)
                if runs[row]
            },
        )
        for at, demand in enumerate(prepared.demands)
    ]
    return Problem(sites=tuple(sites), demands=tuple(demands), headroom=0.0)


def test_what_comes_before_the_number_placed_stays_where_it_is() -> None:
    """What runs stays, so does every minimum, and no tier loses to a later one."""
    engine = Engine.of(partly_running(fleet_of(887)))
    prepared, before = plain(engine)
    after = before.copy()
    assert engine._repack(after).run()
    assert missing_by_tier(after) < missing_by_tier(before)
    assert (after.held >= prepared.current).all()
    assert (after.held >= np.minimum(before.held, prepared.minimum)).all()
    assert (after.free >= 0).all()


def test_nothing_is_searched_where_there_is_no_room() -> None:
    """Thirty places for forty: the program says so, and after it nothing is tried."""
    web = [demand(f"w{index}", 8, anywhere("a1", "b1", "c1")) for index in range(5)]
    engine = Engine.of(fleet([site("a1", 10), site("b1", 10), site("c1", 10)], web))
    state = engine.solve().state
    assert int(state.missing.sum()) == 10
    search = engine._repack(state)
    assert not search.run()
    assert WORK_EACH < WORK - search.work < 2 * WORK_EACH

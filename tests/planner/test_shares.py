"""I12: no step moves more than a share of a workload; a chain of steps does what one step would have done."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failover.model.ids import StepId
from failover.model.inventory import Autoscaler
from failover.model.plan import Plan, PlanRequest, ProveGoneStep, RunKind, ScaleField, ScaleStep
from failover.model.policy import GuardSettings
from failover.model.verdict import VerdictKind
from failover.planner import plan, widen
from failover.planner.shares import movable, running
from tests.planner.fleet import World, application, domain, ref, state, totals, workload
from tests.planner.test_properties import Scene, quick, scenes

SHARES = st.sampled_from([0.01, 0.1, 0.29, 0.34, 0.5, 0.9])


def planned(world: World, request: PlanRequest, share: float) -> Plan:
    policy = replace(world.policy, guards=GuardSettings(share_per_step=share))
    return plan(world.snapshot, policy, request)


def asked(kind: RunKind, *sources: str, **more: Any) -> PlanRequest:
    return PlanRequest(run_kind=kind, domain=domain(sources[0]), sources=sources, **more)  # type: ignore[arg-type]


def scales(made: Plan) -> list[ScaleStep]:
    return [step for step in made.steps if isinstance(step, ScaleStep)]


def obeys(made: Plan, share: float) -> None:
    """Every step moves what one change may move, and every link waits for nothing but the one before."""
    earlier: dict[tuple[object, ...], ScaleStep] = {}
    for step in scales(made):
        limit = movable(running(made.applications, step.workload), share)
        assert 1 <= abs(step.after - step.before) <= limit
        number = (step.cluster, step.workload, step.field)
        if number in earlier:
            assert step.before == earlier[number].after
            assert step.needs == (earlier[number].id,)
        earlier[number] = step
    ids = [step.id for step in made.steps]
    assert len(ids) == len(set(ids))
    done: set[StepId] = set()
    for step in made.steps:  # nothing needs what comes after it
        assert set(step.needs) <= done
        done.add(step.id)


def ends(made: Plan) -> dict[tuple[object, ...], tuple[int, int]]:
    """Where every number begins and ends."""
    found: dict[tuple[object, ...], tuple[int, int]] = {}
    for step in scales(made):
        number = (step.cluster, step.workload, step.field)
        found[number] = (found.get(number, (step.before, 0))[0], step.after)
    return found


@quick
@given(scene=scenes(), share=SHARES)
def test_every_step_of_every_plan_obeys_the_guard(scene: Scene, share: float) -> None:
    made = planned(scene.world, scene.request, share)
    obeys(made, share)
    assert ends(made) == ends(scene.plan())


@quick
@given(scene=scenes(), share=SHARES)
def test_the_way_home_obeys_the_guard_as_well(scene: Scene, share: float) -> None:
    world = scene.world
    world.finished(scene.plan())
    for name in world.inventories:
        world.hold(name, *world.inventories[name].workloads, room=1000)
        world.judge(name, VerdictKind.HEALTHY)
    request = asked(RunKind.FAILBACK, *scene.request.sources, by_person=True)
    obeys(planned(world, request, share), share)


def lost(world: World, share: float, **more: Any) -> Plan:
    world.judge("north", VerdictKind.DOWN)
    return planned(world, asked(RunKind.EVACUATION, "north", **more), share)


def test_a_region_s_replicas_come_a_tenth_at_a_time() -> None:
    made = lost(World(), 0.1)  # 18 replicas run, so one may move at once
    east = [step for step in scales(made) if step.cluster == "east"]
    assert [(step.before, step.after) for step in east] == [(6, 7), (7, 8), (8, 9)]
    assert east[0].needs == ()
    assert "at most 1 at once" in east[0].reason
    wait = next(step for step in made.steps if step.kind == "wait-ready")
    assert east[-1].id in wait.needs
    assert east[-2].id not in wait.needs


def test_a_small_share_moves_small_workloads_one_replica_at_a_time() -> None:
    made = lost(World(), 0.01)
    assert all(abs(step.after - step.before) == 1 for step in scales(made))
    assert ends(made) == ends(lost(World(), 1.0))


def test_an_autoscaler_s_minimum_moves_by_links_and_its_maximum_at_once() -> None:
    world = World()
    for name in ("east", "west"):
        scaler = Autoscaler(name="web", min_replicas=2, max_replicas=7, resource_version="1")
        world.hold(name, state(ref(), 6, autoscaler=scaler))
    made = lost(world, 0.2)
    east = [step for step in scales(made) if step.cluster == "east"]
    assert {step.field for step in east} == {ScaleField.AUTOSCALER_MIN}
    assert [(step.before, step.after) for step in east] == [(2, 5), (5, 8), (8, 9)]
    assert {step.autoscaler_max for step in east} == {9}


def test_a_single_writer_of_several_replicas_stops_link_by_link_before_it_starts() -> None:
    database = ref("database", "StatefulSet")
    world = World(applications=[application(workloads=(workload("database", single=True),), dns=())])
    for name, count in (("east", 0), ("north", 3), ("west", 0)):
        world.hold(name, state(database, count))
    made = planned(world, asked(RunKind.DRAIN, "north", by_person=True), 0.4)
    stop = [step for step in scales(made) if step.cluster == "north"]
    assert [(step.before, step.after) for step in stop] == [(3, 2), (2, 1), (1, 0)]
    proof = next(step for step in made.steps if isinstance(step, ProveGoneStep))
    assert proof.needs == (stop[-1].id,)
    start = [step for step in scales(made) if step.cluster != "north"]
    assert start[0].needs == (proof.id,)
    obeys(made, 0.4)


@pytest.mark.parametrize("done", [0, 1, 2])
def test_a_run_that_widens_half_way_through_a_chain_goes_on_within_the_share(done: int) -> None:
    world = World()
    former = lost(world, 0.15)
    begun = [step for step in scales(former) if step.cluster == "east"][:done]
    world.finished(replace(former, steps=tuple(begun)))
    world.displacements = []
    latest = lost(world, 0.15)
    made = widen(former, frozenset(step.id for step in begun), latest, share=0.15)
    for step in scales(made):
        assert abs(step.after - step.before) <= movable(running(made.applications, step.workload), 0.15)
    known = {step.id for step in made.steps}
    assert all(set(step.needs) <= known for step in made.steps)


def test_what_half_of_a_chain_had_added_is_what_a_failback_takes_away() -> None:
    world = World()
    made = lost(world, 0.1)
    kept = [step for step in made.steps if not isinstance(step, ScaleStep)]
    half = [step for step in scales(made) if step.cluster != "east" or step.after <= 8]
    world.finished(replace(made, steps=(*half, *kept)))
    world.judge("north", VerdictKind.HEALTHY)
    world.hold("north", state(ref(), 0))
    home = world.plan(RunKind.FAILBACK, "north", by_person=True)
    assert totals(home)["east"] == (8, 6)

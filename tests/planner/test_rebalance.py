"""Moving what runs: only on request, within the budget, added before anything is taken away."""

from failover.model.ids import ApplicationName
from failover.model.inventory import Autoscaler
from failover.model.plan import ChangeRecordsStep, Phase, Plan, RunKind, ScaleStep, WaitReadyStep
from failover.model.policy import Strategy, Window
from failover.model.verdict import VerdictKind
from tests.planner.fleet import (
    EAST,
    NORTH,
    WEST,
    World,
    address,
    application,
    placed,
    ref,
    state,
    totals,
    workload,
)


def lopsided() -> World:
    """Everything stands in the east, and weights would have a third everywhere."""
    world = World()
    return world.hold("east", state(ref(), 12)).hold("north", state(ref(), 3)).hold("west", state(ref(), 3))


def rebalance(world: World, **more: object) -> Plan:
    return world.plan(RunKind.REBALANCE, by_person=True, **more)  # type: ignore[arg-type]


def test_what_runs_moves_towards_the_weights() -> None:
    assert totals(rebalance(lopsided())) == {"east": (12, 6), "north": (3, 6), "west": (3, 6)}


def test_no_more_moves_than_the_budget() -> None:
    made = rebalance(lopsided(), moves=2)
    assert sum(after - before for before, after in totals(made).values() if after > before) == 2
    assert sum(before - after for before, after in totals(made).values() if after < before) == 2
    assert made.reasons[0].endswith("at most 2 replicas may move")


def test_what_stands_right_stays() -> None:
    made = rebalance(World())
    assert made.is_empty
    assert totals(made) == {"east": (6, 6), "north": (6, 6), "west": (6, 6)}


def test_what_grows_is_ready_before_anything_shrinks() -> None:
    made = rebalance(lopsided())
    shrink = [step for step in made.steps if isinstance(step, ScaleStep) and step.after < step.before]
    (wait,) = [step for step in made.steps if isinstance(step, WaitReadyStep)]
    assert [step.cluster for step in shrink] == ["east"]
    assert all(step.phase is Phase.RELEASE and wait.id in step.needs for step in shrink)
    assert set(wait.needs) == {
        step.id for step in made.steps if isinstance(step, ScaleStep) and step.after > step.before
    }


def test_a_cluster_that_ends_with_nothing_leaves_its_names_first() -> None:
    night = Window(
        name="night", cron="0 20 * * *", timezone="UTC", duration_s=3600.0, weights=((EAST, 0), (WEST, 1))
    )
    world = World(applications=[application(windows=(night,))])
    world.windows = {"shop": "night"}
    world.hold("east", state(ref(), 6)).hold("north", state(ref(), 6)).hold("west", state(ref(), 6))
    made = rebalance(world, applications=(ApplicationName("shop"),))
    assert totals(made) == {"east": (6, 0), "north": (6, 9), "west": (6, 9)}
    (change,) = [step for step in made.steps if isinstance(step, ChangeRecordsStep)]
    assert address("east") not in change.changes[0].after.values
    release = next(step for step in made.steps if isinstance(step, ScaleStep) and step.cluster == EAST)
    waits = {step.id: step for step in made.steps if step.kind == "wait"}
    assert set(release.needs) <= set(waits), "the old answer is gone before the cluster is emptied"


def test_what_runs_above_a_maximum_moves_where_there_is_room() -> None:
    rules = (*placed("east", high=7), *placed("north", "west"))
    world = lopsided()
    world.applications = [application(workloads=(workload(clusters=rules, strategy=Strategy.PACK),))]
    assert totals(rebalance(world))["east"] == (12, 7)
    full = lopsided()
    full.applications = world.applications
    full.hold("north", state(ref(), 3), room=1).hold("west", state(ref(), 3), room=0)
    assert totals(rebalance(full)) == {"east": (12, 11), "north": (3, 4), "west": (3, 3)}


def test_what_cannot_be_seen_is_not_moved() -> None:
    world = lopsided().judge("north", VerdictKind.UNKNOWN)
    made = rebalance(world)
    assert made.applications[0].left_out is not None
    assert made.applications[0].left_out.code == "not-serving"
    assert made.is_empty


def test_what_an_autoscaler_sizes_stays() -> None:
    scaler = Autoscaler(name="web", min_replicas=2, max_replicas=20, resource_version="1")
    world = lopsided().hold("east", state(ref(), 12, autoscaler=scaler))
    assert rebalance(world).is_empty


def test_the_same_world_gives_the_same_plan() -> None:
    assert rebalance(lopsided()).to_json() == rebalance(lopsided()).to_json()
    assert {NORTH, WEST} == {
        step.cluster
        for step in rebalance(lopsided()).steps
        if isinstance(step, ScaleStep) and step.after > step.before
    }

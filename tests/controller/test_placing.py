"""Why replicas stand where they stand: said by the run that put them there, and by no other."""

from datetime import timedelta

from failover.controller.placing import placement_of
from failover.model.ids import Domain, DomainKind, Epoch, RunId
from failover.model.journal import Run, RunState, StepProgress, StepState
from failover.model.plan import Plan, RunKind
from failover.model.policy import Application, Mode, OnShortage
from tests.planner.fleet import WALL, World, application, ref, state, workload


def run(number: int, plan: Plan, did: StepState = StepState.DONE, ended: RunState = RunState.DONE) -> Run:
    at = WALL + timedelta(hours=number)
    return Run(
        id=RunId(f"run-{number}"),
        state=ended,
        plan=plan,
        actor="ada",
        reason="",
        opened_at=at,
        epoch=Epoch(1),
        steps={step.id: StepProgress(state=did, since=at) for step in plan.steps},
    )


def whys(one: Application, *runs: Run) -> dict[tuple[str, str], tuple[str, str]]:
    """(workload, cluster) to (run, reason)."""
    found = placement_of(one, runs, "")["why"]
    return {(row["workload"]["name"], row["cluster"]): (row["run"], row["reason"]) for row in found}


def crowded() -> World:
    batch = application(
        "batch",
        workloads=(workload("batch"),),
        dns=(),
        tier=9,
        mode=Mode.AUTO,
        on_shortage=OnShortage.PARTIAL,
    )
    world = World(applications=[application(mode=Mode.AUTO, tier=1, on_shortage=OnShortage.SHED), batch])
    for name in ("east", "north", "west"):
        world.hold(name, state(ref(), 6), state(ref("batch"), 6), room=1)
    return world


def test_a_run_that_only_changes_names_explains_no_replica() -> None:
    world = World()
    lost = run(1, world.lose("west"))
    zone = Domain(kind=DomainKind.FLEET, name="example-test")
    names = World().plan(RunKind.ADOPTION, domain=zone, by_person=True)
    found = whys(world.applications[0], lost, run(2, names))
    assert found["web", "east"][0] == "run-1"


def test_a_run_that_ended_before_it_changed_anything_explains_nothing() -> None:
    world = World()
    first = run(1, world.lose("west"))
    second = run(2, World().lose("north"), StepState.PENDING, RunState.ABORTED)
    assert {name for name, _ in whys(world.applications[0], first, second).values()} == {"run-1"}
    assert whys(world.applications[0], second) == {}


def test_what_was_given_up_for_another_is_told_by_the_run_that_took_it() -> None:
    world = crowded()
    batch = world.applications[1]
    earlier = run(1, crowded().lose("west", applications=("batch",)))
    found = whys(batch, earlier, run(2, world.lose("west", applications=("shop",))))
    assert found["batch", "east"] == ("run-2", "gave up 2 for shop")
    assert found["batch", "west"][0] == "run-1"


def test_what_moves_for_balance_was_not_shed() -> None:
    world = World()
    world.hold("east", state(ref(), 12)).hold("north", state(ref(), 3)).hold("west", state(ref(), 3))
    found = whys(world.applications[0], run(1, world.plan(RunKind.REBALANCE, by_person=True)))
    assert found["web", "east"][1] == (
        "gives 6 that its weights, groups or prices would rather have elsewhere"
    )
    assert found["web", "north"][1].startswith("keeps 3, takes 3")

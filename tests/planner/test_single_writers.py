"""A single writer may be alive behind a partition: automation leaves it alone."""

import pytest

from failover.model.plan import Plan, RunKind, ScaleStep
from failover.model.policy import Writers
from failover.model.verdict import VerdictKind
from tests.planner.fleet import (
    EAST,
    WEST,
    World,
    application,
    kinds,
    left_out,
    placed,
    ref,
    state,
    totals,
    workload,
)

DB = ref("db", "StatefulSet")


@pytest.fixture
def world() -> World:
    """`db` runs in west alone; `blog` has no single writer."""
    rules = (*placed("east", weight=2), *placed("north", "west"))
    ledger = application("ledger", workloads=(workload("db", rules, single=True),))
    world = World(applications=[ledger, application("blog", dns=())])
    for name, wanted in (("east", 0), ("north", 0), ("west", 3)):
        world.hold(name, state(DB, wanted), state(ref(), 6))
    return world


def test_automation_leaves_it_out_and_delays_no_other(world: World) -> None:
    made = world.lose("west")
    assert left_out(made, "ledger") == "single-writer"
    assert left_out(made, "blog") == ""
    assert {step.application for step in made.steps} == {"blog"}


def test_a_gate_that_cannot_be_asked_is_no_gate(world: World) -> None:
    gated = workload("db", world.applications[0].workloads[0].placement, single=True, gate="quorum-disk")
    world.applications = [application("ledger", workloads=(gated,))]
    made = world.lose("west")
    assert left_out(made, "ledger") == "single-writer"
    assert "quorum-disk" in str(made.applications[0].left_out)


def test_the_object_may_say_it_where_the_policy_does_not(world: World) -> None:
    many = workload("web")
    assert many.writers is Writers.MANY
    world.hold("west", state(DB, 3), state(ref(), 6, single_writer=True))
    assert left_out(world.lose("west"), "blog") == "single-writer"


def test_a_person_moves_it_by_naming_the_rule_and_is_told_what_may_still_run(world: World) -> None:
    made = world.lose("west", by_person=True, overrides=("single-writer",))
    part = made.applications[0]
    assert part.left_out is None
    assert totals(made, "db") == {"east": (0, 3), "north": (0, 0), "west": (3, 3)}
    assert any("may still run there" in note for note in part.notes)
    assert "prove-gone" not in kinds(made)


def test_it_goes_as_a_whole_or_not_at_all(world: World) -> None:
    world.hold("east", state(DB, 0), state(ref(), 6), room=2)
    made = world.lose("west", by_person=True, overrides=("single-writer",))
    assert totals(made, "db") == {"east": (0, 0), "north": (0, 3), "west": (3, 3)}
    world.hold("north", state(DB, 0), state(ref(), 6), room=2)
    made = world.lose("west", by_person=True, overrides=("single-writer",))
    assert left_out(made, "ledger") == "no-target"


def drain(world: World) -> Plan:
    return world.plan(RunKind.DRAIN, "west", by_person=True, applications=("ledger",))


def test_a_drain_stops_it_proves_it_gone_and_starts_it_elsewhere(world: World) -> None:
    made = drain(world)
    assert kinds(made) == ["scale", "prove-gone", "scale", "wait-ready", "change-records", "wait"]
    stop, gone, start, ready, records, _ = made.steps
    assert isinstance(stop, ScaleStep)
    assert isinstance(start, ScaleStep)
    assert (stop.cluster, stop.after) == (WEST, 0)
    assert (start.cluster, start.after) == (EAST, 3)
    assert gone.needs == (stop.id,)
    assert start.needs == (gone.id,)
    assert ready.needs == (stop.id, gone.id, start.id)
    assert records.needs == (ready.id,)


def test_a_scheduled_drain_is_automation_too(world: World) -> None:
    made = world.plan(RunKind.DRAIN, "west", applications=("ledger",))
    assert left_out(made, "ledger") == "single-writer"


def test_where_the_source_can_be_asked_an_override_still_stops_it_first(world: World) -> None:
    world.judge("west", VerdictKind.DATA_PLANE_DOWN)
    made = world.plan(
        RunKind.STEERING,
        "west",
        by_person=True,
        overrides=("single-writer",),
        applications=("ledger",),
    )
    assert kinds(made)[:3] == ["scale", "prove-gone", "scale"]


def test_no_second_writer_is_started_beside_one_that_runs(world: World) -> None:
    world.hold("north", state(DB, 3), state(ref(), 6))
    made = world.lose("west", by_person=True, overrides=("single-writer",))
    assert any("no second is started" in note for note in made.applications[0].notes)
    assert totals(made, "db")["east"] == (0, 0)


def test_it_stops_only_after_the_rest_of_its_application_is_ready(world: World) -> None:
    db = world.applications[0].workloads[0]
    world.applications = [application("ledger", workloads=(workload(), db))]
    made = drain(world)
    stop = next(step for step in made.steps if isinstance(step, ScaleStep) and step.cluster == WEST)
    ready = next(step for step in made.steps if step.kind == "wait-ready")
    assert stop.workload == DB
    assert stop.needs == (ready.id,)

"""A region is DOWN: what it ran runs elsewhere, and clients follow."""

import pytest

from failover.model.inventory import Demand
from failover.model.plan import ChangeRecordsStep, Phase, RunKind, ScaleStep, WaitReadyStep
from failover.model.policy import OnShortage, TrafficOrder
from failover.model.verdict import VerdictKind
from tests.planner.fleet import (
    EAST,
    NORTH,
    WEST,
    World,
    address,
    application,
    inventory,
    kinds,
    left_out,
    placed,
    records,
    ref,
    state,
    totals,
    verdict,
    workload,
)


def test_the_lost_replicas_are_split_and_clients_follow_once_they_are_ready() -> None:
    made = World().lose("west")
    assert totals(made) == {"east": (6, 9), "north": (6, 9), "west": (6, 6)}
    assert kinds(made) == ["scale", "scale", "wait-ready", "change-records"]
    adds, wait, records = made.steps[:2], made.steps[2], made.steps[3]
    assert wait.needs == tuple(step.id for step in adds)
    assert records.needs == (wait.id,)
    assert isinstance(records, ChangeRecordsStep)
    assert records.changes[0].after.values == (address("east"), address("north"))
    assert not any(isinstance(step, ScaleStep) and step.cluster == WEST for step in made.steps)


def test_a_dead_source_gets_no_step_and_the_plan_says_that_duplicates_may_return() -> None:
    made = World().lose("west")
    assert any("duplicates if it returns" in note for note in made.applications[0].notes)


def test_below_a_floor_of_100_clients_need_not_wait_for_the_additions() -> None:
    world = World(applications=[application(floor=66)])
    made = world.lose("west")
    floor, rest = (step for step in made.steps if isinstance(step, WaitReadyStep))
    assert (floor.share, floor.needs) == (66, ())
    assert sum(row[2] for row in floor.targets) == 18
    assert rest.share == 100
    assert len(rest.needs) == 2
    records = next(step for step in made.steps if isinstance(step, ChangeRecordsStep))
    assert records.needs == (floor.id,)


def test_traffic_first_is_the_policys_choice() -> None:
    made = World(applications=[application(traffic=TrafficOrder.FIRST)]).lose("west")
    assert kinds(made) == ["change-records", "scale", "scale", "wait-ready"]
    assert made.steps[0].needs == ()


def test_weights_and_maximum_are_kept() -> None:
    rules = (*placed("east", weight=3), *placed("north", high=8), *placed("west"))
    world = World(applications=[application(workloads=(workload(clusters=rules),))])
    assert totals(world.lose("west")) == {"east": (6, 12), "north": (6, 6), "west": (6, 6)}
    world.hold("east", state(ref(), 6), room=3)
    made = world.lose("west", overrides=("capacity-floor",))
    assert totals(made) == {"east": (6, 9), "north": (6, 8), "west": (6, 6)}
    assert made.applications[0].unplaced == 1


def test_a_minimum_is_served_before_the_weights() -> None:
    rules = (*placed("east", weight=100), *placed("north", low=8), *placed("west"))
    made = World(applications=[application(workloads=(workload(clusters=rules),))]).lose("west")
    assert totals(made)["north"][1] >= 8


def test_workloads_share_the_room_in_the_policys_order() -> None:
    both = (workload("web"), workload("api"))
    world = World(applications=[application(workloads=both, on_shortage=OnShortage.PARTIAL)])
    for name in ("east", "north", "west"):
        world.hold(name, state(ref("web"), 6), state(ref("api"), 6), room=4)
    made = world.lose("west")
    assert totals(made, "web") == {"east": (6, 9), "north": (6, 9), "west": (6, 6)}
    assert totals(made, "api") == {"east": (6, 7), "north": (6, 7), "west": (6, 6)}
    assert made.applications[0].unplaced == 4


def test_an_application_that_is_left_out_gives_its_room_back() -> None:
    greedy = application("greedy", workloads=(workload("big"),), dns=())
    world = World(applications=[greedy, application()])
    for name in ("east", "north", "west"):
        world.hold(name, state(ref("big"), 90), state(ref(), 6), room=6)
    made = world.lose("west")
    assert left_out(made, "greedy") == "capacity-floor"
    assert left_out(made) == ""
    assert made.applications[1].replaced == 6


def test_hold_moves_nothing_below_the_floor_and_partial_says_that_it_does() -> None:
    world = World()
    for name in ("east", "north"):
        world.hold(name, state(ref(), 6), room=1)
    held = world.lose("west")
    assert left_out(held) == "capacity-floor"
    assert held.is_empty
    assert "14 of 18" in held.applications[0].left_out.sentence  # type: ignore[union-attr]
    world.applications = [application(on_shortage=OnShortage.PARTIAL)]
    partial = world.lose("west")
    assert left_out(partial) == ""
    assert kinds(partial)[-1] == "change-records"
    assert any(
        "below the floor of 100 %: traffic moves anyway" in note for note in partial.applications[0].notes
    )


def test_what_runs_where_no_client_is_sent_and_none_may_be_is_below_no_floor() -> None:
    """Seed 3194: clients were moved away from north, it serves again, and somebody cordoned it."""
    world = World(applications=[application(floor=100)])
    world.demands = [Demand(application=world.applications[0].name, workload=ref(), replicas=12)]
    world.record_sets = [records(address("west"), address("east"))]
    world.hold("west", state(ref(), 4)).hold("east", state(ref(), 4), room=0).hold("north", state(ref(), 8))
    world.away = {(NORTH, world.applications[0].name)}
    world.cordon("north")
    made = world.lose("west")
    assert left_out(made) == "capacity-floor"
    assert made.applications[0].capacity_after == 4
    assert "north is cordoned" in str(made.applications[0].left_out)
    world.cordons.clear()
    made = world.lose("west")
    assert made.applications[0].capacity_after == 12
    assert made.after_records()[0].values == (address("east"), address("north"))
    world.cordon("north").record_sets = [records(*(address(name) for name in (WEST, EAST, NORTH)))]
    assert world.lose("west").applications[0].capacity_after == 12


def test_what_runs_where_no_client_is_sent_is_not_kept_either_and_its_stand_ins_are_placed_again() -> None:
    """north was moved away from and is back: its 6 stand in west now, and all that west ran is lost."""
    world = World(applications=[application(floor=100)])
    world.demands = [Demand(application=world.applications[0].name, workload=ref(), replicas=12)]
    world.record_sets = [records(address("west"), address("east"))]
    world.hold("west", state(ref(), 6)).hold("east", state(ref(), 6)).hold("north", state(ref(), 6))
    world.away = {(NORTH, world.applications[0].name)}
    made = world.cordon("north").lose("west")
    assert left_out(made) == ""
    assert totals(made)["east"] == (6, 12)
    assert made.applications[0].capacity_after == 12


def test_where_nobody_can_make_room_shed_is_no_more_than_partial() -> None:
    world = World(applications=[application(on_shortage=OnShortage.SHED)])
    for name in ("east", "north"):
        world.hold(name, state(ref(), 6), room=1)
    made = world.lose("west")
    part = made.applications[0]
    assert (left_out(made), part.replaced, part.unplaced, part.sheds) == ("", 2, 4, ())


def test_with_nobody_to_take_over_the_source_stays_as_it_is() -> None:
    world = World(applications=[application(on_shortage=OnShortage.PARTIAL)])
    world.hold("east", state(ref(), 0), room=0).hold("north", state(ref(), 0), room=0)
    made = world.lose("west")
    assert left_out(made) == "no-target"
    assert made.is_empty


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda world: world.cordon("east"), "east is cordoned (east by ada: upgrade)"),
        (lambda world: world.cordon("region/east"), "east is cordoned"),
        (lambda world: world.hold("east", state(ref(), 6), age_s=41), "41 s old, more than 30 s"),
        (lambda world: world.inventories.pop("east"), "nothing is known about what east holds"),
        (lambda world: world.judge("east", VerdictKind.CONTROL_PLANE_DOWN), "east is CONTROL_PLANE_DOWN"),
        (lambda world: world.judge("east", VerdictKind.PATH_PROBLEM), "east is PATH_PROBLEM"),
        (lambda world: world.judge("east", VerdictKind.DEGRADED), "east is DEGRADED"),
        (lambda world: world.verdicts.pop("east"), "east is UNKNOWN"),
        (
            lambda world: world.hold("east", state(ref(), 0, exists=False)),
            "cluster east is no target for deployment/shop/web: the object does not exist there; create it with 0",
        ),
    ],
)
def test_a_cluster_that_is_no_target_takes_nothing_and_the_plan_says_why(spoil, says) -> None:  # type: ignore[no-untyped-def]
    world = World(applications=[application(floor=1)])
    spoil(world)
    made = world.lose("west")
    assert any(says in note for note in made.applications[0].notes), made.applications[0].notes
    assert not any(isinstance(step, ScaleStep) and step.cluster == EAST for step in made.steps)
    assert made.applications[0].replaced == 6


def test_an_application_that_is_not_reached_where_it_runs_takes_nothing_there() -> None:
    world = World(applications=[application(floor=1)])
    world.application_verdicts = [verdict("east", VerdictKind.DATA_PLANE_DOWN, "shop")]
    made = world.lose("west")
    assert totals(made)["east"] == (6, 6)
    assert any("clients do not reach shop in east" in note for note in made.applications[0].notes)


def test_a_standby_with_0_replicas_is_a_target_although_nothing_answers_there() -> None:
    world = World().hold("east", state(ref(), 0))
    world.application_verdicts = [verdict("east", VerdictKind.DATA_PLANE_DOWN, "shop")]
    made = world.lose("west")
    assert totals(made)["east"] == (0, 6)
    assert address("east") in made.after_records()[0].values


def test_demand_bounds_what_is_lost_and_a_part_that_was_done_is_not_done_twice() -> None:
    world = World()
    world.demands = [Demand(application=world.applications[0].name, workload=ref(), replicas=18)]
    world.hold("east", state(ref(), 9, 6))
    made = world.lose("west")
    assert made.applications[0].lost == 3
    assert made.applications[0].demand == 18


def test_a_run_widens_to_a_further_cluster_of_its_region() -> None:
    world = World()
    world.demands = [Demand(application=world.applications[0].name, workload=ref(), replicas=18)]
    first = world.lose("west")
    world.finished(first)
    made = world.lose("north", "west", domain=first.domain)
    assert totals(made)["east"] == (9, 18)
    assert made.after_records()[0].values == (address("east"),)
    effects = [{step.id for step in plan.steps if step.kind != "wait-ready"} for plan in (first, made)]
    assert not effects[0] & effects[1]


def test_the_dead_of_an_earlier_day_is_not_counted_as_kept() -> None:
    world = World()
    world.demands = [Demand(application=world.applications[0].name, workload=ref(), replicas=18)]
    world.finished(world.lose("west"))
    made = world.lose("north")
    assert made.applications[0].lost == 9


def test_replicas_that_fell_before_the_last_look_are_still_replaced() -> None:
    world = World().hold("west", state(ref(), 6, 0))
    world.demands = [Demand(application=world.applications[0].name, workload=ref(), replicas=18)]
    assert world.lose("west").applications[0].lost == 6
    world.demands = []
    assert world.lose("west").applications[0].lost == 0


def test_a_source_that_was_never_seen_is_unknown_and_not_empty() -> None:
    world = World()
    del world.inventories["west"]
    world.demands = [Demand(application=world.applications[0].name, workload=ref(), replicas=18)]
    made = world.lose("west")
    assert made.applications[0].lost == 6
    assert any("never seen" in note for note in made.applications[0].notes)


def test_an_autoscaler_is_moved_by_its_minimum() -> None:
    from failover.model.inventory import Autoscaler

    scaler = Autoscaler(name="web", min_replicas=2, max_replicas=8, resource_version="1")
    world = (
        World()
        .hold("east", state(ref(), 6, autoscaler=scaler))
        .hold("north", state(ref(), 0, autoscaler=scaler))
    )
    made = world.lose("west")
    by_cluster = [
        (s.cluster, s.field.value, s.before, s.after, s.autoscaler_max)
        for s in made.steps
        if isinstance(s, ScaleStep)
    ]
    assert by_cluster == [
        (NORTH, "autoscaler-min", 2, 6, None),
        (NORTH, "replicas", 0, 6, None),
    ]
    world.hold("north", state(ref(), 6, autoscaler=scaler))
    made = world.lose("west")
    assert [(s.before, s.after, s.autoscaler_max) for s in made.steps if isinstance(s, ScaleStep)] == [
        (2, 9, 9)
    ] * 2
    assert "horizontalpodautoscaler/shop/web owns the replicas" in made.steps[0].reason


def test_steering_adds_elsewhere_and_leaves_the_source_alone() -> None:
    world = World().judge("west", VerdictKind.DATA_PLANE_DOWN)
    made = world.plan(RunKind.STEERING, "west")
    assert kinds(made) == ["scale", "scale", "wait-ready", "change-records"]
    assert totals(made)["west"] == (6, 6)


def test_an_applications_own_trouble_steers_only_itself() -> None:
    world = World(applications=[application(), application("blog", workloads=(), dns=())])
    world.application_verdicts = [verdict("west", VerdictKind.DATA_PLANE_DOWN, "shop")]
    made = world.plan(RunKind.STEERING, "west", applications=("shop",))
    assert [part.application for part in made.applications] == ["shop"]


def test_a_drain_takes_the_source_away_only_after_the_old_answers_are_gone() -> None:
    made = World().plan(RunKind.DRAIN, "west", by_person=True)
    assert kinds(made) == ["scale", "scale", "wait-ready", "change-records", "wait", "scale"]
    release = made.steps[-1]
    assert isinstance(release, ScaleStep)
    assert (release.cluster, release.after, release.phase) == (WEST, 0, Phase.RELEASE)
    assert release.needs == (made.steps[4].id,)
    assert made.steps[4].seconds == 65.0  # type: ignore[union-attr]
    assert totals(made)["west"] == (6, 0)


def test_a_drain_needs_both_sides_alive() -> None:
    made = World().judge("west", VerdictKind.CONTROL_PLANE_DOWN).plan(RunKind.DRAIN, "west", by_person=True)
    assert [refusal.code for refusal in made.refusals] == ["source-unreachable"]
    assert made.is_empty
    assert not made.applications


def test_a_drain_never_goes_below_the_floor_by_itself() -> None:
    world = World(applications=[application(on_shortage=OnShortage.PARTIAL)])
    world.inventories |= {name: inventory(name, state(ref(), 6), room=1) for name in ("east", "north")}
    assert left_out(world.plan(RunKind.DRAIN, "west", by_person=True)) == "capacity-floor"


def test_a_cluster_that_no_policy_names_is_not_a_failed_one() -> None:
    made = World().plan(RunKind.EVACUATION, "atlantis")
    assert [refusal.code for refusal in made.refusals] == ["unknown-cluster"]


def test_what_a_neighbour_lost_is_its_own_plans_and_a_source_is_lost_once() -> None:
    """Found by the scenario github-2018-longer: each run moved the same source again, and added to the demand of the next."""
    shop = application(floor=60, on_shortage=OnShortage.PARTIAL)
    world = World(applications=[shop], demands=[Demand(application=shop.name, workload=ref(), replicas=18)])
    world.judge("north", VerdictKind.ISOLATED)
    first = world.lose("west")
    assert totals(first)["east"] == (6, 12)
    world.finished(first)
    again = world.lose("west")
    assert not any(isinstance(step, ScaleStep) for step in again.steps)
    assert again.applications[0].lost == 0
    beside = world.plan(RunKind.STEERING, "north")
    assert totals(beside)["east"] == (12, 18)
    world.finished(beside, run="run-2")
    for source, kind in (("west", RunKind.EVACUATION), ("north", RunKind.STEERING)):
        assert not any(isinstance(step, ScaleStep) for step in world.plan(kind, source).steps)


def test_what_somebody_edits_after_an_evacuation_is_no_part_of_it_any_more() -> None:
    """The region is still down, and its clients are away: another edit is drift, told and repaired as the policy says."""
    world = World(demands=[Demand(application="shop", workload=ref(), replicas=18)])
    done = world.lose("west")
    world.finished(done)
    assert not [step for step in world.lose("west").steps if isinstance(step, ChangeRecordsStep)]
    world.record_sets = [records(address("north"))]
    again = world.lose("west")
    assert not [step for step in again.steps if isinstance(step, ChangeRecordsStep)]
    world.record_sets = [records(address("north"), address("west"))]
    back = [step for step in world.lose("west").steps if isinstance(step, ChangeRecordsStep)]
    assert back, "who publishes the lost region again sends clients into nothing"

"""All that was lost is placed together: tiers, room that others make, groups, windows, and what unfinished runs hold."""

from dataclasses import replace
from typing import Any

from failover.model.ids import ApplicationName, RunId, StepId
from failover.model.inventory import Autoscaler, ClusterInventory, NodeState, Resources
from failover.model.plan import Phase, Plan, RunKind, ScaleStep
from failover.model.policy import Mode, OnShortage, PlacementRule, Strategy, Window
from failover.model.snapshot import Reservation
from failover.model.verdict import VerdictKind
from failover.planner.sheds import is_shed, resettled
from tests.planner.fleet import (
    EAST,
    NORTH,
    WEST,
    World,
    application,
    inventory,
    left_out,
    placed,
    ref,
    state,
    totals,
    verdict,
    workload,
)


def shop(**more: Any) -> Any:
    return application(mode=Mode.AUTO, tier=1, on_shortage=OnShortage.SHED, **more)


def batch(name: str = "batch", tier: int = 9, **more: Any) -> Any:
    return application(
        name,
        workloads=(workload(name, **more.pop("rules", {})),),
        dns=(),
        tier=tier,
        mode=more.pop("mode", Mode.AUTO),
        on_shortage=OnShortage.PARTIAL,
        **more,
    )


def crowded(*others: Any, room: int = 1, runs: int = 6) -> World:
    """The shop and others run six replicas in each cluster; there is hardly any room left."""
    world = World(applications=[shop(), *others])
    for name in ("east", "north", "west"):
        world.hold(name, state(ref(), 6), *(state(ref(one.name), runs) for one in others), room=room)
    return world


def sheds(made: Plan) -> list[ScaleStep]:
    return [step for step in made.steps if is_shed(step)]


def given_up(made: Plan, name: str = "batch") -> int:
    return sum(step.before - step.after for step in sheds(made) if step.workload.name == name)


# -- making room -------------------------------------------------------------------------------------------------------


def test_a_later_tier_makes_just_the_room_that_is_missing() -> None:
    made = crowded(batch()).lose("west")
    part = next(part for part in made.applications if part.application == "shop")
    assert (part.lost, part.replaced, part.unplaced) == (6, 6, 0)
    assert given_up(made) == 4, "two places were free already"
    assert all(row.owner == "batch" and row.made_room_for == ref() for row in part.sheds)
    assert any("replicas of later tiers give up their place" in reason for reason in made.reasons)


def test_room_is_made_before_anything_grows_into_it() -> None:
    made = crowded(batch()).lose("west")
    for step in sheds(made):
        assert step.phase is Phase.SHED
        growth = [
            other
            for other in made.steps
            if isinstance(other, ScaleStep) and other.cluster == step.cluster and other.after > other.before
        ]
        assert growth
        assert all(step.id in other.needs for other in growth)


def test_from_the_last_tier_upward() -> None:
    made = crowded(batch("reports", tier=5), batch()).lose("west")
    assert (given_up(made), given_up(made, "reports")) == (4, 0)


def test_what_nobody_may_take_is_not_taken() -> None:
    scaler = Autoscaler(name="batch", min_replicas=1, max_replicas=9, resource_version="1")
    by_hand = crowded(batch(mode=Mode.RECOMMEND))
    assert given_up(by_hand.lose("west")) == 0
    assert given_up(by_hand.lose("west", by_person=True)) == 4, "a person may"
    busy = crowded(batch())
    busy.busy.append((ApplicationName("batch"), RunId("run-7")))
    assert given_up(busy.lose("west")) == 0
    earlier = crowded(batch(tier=1))
    assert given_up(earlier.lose("west")) == 0
    scaled = crowded(batch())
    for name in ("east", "north", "west"):
        scaled.hold(name, state(ref(), 6), state(ref("batch"), 6, autoscaler=scaler), room=1)
    assert given_up(scaled.lose("west")) == 0, "its autoscaler would bring it back"


def with_nodes(name: str, free: tuple[int, int], whole: int, *states: Any) -> ClusterInventory:
    """Two nodes of `whole` millicores each, with so many free; nothing else is short."""
    return replace(
        inventory(name, *states),
        nodes=tuple(
            NodeState(
                name=f"n{index}",
                free=Resources(cpu_m=amount, memory=10**6, pods=100),
                whole=Resources(cpu_m=whole, memory=10**6, pods=200),
            )
            for index, amount in enumerate(free)
        ),
    )


def large_beside_small(free: tuple[int, int], whole: int) -> World:
    """A replica of the shop asks for 600 millicores, one of `batch` for 100; the east has no place for the shop as it is."""
    world = crowded(batch())
    asks = Resources(cpu_m=600, memory=100)
    states = (state(ref(), 1, requests=asks), state(ref("batch"), 12))
    for name in ("east", "north", "west"):
        world.inventories[name] = with_nodes(name, free, whole, *states)
    return world.cordon("north")


def test_nobody_makes_room_for_a_replica_that_is_larger_than_any_node() -> None:
    assert given_up(large_beside_small((0, 0), whole=500).lose("west")) == 0
    assert given_up(large_beside_small((0, 0), whole=1500).lose("west")) == 6


def test_pieces_that_hold_no_replica_do_not_count_beside_what_is_given_up() -> None:
    """500 and 500 are free, and no node has 600: what is given up has to be room for a whole one."""
    made = large_beside_small((500, 500), whole=1500).lose("west")
    assert totals(made)["east"] == (1, 2)
    assert given_up(made) == 6


def test_a_victim_s_room_is_what_it_asks_for_in_that_cluster() -> None:
    """Its object in the north asks for twice as much; in the east, where it makes room, one frees one place."""
    world = crowded(batch(), room=0)
    for name, share in (("east", 1), ("north", 2), ("west", 1)):
        asks = Resources(cpu_m=100 * share, memory=100)
        states = (state(ref(), 6), state(ref("batch"), 8, requests=asks))
        world.inventories[name] = with_nodes(name, (0, 0), 1500, *states)
    only = workload(clusters=placed("east", "west"))
    world.applications[0] = shop(workloads=(only,), dns=())
    made = world.lose("west")
    assert totals(made)["east"] == (6, 12)
    assert given_up(made) == 6


def test_a_victim_that_is_not_reached_where_it_runs_makes_room_there_all_the_same() -> None:
    world = crowded(batch(), room=0)
    for name in ("east", "north"):
        world.application_verdicts.append(verdict(name, VerdictKind.DATA_PLANE_DOWN, "batch"))
    assert given_up(world.lose("west")) == 6


def reason_of(made: Plan, name: str, cluster: str) -> str:
    return next(
        row.reason
        for part in made.applications
        for row in part.placements
        if (row.workload.name, row.cluster) == (name, cluster)
    )


def test_a_workload_that_lost_nothing_and_gives_up_says_so() -> None:
    """`batch` is concerned because of its `web` in the west; its `index` runs in the east only, and makes room there."""
    two = application(
        "batch",
        workloads=(workload("batch"), workload("index", placed("east"))),
        dns=(),
        tier=9,
        mode=Mode.AUTO,
        on_shortage=OnShortage.PARTIAL,
    )
    world = World(applications=[shop(), two])
    for name in ("east", "north", "west"):
        world.hold(name, state(ref(), 6), state(ref("batch"), 1), state(ref("index"), 9), room=1)
    made = world.lose("west")
    assert (totals(made, "index")["east"][0], given_up(made, "index") > 0) == (9, True)
    assert reason_of(made, "index", "east") == f"gives up {given_up(made, 'index')} for shop"


def test_where_clients_do_not_reach_it_it_keeps_what_it_has_and_says_why() -> None:
    world = World()
    world.application_verdicts.append(verdict("north", VerdictKind.DATA_PLANE_DOWN, "shop"))
    made = world.lose("west")
    assert reason_of(made, "web", "north") == (
        "keeps 6; no target: clients do not reach shop in north although it runs there"
    )


def test_a_drain_waits_for_room_and_takes_none() -> None:
    made = crowded(batch()).plan(RunKind.DRAIN, "west", by_person=True)
    assert left_out(made) == "capacity-floor"
    assert sheds(made) == []


def test_numbers_still_fit_when_one_of_those_that_needed_them_is_left_out() -> None:
    made = crowded(batch()).lose("west")
    first = replace(sheds(made)[0], before=9, after=7, needs=())
    second = replace(
        first, id=StepId("another"), application=ApplicationName("bank"), before=7, after=4, needs=()
    )
    both = [step for step in resettled((first, second)) if is_shed(step)]
    assert [(step.before, step.after) for step in both] == [(9, 7), (7, 4)]
    assert both[1].needs == (first.id,), "one after the other: both set absolute numbers"
    (alone,) = [step for step in resettled((replace(second, before=9, after=6),)) if is_shed(step)]
    assert (alone.before, alone.after, alone.needs) == (9, 6, ())


def test_going_home_gives_back_what_was_given_up() -> None:
    world = crowded(batch())
    made = world.lose("west")
    for step in sheds(made):
        assert step.owner == "batch"
    world.finished(made).judge("west", VerdictKind.HEALTHY)
    for name in ("east", "north", "west"):
        seen = world.inventories[name]
        world.inventories[name] = replace(inventory(name, room=0), workloads=seen.workloads)
    world.inventories["west"] = replace(
        inventory("west", room=10), workloads=world.inventories["west"].workloads
    )
    back = world.plan(RunKind.FAILBACK, "west", by_person=True)
    regained = [step for step in back.steps if isinstance(step, ScaleStep) and step.owner == "batch"]
    assert sum(step.after - step.before for step in regained) == 4
    assert all(step.phase is Phase.RELEASE and step.needs for step in regained)
    release = {step.id for step in back.steps if isinstance(step, ScaleStep) and step.after < step.before}
    assert all(set(step.needs) <= release for step in regained), "once the stand-ins are gone"


# -- rules -------------------------------------------------------------------------------------------------------------


def test_tiers_come_before_the_policys_order() -> None:
    world = World(applications=[batch("early", tier=5), batch("late", tier=2)])
    for name in ("east", "north", "west"):
        world.hold(name, state(ref("early"), 4), state(ref("late"), 4), room=2)
    made = world.lose("west")
    parts = {part.application: part for part in made.applications}
    assert parts["late"].replaced == 4
    assert parts["early"].replaced == 0


def test_a_later_group_takes_only_what_the_earlier_cannot() -> None:
    rules = (
        PlacementRule(cluster=EAST, group=1),
        PlacementRule(cluster=NORTH, group=0),
        PlacementRule(cluster=WEST, group=0),
    )
    world = World(applications=[application(workloads=(workload(clusters=rules),))])
    assert totals(world.lose("west"))["north"] == (6, 12)
    world = World(applications=[application(workloads=(workload(clusters=rules),))])
    world.hold("north", state(ref(), 6), room=4)
    assert (totals(made := world.lose("west"))["north"], totals(made)["east"]) == ((6, 10), (6, 8))


def test_the_cheapest_that_has_room_is_chosen_under_cost() -> None:
    world = World(applications=[application(workloads=(workload(strategy=Strategy.COST),))])
    prices = {"east": 0.05, "north": 0.01, "west": 0.03}
    world.entries = [replace(one, price=(("cpu", prices[one.name]),)) for one in world.entries]
    assert totals(world.lose("west")) == {"east": (6, 6), "north": (6, 12), "west": (6, 6)}


def test_a_window_s_weights_hold_while_it_does() -> None:
    day = Window(name="day", cron="0 8 * * *", timezone="UTC", duration_s=3600.0, weights=((EAST, 0),))
    world = World(applications=[application(windows=(day,))])
    world.windows = {"shop": "day"}
    assert totals(world.lose("west")) == {"east": (6, 6), "north": (6, 12), "west": (6, 6)}
    world.windows = {}
    assert totals(world.lose("west"))["east"] == (6, 9)


# -- capacity ----------------------------------------------------------------------------------------------------------


def test_the_headroom_is_left_alone_and_named() -> None:
    world = World(headroom=50.0)
    for name in ("east", "north"):
        world.hold(name, state(ref(), 6), room=6)
    made = world.lose("west")
    assert totals(made) == {"east": (6, 9), "north": (6, 9), "west": (6, 6)}
    assert "50 % of what is free in a cluster is left alone (headroom)" in made.reasons


def test_what_an_unfinished_run_is_about_to_fill_is_not_free() -> None:
    def held(sent: bool, name: str = "blog") -> Reservation:
        return Reservation(
            run=RunId("run-1"),
            application=ApplicationName(name),
            cluster=EAST,
            workload=ref(name),
            replicas=5,
            sent=sent,
        )

    world = World()
    world.hold("east", state(ref(), 6), state(ref("blog"), 2), room=6).hold("north", state(ref(), 6), room=6)
    world.reserved = [held(sent=False)]
    assert totals(world.lose("west"))["east"][1] <= 7
    world.reserved = []
    assert totals(world.lose("west"))["east"] == (6, 9)
    world.reserved = [replace(held(sent=False), application=ApplicationName("shop"), workload=ref())]
    assert totals(world.lose("west"))["east"] == (6, 9), "its own run is planned anew"
    world.reserved = [replace(world.reserved[0], sent=True)]
    assert totals(world.lose("west"))["east"][1] <= 7, "what was sent is on its way there"


def test_a_replica_that_fits_on_no_node_has_no_place_there() -> None:
    big = Resources(cpu_m=600, memory=100)
    world = World().hold("east", state(ref(), 6, requests=big), room=10)
    world.hold("north", state(ref(), 6, requests=big), room=100)
    assert totals(world.lose("west"))["east"] == (6, 6), "two nodes with five hundred millicores each"


def test_replicas_that_request_nothing_are_counted_by_pods_and_the_plan_says_so() -> None:
    world = World()
    for name in ("east", "north", "west"):
        world.hold(name, state(ref(), 6, requests=Resources()), room=4)
    made = world.lose("west")
    assert totals(made) == {"east": (6, 9), "north": (6, 9), "west": (6, 6)}
    assert any("requests nothing: it is counted by pods alone" in note for note in made.applications[0].notes)
    told = workload(requests=Resources(cpu_m=400))
    world.applications = [application(workloads=(told,), on_shortage=OnShortage.PARTIAL)]
    assert world.lose("west").applications[0].replaced == 0, (
        "four hundred millicores are left in each, on two nodes"
    )


def test_a_cluster_without_a_node_that_could_tell_is_no_target_unless_the_policy_says_what_it_holds() -> None:
    world = World()
    world.inventories["east"] = replace(inventory("east", state(ref(), 6)), nodes=())
    made = world.lose("west")
    assert totals(made)["east"] == (6, 6)
    assert any("east has no node that could tell what fits" in note for note in made.applications[0].notes)
    room = Resources(cpu_m=200, memory=10_000, pods=10)
    world.entries = [replace(one, assumed_free=room) if one.name == "east" else one for one in world.entries]
    world.hold("north", state(ref(), 6), room=4)
    assert totals(world.lose("west"))["east"] == (6, 8)

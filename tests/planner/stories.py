"""The stories behind the golden plans of the joint planner: small fleets in which one thing at a time is otherwise.

A name says what is otherwise; `tests/planner/golden/<name>.json` says what is planned then.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from failover.model.ids import ApplicationName, ClusterName, Domain, DomainKind, RunId
from failover.model.inventory import Autoscaler, Demand, Resources
from failover.model.plan import Plan, RunKind
from failover.model.policy import (
    GuardSettings,
    Mode,
    OnShortage,
    PlacementRule,
    Spread,
    Strategy,
    WhenUnsatisfiable,
    Window,
)
from failover.model.snapshot import Reservation
from failover.model.verdict import VerdictKind
from failover.planner import what_if
from tests.planner.fleet import (
    EAST,
    NORTH,
    WEST,
    World,
    application,
    dns,
    entry,
    inventory,
    placed,
    ref,
    state,
    workload,
)

SCALER = Autoscaler(name="web", min_replicas=2, max_replicas=20, resource_version="1")
GPU = "example.com/gpu"


def two(first: Any, second: Any, *, room: int, runs: int = 6) -> World:
    """Two applications with as many replicas in every cluster, and so much room."""
    world = World(applications=[first, second])
    for name in ("east", "north", "west"):
        refs = [item.ref for one in (first, second) for item in one.workloads]
        world.hold(name, *(state(item, runs) for item in refs), room=room)
    return world


def app(name: str, tier: int, shortage: OnShortage = OnShortage.PARTIAL, **more: Any) -> Any:
    rules = more.pop("rules", {})
    return application(
        name,
        workloads=(workload(name, **rules),),
        dns=(),
        tier=tier,
        mode=more.pop("mode", Mode.AUTO),
        on_shortage=shortage,
        **more,
    )


def ruled(*rules: PlacementRule, **more: Any) -> World:
    return World(applications=[application(workloads=(workload(clusters=rules, **more),))])


def rule(cluster: ClusterName, **more: Any) -> PlacementRule:
    return PlacementRule(cluster=cluster, **more)


def strategy(of: Strategy, **more: Any) -> World:
    world = World(applications=[application(workloads=(workload(strategy=of),), **more)])
    prices = {"east": 0.05, "north": 0.01, "west": 0.03}
    world.entries = [
        replace(one, price=(("cpu", prices[one.name]), ("memory", 0.001))) for one in world.entries
    ]
    return world


def spread(*rows: Spread, **more: Any) -> World:
    return World(applications=[application(workloads=(workload(spread=rows),), **more)])


def five() -> World:
    """Two regions of two clusters and one of one."""
    entries = [
        entry("center", region="inland"),
        entry("east", region="inland"),
        entry("north", region="coast"),
        entry("south", region="coast"),
        entry("west"),
    ]
    names = tuple(one.name for one in entries)
    world = World(entries=entries)
    world.applications = [
        application(
            workloads=(workload(clusters=placed(*names)),), dns=(dns(clusters=tuple(map(str, names))),)
        )
    ]
    world.inventories = {str(name): inventory(name, state(ref(), 4)) for name in names}
    for name in names:
        world.judge(name, VerdictKind.HEALTHY)
    return world


def rebalanced(world: World, **more: Any) -> Plan:
    return world.plan(
        RunKind.REBALANCE, by_person=True, domain=Domain(kind=DomainKind.FLEET, name="test"), **more
    )


def lopsided() -> World:
    world = World()
    return world.hold("east", state(ref(), 12)).hold("north", state(ref(), 3)).hold("west", state(ref(), 3))


def windowed(**more: Any) -> World:
    day = Window(name="day", cron="0 8 * * *", timezone="UTC", duration_s=32400.0, **more)
    world = World(applications=[application(windows=(day,))])
    world.windows = {"shop": "day"}
    return world


def home_again(world: World, lost: Plan) -> Plan:
    world.finished(lost).judge("west", VerdictKind.HEALTHY)
    return world.plan(RunKind.FAILBACK, "west", by_person=True)


def reserved(*, sent: bool, name: str) -> World:
    world = World()
    world.hold("east", state(ref(), 6), state(ref("blog"), 2), room=6).hold(
        "north", state(ref(), 6), room=100
    )
    world.reserved = [
        Reservation(
            run=RunId("run-1"),
            application=ApplicationName(name),
            cluster=EAST,
            workload=ref(name if name != "shop" else "web"),
            replicas=5,
            sent=sent,
        )
    ]
    return world


def gpus(free_in_east: int) -> World:
    asks = Resources(cpu_m=100, memory=100, extended=((GPU, 1),))
    world = World()
    for name in ("east", "north", "west"):
        free = free_in_east if name == "east" else 2
        seen = inventory(name, state(ref(), 6, requests=asks))
        nodes = tuple(
            replace(
                node,
                free=replace(node.free, extended=((GPU, free),)),
                whole=replace(node.most, extended=((GPU, free + 6),)),
            )
            for node in seen.nodes
        )
        world.inventories[name] = replace(seen, nodes=nodes)
    return world


def busy_victim() -> World:
    world = two(app("shop", 1, OnShortage.SHED), app("batch", 9), room=1)
    world.busy.append((ApplicationName("batch"), RunId("run-7")))
    return world


def no_nodes(assumed: Resources | None) -> World:
    world = World()
    world.inventories["east"] = replace(inventory("east", state(ref(), 6)), nodes=())
    world.entries = [
        replace(one, assumed_free=assumed) if one.name == "east" else one for one in world.entries
    ]
    return world


def sized(**rows: Resources) -> World:
    world = World()
    for name, requests in rows.items():
        world.hold(name, state(ref(), 6, requests=requests), room=20)
    return world


def asked(replicas: int) -> World:
    world = World()
    world.demands = [Demand(application=ApplicationName("shop"), workload=ref(), replicas=replicas)]
    return world


SHED = OnShortage.SHED
HARD = WhenUnsatisfiable.DO_NOT_SCHEDULE

STORIES: dict[str, Callable[[], Plan]] = {
    # tiers and making room
    "shed_just_what_is_missing": lambda: two(app("shop", 1, SHED), app("batch", 9), room=1).lose("west"),
    "shed_nothing_where_all_fits": lambda: two(app("shop", 1, SHED), app("batch", 9), room=40).lose("west"),
    "shed_from_the_last_tier_upward": lambda: _three_tiers().lose("west"),
    "shed_through_two_tiers": lambda: _three_tiers(runs=1).lose("west"),
    "shed_for_nobody_of_the_same_tier": lambda: two(app("shop", 5, SHED), app("batch", 5), room=1).lose(
        "west"
    ),
    "shed_from_a_mode_that_automation_may_not_touch": lambda: two(
        app("shop", 1, SHED), app("batch", 9, mode=Mode.RECOMMEND), room=1
    ).lose("west"),
    "shed_by_a_person_from_any_mode": lambda: two(
        app("shop", 1, SHED), app("batch", 9, mode=Mode.RECOMMEND), room=1
    ).lose("west", by_person=True),
    "shed_from_nobody_that_is_busy": lambda: busy_victim().lose("west"),
    "shed_in_shares": lambda: _shares().lose("west"),
    "shed_and_still_not_enough": lambda: two(app("shop", 1, SHED), app("batch", 9), room=0, runs=2).lose(
        "west"
    ),
    "drain_waits_for_room": lambda: two(app("shop", 1, SHED), app("batch", 9), room=1).plan(
        RunKind.DRAIN, "west", by_person=True
    ),
    "failback_gives_back_what_was_given_up": lambda: _given_back(),
    "earlier_tier_first": lambda: two(app("early", 5), app("late", 2), room=3).lose("west"),
    "one_tier_shares_by_need": lambda: two(app("one", 5), app("other", 5), room=4).lose("west"),
    "hold_is_left_out_and_frees_its_room": lambda: two(
        app("big", 1, OnShortage.HOLD), app("small", 2), room=4
    ).lose("west"),
    "floor_of_half_moves_with_half": lambda: two(
        app("shop", 1, OnShortage.HOLD, floor=50), app("batch", 9), room=1
    ).lose("west"),
    # where it may run
    "weights_five_to_one": lambda: ruled(rule(EAST, weight=5), rule(NORTH), rule(WEST)).lose("west"),
    "weight_of_nothing_takes_nothing": lambda: ruled(rule(EAST, weight=0), rule(NORTH), rule(WEST)).lose(
        "west"
    ),
    "maximum_is_kept": lambda: ruled(rule(EAST, max_replicas=7), rule(NORTH), rule(WEST)).lose("west"),
    "maximums_leave_some_without_a_place": lambda: World(
        applications=[
            application(
                workloads=(
                    workload(clusters=(rule(EAST, max_replicas=7), rule(NORTH, max_replicas=8), rule(WEST))),
                ),
                on_shortage=OnShortage.PARTIAL,
            )
        ]
    ).lose("west"),
    "minimum_before_weights": lambda: ruled(
        rule(EAST, weight=100), rule(NORTH, min_replicas=9), rule(WEST)
    ).lose("west"),
    "minimum_that_cannot_be_had": lambda: (
        ruled(rule(EAST), rule(NORTH, min_replicas=60), rule(WEST))
        .hold("north", state(ref(), 6), room=2)
        .lose("west")
    ),
    "later_group_stays_out": lambda: ruled(rule(EAST, group=1), rule(NORTH), rule(WEST)).lose("west"),
    "later_group_takes_the_rest": lambda: (
        ruled(rule(EAST, group=1), rule(NORTH), rule(WEST))
        .hold("north", state(ref(), 6), room=4)
        .lose("west")
    ),
    "standby_in_a_later_group": lambda: ruled(rule(EAST, group=1), rule(NORTH), rule(WEST), standby=8).lose(
        "west"
    ),
    "object_missing_in_one_cluster": lambda: World().hold("east").lose("west"),
    # how it prefers
    "most_free_first": lambda: (
        strategy(Strategy.MOST_FREE).hold("east", state(ref(), 6), room=8).lose("west")
    ),
    "packed_into_the_fullest": lambda: (
        strategy(Strategy.PACK).hold("east", state(ref(), 6), room=9).lose("west")
    ),
    "cheapest_first": lambda: strategy(Strategy.COST).lose("west"),
    "cheapest_is_full": lambda: strategy(Strategy.COST).hold("north", state(ref(), 6), room=2).lose("west"),
    "window_gives_the_east_nothing": lambda: windowed(weights=((EAST, 0),)).lose("west"),
    "window_puts_the_east_last": lambda: windowed(groups=((EAST, 1),)).lose("west"),
    # spread
    "spread_at_most_half_in_a_region": lambda: (
        spread(Spread(over=DomainKind.REGION, at_most_percent=50))
        .hold("east", state(ref(), 6), room=40)
        .hold("north", state(ref(), 6), room=40)
        .lose("west")
    ),
    "spread_is_given_up_rather_than_a_replica": lambda: spread(
        Spread(over=DomainKind.REGION, at_most_percent=40)
    ).lose("west"),
    "spread_that_must_hold_leaves_some_out": lambda: spread(
        Spread(over=DomainKind.REGION, at_most_percent=40, when=HARD), on_shortage=OnShortage.PARTIAL
    ).lose("west"),
    "spread_over_two_regions_of_two": lambda: _spread_of_five().lose("center", "east"),
    # what is free
    "headroom_of_half": lambda: _headroom().lose("west"),
    "reserved_by_another_run": lambda: reserved(sent=True, name="blog").lose("west"),
    "reserved_by_its_own_run_and_not_sent": lambda: reserved(sent=False, name="shop").lose("west"),
    "fragments_hold_nothing": lambda: sized(
        east=Resources(cpu_m=1100, memory=100), north=Resources(cpu_m=100, memory=100)
    ).lose("west"),
    "requests_of_nothing": lambda: sized(east=Resources(), north=Resources()).lose("west"),
    "extended_resource_binds": lambda: gpus(1).lose("west"),
    "extended_resource_is_not_there": lambda: gpus(0).lose("west"),
    "no_node_could_tell": lambda: no_nodes(None).lose("west"),
    "no_node_could_tell_and_the_policy_does": lambda: no_nodes(
        Resources(cpu_m=400, memory=10_000, pods=10)
    ).lose("west"),
    "last_look_is_too_old": lambda: World().hold("east", state(ref(), 6), age_s=300.0).lose("west"),
    "demand_is_less_than_what_runs": lambda: asked(14).lose("west"),
    # what is lost
    "two_regions_lost": lambda: five().lose("center", "east", "west", domain=_fleet()),
    "one_of_two_clusters_of_a_region": lambda: five().lose("south"),
    "what_if_one_region_were_lost": lambda: _what_if("region/coast"),
    "what_if_two_were_lost": lambda: _what_if("region/coast", "region/west"),
    "autoscaled_where_it_grows": lambda: (
        World()
        .hold("east", state(ref(), 6, autoscaler=SCALER))
        .hold("north", state(ref(), 6, autoscaler=SCALER))
        .lose("west")
    ),
    # rebalancing
    "rebalance_towards_the_weights": lambda: rebalanced(lopsided()),
    "rebalance_within_a_budget_of_two": lambda: rebalanced(lopsided(), moves=2),
    "rebalance_of_what_stands_right": lambda: rebalanced(World()),
    "rebalance_waits_for_what_cannot_be_seen": lambda: rebalanced(
        lopsided().judge("north", VerdictKind.UNKNOWN)
    ),
    "rebalance_leaves_autoscalers_alone": lambda: rebalanced(
        lopsided().hold("east", state(ref(), 12, autoscaler=SCALER))
    ),
    "rebalance_into_a_window": lambda: rebalanced(windowed(weights=((EAST, 4),))),
    "rebalance_empties_a_cluster_and_its_names": lambda: rebalanced(windowed(weights=((EAST, 0),))),
    "rebalance_to_where_it_is_cheap": lambda: rebalanced(strategy(Strategy.COST), moves=4),
    "rebalance_out_of_a_cordoned_region": lambda: rebalanced(lopsided().cordon("east")),
}


def _fleet() -> Domain:
    return Domain(kind=DomainKind.FLEET, name="test")


def _three_tiers(runs: int = 6) -> World:
    world = World(applications=[app("shop", 1, SHED), app("reports", 5), app("batch", 9)])
    for name in ("east", "north", "west"):
        world.hold(name, state(ref("shop"), 6), state(ref("reports"), 6), state(ref("batch"), runs), room=1)
    return world


def _shares() -> World:
    world = two(app("shop", 1, SHED), app("batch", 9), room=1)
    world.guards = GuardSettings(share_per_step=0.1)
    return world


def _given_back() -> Plan:
    world = two(app("shop", 1, SHED), app("batch", 9), room=1)
    return home_again(world, world.lose("west"))


def _spread_of_five() -> World:
    world = five()
    rows = (Spread(over=DomainKind.REGION, at_least=2, at_most_percent=60),)
    (shop,) = world.applications
    world.applications = [replace(shop, workloads=(replace(shop.workloads[0], spread=rows),))]
    return world


def _headroom() -> World:
    world = World(headroom=50.0)
    for name in ("east", "north"):
        world.hold(name, state(ref(), 6), room=6)
    return world


def _what_if(*names: str) -> Plan:
    world = five()
    domains = [found for name in names for found in world.policy.fleet.find_domains(name)]
    return what_if(world.snapshot, world.policy, *domains)

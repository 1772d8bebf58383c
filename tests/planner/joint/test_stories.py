"""What the joint plan does in cases that a person can check by hand."""

import subprocess
import sys
from dataclasses import replace

import pytest

from failover.model.policy import OnShortage
from failover.planner.joint.problem import Domain, Shed, Spread, Strategy, Unsatisfiable
from failover.planner.joint.solve import Engine, solve
from failover.planner.joint.survive import lose_domain, survivability
from tests.planner.joint.problems import anywhere, demand, fleet, site


def test_weights_share_out_what_fits() -> None:
    plan = solve(
        fleet([site("a1"), site("b1")], [demand("web", 8, anywhere("a1", weight=3), anywhere("b1"))])
    )
    assert plan.placed("web") == {"a1": 6, "b1": 2}
    assert plan.why("web", "a1").sentence == "takes 6 by weight 3 (a share of 6.0)"


def test_a_higher_tier_goes_first_and_leaves_its_weights_for_a_lower_one() -> None:
    """`first` would like both clusters, `second` may only run at a1: together they fit."""
    first = demand("first", 10, anywhere("a1", "b1"), tier=1)
    second = demand("second", 10, anywhere("a1"), tier=2)
    plan = solve(fleet([site("a1", 10), site("b1", 10)], [first, second]))
    assert plan.placed("first") == {"b1": 10}
    assert plan.placed("second") == {"a1": 10}
    assert not plan.unplaced


def test_what_does_not_fit_is_taken_from_the_lowest_tier() -> None:
    tiers = [demand(f"tier-{tier}", 6, anywhere("a1"), tier=tier) for tier in (1, 2, 3)]
    plan = solve(fleet([site("a1", 13)], tiers))
    assert plan.unplaced == {"tier-3": 5}


def test_inside_a_tier_that_does_not_fit_small_replicas_go_first() -> None:
    large = demand("large", 2, anywhere("a1", "b1", "c1"), cpu=10)
    small = demand("small", 12, anywhere("a1", "b1", "c1"), cpu=1)
    plan = solve(fleet([site("a1", 10), site("b1", 4), site("c1", 4)], [large, small]))
    assert sum(plan.placed("small").values()) == 12
    assert plan.unplaced == {"large": 2}


def test_minimums_come_before_weights_and_a_shortfall_is_told() -> None:
    rules = (anywhere("a1", weight=9), anywhere("b1", minimum=3))
    plan = solve(fleet([site("a1"), site("b1", 2)], [demand("web", 6, *rules)]))
    assert plan.placed("web") == {"a1": 4, "b1": 2}
    assert [finding.code for finding in plan.findings] == ["minimum-short"]
    assert plan.findings[0].sentence == "the minimums of web are short of 1 replicas"


def test_a_later_group_takes_only_what_the_earlier_cannot() -> None:
    rules = (anywhere("a1"), anywhere("b1", group=1))
    plan = solve(fleet([site("a1", 6), site("b1")], [demand("web", 8, *rules)]))
    assert plan.placed("web") == {"a1": 6, "b1": 2}
    roomy = solve(fleet([site("a1"), site("b1")], [demand("web", 8, *rules)]))
    assert roomy.placed("web") == {"a1": 8}
    assert roomy.why("web", "b1").rule == "group"


def test_warm_standby_runs_in_a_later_group_although_the_first_has_room() -> None:
    rules = (anywhere("a1"), anywhere("b1", group=1))
    plan = solve(fleet([site("a1"), site("b1")], [demand("web", 8, *rules, standby=2)]))
    assert plan.placed("web") == {"a1": 6, "b1": 2}


def test_a_spread_of_percent_is_rounded_up_and_left_where_it_may_be() -> None:
    spread = (Spread(kind="region", at_most_percent=50),)
    web = demand("web", 7, anywhere("a1", "a2", weight=9), anywhere("b1"), spread=spread)
    plan = solve(fleet([site("a1"), site("a2"), site("b1")], [web]))
    assert plan.placed("web").get("b1", 0) == 3
    crowded = solve(fleet([site("a1"), site("a2"), site("b1", 1)], [web]))
    assert not crowded.unplaced
    assert "spread-too-much" in [finding.code for finding in crowded.findings]


def test_a_spread_that_must_hold_leaves_replicas_without_a_place() -> None:
    spread = (Spread(kind="region", at_most_percent=50, when_unsatisfiable=Unsatisfiable.DO_NOT_SCHEDULE),)
    plan = solve(fleet([site("a1"), site("b1", 1)], [demand("web", 8, anywhere("a1", "b1"), spread=spread)]))
    assert plan.placed("web") == {"a1": 2, "b1": 1}, "2 of 3 is 50 %, rounded up"
    assert plan.unplaced == {"web": 5}


def test_at_least_so_many_domains_hold_one() -> None:
    spread = (Spread(kind="region", at_least=3),)
    rules = (anywhere("a1", weight=100), anywhere("b1", "c1"))
    plan = solve(fleet([site("a1"), site("b1"), site("c1")], [demand("web", 3, *rules, spread=spread)]))
    assert plan.placed("web") == {"a1": 1, "b1": 1, "c1": 1}


def test_the_one_replica_of_a_domain_stands_in_its_earliest_group() -> None:
    """a2 is heavier and of a later group: the domain's replica is a1's all the same."""
    rules = (anywhere("a1"), anywhere("a2", weight=9, group=1), anywhere("b1"))
    spread = (Spread(kind="region", at_least=2),)
    plan = solve(fleet([site("a1"), site("a2"), site("b1")], [demand("web", 2, *rules, spread=spread)]))
    assert plan.placed("web") == {"a1": 1, "b1": 1}


def test_domains_that_there_must_be_come_before_a_minimum_in_one_of_them() -> None:
    """With all of its minimum kept there would be two clusters for three replicas, and nothing could run at all."""
    must = (Spread(kind="cluster", at_least=3, when_unsatisfiable=Unsatisfiable.DO_NOT_SCHEDULE),)
    wide = demand("web", 3, anywhere("a1"), anywhere("a2", minimum=2), anywhere("b1"), spread=must)
    plan = solve(fleet([site("a1"), site("a2"), site("b1")], [wide]))
    assert plan.placed("web") == {"a1": 1, "a2": 1, "b1": 1}


def test_fewer_replicas_than_minimums_go_to_earlier_groups() -> None:
    rules = (anywhere("a1", minimum=2, group=1), anywhere("b1", minimum=2))
    plan = solve(fleet([site("a1"), site("b1")], [demand("web", 3, *rules)]))
    assert plan.placed("web") == {"a1": 1, "b1": 2}


def test_a_single_writer_is_placed_whole_or_not_at_all() -> None:
    database = demand("database", 3, anywhere("a1", "b1"), whole=True)
    assert solve(fleet([site("a1", 2), site("b1", 5)], [database])).placed("database") == {"b1": 3}
    assert solve(fleet([site("a1", 2), site("b1", 2)], [database])).unplaced == {"database": 3}


def test_pack_fills_the_fullest_and_cost_the_cheapest() -> None:
    sites = [
        site("a1", 50, capacity={"cpu": 100, "pods": 1000}, price={"cpu": 2.0}),
        site("b1", 90, price={"cpu": 1.0}),
    ]
    packed = solve(fleet(sites, [demand("web", 10, anywhere("a1", "b1"), strategy=Strategy.PACK)]))
    assert packed.placed("web") == {"a1": 10}
    cheap = solve(fleet(sites, [demand("web", 10, anywhere("a1", "b1"), strategy=Strategy.COST)]))
    assert cheap.placed("web") == {"b1": 10}
    assert cheap.why("web", "a1").rule == "dearer"


CHEAP_LATER = [site("a1", 100, price={"cpu": 3.0}), site("b1", 100, price={"cpu": 1.0})]


def test_what_is_cheap_goes_before_no_group_and_no_standby() -> None:
    """The second group costs a third: it holds its warm standby all the same, and no more."""
    rules = (anywhere("a1"), anywhere("b1", group=1))
    web = demand("web", 8, *rules, strategy=Strategy.COST, standby=2)
    assert solve(fleet(CHEAP_LATER, [web])).placed("web") == {"a1": 6, "b1": 2}
    dear_later = [replace(one, price={"cpu": 4 - one.price["cpu"]}) for one in CHEAP_LATER]
    assert solve(fleet(dear_later, [web])).placed("web") == {"a1": 6, "b1": 2}


def test_two_that_change_places_for_their_price_stay_in_their_groups() -> None:
    """a1 is full; `web` (first group a1) and `job` (first group b1) would both be cheaper at the other's."""
    sites = [site("a1", 4, price={"cpu": 1.0, "pods": 3.0}), site("b1", 4, price={"cpu": 3.0, "pods": 1.0})]
    web = demand("web", 4, anywhere("a1"), anywhere("b1", group=1), strategy=Strategy.COST)
    job = demand("job", 4, anywhere("b1"), anywhere("a1", group=1), strategy=Strategy.COST)
    light = replace(web, request={"cpu": 0, "pods": 1, "disk": 1})
    roomy = [replace(one, free={**(one.free or {}), "disk": 4, "pods": 4}) for one in sites]
    plan = solve(fleet(roomy, [light, replace(job, request={"cpu": 1, "pods": 1, "disk": 1})]))
    assert (plan.placed("web"), plan.placed("job")) == ({"a1": 4}, {"b1": 4})


def test_what_is_cheap_breaks_no_spread() -> None:
    sites = [site("a1", price={"cpu": 1.0}), site("b1", price={"cpu": 2.0}), site("c1", price={"cpu": 3.0})]
    most = Spread(kind="region", at_most_percent=50)
    web = demand("web", 8, anywhere("a1", "b1", "c1"), strategy=Strategy.COST, spread=(most,))
    assert solve(fleet(sites, [web])).placed("web") == {"a1": 4, "b1": 4}
    least = Spread(kind="region", at_least=3)
    web = demand("web", 8, anywhere("a1", "b1", "c1"), strategy=Strategy.COST, spread=(least,))
    assert solve(fleet(sites, [web])).placed("web") == {"a1": 6, "b1": 1, "c1": 1}


def test_a_spread_that_must_hold_saves_inside_its_domains() -> None:
    sites = [
        site("a1", price={"cpu": 2.0}),
        site("a2", 3, price={"cpu": 1.0}),
        site("b1", price={"cpu": 3.0}),
    ]
    limit = Spread(kind="region", at_most_percent=50, when_unsatisfiable=Unsatisfiable.DO_NOT_SCHEDULE)
    web = demand("web", 8, anywhere("a1", "a2", "b1"), strategy=Strategy.COST, spread=(limit,))
    assert solve(fleet(sites, [web])).placed("web") == {"a1": 1, "a2": 3, "b1": 4}


def test_live_utilisation_counts_as_used_for_most_free() -> None:
    sites = [site("a1", 100, utilisation=0.9), site("b1", 100, utilisation=0.1)]
    plan = solve(fleet(sites, [demand("web", 10, anywhere("a1", "b1"), strategy=Strategy.MOST_FREE)]))
    assert plan.placed("web") == {"a1": 1, "b1": 9}


def test_shedding_takes_the_lowest_tier_and_only_what_is_needed() -> None:
    """Four replicas of `pay` lost their cluster; a1 is full of `mail` (tier 2) and `batch` (tier 3)."""
    pay = demand("pay", 4, anywhere("a1"), tier=1, on_shortage=OnShortage.SHED)
    mail = demand("mail", 5, anywhere("a1"), tier=2, current={"a1": 5})
    batch = demand("batch", 5, anywhere("a1"), tier=3, current={"a1": 5})
    plan = solve(fleet([site("a1", 1)], [pay, mail, batch]))
    assert plan.placed("pay") == {"a1": 4}
    assert plan.shed == (Shed(victim="batch", site="a1", replicas=3, made_room_for="pay"),)
    assert plan.placed("mail") == {"a1": 5}
    assert plan.why("batch", "a1").sentence == "gave up 3 there for pay"
    kept = solve(fleet([site("a1", 1)], [pay, mail, replace(batch, may_give_up=False)]))
    assert {shed.victim for shed in kept.shed} == {"mail"}


def test_inside_a_tier_those_furthest_above_their_minimum_give_step_by_step() -> None:
    """`rich` has 6 to spare, `poor` 2: it goes down to where `poor` stands before that one gives anything."""
    pay = demand("pay", 6, anywhere("a1"), tier=1, on_shortage=OnShortage.SHED)
    rich = demand("rich", 8, anywhere("a1", minimum=2), tier=2, current={"a1": 8})
    poor = demand("poor", 8, anywhere("a1", minimum=6), tier=2, current={"a1": 8})
    plan = solve(fleet([site("a1", 0)], [pay, rich, poor]))
    assert {shed.victim: shed.replicas for shed in plan.shed} == {"rich": 5, "poor": 1}
    few = solve(fleet([site("a1", 2)], [pay, rich, poor]))
    assert {shed.victim: shed.replicas for shed in few.shed} == {"rich": 4}


def test_a_minimum_is_given_up_only_when_nobody_of_the_tier_is_above_one() -> None:
    pay = demand("pay", 6, anywhere("a1"), tier=1, on_shortage=OnShortage.SHED)
    floor = demand("floor", 4, anywhere("a1", minimum=4), tier=2, current={"a1": 4})
    small = demand("small", 3, anywhere("a1", minimum=1), tier=2, current={"a1": 3})
    plan = solve(fleet([site("a1", 2)], [pay, floor, small]))
    given = {shed.victim: shed.replicas for shed in plan.shed}
    assert given == {"small": 2, "floor": 2} or given == {"small": 3, "floor": 1}
    assert sum(given.values()) == 4
    kept = solve(fleet([site("a1", 4)], [pay, floor, small]))
    assert {shed.victim: shed.replicas for shed in kept.shed} == {"small": 2}


def test_who_is_furthest_is_asked_anew_at_every_cluster() -> None:
    """`wide` gives in both clusters; by the second it is no further above its minimums than `near`."""
    pay = demand("pay", 8, anywhere("a1", "b1", maximum=4), tier=1, on_shortage=OnShortage.SHED)
    wide = demand("wide", 8, anywhere("a1", "b1"), tier=2, current={"a1": 4, "b1": 4})
    near = demand("near", 6, anywhere("b1"), tier=2, current={"b1": 6})
    plan = solve(fleet([site("a1", 0), site("b1", 0)], [pay, wide, near]))
    given = {(shed.victim, shed.site): shed.replicas for shed in plan.shed}
    assert given == {("wide", "a1"): 4, ("near", "b1"): 3, ("wide", "b1"): 1}


def test_what_a_victim_frees_is_what_it_asks_for_there() -> None:
    """Its object there asks for less than the one elsewhere: two of them make room for one."""
    pay = demand("pay", 1, anywhere("a1"), tier=1, cpu=2, on_shortage=OnShortage.SHED)
    batch = replace(
        demand("batch", 4, anywhere("a1"), tier=2, cpu=2, current={"a1": 4}), freed={"cpu": 1, "pods": 1}
    )
    plan = solve(fleet([site("a1", 0)], [pay, batch]))
    assert plan.shed == (Shed(victim="batch", site="a1", replicas=2, made_room_for="pay"),)


def test_a_spread_that_must_hold_holds_after_others_made_room_too() -> None:
    """What the better plan holds fewer of in a2 is taken away there, and not only added in a1."""
    limit = Spread(kind="region", at_most_percent=50, when_unsatisfiable=Unsatisfiable.DO_NOT_SCHEDULE)
    rules = (anywhere("a1", weight=2), anywhere("a2", weight=3), anywhere("b1"))
    web = demand("web", 9, *rules, tier=1, on_shortage=OnShortage.SHED, spread=(limit,))
    others = [
        demand("one", 2, anywhere("a2"), tier=2, current={"a2": 2}),
        demand("two", 4, anywhere("a1"), tier=3, current={"a1": 4}),
        demand("three", 1, anywhere("a2"), tier=2, current={"a2": 1}),
    ]
    plan = solve(fleet([site("a1", 0), site("a2", 1), site("b1", 2)], [web, *others]))
    held = plan.placed("web")
    assert sum(held.values()) == 5
    assert held["a1"] + held["a2"] == 3, "a region holds at most half, rounded up"


def test_a_victim_whose_spread_must_hold_gives_up_no_more_than_it_was_asked_for() -> None:
    """What runs is not cut back for a limit that it broke before; cutting it back again and again would never end."""
    pay = demand("pay", 4, anywhere("a1"), tier=1, on_shortage=OnShortage.SHED)
    limit = Spread(kind="region", at_least=3, when_unsatisfiable=Unsatisfiable.DO_NOT_SCHEDULE)
    batch = demand(
        "batch", 6, anywhere("a1", "b1", "c1"), tier=2, current={"a1": 5, "b1": 1}, spread=(limit,)
    )
    plan = solve(fleet([site("a1", 1), site("b1", 0), site("c1", 0)], [pay, batch]))
    assert plan.placed("pay") == {"a1": 4}
    assert plan.placed("batch") == {"a1": 2, "b1": 1}


def test_without_shed_nobody_gives_up_anything() -> None:
    pay = demand("pay", 4, anywhere("a1"), tier=1)
    batch = demand("batch", 5, anywhere("a1"), tier=3, current={"a1": 5})
    plan = solve(fleet([site("a1", 1)], [pay, batch]))
    assert plan.unplaced == {"pay": 3}
    assert plan.shed == ()


def test_hold_places_all_or_nothing_and_leaves_the_room_to_others() -> None:
    held = demand("held", 6, anywhere("a1"), on_shortage=OnShortage.HOLD)
    other = demand("other", 3, anywhere("a1"), tier=2)
    plan = solve(fleet([site("a1", 4)], [held, other]))
    assert plan.unplaced == {"held": 6}
    assert plan.placed("other") == {"a1": 3}


def test_what_runs_stays_and_moves_only_within_a_budget() -> None:
    web = demand("web", 8, anywhere("a1", "b1"), current={"a1": 8})
    sites = [site("a1"), site("b1")]
    assert solve(fleet(sites, [web])).placed("web") == {"a1": 8}
    assert solve(fleet(sites, [web], moves=3)).placed("web") == {"a1": 5, "b1": 3}
    assert solve(fleet(sites, [web], moves=100)).placed("web") == {"a1": 4, "b1": 4}
    why = solve(fleet(sites, [web], moves=3)).why("web", "a1")
    assert (why.rule, why.sentence) == (
        "moved",
        "gives 3 that its weights, groups or prices would rather have elsewhere",
    )


def test_no_move_waits_for_the_room_that_another_leaves() -> None:
    """`api` goes first and leaves two places in a1; `web` would have them, and could not be added before they are left."""
    api = demand("api", 10, anywhere("b1"), current={"a1": 10})
    web = demand("web", 10, anywhere("a1", weight=6), anywhere("b1", weight=4), current={"b1": 10})
    plan = solve(fleet([site("a1", 0), site("b1", 2)], [api, web], moves=100))
    assert (plan.placed("api"), plan.placed("web")) == ({"a1": 8, "b1": 2}, {"b1": 10})


def test_unknown_capacity_and_small_nodes_take_nothing_and_say_so() -> None:
    sites = [
        site("a1", None),
        site("b1", 100, largest_free_node={"cpu": 3, "pods": 100}),
        site("c1", open=False, closed_because="region c is held down"),
    ]
    plan = solve(fleet(sites, [demand("web", 2, anywhere("a1", "b1", "c1"), cpu=4)]))
    assert plan.unplaced == {"web": 2}
    assert [why.rule for why in plan.whys("web")] == ["unknown-capacity", "node-too-small", "closed"]
    assert plan.why("web", "b1").would_change == "a node with 4 cpu free (the largest has 3)"
    assert "region c is held down" in plan.why("web", "c1").sentence
    assert [finding.code for finding in plan.findings] == ["unknown-capacity"]


def test_full_names_what_is_missing() -> None:
    plan = solve(fleet([site("a1", 5)], [demand("web", 3, anywhere("a1"), cpu=2)]))
    why = plan.why("web", "a1")
    assert (why.rule, why.replicas, why.would_change) == ("full", 2, "1 more cpu free there")


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        (demand("web", 2, anywhere("nowhere")), "no-site"),
        (replace(demand("web", 2, anywhere("a1")), request={}), "no-request"),
        (demand("web", 2, anywhere("a1", minimum=5)), "minimum-above-total"),
    ],
)
def test_what_cannot_be_planned_is_a_sentence(broken: object, code: str) -> None:
    plan = solve(fleet([site("a1")], [broken]))  # type: ignore[list-item]
    assert code in [finding.code for finding in plan.findings]


def test_an_absurd_price_counts_as_none_and_is_told() -> None:
    plan = solve(fleet([site("a1", price={"cpu": -1.0})], [demand("web", 2, anywhere("a1"))]))
    assert [finding.code for finding in plan.findings] == ["absurd-price"]
    assert plan.placed("web") == {"a1": 2}


def test_headroom_is_left_alone() -> None:
    plan = solve(fleet([site("a1", 100)], [demand("web", 100, anywhere("a1"))], headroom=0.05))
    assert plan.placed("web") == {"a1": 95}


def test_survivability_says_what_each_loss_would_mean() -> None:
    """Region a can be lost; region b holds more than a has free, and nobody may shed."""
    web = demand("web", 8, anywhere("a1", "b1"), current={"a1": 2, "b1": 6})
    domains = [Domain(kind="region", name=name, sites=(f"{name}1",)) for name in "ab"]
    found = survivability(fleet([site("a1", 4), site("b1", 10)], [web]), domains)
    assert [(s.lost, s.replaced, s.unplaced, s.shed, s.survives) for s in found] == [
        (2, 2, 0, 0, True),
        (6, 4, 2, 0, False),
    ]
    assert found[1].victims == (("web", 2),)


def test_a_loss_leaves_the_prepared_arrays_as_they_were() -> None:
    web = demand("web", 8, anywhere("a1", "b1"), current={"a1": 2, "b1": 6})
    engine = Engine.of(fleet([site("a1", 9), site("b1", 10)], [web]))
    domain = Domain(kind="cluster", name="b1", sites=("b1",))
    assert lose_domain(engine, domain) == lose_domain(engine, domain)
    assert engine.solve().placed("web") == {"a1": 2, "b1": 6}


def test_what_a_command_imports_does_without_numpy() -> None:
    script = "import sys, failover.planner.joint.problem; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0

"""What comes first holds first: minimums, spreads that must hold, who gives up, and the best where nothing is scarce."""

from collections import Counter
from dataclasses import replace
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from failover.model.policy import OnShortage
from failover.planner.joint.problem import Choice, Demand, Problem, Rules, Spread, Unsatisfiable
from failover.planner.joint.solution import Placement
from failover.planner.joint.solve import solve
from failover.planner.joint.spread import percent_of
from tests.planner.joint.problems import REGIONS, anywhere, demand, fleet, problems, site

some = settings(max_examples=100, deadline=None)


def net(problem: Problem, plan: Placement) -> dict[tuple[str, str], int]:
    """(demand, site) to replicas that it ran there and no longer does."""
    return {
        (one.key, name): number - plan.placed(one.key).get(name, 0)
        for one in problem.demands
        for name, number in one.current.items()
        if number > plan.placed(one.key).get(name, 0)
    }


def minimum_at(one: Demand, name: str) -> int:
    return next((choice.minimum for choice in one.rules.choices if name in choice.sites), 0)


# -- minimums ----------------------------------------------------------------------------------------------------------


@st.composite
def with_minimums(draw: st.DrawFn) -> Problem:
    """Replicas of one size, in up to three clusters that do not hold them all."""
    names = ["a1", "b1", "c1"][: draw(st.integers(1, 3))]
    demands = []
    for index in range(draw(st.integers(1, 5))):
        named = draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
        minimums = [draw(st.integers(0, 4)) for _ in named]
        demands.append(
            demand(
                f"w{index}",
                sum(minimums) + draw(st.integers(0, 6)),
                *(
                    anywhere(
                        name, minimum=least, weight=draw(st.integers(1, 9)), group=draw(st.integers(0, 1))
                    )
                    for name, least in zip(named, minimums, strict=True)
                ),
                tier=draw(st.integers(1, 2)),
            )
        )
    return fleet([site(name, draw(st.integers(0, 12))) for name in names], demands)


@some
@given(problem=with_minimums())
def test_a_minimum_is_short_only_where_minimums_and_earlier_tiers_take_everything(problem: Problem) -> None:
    """A replica that has a place nowhere else may have taken it too: to be placed at all comes before a preference."""
    plan = solve(problem)
    full = {one.name for one in problem.sites if plan.state.free[plan.prepared.site_index[one.name]][0] == 0}
    for one in problem.demands:
        for choice in one.rules.choices:
            name = choice.sites[0]
            if plan.placed(one.key).get(name, 0) >= choice.minimum:
                continue
            assert name in full
            for other in problem.demands:
                held = plan.placed(other.key).get(name, 0)
                nowhere_else = all(rule.sites[0] in full for rule in other.rules.choices)
                assert other.tier < one.tier or held <= minimum_at(other, name) or nowhere_else, (
                    one.key,
                    other.key,
                )


# -- who gives up ------------------------------------------------------------------------------------------------------


@st.composite
def in_one_cluster(draw: st.DrawFn) -> Problem:
    """One full cluster, replicas of one size, and up to two that want room in it."""
    takers = [
        demand(f"t{tier}", draw(st.integers(1, 9)), anywhere("a1"), tier=tier, on_shortage=OnShortage.SHED)
        for tier in range(1, draw(st.integers(1, 2)) + 1)
    ]
    victims = []
    for index in range(draw(st.integers(1, 5))):
        runs = draw(st.integers(1, 8))
        victims.append(
            demand(
                f"v{index}",
                runs,
                anywhere("a1", minimum=draw(st.integers(0, runs))),
                tier=draw(st.integers(2, 4)),
                current={"a1": runs},
            )
        )
    return fleet([site("a1", draw(st.integers(0, 3)))], [*takers, *victims])


@some
@given(problem=in_one_cluster())
def test_the_last_tier_gives_first_and_in_it_who_is_furthest_above_its_minimum(problem: Problem) -> None:
    plan = solve(problem)
    gave = net(problem, plan)
    above = {
        one.key: plan.placed(one.key).get("a1", 0) - minimum_at(one, "a1")
        for one in problem.demands
        if one.current
    }
    victims = [one for one in problem.demands if one.current]
    for one in victims:
        if (one.key, "a1") not in gave:
            continue
        for other in victims:
            held = plan.placed(other.key).get("a1", 0)
            if other.tier > one.tier:
                assert held == 0, f"{other.key} is of a later tier than {one.key} and still runs"
            elif other.tier == one.tier and held:
                assert above[other.key] <= above[one.key] + 1, (other.key, one.key)


@some
@given(problem=in_one_cluster())
def test_no_more_is_given_up_than_is_placed_for_it(problem: Problem) -> None:
    """With replicas of one size: as many as the takers are short of what is free."""
    plan = solve(problem)
    free = (problem.sites[0].free or {})["cpu"]
    placed = sum(plan.placed(one.key).get("a1", 0) for one in problem.demands if not one.current)
    assert sum(net(problem, plan).values()) == max(0, placed - free)
    given_up: Counter[str] = Counter()
    for item in plan.shed:
        given_up[item.victim] += item.replicas
    assert dict(given_up) == {key: number for (key, _), number in net(problem, plan).items()}


@some
@given(problem=problems(running=True))
def test_nobody_who_gave_something_up_could_be_put_back(problem: Problem) -> None:
    plan = solve(problem)
    demands = {one.key: one for one in problem.demands}
    prepared = plan.prepared
    for (key, name), _ in net(problem, plan).items():
        site_at = prepared.site_index[name]
        if not plan.state.takes[site_at]:
            continue
        needs = [demands[key].request[resource] for resource in prepared.resources]
        fits = all(have >= need for have, need in zip(plan.state.free[site_at].tolist(), needs, strict=True))
        assert not fits, f"{key} could be put back in {name}"


# -- spreads that must hold --------------------------------------------------------------------------------------------


@st.composite
def with_a_hard_spread(draw: st.DrawFn) -> Problem:
    """Some replicas run, also where the limit would not let them; others make room."""
    names = sorted(REGIONS)
    limit = Spread(
        kind=draw(st.sampled_from(["region", "cluster"])),
        at_least=draw(st.one_of(st.none(), st.integers(1, 3))),
        at_most_percent=draw(st.sampled_from([34.0, 50.0, 60.0, 75.0])),
        when_unsatisfiable=Unsatisfiable.DO_NOT_SCHEDULE,
    )
    current = {name: draw(st.integers(0, 3)) for name in names}
    web = demand(
        "web",
        sum(current.values()) + draw(st.integers(0, 8)),
        *(anywhere(name, weight=draw(st.integers(1, 4))) for name in names),
        tier=2,
        current=current,
        spread=(limit,),
        on_shortage=OnShortage.SHED,
    )
    others = [
        demand(f"o{index}", runs, anywhere(name), tier=draw(st.integers(1, 4)), current={name: runs})
        for index in range(4)
        for name, runs in [(draw(st.sampled_from(names)), draw(st.integers(1, 4)))]
    ]
    first = demand("first", draw(st.integers(0, 5)), anywhere(*names), tier=1, on_shortage=OnShortage.SHED)
    return fleet([site(name, draw(st.integers(0, 5))) for name in names], [web, first, *others])


@settings(max_examples=300, deadline=None)
@given(problem=with_a_hard_spread())
def test_nothing_is_placed_against_a_spread_that_must_hold(problem: Problem) -> None:
    """What ran before may break it; what this plan adds never stands in a domain above its bound, or in too few domains."""
    plan = solve(problem)
    web = problem.demands[0]
    (limit,) = web.rules.spread
    held: Counter[str] = Counter()
    added: Counter[str] = Counter()
    for name, number in plan.placed("web").items():
        domain = name if limit.kind == "cluster" else REGIONS[name]
        held[domain] += number
        added[domain] += max(0, number - web.current.get(name, 0))
    total = sum(held.values())
    assert limit.at_most_percent is not None
    for domain, number in held.items():
        assert number <= percent_of(limit.at_most_percent, total) or not added[domain], (domain, dict(held))
    if limit.at_least is not None and sum(added.values()):
        assert len(held) >= limit.at_least


# -- where nothing is scarce -------------------------------------------------------------------------------------------


@some
@given(problem=problems(sites_max=4))
def test_where_nothing_is_scarce_the_plan_is_the_best_there_is(problem: Problem) -> None:
    """Compared with every way to place each workload: the most replicas that its hard rules allow, and of those ways its
    minimums, then its spreads (the soft ones), and then the first group before the later ones.
    """
    roomy = replace(
        problem,
        sites=tuple(
            replace(one, free=dict.fromkeys(one.free or {}, 10_000), capacity={}) for one in problem.sites
        ),
        demands=tuple(
            replace(one, replicas=min(one.replicas, 5), rules=replace(one.rules, standby=0))
            for one in problem.demands
        ),
    )
    plan = solve(roomy)
    open_ = {one.name for one in roomy.sites if one.open}
    for one in roomy.demands:
        ways = list(_ways(one.rules, one.replicas, open_))
        best = max(_rank(one.rules, way) for way in ways)
        found = _rank(one.rules, dict(plan.placed(one.key)))
        # Which minimums are kept where not all can be is nobody's promise, and decides what can be said of the rest.
        all_kept = best[1] == sum(choice.minimum for choice in one.rules.choices)
        assert (found if all_kept else found[:2]) == (best if all_kept else best[:2]), one.key


def _ways(rules: Rules, replicas: int, open_: set[str]) -> list[dict[str, int]]:
    names = [choice.sites[0] for choice in rules.choices]
    most = [_most(choice, replicas) if choice.sites[0] in open_ else 0 for choice in rules.choices]
    found = [
        {name: number for name, number in zip(names, numbers, strict=True) if number}
        for numbers in product(*(range(number + 1) for number in most))
        if sum(numbers) <= replicas
    ]
    if rules.on_shortage is OnShortage.HOLD:
        found = [way for way in found if sum(way.values()) in (0, replicas)]
    return [way for way in found if _excess(rules, way, hard=True) == 0]


def _most(choice: Choice, replicas: int) -> int:
    return replicas if choice.maximum is None else min(choice.maximum, replicas)


def _rank(rules: Rules, way: dict[str, int]) -> tuple[int, int, int, int]:
    """Higher is better: replicas, minimums kept, soft spreads kept, replicas in the first group."""
    minimums = sum(min(way.get(choice.sites[0], 0), choice.minimum) for choice in rules.choices)
    first = sum(way.get(choice.sites[0], 0) for choice in rules.choices if choice.group == 0)
    return sum(way.values()), minimums, -_excess(rules, way, hard=False), first


def _excess(rules: Rules, way: dict[str, int], *, hard: bool) -> int:
    """By how many replicas or domains the spreads that must hold (or need not) are broken."""
    total, found = sum(way.values()), 0
    for spread in rules.spread:
        if (spread.when_unsatisfiable is Unsatisfiable.DO_NOT_SCHEDULE) is not hard or not total:
            continue
        held: Counter[str] = Counter()
        for name, number in way.items():
            held[name if spread.kind == "cluster" else REGIONS[name]] += number
        if spread.at_most_percent is not None:
            most = percent_of(spread.at_most_percent, total)
            found += sum(max(0, number - most) for number in held.values())
        if spread.at_least is not None:
            found += max(0, (spread.at_least if hard else min(spread.at_least, total)) - len(held))
    return found

"""Would the fleet survive it? Every domain, before any disaster."""

from failover.model.ids import Domain, DomainKind
from failover.model.policy import OnShortage
from failover.model.verdict import VerdictKind
from failover.planner import survivability
from failover.planner.survive import Outcome
from tests.planner.fleet import World, application, ref, state, workload


def of(world: World, kind: DomainKind, name: str) -> Outcome:
    found = survivability(world.snapshot, world.policy)
    return next(item for item in found.outcomes if item.domains == (Domain(kind=kind, name=name),))


def test_every_domain_is_asked_once_widest_first() -> None:
    world = World()
    found = survivability(world.snapshot, world.policy)
    assert [str(item.domains[0]) for item in found.outcomes] == [
        str(one) for one in world.policy.fleet.domains()
    ]
    assert found.outcomes[0].domains[0].kind is DomainKind.PROVIDER
    assert not found.outcomes[0].survives, "there is no other provider"
    assert all(item.survives for item in found.outcomes[1:])


def test_a_promise_is_broken_where_not_everything_would_be_placed_again() -> None:
    world = World(applications=[application(survives=DomainKind.REGION, on_shortage=OnShortage.PARTIAL)])
    for name in ("east", "north"):
        world.hold(name, state(ref(), 6), room=2)
    outcome = of(world, DomainKind.REGION, "west")
    assert (outcome.lost, outcome.replaced, outcome.unplaced) == (6, 4, 2)
    assert outcome.broken == ("shop",)
    broken = {str(domain) for _, domain in survivability(world.snapshot, world.policy).broken}
    assert "region/west" in broken
    assert "provider/aws" not in broken, "that was never promised"


def test_what_would_be_given_up_is_no_loss_of_who_gets_it() -> None:
    keep = application(tier=1, survives=DomainKind.REGION, on_shortage=OnShortage.SHED)
    late = application("late", workloads=(workload("late"),), dns=(), tier=9, on_shortage=OnShortage.PARTIAL)
    world = World(applications=[keep, late])
    for name in ("east", "north", "west"):
        world.hold(name, state(ref(), 4), state(ref("late"), 4), room=1)
    outcome = of(world, DomainKind.REGION, "west")
    assert outcome.broken == ()
    assert not outcome.survives
    assert {item.application for item in outcome.short} == {"late"}


def test_pairs_are_of_one_kind_and_come_after_the_domains() -> None:
    world = World()
    found = survivability(world.snapshot, world.policy, pairs=True)
    pairs = [item.domains for item in found.outcomes if len(item.domains) == 2]
    assert all(one.kind is other.kind for one, other in pairs)
    assert len([1 for one, _ in pairs if one.kind is DomainKind.REGION]) == 3


def test_what_is_no_target_today_takes_nothing_and_is_named() -> None:
    world = World(applications=[application(on_shortage=OnShortage.PARTIAL)])
    world.judge("north", VerdictKind.PATH_PROBLEM)
    found = survivability(world.snapshot, world.policy)
    assert found.unknown == ("north is PATH_PROBLEM",)
    world.hold("east", state(ref(), 6), room=5)
    assert of(world, DomainKind.REGION, "west").unplaced == 1

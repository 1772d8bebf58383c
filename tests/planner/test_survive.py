"""Would the fleet survive it? Every domain, before any disaster."""

import pytest

from failover.model.ids import Domain, DomainKind
from failover.model.policy import OnShortage
from failover.model.verdict import VerdictKind
from failover.planner import survivability
from failover.planner.survive import Outcome
from tests.planner.fleet import THREE, World, application, left_out, placed, ref, state, workload


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
    assert found.outcomes[0].survives is False, "there is no other provider"
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
    assert outcome.survives is False
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


def with_ledger(promise: DomainKind | None = DomainKind.REGION) -> World:
    """`shop` runs `web` everywhere and the single writer `db` in the west; there is room for anything."""
    web, db = workload(), workload("db", placed(*THREE), single=True)
    world = World(
        applications=[application(workloads=(web, db), survives=promise, on_shortage=OnShortage.PARTIAL)]
    )
    for name in THREE:
        writers = 1 if name == "west" else 0
        world.hold(name, state(ref(), 6), state(ref("db", "StatefulSet"), writers))
    return world


def test_a_lost_single_writer_waits_for_a_person_and_so_breaks_its_promise() -> None:
    world = with_ledger()
    outcome = of(world, DomainKind.REGION, "west")
    assert left_out(with_ledger().lose("west")) == "single-writer", "this is what the run would do"
    assert (outcome.lost, outcome.replaced, outcome.waiting, outcome.unplaced) == (7, 0, 7, 0)
    assert outcome.survives is False
    assert (outcome.waits, outcome.broken) == (("shop",), ("shop",))


def test_where_no_single_writer_is_lost_nobody_has_to_wait() -> None:
    outcome = of(with_ledger(), DomainKind.REGION, "east")
    assert (outcome.replaced, outcome.waiting, outcome.survives, outcome.broken) == (6, 0, True, ())


def test_a_single_writer_by_its_volume_waits_as_well() -> None:
    world = World(applications=[application(survives=DomainKind.REGION)])
    world.hold("west", state(ref(), 1, single_writer=True))
    for name in ("east", "north"):
        world.hold(name, state(ref(), 0))
    outcome = of(world, DomainKind.REGION, "west")
    assert (outcome.waiting, outcome.broken) == (1, ("shop",))


@pytest.mark.parametrize("look", ["never", "old"])
def test_the_loss_of_a_cluster_that_nobody_looked_at_is_never_called_survived(look: str) -> None:
    world = World(applications=[application(survives=DomainKind.REGION)])
    if look == "never":
        del world.inventories["west"]
    else:
        world.hold("west", state(ref(), 6), age_s=1000)
    outcome = of(world, DomainKind.REGION, "west")
    assert outcome.unseen == ("west",)
    assert outcome.lost == (0 if look == "never" else 6), "what was seen last counts"
    assert outcome.survives is None
    assert (outcome.broken, outcome.unshown) == ((), ("shop",))
    elsewhere = of(world, DomainKind.REGION, "east")
    assert (elsewhere.unseen, elsewhere.survives, elsewhere.unshown) == ((), True, ())


def test_what_is_known_to_break_is_broken_whatever_is_unseen_besides() -> None:
    world = World(applications=[application(survives=DomainKind.REGION, on_shortage=OnShortage.PARTIAL)])
    world.hold("west", state(ref(), 6), age_s=1000)
    for name in ("east", "north"):
        world.hold(name, state(ref(), 6), room=1)
    outcome = of(world, DomainKind.REGION, "west")
    assert (outcome.survives, outcome.broken, outcome.unshown) == (False, ("shop",), ())


def test_an_unseen_cluster_concerns_only_who_it_may_harm() -> None:
    """`near` runs there; `late` may be shed for what runs there; `apart` neither."""
    near = application("near", tier=2, survives=DomainKind.REGION, on_shortage=OnShortage.SHED, dns=())
    far = tuple(
        application(
            name,
            tier=tier,
            survives=DomainKind.REGION,
            dns=(),
            workloads=(workload(name, placed("east", "north")),),
        )
        for name, tier in (("late", 3), ("apart", 1))
    )
    world = World(applications=[near, *far])
    for name in ("east", "north"):
        world.hold(name, state(ref(), 6), state(ref("late"), 1), state(ref("apart"), 1))
    world.hold("west", state(ref(), 6), age_s=1000)
    assert of(world, DomainKind.REGION, "west").unshown == ("near", "late")


def test_a_cluster_that_no_application_names_may_stay_unseen() -> None:
    world = World(applications=[application(workloads=(workload(clusters=placed("east", "north")),), dns=())])
    del world.inventories["west"]
    assert of(world, DomainKind.REGION, "west").survives is True


def test_what_serves_nobody_today_is_not_empty() -> None:
    world = World().judge("west", VerdictKind.DATA_PLANE_DOWN)
    assert of(world, DomainKind.REGION, "west").lost == 6
    world = World()
    world.finished(world.lose("west"))
    assert of(world, DomainKind.REGION, "west").lost == 0, "what was moved away from it runs elsewhere"

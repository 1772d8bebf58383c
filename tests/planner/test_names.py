"""Names: several providers of one zone, weights, changes in parts, repairs and adoptions."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from failover.model.ids import ApplicationName, Domain, DomainKind, Epoch, RunId, ZoneName
from failover.model.parts import in_parts
from failover.model.plan import ChangeRecordsStep, Plan, PlanRequest, RunKind
from failover.model.policy import Policy
from failover.model.records import (
    CAPABILITIES,
    FenceRecord,
    OwnedName,
    RecordChange,
    RecordSet,
    RecordType,
    ZoneState,
)
from failover.model.snapshot import Displacement, Snapshot
from failover.model.verdict import VerdictKind
from failover.planner import plan
from failover.planner.widen import widen
from tests.planner.fleet import THREE, WALL, ZONE, World, address, application, dns, records

SECOND = ZoneName("example-test-route53")
HELD = records(*(address(name) for name in THREE))
OURS = frozenset((zone, ApplicationName("shop"), *HELD.key) for zone in (ZONE, SECOND))


def fence(owner: str = "test") -> FenceRecord:
    return FenceRecord(
        owner=owner,
        application=ApplicationName("shop"),
        plan="p",
        generation="g",
        epoch=Epoch(1),
        holder="controller",
    )


class TwoProviders:
    """The zone at two providers, each with what it holds, or None where it cannot be read."""

    def __init__(self, first: RecordSet | None, second: RecordSet | None, *, adopt: bool = True) -> None:
        self.world = World(applications=[application(dns=(dns(), replace(dns(), zone=SECOND)))])
        self.held = {ZONE: first, SECOND: second}
        self.adopt = adopt
        self.unread: set[ZoneName] = set()
        self.fences: tuple[FenceRecord, ...] = (fence(),)
        self.intended: tuple[RecordSet, ...] = ()
        self.owned: frozenset[OwnedName] = frozenset()
        self.displacements: tuple[Displacement, ...] = ()

    @property
    def policy(self) -> Policy:
        policy = self.world.policy
        zone = replace(policy.zones[0], adopt=self.adopt)
        return replace(policy, zones=(zone, replace(zone, name=SECOND, provider="route53", hosted_zone="Z1")))

    @property
    def snapshot(self) -> Snapshot:
        states = tuple(
            ZoneState(zone=name, record_sets=(held,) if held else (), fences=self.fences)
            for name, held in self.held.items()
            if name not in self.unread
        )
        return replace(
            self.world.snapshot,
            zones=states,
            intended=self.intended,
            displacements=self.displacements,
            owned=self.owned,
        )

    def plan(self, kind: RunKind, domain: Domain, *sources: str) -> Plan:
        policy = self.policy
        entries = tuple(entry.name for entry in policy.fleet.clusters if entry.region in sources)
        request = PlanRequest(run_kind=kind, domain=domain, sources=entries, by_person=True)
        return plan(self.snapshot, policy, request)

    def lose_west(self) -> Plan:
        self.world.judge("west", VerdictKind.DOWN)
        return self.plan(RunKind.EVACUATION, Domain(kind=DomainKind.REGION, name="west"), "west")

    def drain_west(self) -> Plan:
        self.world.judge("west", VerdictKind.HEALTHY)
        return self.plan(RunKind.DRAIN, Domain(kind=DomainKind.REGION, name="west"), "west")

    def names(self, kind: RunKind, zone: ZoneName = SECOND) -> Plan:
        return self.plan(kind, Domain(kind=DomainKind.ZONE, name=zone))


def changes(made: Plan) -> list[ChangeRecordsStep]:
    return [step for step in made.steps if isinstance(step, ChangeRecordsStep)]


def test_both_providers_are_changed_each_by_a_step_that_waits_for_no_other() -> None:
    steps = changes(TwoProviders(HELD, HELD).lose_west())
    assert {step.zone for step in steps} == {ZONE, SECOND}
    assert len({step.needs for step in steps}) == 1
    assert all(address("west") not in step.changes[0].after.values for step in steps)


def test_a_provider_that_cannot_be_read_does_not_stop_the_other_and_the_plan_says_what_catches_it_up() -> (
    None
):
    story = TwoProviders(HELD, HELD)
    story.unread = {SECOND}
    made = story.lose_west()
    assert [step.zone for step in changes(made)] == [ZONE]
    assert any("failover dns repair example-test-route53" in note for note in made.applications[0].notes)


def test_plans_that_change_the_same_name_at_different_providers_are_different_plans() -> None:
    made = []
    for unread in (ZONE, SECOND):
        story = TwoProviders(HELD, HELD)
        story.unread = {unread}
        made.append(story.lose_west())
    first, second = made
    assert first.applications[0].records == second.applications[0].records
    assert first.hash != second.hash


def test_a_run_that_widens_counts_each_provider_from_where_it_stood_itself() -> None:
    """One provider was read late, and had been edited meanwhile: its start is not the other's."""
    story = TwoProviders(HELD, HELD)
    story.unread = {SECOND}
    former = story.lose_west()
    other = records(address("north"), address("west"))
    story.unread = set()
    story.held[SECOND] = other
    kept = frozenset(step.id for step in changes(former))
    part = widen(former, kept, story.lose_west()).applications[0]
    starts = {zone: change.before for zone, change in part.zoned_records()}
    assert starts == {ZONE: HELD, SECOND: other}


def test_what_one_provider_was_brought_to_stays_in_a_wider_plan_that_finds_only_the_other() -> None:
    story = TwoProviders(HELD, HELD)
    former = story.lose_west()
    story.unread = {SECOND}
    part = widen(former, frozenset(step.id for step in changes(former)), story.lose_west()).applications[0]
    assert {zone for zone, _ in part.zoned_records()} == {ZONE, SECOND}


def test_a_run_that_widens_again_and_again_knows_the_zone_of_each_record_set() -> None:
    """In between there is nothing to change: what was changed before is carried on, each with its zone."""
    story = TwoProviders(HELD, HELD)
    plan = story.lose_west()
    kept = frozenset(step.id for step in changes(plan))
    done = {step.zone: step.changes[0].after for step in changes(plan)}
    other = records(address("north"), address("west"))
    for held in (done, {ZONE: other, SECOND: done[SECOND]}):
        story.held = held
        plan = widen(plan, kept, story.lose_west())
        part = plan.applications[0]
        assert {zone for zone, _ in part.zoned_records()} == {ZONE, SECOND}
        assert len(part.record_zones) == len(part.records)
        assert plan.hash


def test_a_provider_that_was_caught_up_by_a_repair_comes_home_by_the_same_stages() -> None:
    """It was silent during the evacuation, so that only the other one's record set was moved by it."""
    story = TwoProviders(HELD, HELD)
    story.unread = {SECOND}
    lost = story.lose_west()
    after = changes(lost)[0].changes[0].after
    story.unread = set()
    story.held = {ZONE: after, SECOND: after}
    story.displacements = (
        Displacement(
            run=RunId("run-1"), domain=lost.domain, plan=lost, finished_at=WALL - timedelta(hours=1)
        ),
    )
    story.world.judge("west", VerdictKind.HEALTHY)
    steps = changes(story.plan(RunKind.FAILBACK, lost.domain, "west"))
    by_zone = {zone: [step.changes for step in steps if step.zone == zone] for zone in (ZONE, SECOND)}
    assert by_zone[ZONE]
    assert by_zone[ZONE] == by_zone[SECOND]
    assert steps[-1].changes[0].after == HELD


def test_with_no_provider_readable_nothing_moves() -> None:
    story = TwoProviders(HELD, HELD)
    story.unread = {ZONE, SECOND}
    made = story.lose_west()
    assert made.applications[0].left_out is not None
    assert made.applications[0].left_out.code == "zone-unreadable"


def test_a_drain_waits_for_both_providers_because_clients_of_the_silent_one_still_come() -> None:
    story = TwoProviders(HELD, HELD)
    story.unread = {SECOND}
    made = story.plan(RunKind.DRAIN, Domain(kind=DomainKind.REGION, name="west"), "west")
    assert made.applications[0].left_out is not None
    assert made.applications[0].left_out.code == "zone-unreadable"


def test_a_repair_brings_a_provider_to_what_runs_decided_and_names_who_leaves() -> None:
    decided = records(address("east"), address("north"))
    story = TwoProviders(decided, HELD)
    story.intended = (decided,)
    made = story.names(RunKind.REPAIR)
    assert [(step.zone, step.changes) for step in changes(made)] == [
        (SECOND, (RecordChange(before=HELD, after=decided),))
    ]
    assert made.sources == ("west",)
    assert story.names(RunKind.REPAIR, ZONE).is_empty


def test_a_new_provider_gets_what_the_other_holds_and_an_unread_one_nothing() -> None:
    story = TwoProviders(HELD, None)
    assert changes(story.names(RunKind.REPAIR))[0].changes == (RecordChange(before=None, after=HELD),)
    story.unread = {SECOND}
    made = story.names(RunKind.REPAIR)
    assert made.is_empty
    assert made.applications[0].left_out is not None


def test_a_repair_puts_a_ttl_right() -> None:
    story = TwoProviders(replace(HELD, ttl=3600), replace(HELD, ttl=3600))
    (step,) = changes(story.names(RunKind.REPAIR))
    assert step.changes[0].after.ttl == 60


def test_names_without_our_fence_are_adopted_by_a_person_and_never_in_passing() -> None:
    story = TwoProviders(HELD, HELD, adopt=False)
    story.fences = ()
    left_out = story.lose_west().applications[0].left_out
    assert left_out is not None
    assert left_out.code == "own-names"
    assert "failover dns adopt" in left_out.sentence
    (step,) = changes(story.names(RunKind.ADOPTION))
    assert step.adopt
    assert step.changes == (RecordChange(before=HELD, after=HELD),)
    story.fences = (fence(),)
    story.owned = OURS
    assert story.names(RunKind.ADOPTION).is_empty
    assert story.lose_west().applications[0].left_out is None


def test_a_name_that_nothing_says_is_ours_stays_and_the_fence_of_its_neighbours_does_not_make_it_ours() -> (
    None
):
    """A name was added to a fenced application, and stands in the zone already: it is somebody's until it is adopted."""
    story = TwoProviders(HELD, HELD, adopt=False)
    story.owned = frozenset(key for key in OURS if key[0] == ZONE)
    made = story.lose_west()
    assert [step.zone for step in changes(made)] == [ZONE]
    (note,) = [item for item in made.applications[0].notes if "nothing says that we wrote that" in item]
    assert f"`failover dns adopt {SECOND}`" in note
    assert story.drain_west().applications[0].left_out.code == "own-names", (
        "its clients would lose the source"
    )
    (step,) = changes(story.names(RunKind.ADOPTION))
    assert (step.zone, step.adopt) == (SECOND, True)
    story.owned = OURS
    assert story.names(RunKind.ADOPTION).is_empty
    assert {step.zone for step in changes(story.lose_west())} == {ZONE, SECOND}


def test_an_adoption_that_one_atomic_change_cannot_hold_goes_in_parts() -> None:
    names = tuple(replace(dns(), name=f"app{number}.example.test.") for number in range(1200))
    story = TwoProviders(HELD, HELD, adopt=False)
    story.world = World(applications=[application(dns=tuple(replace(name, zone=SECOND) for name in names))])
    held = tuple(replace(HELD, name=name.name) for name in names)
    state = ZoneState(zone=SECOND, record_sets=held)
    request = PlanRequest(
        run_kind=RunKind.ADOPTION,
        domain=Domain(kind=DomainKind.ZONE, name=SECOND),
        sources=(),
        by_person=True,
    )
    made = plan(replace(story.snapshot, zones=(state,)), story.policy, request)
    steps = changes(made)
    assert len(steps) == 10, (
        "three old and three new values a name, 1,000 a batch at Route 53, with some room"
    )
    assert all(step.adopt for step in steps)
    assert sum((step.changes for step in steps), ()) == tuple(
        RecordChange(before=item, after=item) for item in held
    )
    assert [step.needs for step in steps] == [(), *((step.id,) for step in steps[:-1])]


def test_a_name_that_does_not_exist_yet_is_created_without_an_adoption() -> None:
    story = TwoProviders(HELD, None, adopt=False)
    story.fences, story.owned = (), frozenset()
    story.held[ZONE] = None
    made = story.lose_west()
    assert {step.zone for step in changes(made)} == {ZONE, SECOND}


def test_a_repair_leaves_what_is_not_ours_and_says_how_it_becomes_so() -> None:
    edited = records(address("north"))
    story = TwoProviders(HELD, edited, adopt=False)
    story.intended = (HELD,)
    left_out = story.names(RunKind.REPAIR).applications[0].left_out
    assert left_out is not None
    assert (left_out.code, left_out.evidence) == ("own-names", (f"{HELD.name} A",))
    story.owned = OURS
    (step,) = changes(story.names(RunKind.REPAIR))
    assert step.changes == (RecordChange(before=edited, after=HELD),)


def test_what_is_not_ours_comes_home_by_a_person_only() -> None:
    story = TwoProviders(HELD, HELD, adopt=False)
    story.owned = OURS
    story.world.finished(story.lose_west())
    story.displacements = story.world.snapshot.displacements
    away = records(address("north"), address("south"))
    story.held = {ZONE: away, SECOND: away}
    story.world.judge("west", VerdictKind.HEALTHY)
    story.owned = frozenset(key for key in OURS if key[0] == ZONE)
    home = Domain(kind=DomainKind.REGION, name="west")
    left_out = story.plan(RunKind.FAILBACK, home, "west").applications[0].left_out
    assert left_out is not None
    assert left_out.code == "own-names"
    story.owned = OURS
    assert story.plan(RunKind.FAILBACK, home, "west").applications[0].left_out is None


def test_weighted_names_come_home_by_exact_shares() -> None:
    weighted = replace(dns(), weighted=True)
    world = World(
        applications=[application(dns=(weighted,))],
        record_sets=[replace(HELD, weights=(100, 100, 100))],
    )
    world.finished(world.lose("west"))
    world.judge("west", VerdictKind.HEALTHY)
    made = world.plan(RunKind.FAILBACK, "west", by_person=True)
    steps = changes(made)
    assert [step.traffic_percent for step in steps] == [3, 17, 33]
    home = address("west")
    shares = [
        dict(zip(s.changes[0].after.values, s.changes[0].after.weights, strict=True))[home] for s in steps
    ]
    assert shares == [7, 40, 100]
    assert all("weights in" in step.reason for step in steps)


SETS = st.integers(1, 40).flatmap(
    lambda count: st.tuples(
        *(
            st.tuples(
                st.sets(st.integers(1, 9), min_size=1, max_size=5),
                st.sets(st.integers(1, 9), min_size=1, max_size=5),
            )
            for _ in range(count)
        )
    )
)


@given(SETS, st.integers(1, 20), st.booleans())
def test_parts_end_where_the_whole_ends_and_no_name_loses_a_value_before_all_have_got_theirs(
    sets: tuple[tuple[set[int], set[int]], ...], able: int, weighted: bool
) -> None:
    def made(number: int, values: set[int], weight: int) -> RecordSet:
        return RecordSet(
            name=f"app{number}.example.test.",
            record_type=RecordType.A,
            ttl=60,
            values=tuple(sorted(f"192.0.2.{value}" for value in values)),
            weights=(weight,) * len(values) if weighted else (),
        )

    whole = tuple(
        RecordChange(before=made(number, before, 100), after=made(number, after, 50))
        for number, (before, after) in enumerate(sets)
    )
    held = {change.after.key: change.before for change in whole}
    removed = False
    room = replace(CAPABILITIES["clouddns"], atomic_names=able)
    parts = in_parts(whole, room, "example.test.")
    for part in parts:
        for change in part:
            assert held[change.after.key] == change.before, "each part builds on the one before"
            before = set(change.before.values if change.before else ())
            adds, removes = set(change.after.values) - before, before - set(change.after.values)
            removed = removed or bool(removes)
            if len(parts) > 1 and adds:
                assert not removes, "a part adds, or it removes"
                assert not removed, "nothing is added once something was removed"
            held[change.after.key] = change.after
    assert held == {change.after.key: change.after for change in whole}

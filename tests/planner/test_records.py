"""What clients are told: never nothing, never less than what serves."""

from dataclasses import replace

from failover.model.plan import ChangeRecordsStep, RunKind
from failover.model.policy import OnShortage, Publish
from failover.model.records import RecordType
from failover.model.verdict import VerdictKind
from tests.planner.fleet import (
    World,
    address,
    application,
    dns,
    kinds,
    left_out,
    placed,
    records,
    ref,
    state,
    workload,
)


def after(world: World, *sources: str) -> tuple[str, ...]:
    made = world.lose(*sources)
    (record,) = made.after_records()
    return record.values


def test_a_serving_member_is_no_target_and_still_stays_in_dns() -> None:
    world = World(applications=[application(floor=1)]).judge("east", VerdictKind.CONTROL_PLANE_DOWN)
    assert after(world, "west") == (address("east"), address("north"))


def test_a_member_that_nobody_asked_about_stays_even_if_it_does_not_serve() -> None:
    world = World(applications=[application(floor=1)]).judge("east", VerdictKind.DATA_PLANE_DOWN)
    assert after(world, "west") == (address("east"), address("north"))


def test_the_last_good_set_stays_where_no_serving_cluster_would_be_left() -> None:
    world = World(applications=[application(floor=0, on_shortage=OnShortage.PARTIAL, workloads=())])
    world.record_sets = [records(address("west"))]
    world.judge("east", VerdictKind.UNKNOWN).judge("north", VerdictKind.PATH_PROBLEM)
    made = world.lose("west")
    assert left_out(made) == "empty-record-set"
    assert address("west") in str(made.applications[0].left_out)
    world.record_sets = [records(address("west"), "203.0.113.9")]
    assert left_out(world.lose("west")) == "empty-record-set"


def test_a_name_that_would_be_left_with_nobody_stays_and_holds_no_other_up() -> None:
    world = World(applications=[application(dns=(dns(), dns(record_type=RecordType.AAAA)))])
    world.entries = [
        replace(entry, ipv6=entry.ipv6 if entry.name == "west" else ()) for entry in world.entries
    ]
    world.record_sets.append(records("2001:db8::3", record_type=RecordType.AAAA))
    made = world.lose("west")
    assert [record.record_type for record in made.after_records()] == [RecordType.A]
    assert any("AAAA; its last good set stays (2001:db8::3)" in note for note in made.applications[0].notes)
    world.judge("west", VerdictKind.HEALTHY)
    assert left_out(world.plan(RunKind.DRAIN, "west", by_person=True)) == "empty-record-set"


def test_a_value_of_unknown_origin_is_kept_and_told() -> None:
    world = World()
    world.record_sets = [records(address("west"), address("east"), "203.0.113.9")]
    made = world.lose("west")
    assert "203.0.113.9" in made.after_records()[0].values
    assert any("203.0.113.9, which is no cluster's endpoint" in note for note in made.applications[0].notes)


def test_an_unread_zone_is_unknown_and_leaves_only_its_application_out() -> None:
    world = World(applications=[application(), application("batch", dns=())])
    world.zone_read = False
    made = world.lose("west")
    assert left_out(made) == "zone-unreadable"
    assert left_out(made, "batch") == ""
    assert kinds(made) == ["scale", "scale", "wait-ready"]


def test_first_publishes_the_next_healthy_cluster_that_carries_the_application() -> None:
    name = dns(publish=Publish.FIRST, clusters=("west", "east", "north"))
    world = World(applications=[application(dns=(name,), floor=1)])
    world.record_sets = [records(address("west"))]
    assert after(world, "west") == (address("east"),)
    world.hold("east", state(ref(), 0, exists=False))
    assert after(world, "west") == (address("north"),)


def test_first_leaves_a_serving_choice_alone_even_if_a_better_one_is_listed() -> None:
    name = dns(publish=Publish.FIRST, clusters=("west", "east", "north"))
    world = World(applications=[application(dns=(name,))])
    world.record_sets = [records(address("north"))]
    made = world.lose("west")
    assert made.after_records() == ()
    assert "change-records" not in kinds(made)


def test_a_cname_and_addresses_of_version_6_follow_too_in_one_atomic_step() -> None:
    names = (
        dns(),
        dns(record_type=RecordType.AAAA),
        dns("www.example.test", RecordType.CNAME, clusters=("west", "north")),
    )
    world = World(applications=[application(dns=names)])
    world.record_sets += [
        records("2001:db8::1", "2001:0db8::3", record_type=RecordType.AAAA),
        records("West.example.net.", name="www.example.test.", record_type=RecordType.CNAME),
    ]
    made = world.lose("west")
    (change,) = [step for step in made.steps if isinstance(step, ChangeRecordsStep)]
    assert [item.after.values for item in change.changes] == [
        (address("east"), address("north")),
        ("2001:db8::1", "2001:db8::2"),
        ("north.example.net.",),
    ]
    assert change.changes[1].before is not None
    assert change.changes[1].before.values == ("2001:0db8::3", "2001:db8::1")


def test_an_absent_record_set_is_created_with_the_policys_ttl() -> None:
    world = World(applications=[application(dns=(dns(ttl=30),))])
    world.record_sets = []
    made = world.lose("west")
    (change,) = made.applications[0].records
    assert change.before is None
    assert (change.after.ttl, change.after.values) == (30, (address("east"), address("north")))


def test_an_address_that_a_serving_cluster_shares_stays() -> None:
    world = World()
    shared = [entry for entry in world.entries if entry.name != "east"]
    east = next(entry for entry in world.entries if entry.name == "east")
    world.entries = [replace(east, ipv4=(address("west"),)), *shared]
    world.record_sets = [records(address("west"), address("north"))]
    assert "change-records" not in kinds(world.lose("west"))


def test_an_application_without_workloads_moves_its_clients_only() -> None:
    made = World(applications=[application(workloads=())]).lose("west")
    assert kinds(made) == ["change-records"]


def test_clients_are_not_sent_to_a_cluster_that_got_only_a_part_of_the_application() -> None:
    both = (
        workload("web", placed("west", "east", "north")),
        workload("api", placed("west", "east", "north")),
    )
    world = World(applications=[application(workloads=both)])
    world.record_sets = [records(address("west"), address("north"))]
    world.hold("west", state(ref("web"), 6), state(ref("api"), 6))
    world.hold("north", state(ref("web"), 6), state(ref("api"), 6))
    world.hold("east", state(ref("web"), 6), state(ref("api"), 0, exists=False))
    assert after(world, "west") == (address("east"), address("north"))
    world.hold("east", state(ref("web"), 6), state(ref("api"), 0))
    world.applications = [
        application(
            workloads=(both[0], workload("api", (*placed("west", "north"), *placed("east", weight=0))))
        )
    ]
    assert after(world, "west") == (address("north"),)


def test_a_drain_of_what_is_not_published_changes_no_record() -> None:
    world = World()
    world.record_sets = [records(address("east"), address("north"))]
    made = world.plan(RunKind.DRAIN, "west", by_person=True)
    assert kinds(made) == ["scale", "scale", "wait-ready", "scale"]

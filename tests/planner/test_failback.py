"""The region is back: what finished runs took from it returns, by stages, and the stand-ins shrink."""

import itertools
from dataclasses import replace

from failover.model.inventory import Autoscaler
from failover.model.plan import ChangeRecordsStep, Phase, Plan, RunKind, ScaleStep, WaitStep
from failover.model.policy import Publish
from failover.model.records import RecordType
from failover.model.verdict import VerdictKind
from tests.planner.fleet import (
    NORTH,
    WEST,
    World,
    address,
    application,
    dns,
    entry,
    kinds,
    left_out,
    records,
    ref,
    state,
    totals,
    workload,
)


def evacuated(world: World | None = None) -> World:
    """West was lost and evacuated; it is back, and its objects still want what they wanted."""
    world = world or World()
    world.finished(world.lose("west"))
    return world.judge("west", VerdictKind.HEALTHY)


def drained(world: World | None = None) -> World:
    world = world or World()
    return world.finished(world.plan(RunKind.DRAIN, "west", by_person=True))


def back(world: World, **more: object) -> Plan:
    return world.plan(RunKind.FAILBACK, "west", by_person=True, **more)


def test_after_a_drain_the_home_grows_first_and_the_stand_ins_shrink_last() -> None:
    world = drained()
    made = back(world)
    assert kinds(made) == ["scale", "wait-ready", "change-records", "wait", "scale", "scale"]
    assert totals(made) == {"east": (9, 6), "north": (9, 6), "west": (0, 6)}
    home, ready, change, wait, *release = made.steps
    assert isinstance(home, ScaleStep)
    assert home.cluster == WEST
    assert ready.needs == (home.id,)
    assert change.needs == (ready.id,)
    assert isinstance(wait, WaitStep)
    assert wait.seconds == 65.0
    assert all(step.needs == (wait.id,) and step.phase is Phase.RELEASE for step in release)
    assert made.undoes == ("run-1",)


def test_an_evacuated_region_runs_its_old_replicas_again_and_the_plan_calls_them_duplicates() -> None:
    made = back(evacuated())
    assert kinds(made) == ["wait-ready", "change-records", "wait", "scale", "scale"]
    assert totals(made) == {"east": (9, 6), "north": (9, 6), "west": (6, 6)}
    assert any("duplicates" in note for note in made.applications[0].notes)


def test_who_took_in_what_another_region_lost_goes_home_after_that_one() -> None:
    """Seed 3828: its own replicas cannot be told from those that it took in; given back were both."""
    world = drained()
    world.finished(world.plan(RunKind.EVACUATION, "east", by_person=True), run="run-2", hours_ago=0.5)
    assert world.inventories[WEST].workloads[0].wanted > 0
    first = back(world)
    assert left_out(first) == "moved-on"
    assert "run-2 moved shop" in first.applications[0].left_out.sentence
    assert not first.steps
    everyone = world.entries
    world.entries = [one for one in everyone if one.name != "east"]
    assert left_out(back(world)) != "moved-on", "nothing comes home to what the policy names no more"
    world.entries = everyone
    east = world.plan(RunKind.FAILBACK, "east", by_person=True)
    assert left_out(east) == ""
    world.displacements.pop()
    world.finished(east)
    world.displacements.pop()
    home = back(world)
    assert left_out(home) == ""
    world.finished(home)
    assert {name: item.workloads[0].wanted for name, item in world.inventories.items()} == {
        "east": 6,
        "north": 6,
        "west": 6,
    }


def test_the_world_after_a_failback_is_the_world_before_the_loss() -> None:
    for world in (evacuated(), drained()):
        made = back(world)
        world.displacements.clear()
        world.finished(made)
        assert {name: item.workloads[0].wanted for name, item in world.inventories.items()} == {
            "east": 6,
            "north": 6,
            "west": 6,
        }
        assert world.record_sets == [records(*(address(name) for name in ("east", "north", "west")))]


def test_with_one_address_there_is_one_stage_and_the_real_share_is_said() -> None:
    change = next(step for step in back(evacuated()).steps if isinstance(step, ChangeRecordsStep))
    assert change.traffic_percent == 33
    assert "10 % asked: 1 of 1 home addresses" in change.reason
    assert "33 % of what it publishes" in change.reason


def test_with_ten_addresses_clients_return_in_stages_with_the_old_ttl_between() -> None:
    world = World(entries=[entry("east"), entry("north"), entry("west", addresses=10)])
    world.record_sets = [records(address("east"), address("north"), *(address("west", i) for i in range(10)))]
    made = back(evacuated(world))
    stages = [step for step in made.steps if isinstance(step, ChangeRecordsStep)]
    assert [len(step.changes[0].after.values) for step in stages] == [3, 4, 12]
    assert [step.traffic_percent for step in stages] == [33, 50, 83]
    waits = [step for step in made.steps if isinstance(step, WaitStep)]
    assert [step.seconds for step in waits] == [60.0, 60.0, 65.0]
    assert stages[1].needs == (waits[0].id,)
    for earlier, later in itertools.pairwise(stages):
        assert later.changes[0].before == earlier.changes[0].after
        assert set(earlier.changes[0].after.values) < set(later.changes[0].after.values)


def test_two_names_of_one_zone_ramp_together() -> None:
    world = World(entries=[entry("east"), entry("north"), entry("west", addresses=2)])
    world.applications = [application(dns=(dns(), dns(record_type=RecordType.AAAA)))]
    world.record_sets = [
        records(address("east"), address("north"), address("west"), address("west", 1)),
        records("2001:db8::1", "2001:db8::2", "2001:db8::3", record_type=RecordType.AAAA),
    ]
    made = back(evacuated(world))
    stages = [step for step in made.steps if isinstance(step, ChangeRecordsStep)]
    assert [len(step.changes) for step in stages] == [2, 1]


def test_a_stand_in_that_kept_nothing_leaves_dns_before_it_stops() -> None:
    world = World().hold("east", state(ref(), 0))
    world.record_sets = [records(address("north"), address("west"))]
    world = drained(world)
    assert address("east") in world.record_sets[0].values
    made = back(world)
    final = [step for step in made.steps if isinstance(step, ChangeRecordsStep)][-1]
    assert final.changes[0].after.values == (address("north"), address("west"))
    assert totals(made)["east"][1] == 0
    assert made.steps[-1].phase is Phase.RELEASE


def test_a_cname_returns_in_one_step() -> None:
    name = dns(record_type=RecordType.CNAME, publish=Publish.FIRST, clusters=("west", "east"))
    world = World(applications=[application(dns=(name,))])
    world.record_sets = [records("west.example.net.", record_type=RecordType.CNAME)]
    world = evacuated(world)
    assert world.record_sets[0].values == ("east.example.net.",)
    made = back(world)
    changes = [step for step in made.steps if isinstance(step, ChangeRecordsStep)]
    assert [step.changes[0].after.values for step in changes] == [("west.example.net.",)]
    assert any("returns in one step" in note for note in made.applications[0].notes)


def test_nothing_below_what_a_stand_in_had_even_if_it_shrank_meanwhile() -> None:
    world = drained()
    world.hold("east", state(ref(), 7)).hold("north", state(ref(), 4))
    made = back(world)
    assert totals(made)["east"] == (7, 6)
    assert totals(made)["north"] == (4, 4)


def test_what_a_stand_in_grew_by_itself_it_keeps() -> None:
    world = drained().hold("east", state(ref(), 20))
    assert totals(back(world))["east"] == (20, 17)


def test_a_home_without_room_leaves_everything_where_it_is() -> None:
    world = drained().hold("west", state(ref(), 0), room=5)
    made = back(world)
    assert left_out(made) == "no-target"
    assert made.is_empty
    assert made.undoes == ()


def test_a_home_that_is_not_fit_is_refused_as_a_whole() -> None:
    assert [item.code for item in back(drained().cordon("west")).refusals] == ["cordoned"]
    assert [item.code for item in back(drained().judge("west", VerdictKind.PATH_PROBLEM)).refusals] == [
        "not-healthy"
    ]


def test_without_a_displacement_there_is_nothing_to_fail_back() -> None:
    assert [item.code for item in back(World()).refusals] == ["nothing-to-fail-back"]


def test_an_unread_zone_leaves_the_application_out() -> None:
    world = drained()
    world.zone_read = False
    assert left_out(back(world)) == "zone-unreadable"


def test_a_single_writer_stops_is_proven_gone_and_starts_at_home() -> None:
    shop = application(workloads=(workload("db", single=True),))
    world = World(applications=[shop])
    for name, wanted in (("east", 0), ("north", 0), ("west", 1)):
        world.hold(name, state(ref("db", "StatefulSet"), wanted, single_writer=True))
    world = drained(world)
    made = back(world)
    assert kinds(made)[:4] == ["scale", "prove-gone", "scale", "wait-ready"]
    stop, gone, start = made.steps[:3]
    assert (stop.after, start.cluster, start.after) == (0, WEST, 1)  # type: ignore[union-attr]
    assert gone.needs == (stop.id,)
    assert start.needs == (gone.id,)
    assert left_out(world.plan(RunKind.FAILBACK, "west")) == "single-writer"


def a_writer_in(cluster: str) -> World:
    """West was drained of its single writer, which runs in `cluster` now."""
    world = World(applications=[application(workloads=(workload("db", single=True),))])
    for name, wanted in (("east", 0), ("north", 0), ("west", 1)):
        world.hold(name, state(ref("db", "StatefulSet"), wanted, single_writer=True))
    drained(world)
    for name in ("east", "north", "west"):
        world.hold(name, state(ref("db", "StatefulSet"), int(name == cluster), single_writer=True))
    return world


def test_a_single_writer_stops_first_wherever_it_runs_even_where_no_run_put_it() -> None:
    """A try that ended in a conflict, and a value that stood there already, are in nobody's books (simulation, seed 1)."""
    for cluster in ("east", "north"):
        made = back(a_writer_in(cluster))
        stop, gone, start = made.steps[:3]
        assert (stop.cluster, stop.after) == (cluster, 0)  # type: ignore[union-attr]
        assert gone.kind == "prove-gone"
        assert (start.cluster, start.needs) == (WEST, (gone.id,))  # type: ignore[union-attr]


def test_a_single_writer_comes_home_only_where_nobody_else_can_be_writing() -> None:
    """Unknown is never gone: a cluster that cannot be asked, or that nobody has ever seen, may run it."""
    for where in ("east", "north"):
        silent = a_writer_in(where).judge(where, VerdictKind.CONTROL_PLANE_DOWN)
        assert left_out(back(silent)) == "single-writer"
    unseen = a_writer_in("east")
    del unseen.inventories["north"]
    assert left_out(back(unseen)) == "single-writer"
    assert "north" in str(back(unseen).applications[0].left_out)


def test_where_a_run_put_a_single_writer_it_may_run_although_the_policy_names_it_no_more() -> None:
    """The cluster left the policy, and nobody looks there any more (simulation, seed 1850)."""
    world = a_writer_in("east")
    [shop] = world.applications
    [books] = shop.workloads
    kept = tuple(rule for rule in books.placement if rule.cluster != "east")
    world.applications = [replace(shop, workloads=(replace(books, placement=kept),))]
    made = back(world)
    assert left_out(made) == "single-writer"
    assert "east" in str(made.applications[0].left_out)


def test_a_single_writer_that_runs_in_both_waits_for_a_person() -> None:
    shop = application(workloads=(workload("db", single=True),))
    world = World(applications=[shop])
    for name, wanted in (("east", 0), ("north", 0), ("west", 1)):
        world.hold(name, state(ref("db", "StatefulSet"), wanted, single_writer=True))
    world.finished(world.lose("west", by_person=True, overrides=("single-writer",)))
    world.judge("west", VerdictKind.HEALTHY)
    made = back(world)
    assert left_out(made) == "single-writer"
    assert "which one holds the data" in str(made.applications[0].left_out)


def test_an_autoscalers_minimum_returns_to_what_it_was() -> None:
    scaler = Autoscaler(name="web", min_replicas=2, max_replicas=20, resource_version="1")
    world = World()
    for name in ("east", "north", "west"):
        world.hold(name, state(ref(), 6, autoscaler=scaler))
    made = back(drained(world))
    steps = [
        (step.cluster, step.field.value, step.before, step.after)
        for step in made.steps
        if isinstance(step, ScaleStep)
    ]
    assert steps == [
        (WEST, "replicas", 0, 6),
        ("east", "autoscaler-min", 9, 2),
        (NORTH, "autoscaler-min", 9, 2),
    ]


def test_only_what_landed_is_given_back() -> None:
    world = World()
    done = world.lose("west")
    partial = replace(done, steps=tuple(step for step in done.steps if getattr(step, "cluster", "") != NORTH))
    world.finished(partial).judge("west", VerdictKind.HEALTHY)
    made = back(world)
    assert totals(made) == {"east": (9, 6), "north": (6, 6), "west": (6, 6)}


def test_half_a_region_that_returns_takes_back_its_half() -> None:
    world = World(entries=[entry("east"), entry("north", region="far"), entry("west", region="far")])
    world.finished(world.lose("north", "west")).judge("west", VerdictKind.HEALTHY)
    made = back(world)
    assert totals(made)["east"] == (18, 12)
    assert made.undoes == ()

"""Plans as they read, more than sixty. A change of any is a change of behaviour: look, then `FAILOVER_GOLDEN=write pytest …`."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from failover.model.codec import to_plain
from failover.model.inventory import Autoscaler
from failover.model.plan import ChangeRecordsStep, Plan, RunKind, ScaleStep, Step, WaitReadyStep, WaitStep
from failover.model.policy import OnShortage, Publish, TrafficOrder
from failover.model.records import RecordType
from failover.model.verdict import VerdictKind
from tests.planner import stories
from tests.planner.fleet import (
    World,
    address,
    application,
    dns,
    entry,
    placed,
    records,
    ref,
    state,
    workload,
)

FOLDER = Path(__file__).parent / "golden"


def region_lost() -> Plan:
    return World().lose("west")


def floor_of_66() -> Plan:
    return World(applications=[application(floor=66)]).lose("west")


def traffic_first() -> Plan:
    return World(applications=[application(traffic=TrafficOrder.FIRST)]).lose("west")


def partial_for_want_of_room() -> Plan:
    world = World(applications=[application(on_shortage=OnShortage.PARTIAL)])
    return world.hold("east", state(ref(), 6), room=1).hold("north", state(ref(), 6), room=2).lose("west")


def one_holds_and_the_next_moves() -> Plan:
    world = World(applications=[application("big", workloads=(workload("big"),), dns=()), application()])
    for name in ("east", "north", "west"):
        world.hold(name, state(ref("big"), 40), state(ref(), 6), room=10)
    return world.lose("west")


def autoscaled_standby() -> Plan:
    scaler = Autoscaler(name="web", min_replicas=2, max_replicas=8, resource_version="1")
    world = World().hold("east", state(ref(), 0, autoscaler=scaler))
    return world.hold("north", state(ref(), 6, autoscaler=scaler)).cordon("datacenter/east-dc").lose("west")


def first_by_cname() -> Plan:
    name = dns(record_type=RecordType.CNAME, publish=Publish.FIRST, clusters=("west", "east", "north"))
    world = World(applications=[application(dns=(name,))])
    world.record_sets = [records("west.example.net.", record_type=RecordType.CNAME)]
    return world.judge("east", VerdictKind.PATH_PROBLEM).lose("west")


def steered_away() -> Plan:
    return World().judge("west", VerdictKind.DATA_PLANE_DOWN).plan(RunKind.STEERING, "west")


def with_ledger() -> World:
    rules = (*placed("east", weight=2), *placed("north", "west"))
    world = World(applications=[application(workloads=(workload(), workload("db", rules, single=True)))])
    for name, writers in (("east", 0), ("north", 0), ("west", 1)):
        world.hold(name, state(ref(), 6), state(ref("db", "StatefulSet"), writers, single_writer=True))
    return world


def single_writer_left_out() -> Plan:
    return with_ledger().lose("west")


def single_writer_drained() -> Plan:
    return with_ledger().plan(RunKind.DRAIN, "west", by_person=True)


def drained_world() -> World:
    world = World(entries=[entry("east"), entry("north"), entry("west", addresses=10)])
    world.record_sets = [records(address("east"), address("north"), *(address("west", i) for i in range(10)))]
    return world.finished(world.plan(RunKind.DRAIN, "west", by_person=True))


def failback_by_subsets() -> Plan:
    return drained_world().plan(RunKind.FAILBACK, "west", by_person=True)


def failback_of_duplicates() -> Plan:
    world = World()
    world.finished(world.lose("west")).judge("west", VerdictKind.HEALTHY)
    return world.plan(RunKind.FAILBACK, "west", by_person=True)


def nothing_to_fail_back() -> Plan:
    return World().plan(RunKind.FAILBACK, "west", by_person=True)


FIRST: list[Callable[[], Plan]] = [
    region_lost,
    floor_of_66,
    traffic_first,
    partial_for_want_of_room,
    one_holds_and_the_next_moves,
    autoscaled_standby,
    first_by_cname,
    steered_away,
    single_writer_left_out,
    single_writer_drained,
    failback_by_subsets,
    failback_of_duplicates,
    nothing_to_fail_back,
]
STORIES: dict[str, Callable[[], Plan]] = {
    **{story.__name__: story for story in FIRST},
    **stories.STORIES,
}


def readable(made: Plan) -> dict[str, Any]:
    """The plan as a reviewer wants it: everything that is decided, nothing twice."""
    return {
        "hash": made.hash,
        "run": f"{made.run_kind} of {made.domain} ({', '.join(made.sources)})",
        "reasons": made.reasons,
        "refusals": [str(refusal) for refusal in made.refusals],
        "applications": {
            part.application: {
                "left_out": str(part.left_out) if part.left_out else "",
                "notes": part.notes,
                "replicas": f"{part.lost} lost, {part.replaced} replaced, {part.unplaced} unplaced; "
                f"{part.capacity_after} of {part.demand} afterwards",
                "placements": [
                    f"{row.workload} in {row.cluster}: {row.before} -> {row.after} ({row.reason})"
                    + (f"; otherwise if {row.would_change}" if row.would_change else "")
                    for row in part.placements
                ],
                "sheds": [
                    f"{row.workload} of {row.owner} in {row.cluster}: {row.before} -> {row.after} for {row.made_room_for}"
                    for row in part.sheds
                ],
            }
            for part in made.applications
        },
        "steps": [
            {"id": step.id, "phase": step.phase, "does": does(step), "needs": step.needs, "why": step.reason}
            for step in made.steps
        ],
        "assumptions": [f"{item.about} {item.what} = {item.value}" for item in made.assumptions],
    }


def does(step: Step) -> str:
    if isinstance(step, ScaleStep):
        ceiling = f", maximum {step.autoscaler_max}" if step.autoscaler_max else ""
        return f"{step.field} of {step.workload} in {step.cluster}: {step.before} -> {step.after}{ceiling}"
    if isinstance(step, WaitReadyStep):
        rows = ", ".join(f"{ready} {workload.name}@{cluster}" for cluster, workload, ready in step.targets)
        return f"wait for {step.share} % of: {rows}"
    if isinstance(step, ChangeRecordsStep):
        share = f" ({step.traffic_percent} % at home)" if step.traffic_percent is not None else ""
        return "; ".join(
            f"{change.after.name} {change.after.record_type} "
            f"{' '.join(change.before.values) if change.before else 'absent'} -> {' '.join(change.after.values)}{share}"
            for change in step.changes
        )
    if isinstance(step, WaitStep):
        return f"wait {step.seconds:g} s"
    return f"prove that {step.workload} is gone from {step.cluster}"


@pytest.mark.parametrize("name", STORIES)
def test_the_plan_reads_as_it_did(name: str) -> None:
    path = FOLDER / f"{name}.json"
    text = json.dumps(to_plain(readable(STORIES[name]())), indent=1, ensure_ascii=False) + "\n"
    if os.environ.get("FAILOVER_GOLDEN") == "write":
        path.write_text(text)
    assert text == path.read_text()


def test_no_golden_plan_is_orphaned() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(STORIES)
    assert len(STORIES) >= 60

"""Whether a scenario's expectations hold: by the world's truth, and by what `status` and the log say. Nothing is changed."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from . import trace
from .fleet import BOOKS, MOVED, SHELVES, ZONE
from .script import Expect
from .world import World


@dataclass(slots=True)
class Ledger:
    """What clusters and zones took since it was begun (the raising of fences is no change of anything that is served)."""

    changes: list[trace.Applied] = field(default_factory=list)

    def see(self, event: trace.Event) -> None:
        if isinstance(event, trace.Applied) and event.kind != "fence":
            self.changes.append(event)


def failures(expect: Expect, world: World, ledger: Ledger) -> Iterator[str]:
    """One sentence for each expectation that does not hold: what was expected, and what is there."""
    status = _status(world)
    yield from _of_world(expect, world, ledger)
    if status is None:
        yield "nobody acts, so nothing can be said of `status`"
        return
    yield from _of_status(expect, world, status)
    log = "\n".join(world.lines)
    yield from (f"the log was to say {words!r}" for words in expect.said if words not in log)
    yield from (f"the log was not to say {words!r}" for words in expect.unsaid if words in log)


def _status(world: World) -> dict[str, Any] | None:
    life = world.acting
    return None if life is None or life.controller is None else life.controller.status()


def _of_world(expect: Expect, world: World, ledger: Ledger) -> Iterator[str]:
    zone = world.zones[ZONE]
    for application, clusters in expect.records.items():
        wanted = sorted(clusters)
        key = (f"{application}.example.test.", "A")
        for server in zone.servers:
            if server.stopped or server.faults.silent or server.faults.servfail:
                continue
            found = zone.seen_by(server).record_sets.get(key)
            values = found.values if found is not None else ()
            names = sorted(str(world.cluster_at(value) or value) for value in values)
            if names != wanted:
                yield f"{key[0]} leads to {_list(names)} at {server.name}, not to {_list(wanted)}"
    if expect.changes_max is not None and len(ledger.changes) > expect.changes_max:
        last = ledger.changes[-1]
        yield f"{len(ledger.changes)} changes were made, more than {expect.changes_max}: the last one in {last.target}"
    for application, minimum in expect.ready_min.items():
        ready = sum(
            world.ready(name, MOVED[application])
            for name in world.clusters
            if world.serves(name, application)
        )
        if ready < minimum:
            yield f"{application} has {ready} replicas ready where clients are served, not {minimum}"
    if expect.single_writer is not None:
        there = [name for name in SHELVES if world.clusters[name].workloads[BOOKS].wanted]  # type: ignore[index]
        if there != [expect.single_writer]:
            yield f"the single writer is wanted in {_list(there)}, not in {expect.single_writer}"


def _of_status(expect: Expect, world: World, status: dict[str, Any]) -> Iterator[str]:
    clusters = {str(item["name"]): item for item in status["clusters"]}
    for place, allowed in expect.verdicts.items():
        kinds = [allowed] if isinstance(allowed, str) else allowed
        names = [name for name in clusters if place in (name, world.region_of(name))]
        for name in names:
            if clusters[name]["verdict"] not in kinds:
                yield f"{name} is {clusters[name]['verdict']}, not {' or '.join(kinds)}"
        if not names:
            yield f"{place} is not judged: the policy does not name it"
    runs = [f"{row['run_kind']} {row['state']}" for row in status["runs"]]
    if expect.runs is not None and runs != expect.runs:
        yield f"the runs are {_list(runs)}, not {_list(expect.runs)}"
    for what, wanted, found in (
        ("duplicates run in", expect.duplicates, [name for name, item in clusters.items() if item["duplicates"]]),
        ("held down are", expect.held_down, [name for name, item in clusters.items() if item["hold_down_until"]]),
    ):  # fmt: skip
        if wanted is not None and sorted(wanted) != sorted(found):
            yield f"{what} {_list(sorted(found))}, not {_list(sorted(wanted))}"
    yield from _codes("refusal", expect.refusals, status["refusals"])
    yield from _codes("alert", expect.alerts, status["alerts"])
    if expect.frozen is not None and expect.frozen is not bool(status["freeze"]):
        yield f"automation is {'' if status['freeze'] else 'not '}frozen"
    waits = "; ".join(_waits(row) for row in status["runs"] if row["halted"] or row["waits_for"])
    for what, words, there in (
        ("doubt", expect.doubt, status["doubt"]),
        ("runs wait for", expect.waits, waits),
        ("policy problems", expect.problems, "; ".join(status["policy_problems"])),
    ):
        if words is not None and (words not in there if words else bool(there)):
            yield f"{what}: {there!r}, not {words!r}"
    if expect.acts is not None and status["leader"]["holder"] != expect.acts:
        yield f"{status['leader']['holder']} acts, not {expect.acts}"


def _waits(row: dict[str, Any]) -> str:
    return f"halted: {row['halted']['sentence']}" if row["halted"] else str(row["waits_for"])


def _codes(what: str, wanted: list[str], standing: list[dict[str, Any]]) -> Iterator[str]:
    codes = {str(item["code"]) for item in standing}
    for code in wanted:
        if code not in codes:
            yield f"no {what} {code!r} stands in status; there stand {_list(sorted(codes))}"


def _list(items: list[str]) -> str:
    return ", ".join(items) or "nothing"

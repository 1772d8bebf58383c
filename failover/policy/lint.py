"""Cross-reference checks over all documents: what one document says must fit what the others say."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from failover.model.reasons import Problem
from failover.policy.compile import Parsed, documents_of
from failover.policy.documents import (
    ApplicationDocument,
    DNSZoneDocument,
    FleetDocument,
    GuardsDocument,
    ScheduleDocument,
)
from failover.policy.lint_applications import check_applications
from failover.policy.lint_fleet import check_fleet
from failover.policy.lint_names import Known
from failover.policy.lint_schedules import check_schedule
from failover.policy.lint_zones import check_zones
from failover.policy.yaml_reader import Marked

NO_FLEET = "no document of kind Fleet was found, here or in any other file"
KINDS_BESIDE_FLEET = ("DNSZone", "Application", "Guards", "Schedule")


def check_all(parsed: Sequence[Parsed], broken: Sequence[Marked] = ()) -> list[Problem]:
    """Every problem and warning that no single document shows by itself.

    `broken`: documents that are not valid by themselves; what they name is known all the same. What only follows from
    another document's problem is left out.
    """
    return list(_check(parsed, broken))


def _check(parsed: Sequence[Parsed], broken: Sequence[Marked]) -> Iterator[Problem]:
    yield from _duplicates(parsed)
    fleets = documents_of(parsed, FleetDocument)
    zones = documents_of(parsed, DNSZoneDocument)
    applications = documents_of(parsed, ApplicationDocument)
    fleet = fleets[0] if fleets else None
    if fleet is None:
        yield from _no_fleet(parsed, broken)
    for extra in fleets[1:]:
        yield extra.marked.problem(
            ("kind",), "there is a Fleet already: one installation looks after one fleet"
        )
    for extra in documents_of(parsed, GuardsDocument)[1:]:
        yield extra.marked.problem(("kind",), "there is a Guards document already")
    known = Known.of(fleet, zones, broken)
    if fleet is not None:
        auto = any(item.document.spec.mode == "auto" for item in applications)
        yield from check_fleet(fleet, known, auto=auto)
        if fleet.repaired:  # what it does not say for that reason is no other document's problem
            known = replace(known, fleet=None, fences={})
    yield from check_zones(zones)
    yield from check_applications(applications, known)
    for item in documents_of(parsed, ScheduleDocument):
        yield from check_schedule(item, known)


def _no_fleet(parsed: Sequence[Parsed], broken: Sequence[Marked]) -> Iterator[Problem]:
    """There is none, and no document that may be it."""
    others = all(marked.get("kind") in KINDS_BESIDE_FLEET for marked in broken)
    documents = [*(item.marked for item in parsed), *broken]
    if others and documents:
        first = min(documents, key=lambda marked: (marked.file, marked.place(())))
        yield first.problem((), NO_FLEET)


def _duplicates(parsed: Sequence[Parsed]) -> Iterator[Problem]:
    seen: dict[tuple[str, str], Parsed] = {}
    for item in parsed:
        key = (item.document.kind, item.document.metadata.name)
        first = seen.setdefault(key, item)
        if first is not item:
            line, _ = first.marked.place(("metadata", "name"))
            sentence = f"there is a {key[0]} {key[1]!r} already ({first.marked.file}:{line})"
            yield item.marked.problem(("metadata", "name"), sentence)

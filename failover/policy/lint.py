"""Cross-reference checks over all documents: what one document says must fit what the others say."""

from collections.abc import Iterator, Sequence

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
from failover.policy.lint_zones import check_zone


def check_all(parsed: Sequence[Parsed]) -> list[Problem]:
    """Every problem and warning that no single document shows by itself."""
    return list(_check(parsed))


def _check(parsed: Sequence[Parsed]) -> Iterator[Problem]:
    yield from _duplicates(parsed)
    fleets = documents_of(parsed, FleetDocument)
    if not fleets:
        if parsed:
            yield Problem(file=parsed[0].marked.file, sentence="no document of kind Fleet was found")
        return
    for extra in fleets[1:]:
        yield extra.marked.problem(
            ("kind",), "there is a Fleet already: one installation looks after one fleet"
        )
    for extra in documents_of(parsed, GuardsDocument)[1:]:
        yield extra.marked.problem(("kind",), "there is a Guards document already")
    known = Known.of(fleets[0], documents_of(parsed, DNSZoneDocument))
    applications = documents_of(parsed, ApplicationDocument)
    auto = any(item.document.spec.mode == "auto" for item in applications)
    yield from check_fleet(fleets[0], known, auto=auto)
    for item in documents_of(parsed, DNSZoneDocument):
        yield from check_zone(item)
    yield from check_applications(applications, known)
    for item in documents_of(parsed, ScheduleDocument):
        yield from check_schedule(item, known)


def _duplicates(parsed: Sequence[Parsed]) -> Iterator[Problem]:
    seen: dict[tuple[str, str], Parsed] = {}
    for item in parsed:
        key = (item.document.kind, item.document.metadata.name)
        first = seen.setdefault(key, item)
        if first is not item:
            line, _ = first.marked.place(("metadata", "name"))
            sentence = f"there is a {key[0]} {key[1]!r} already ({first.marked.file}:{line})"
            yield item.marked.problem(("metadata", "name"), sentence)

"""Could we fail over now? What survivability looks like to people, programs and metrics."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from failover.model.codec import to_plain
from failover.model.ids import ApplicationName, Domain
from failover.model.telemetry import TelemetryEvent
from failover.planner import Survivability
from failover.planner.survive import Outcome

SURVIVES = "survivability"
"""Name of the event that metrics are made from; `domains`, `broken` and the least headroom travel in its fields."""
SURVIVES_PREFIX = "survives:"
UNKNOWN = "unknown"
PROMISES_TOLD = 5
DOMAINS_TOLD = 8


def survivability_row(found: Survivability) -> dict[str, Any]:
    """Plain data: an outcome a loss, the promises that are broken or cannot be shown to hold, and what is unknown."""
    return {
        "outcomes": [_outcome(item) for item in found.outcomes],
        "broken": [_promise(name, domain) for name, domain in found.broken],
        "unshown": [_promise(name, domain) for name, domain in found.unshown],
        "unknown": list(found.unknown),
        "holds": not found.broken and not found.unshown,
    }


def _promise(application: ApplicationName, domain: Domain) -> dict[str, Any]:
    return {"application": application, "domain": str(domain), "promise": f"survives: {domain.kind}"}


def _outcome(item: Outcome) -> dict[str, Any]:
    """`survives`: null where nobody knows."""
    return {
        "domains": [str(domain) for domain in item.domains],
        "survives": item.survives,
        "lost": item.lost,
        "replaced": item.replaced,
        "waiting": item.waiting,
        "unplaced": item.unplaced,
        "shed": item.shed,
        "tightest": item.tightest,
        "headroom_percent": item.headroom_percent,
        "short": [
            {"application": one.application, "workload": to_plain(one.workload), "missing": one.missing}
            for one in item.short
        ],
        "waits": list(item.waits),
        "unseen": list(item.unseen),
        "broken": list(item.broken),
    }


def sentence_of(found: Survivability) -> str:
    """One sentence for the journal and the page."""
    if found.broken:
        return f"promises are broken: {_told(found.broken, 'would not survive the loss of')}"
    if found.unshown:
        told = _told(found.unshown, "is not known to survive the loss of")
        return f"promises cannot be shown to hold: {told}; not seen lately: {', '.join(_unseen(found))}"
    lost = [str(item.domains[0]) for item in found.outcomes if item.survives is False]
    unknown = [str(item.domains[0]) for item in found.outcomes if item.survives is None]
    told = f"; of {', '.join(unknown[:DOMAINS_TOLD])} nobody knows" if unknown else ""
    if lost:
        return f"every promise holds; without one: {', '.join(lost[:DOMAINS_TOLD])} could not be lost whole{told}"
    if unknown:
        return f"every promise holds{told}: not seen lately: {', '.join(_unseen(found))}"
    return f"the loss of any one of {len(found.outcomes)} domains would be survived whole"


def _told(promises: Sequence[tuple[ApplicationName, Domain]], verb: str) -> str:
    told = "; ".join(f"{name} {verb} {domain}" for name, domain in promises[:PROMISES_TOLD])
    more = len(promises) - PROMISES_TOLD
    return told + (f"; and {more} more" if more > 0 else "")


def _unseen(found: Survivability) -> list[str]:
    return sorted({str(name) for item in found.outcomes for name in item.unseen})


def event_of(found: Survivability, at: datetime) -> TelemetryEvent:
    """What metrics are made from; a page where a promise is broken."""
    survived = sum(item.survives is True for item in found.outcomes)
    least = min((item.headroom_percent for item in found.outcomes), default=100.0)
    rows = [
        (
            f"{SURVIVES_PREFIX}{'+'.join(map(str, item.domains))}",
            UNKNOWN if item.survives is None else str(int(item.survives)),
        )
        for item in found.outcomes
    ]
    return TelemetryEvent(
        name=SURVIVES,
        at=at,
        sentence=sentence_of(found),
        fields=(
            ("broken", str(len(found.broken))),
            ("domains", str(len(found.outcomes))),
            ("headroom_percent", f"{least:g}"),
            ("survived", str(survived)),
            ("unshown", str(len(found.unshown))),
            *rows,
        ),
        page=bool(found.broken),
    )

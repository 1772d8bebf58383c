"""Could we fail over now? What survivability looks like to people, programs and metrics."""

from datetime import datetime
from typing import Any

from failover.model.codec import to_plain
from failover.model.telemetry import TelemetryEvent
from failover.planner import Survivability
from failover.planner.survive import Outcome

SURVIVES = "survivability"
"""Name of the event that metrics are made from; `domains`, `broken` and the least headroom travel in its fields."""
SURVIVES_PREFIX = "survives:"


def survivability_row(found: Survivability) -> dict[str, Any]:
    """Plain data: an outcome a loss, the promises that are broken, and what is unknown."""
    return {
        "outcomes": [_outcome(item) for item in found.outcomes],
        "broken": [
            {"application": name, "domain": str(domain), "promise": f"survives: {domain.kind}"}
            for name, domain in found.broken
        ],
        "unknown": list(found.unknown),
        "holds": not found.broken,
    }


def _outcome(item: Outcome) -> dict[str, Any]:
    return {
        "domains": [str(domain) for domain in item.domains],
        "survives": item.survives,
        "lost": item.lost,
        "replaced": item.replaced,
        "unplaced": item.unplaced,
        "shed": item.shed,
        "tightest": item.tightest,
        "headroom_percent": item.headroom_percent,
        "short": [
            {"application": one.application, "workload": to_plain(one.workload), "missing": one.missing}
            for one in item.short
        ],
        "broken": list(item.broken),
    }


def sentence_of(found: Survivability) -> str:
    """One sentence for the journal and the page."""
    if found.broken:
        told = "; ".join(
            f"{name} would not survive the loss of {domain}" for name, domain in found.broken[:5]
        )
        more = len(found.broken) - 5
        return f"promises are broken: {told}" + (f"; and {more} more" if more > 0 else "")
    lost = [str(item.domains[0]) for item in found.outcomes if not item.survives]
    if lost:
        return f"every promise holds; without one: {', '.join(lost[:8])} could not be lost whole"
    return f"the loss of any one of {len(found.outcomes)} domains would be survived whole"


def event_of(found: Survivability, at: datetime) -> TelemetryEvent:
    """What metrics are made from; a page where a promise is broken."""
    survived = sum(item.survives for item in found.outcomes)
    least = min((item.headroom_percent for item in found.outcomes), default=100.0)
    rows = [
        (f"{SURVIVES_PREFIX}{'+'.join(map(str, item.domains))}", str(int(item.survives)))
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
            *rows,
        ),
        page=bool(found.broken),
    )

"""What providers count, as figures: for `status`, `dns status` and metrics."""

from datetime import datetime
from typing import Any

from failover.model.ids import ZoneName
from failover.model.records import Quota
from failover.model.telemetry import TelemetryEvent

QUOTA = "zone.quota"
LEFT_PREFIX = "left:"
"""Before the name of what is counted, in the event's fields: metrics are made from these."""


def quota_row(item: Quota) -> dict[str, Any]:
    """One count in a document."""
    return {"what": item.what, "used": item.used, "limit": item.limit, "left": item.left}


def quota_event(zone: ZoneName, quotas: tuple[Quota, ...] | None, at: datetime) -> TelemetryEvent:
    """How much is left of each count. None: they could not be asked, so that what was told before holds no longer."""
    if quotas is None:
        told = "what its provider counts could not be asked"
    else:
        told = ", ".join(f"{item.left} of {item.limit} {item.what} left" for item in quotas)
    left = ((f"{LEFT_PREFIX}{item.what}", str(item.left)) for item in quotas or ())
    fields = (("zone", str(zone)), *left)
    return TelemetryEvent(name=QUOTA, at=at, sentence=f"zone {zone}: {told}", fields=fields)

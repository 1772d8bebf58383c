"""What the controller tells the outside about itself."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryEvent:
    """One thing that happened. `name`: dotted, stable (`verdict.changed`, `run.closed`, `guard.refused`, `alert`).

    `fields`: short facts, never a secret. `page`: somebody should be woken.
    """

    name: str
    at: datetime
    sentence: str
    fields: tuple[tuple[str, str], ...] = ()
    page: bool = False

"""What people told the controller and what must outlive it: pause and cordons, kept as one small document."""

from dataclasses import dataclass, replace
from datetime import datetime

from failover.model.codec import canonical_json, from_plain
from failover.model.ids import VantageName
from failover.model.snapshot import Cordon

PEOPLE_KEY = "people"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Automation is stopped, by whom, why and since when (I23)."""

    by: str
    reason: str
    at: datetime

    def __str__(self) -> str:
        why = f": {self.reason}" if self.reason else ""
        return f"paused by {self.by} at {self.at:%Y-%m-%d %H:%M} UTC{why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Pause and cordons; a doubt that only a person resolves (I28, "" for none); since when automation's patience with runs
    that did not get through counts anew (a person's `resume` or `ack`).
    """

    pause: Pause | None = None
    cordons: tuple[Cordon, ...] = ()
    doubt: str = ""
    doubt_resolved_at_head: int = 0
    patience_from: datetime | None = None

    def with_cordon(self, cordon: Cordon) -> "People":
        """Adds or replaces the cordon of that target."""
        return replace(self, cordons=(*(c for c in self.cordons if c.target != cordon.target), cordon))

    def without_cordon(self, target: str) -> "People":
        return replace(self, cordons=tuple(c for c in self.cordons if c.target != target))

    @property
    def cordoned_vantages(self) -> frozenset[VantageName]:
        prefix = "vantage/"
        return frozenset(
            VantageName(cordon.target.removeprefix(prefix))
            for cordon in self.cordons
            if cordon.target.startswith(prefix)
        )

    def to_json(self) -> str:
        return canonical_json(self)

    @classmethod
    def from_json(cls, text: str) -> "People":
        import json

        return from_plain(cls, json.loads(text))

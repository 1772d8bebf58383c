"""What happened, in order: the oracles see each event as it comes. `at`: monotonic seconds of the simulation."""

from dataclasses import dataclass, field
from typing import NamedTuple

from failover.model.journal import JournalEntry
from failover.model.observation import Observation, Outcome
from failover.model.records import RecordSet, ZoneChange


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The moment, and the controller's life that it belongs to ("" for none)."""

    at: float
    holder: str = ""


class Heard(NamedTuple):
    """A controller received an observation. `met`: what the prober met, whatever the vantage then said.

    No `Event`: thousands come in a minute, and only who keeps them is told.
    """

    at: float
    holder: str
    observation: Observation
    measured: float
    met: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Journaled(Event):
    """An entry was acknowledged by the store; or nobody acknowledged it, and it stood there after a crash `late_s` later."""

    entry: JournalEntry
    late_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied(Event):
    """A cluster or a zone took a change. `seen`: the value that stood there; `expected`: what the change claimed to replace.

    `leased_until`: monotonic second to which its epoch truly held the lease, less the margin. `kept`: the journal's intents that would survive a power cut.
    """

    target: str
    kind: str
    intent: str
    epoch: int
    expected: object = None
    seen: object = None
    after: object = None
    workload: str = ""
    change: ZoneChange | None = None
    leased_until: float = float("inf")
    kept: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked(Event):
    """A controller read the state of a target."""

    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Said(Event):
    """A person's command was answered. `refused`: by which rules; `answer`: the reply."""

    verb: str
    request: dict[str, object] = field(default_factory=dict)
    answer: dict[str, object] = field(default_factory=dict)
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lived(Event):
    """A controller booted, died, was frozen, thawed, changed a verdict, or met a defect of its own."""

    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Broke(Event):
    """A fault was switched on or off."""

    fault: str
    on: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Published(Event):
    """A zone has a new version; `by`: who changed it ("" is an outside hand)."""

    zone: str
    record_sets: tuple[RecordSet, ...]
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turned(Event):
    """The truth about a cluster's clients changed."""

    cluster: str
    serving: bool

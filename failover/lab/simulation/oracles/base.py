"""What every oracle is."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from failover.execution.admission import is_automatic
from failover.lab.simulation import trace
from failover.lab.simulation.world import World
from failover.model.ids import ClusterName
from failover.model.journal import (
    EffectRecorded,
    EffectResult,
    IntentRecorded,
    RecordsChange,
    RunOpened,
    RunWidened,
)
from failover.model.observation import Outcome
from failover.model.plan import Plan, RunKind, Step

FAILURES = frozenset(
    {
        Outcome.TIMEOUT, Outcome.REFUSED, Outcome.RESET, Outcome.SERVER_ERROR, Outcome.TLS, Outcome.WRONG_ANSWER,
    }
)  # fmt: skip
"""What may count towards down; `local` is our own fault."""
LATELY_S = 8.0
"""What was so then may have been decided on, and may only now be told: the age of a look, its answer, and the journal."""
FOUND_AGAIN_S = 1.0
"""What stood in the journal for so long before anybody read it was decided at another time."""


def late(event: trace.Event) -> bool:
    """Whether it was decided before a crash, and found in the journal after it."""
    return isinstance(event, trace.Journaled) and event.late_s > FOUND_AGAIN_S


UNPLANNED = (RunKind.EVACUATION, RunKind.STEERING)
FEW_REGIONS, SHARE = 5, 34
"""DESIGN section 7: more than one region of up to five freezes, of more than that 34 %."""


def correlated_limit(world: World) -> int:
    """How many regions may be dead at once before everything freezes, counted here and not by the code under test."""
    regions = len(world.policy.fleet.regions())
    return 1 if regions <= FEW_REGIONS else regions * SHARE // 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """An invariant that did not hold."""

    invariant: str
    at: float
    sentence: str

    def __str__(self) -> str:
        return f"{self.invariant} at {self.at:.2f} s: {self.sentence}"


class Oracle:
    """Sees every event; keeps what it finds in `found`."""

    invariant: ClassVar[str] = ""
    about: ClassVar[str] = ""

    def __init__(self, world: World, runs: "Runs") -> None:
        self.world = world
        self.runs = runs
        self.found: list[Violation] = []
        self.checked = 0

    @classmethod
    def label(cls) -> str:
        """By which its checks are counted: two oracles of one invariant do not answer for each other."""
        return f"{cls.invariant} {cls.__name__}"

    def see(self, event: trace.Event) -> None:
        """One event of the trace."""

    def finish(self) -> None:
        """The world has come to rest: no fault is on any more, and what was to happen has happened."""

    @property
    def quorum(self) -> int:
        """A strict majority of the configured vantages, counted here and not by the code under test."""
        return len(self.world.policy.fleet.vantages) // 2 + 1

    @property
    def evidence_limit_s(self) -> float:
        timing = self.world.policy.fleet.timing
        return 2 * timing.interval_s + timing.timeout_s

    def violated(self, at: float, sentence: str) -> None:
        self.found.append(Violation(invariant=self.invariant, at=at, sentence=sentence))

    def must(self, holds: bool, at: float, sentence: str) -> None:
        """Count a check, and note where it fails."""
        self.checked += 1
        if not holds:
            self.violated(at, sentence)


@dataclass(slots=True)
class Opened:
    """A run as the trace knows it."""

    id: str
    plan: Plan
    actor: str
    at: float
    holder: str
    dns_written: bool = False
    in_flight: set[str] = field(default_factory=set)
    """Intents to change names of which nobody knows yet whether they landed."""
    closed: str = ""
    decided: tuple[ClusterName, ...] = ()
    """Sources that the latest decision convicted: all at the beginning, what is new where it was widened."""

    @property
    def automatic(self) -> bool:
        return is_automatic(self.actor)

    @property
    def whole(self) -> bool:
        """Away from clusters that no longer serve; otherwise from those where one application is broken."""
        verdicts = dict(self.plan.verdicts)
        return any(verdicts[name].no_longer_serves for name in self.plan.sources if name in verdicts)

    @property
    def unplanned(self) -> bool:
        return self.automatic and self.plan.run_kind in UNPLANNED


Key = tuple[str, str, str, str]
"""Vantage, cluster, application, signal."""


class Ears:
    """What each controller has heard: the latest observations of each series, by the moment that they were made."""

    KEPT = 12

    def __init__(self) -> None:
        self._heard: defaultdict[str, defaultdict[Key, list[trace.Heard]]] = defaultdict(
            lambda: defaultdict(list)
        )
        self.by_id: dict[str, trace.Heard] = {}

    def hear(self, event: trace.Heard) -> None:
        item = event.observation
        subject = item.subject
        series = self._heard[event.holder][
            item.vantage, subject.cluster, subject.application or "", item.signal
        ]
        place = len(series)
        while place and series[place - 1].measured > event.measured:
            place -= 1
        series.insert(place, event)
        if len(series) > self.KEPT:
            del series[0]
        self.by_id.setdefault(item.id, event)

    def of(self, holder: str) -> Mapping[Key, list[trace.Heard]]:
        return self._heard.get(holder, {})

    def series(self, holder: str, key: Key) -> list[trace.Heard]:
        return self.of(holder).get(key, [])


class Runs:
    """Runs and intents by id, as they are journaled, and what was heard: shared by the oracles, which see each event after
    it was entered here.
    """

    def __init__(self) -> None:
        self.ears = Ears()
        self.by_id: dict[str, Opened] = {}
        self.intents: dict[str, tuple[IntentRecorded, float]] = {}

    def see(self, event: trace.Event) -> None:
        if isinstance(event, trace.Applied) and event.kind == "records":
            found = self.of_intent(event.intent)
            if found is not None:
                found.dns_written = True
        if not isinstance(event, trace.Journaled):
            return
        entry = event.entry.entry
        run = event.entry.run
        if isinstance(entry, RunOpened):
            self.by_id[run] = Opened(
                id=run,
                plan=entry.plan,
                actor=entry.actor,
                at=event.at,
                holder=event.holder,
                decided=entry.plan.sources,
            )
        elif isinstance(entry, RunWidened) and run in self.by_id:
            found = self.by_id[run]
            found.decided = tuple(name for name in entry.plan.sources if name not in found.plan.sources)
            found.plan, found.holder = entry.plan, event.holder
        elif entry.kind == "run-closed" and run in self.by_id:
            self.by_id[run].closed = str(entry.state)  # type: ignore[union-attr]
        elif isinstance(entry, IntentRecorded):
            self.intents[entry.intent.id] = (entry, event.at)
            if isinstance(entry.intent.change, RecordsChange) and run in self.by_id:
                self.by_id[run].in_flight.add(entry.intent.id)
        elif isinstance(entry, EffectRecorded) and run in self.by_id:
            settled = entry.result is not EffectResult.UNKNOWN
            self.by_id[run].in_flight -= {entry.intent} if settled else set()

    def decision(self, event: trace.Event) -> Opened | None:
        """The run that this event opens, or widens to further clusters; its `decided` are convicted now."""
        if isinstance(event, trace.Journaled) and isinstance(event.entry.entry, RunOpened | RunWidened):
            return self.by_id.get(event.entry.run)
        return None

    def of_intent(self, intent: str) -> Opened | None:
        found = self.intents.get(intent)
        return self.by_id.get(found[0].intent.run) if found else None

    def step_of(self, intent: str) -> Step | None:
        """The step of the run's plan that an intent belongs to."""
        found, run = self.intents.get(intent), self.of_intent(intent)
        if found is None or run is None:
            return None
        return next((step for step in run.plan.steps if step.id == found[0].intent.step), None)

    def automatic_unplanned(self) -> Iterator[Opened]:
        return (run for run in self.by_id.values() if run.unplanned)

"""What the parts of one controller share: ports, the policy in force, health, people's words, runs, and the journal."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from failover.controller.leadership import Leadership
from failover.controller.people import PEOPLE_KEY, People
from failover.controller.ports import Ports
from failover.controller.world import World
from failover.execution.runs import apply, displacements, summarise
from failover.execution.situation import Situation
from failover.health import HealthState
from failover.model.errors import Conflict, StoreError
from failover.model.ids import ApplicationName, RunId
from failover.model.journal import Entry, JournalEntry, Run
from failover.model.policy import Policy
from failover.model.reasons import Refusal
from failover.model.snapshot import Snapshot
from failover.model.telemetry import TelemetryEvent
from failover.model.time import Now
from failover.model.verdict import Judgement

RUNS_KEPT = 200


class Changes:
    """How many changes were sent to each target in the last second (I12)."""

    def __init__(self) -> None:
        self._sent: dict[str, deque[float]] = defaultdict(deque)

    def note(self, target: str, now_mono: float) -> None:
        self._sent[target].append(now_mono)

    def last_second(self, now_mono: float) -> dict[str, int]:
        """Counts by target."""
        for times in self._sent.values():
            while times and times[0] <= now_mono - 1.0:
                times.popleft()
        return {target: len(times) for target, times in self._sent.items() if times}


@dataclass(slots=True, kw_only=True)
class Context:
    """Shared state of one controller. Only its own event loop touches it."""

    ports: Ports
    policy: Policy
    health: HealthState
    judgement: Judgement
    world: World
    leadership: Leadership
    people: People = field(default_factory=People)
    people_version: int = 0
    runs: dict[RunId, Run] = field(default_factory=dict)
    journal_head: int = 0
    journal_trouble: str = ""
    told_head: int = 0
    """The highest journal head that a vantage says it was told: above ours, our journal was restored (I28)."""
    doubt: str = ""
    refusals: dict[str, tuple[Refusal, ...]] = field(default_factory=dict)
    changes: Changes = field(default_factory=Changes)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    _append_lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def now(self) -> Now:
        return self.ports.clock.now()

    # -- journal -------------------------------------------------------------------------------------------------------

    async def append(self, entries: Sequence[tuple[str, Entry]]) -> tuple[JournalEntry, ...]:
        """Write to the journal and fold into the runs. Raises StoreError; then nothing may be done (I20)."""
        epoch = self.leadership.epoch
        if epoch is None:
            raise StoreError("not the acting leader: nothing is journaled")
        async with self._append_lock:
            try:
                written = await self.ports.store.append_batch(epoch, entries)
            except StoreError as error:
                self.in_trouble(error)
                raise
            self.out_of_trouble()
            self.take_in(written)
        return written

    def take_in(self, entries: Iterable[JournalEntry]) -> None:
        """Fold entries into the runs (own ones as they are written, all of them at start)."""
        for entry in entries:
            self.journal_head = max(self.journal_head, entry.sequence)
            if entry.run:
                run = apply(self.runs.get(RunId(entry.run)), entry)
                if run is not None:
                    self.runs[run.id] = run
        self.world.demand.away = frozenset(
            name for item in displacements(list(self.runs.values())) for name in item.plan.sources
        )
        closed = [run_id for run_id, run in self.runs.items() if run.state.final]
        away = {item.run for item in displacements(list(self.runs.values()))}
        for run_id in closed[: max(0, len(closed) - RUNS_KEPT)]:
            if run_id not in away:
                del self.runs[run_id]
        self.news.set()

    async def save_people(self, people: People) -> None:
        """Persist what people said; the caller journals who said it."""
        try:
            self.people_version = await self.ports.store.cas(
                PEOPLE_KEY, self.people_version, people.to_json()
            )
        except Conflict:
            await self.load_people()
            raise
        self.people = people

    async def load_people(self) -> None:
        """Read what people said (also what a command without a controller wrote)."""
        found = await self.ports.store.get(PEOPLE_KEY)
        if found is not None and found[0] != self.people_version:
            self.people_version, text = found
            self.people = People.from_json(text)

    # -- what the core is asked with -----------------------------------------------------------------------------------

    def open_runs(self) -> tuple[Run, ...]:
        return tuple(run for run in self.runs.values() if not run.state.final)

    def busy(self) -> tuple[tuple[ApplicationName, RunId], ...]:
        """Applications with an unfinished run."""
        return tuple((name, run.id) for run in self.open_runs() for name in run.applications)

    def snapshot(self, judgement: Judgement | None = None) -> Snapshot:
        """The world as last seen, frozen."""
        return Snapshot(
            now=self.now(),
            policy_generation=self.policy.generation,
            judgement=judgement or self.judgement,
            inventories=tuple(self.world.inventories[name] for name in sorted(self.world.inventories)),
            zones=tuple(self.world.zones[name] for name in sorted(self.world.zones)),
            demands=self.world.demand.demands(self.policy, self.world.inventories),
            cordons=self.people.cordons,
            displacements=displacements(list(self.runs.values())),
            busy=self.busy(),
        )

    def situation(
        self,
        judgement: Judgement | None = None,
        *,
        evidence: tuple[str, ...] = (),
        policy: Policy | None = None,
    ) -> Situation:
        """What the safety rules look at, now."""
        now = self.now()
        pause = self.people.pause
        return Situation(
            policy=policy or self.policy,
            judgement=judgement or self.judgement,
            now=now,
            epoch=self.leadership.epoch,
            acting_until=self.leadership.acting_until,
            paused=f"paused by {pause.by} at {pause.at:%Y-%m-%d %H:%M} UTC: {pause.reason}" if pause else "",
            doubt=self.doubt,
            journal_ok=not self.journal_trouble,
            history=tuple(summarise(run, self.policy.fleet) for run in self.runs.values()),
            person_evidence=evidence,
            sent_last_second=self.changes.last_second(now.mono),
        )

    def in_trouble(self, error: Exception) -> None:
        """The store does not take writes: nothing is done until it does (I20). Told once each time that it changes."""
        if self.journal_trouble != str(error):
            self.journal_trouble = str(error)
            self.tell("journal.trouble", str(error), page=True)

    def out_of_trouble(self) -> None:
        """Something was written durably."""
        if self.journal_trouble:
            self.journal_trouble = ""
            self.tell("journal.well", "the store takes writes again")

    def tell_defects(self, tasks: Iterable["asyncio.Task[None]"]) -> None:
        """Page for every task that ended by an error nobody expected: a defect of ours, never to be silent."""
        for task in tasks:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                self.tell("defect", f"{type(error).__name__}: {error}", page=True)

    def tell(self, name: str, sentence: str, *, page: bool = False, **fields: object) -> None:
        """Emit a telemetry event."""
        pairs = tuple((key, str(value)) for key, value in sorted(fields.items()))
        self.ports.telemetry.emit(
            TelemetryEvent(name=name, at=self.now().wall, sentence=sentence, fields=pairs, page=page)
        )

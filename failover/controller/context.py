"""What the parts of one controller share: ports, the policy in force, health, people's words, runs, and the journal."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

from failover.controller.changes import Changes
from failover.controller.kept_back import KeptBack
from failover.controller.leadership import Leadership
from failover.controller.people import PEOPLE_KEY, People
from failover.controller.ports import Ports
from failover.controller.steady import SLEW, SteadyWall
from failover.controller.world import World
from failover.execution.moves import displacements, intended_records, moved_away, owed, summarise, surplus
from failover.execution.ownership import owned_by
from failover.execution.reserved import busy_applications, reservations
from failover.execution.runs import apply, shifted
from failover.execution.situation import NOT_ASKED, Look, Situation
from failover.health import HealthState
from failover.model.errors import Conflict, StoreError
from failover.model.ids import ApplicationName, Domain, RunId
from failover.model.journal import (
    ClockJumped,
    EffectRecorded,
    Entry,
    JournalEntry,
    LeaderChanged,
    Run,
    RunState,
)
from failover.model.policy import Policy
from failover.model.reasons import Refusal
from failover.model.records import OwnedName
from failover.model.snapshot import Snapshot
from failover.model.telemetry import TelemetryEvent
from failover.model.time import Now
from failover.model.verdict import Judgement
from failover.planner import Survivability, survivability
from failover.policy.windows import active

MARKS_KEPT = 10_000
RUNS_KEPT = 200


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
    owned: frozenset[OwnedName] = frozenset()
    """Names that changes of ours have landed at, over the whole journal."""
    journal_head: int = 0
    journal_marks: dict[int, str] = field(default_factory=dict)
    """The mark of each of the latest entries, by its sequence number."""
    journal_epoch: int = 0
    """The highest epoch that the journal tells of."""
    journal_trouble: str = ""
    steady: SteadyWall = field(default_factory=SteadyWall)
    journal_clock: tuple[str, datetime | None] = ("", None)
    """Boot and origin of the clock that the journal was last told of."""
    told_head: int = 0
    """The highest journal head that a vantage says it was told: above ours, our journal was restored (I28)."""
    doubt: str = ""
    refusals: dict[str, tuple[Refusal, ...]] = field(default_factory=dict)
    kept_back: KeptBack = field(default_factory=KeptBack)
    changes: Changes = field(default_factory=Changes)
    survives: tuple[datetime, Survivability] | None = None
    """When the calendar last asked whether the fleet would survive, and the answer."""
    news: asyncio.Event = field(default_factory=asyncio.Event)
    _append_lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def now(self) -> Now:
        """Both clocks; the wall time does not jump (see `steady`)."""
        return self.steady.read(self.ports.clock.now())

    # -- journal -------------------------------------------------------------------------------------------------------

    async def append(self, entries: Sequence[tuple[str, Entry]]) -> tuple[JournalEntry, ...]:
        """Write to the journal and fold into the runs. Raises StoreError; then nothing may be done (I20)."""
        epoch = self.leadership.epoch
        if epoch is None:
            raise StoreError("not the acting leader: nothing is journaled")
        async with self._append_lock:
            # The store stamps entries by the machine's wall clock: a jump of it is journaled first, in the same batch.
            told = [("", entry) for entry in self._unsettled_jump()]
            try:
                written = await self.ports.store.append_batch(epoch, [*told, *entries])
            except StoreError as error:
                self.in_trouble(error)
                raise
            self.out_of_trouble()
            self.take_in(written)
            for entry in (
                written
            ):  # in the same breath as the runs' times were moved: nobody may see one without the other
                if isinstance(entry.entry, ClockJumped) and entry.entry.origin is not None:
                    self.steady.origin = entry.entry.origin
                    self._tell_jump(entry.entry.by_s)
        return written

    async def begin_to_lead(self) -> None:
        """Journal who acts now, and how far the clock jumped since the journal was last told of it (I7, section 3)."""
        epoch, identity = self.leadership.epoch, self.ports.identity
        assert epoch is not None
        self.now()
        leads = LeaderChanged(
            holder=identity.holder, epoch=epoch, boot_id=identity.boot_id, origin=self.steady.origin
        )
        missed = self._jumped_unseen()
        await self.append([("", entry) for entry in (leads, missed) if entry is not None])

    async def note_jump(self) -> None:
        """Settle a jump of the machine's wall clock: into the journal if we act. Raises StoreError: it stays unsettled.

        Health notices it by itself then, and warms up again (I7).
        """
        now = self.ports.clock.now()
        jump = self.steady.jump(now)
        if self.leadership.acting(now):
            if jump:
                await self.append([])
            elif missed := self._jumped_unseen():
                await self.append([("", missed)])
        elif jump:
            self.steady.accept(now)
            self._tell_jump(jump.total_seconds())

    def _jumped_unseen(self) -> ClockJumped | None:
        """What was followed while nobody here acted, since the journal was last told of this machine's clock: its times are still
        the old ones. Another leadership has begun since, or the same one goes on after a lapse.
        """
        boot_id, origin = self.journal_clock
        if not boot_id or boot_id != self.ports.identity.boot_id:
            return None
        if origin is None or self.steady.origin is None:
            return None
        by = self.steady.origin - origin
        return self._jumped(by, self.steady.origin) if abs(by) >= SLEW else None

    def _tell_jump(self, by_s: float) -> None:
        sentence = f"the wall clock jumped by {by_s:+.1f} s: warming up again, no window got shorter"
        self.tell("clock.jump", sentence, page=True)

    def _unsettled_jump(self) -> list[ClockJumped]:
        now = self.ports.clock.now()
        jump = self.steady.jump(now)
        return [self._jumped(jump, now.wall - timedelta(seconds=now.mono))] if jump else []

    def _jumped(self, by: timedelta, origin: datetime | None) -> ClockJumped:
        return ClockJumped(by_s=by.total_seconds(), boot_id=self.ports.identity.boot_id, origin=origin)

    def take_in(self, entries: Iterable[JournalEntry]) -> None:
        """Fold entries into the runs (own ones as they are written, all of them at start)."""
        for entry in entries:
            self.journal_head = max(self.journal_head, entry.sequence)
            self.journal_marks[entry.sequence] = entry.mark
            self.journal_marks.pop(entry.sequence - MARKS_KEPT, None)
            self.journal_epoch = max(self.journal_epoch, int(entry.epoch))
            if isinstance(entry.entry, ClockJumped | LeaderChanged):
                self.journal_clock = (entry.entry.boot_id, entry.entry.origin)
            if isinstance(entry.entry, ClockJumped):
                by = timedelta(seconds=entry.entry.by_s)
                self.runs = {name: shifted(run, by) for name, run in self.runs.items()}
            if entry.run:
                run = apply(self.runs.get(RunId(entry.run)), entry)
                if run is not None:
                    self.runs[run.id] = run
                    if isinstance(entry.entry, EffectRecorded) and not self.owned >= (
                        written := owned_by(run, entry.entry)
                    ):
                        self.owned |= written
        self.world.demand.away = moved_away(list(self.runs.values()))
        self.world.demand.surplus = surplus(list(self.runs.values()))
        self.world.demand.owed = owed(list(self.runs.values()))
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
            self.doubt = self.doubt or self.people.doubt

    def begin_to_doubt(self, sentence: str, *, run: str = "") -> None:
        """History is missing or at odds with the world: nothing is done until a person has looked (I28). Told once."""
        if not self.doubt:
            self.doubt = sentence
            self.tell("doubt", sentence, page=True, run=run)

    async def keep_doubt(self) -> None:
        """Let a doubt outlive this process: the next one, or a command without a controller, must not act either."""
        if self.doubt and self.people.doubt != self.doubt:
            await self.save_people(replace(self.people, doubt=self.doubt))

    # -- what the core is asked with -----------------------------------------------------------------------------------

    def open_runs(self) -> tuple[Run, ...]:
        return tuple(run for run in self.runs.values() if not run.state.final)

    def drives(self, run: Run) -> bool:
        """Whether changes of this run may go now, as far as the run and the lease are concerned."""
        current = self.runs.get(run.id, run)
        return current.state is RunState.RUNNING and self.leadership.epoch is not None

    def busy(self) -> tuple[tuple[ApplicationName, RunId], ...]:
        """Applications with an unfinished run."""
        return tuple((name, run.id) for run in self.open_runs() for name in busy_applications(run))

    def windows(self) -> tuple[tuple[ApplicationName, str], ...]:
        """The time windows that hold now, by application."""
        at = self.now().wall
        held = ((one.name, active(one, at)) for one in self.policy.applications if one.windows)
        return tuple((name, window.name) for name, window in held if window is not None)

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
            intended=intended_records(self.runs.values()),
            owned=self.owned,
            busy=self.busy(),
            away=moved_away(list(self.runs.values())),
            reserved=reservations(self.open_runs(), self.world.ready_at),
            windows=self.windows(),
        )

    async def survivability(
        self, domains: Sequence[Domain] = (), *, pairs: bool = False, judgement: Judgement | None = None
    ) -> Survivability:
        """Could we fail over now? Worked out behind `Compute`: probes and the lease never wait for it."""
        ask = partial(survivability, pairs=pairs)
        found: Survivability = await self.ports.compute.run(
            ask, self.snapshot(judgement), self.policy, tuple(domains)
        )
        return found

    def situation(
        self,
        judgement: Judgement | None = None,
        *,
        evidence: tuple[str, ...] = (),
        policy: Policy | None = None,
        look: Look = NOT_ASKED,
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
            paused=str(pause) if pause else "",
            paused_at=pause.at if pause else None,
            patience_from=self.people.patience_from,
            doubt=self.doubt,
            journal_ok=not self.journal_trouble,
            history=tuple(summarise(run, self.policy.fleet) for run in self.runs.values()),
            person_evidence=evidence,
            sent_last_second=self.changes.last_second(now.mono),
            last_sent=self.changes.last_sent(now.mono),
            owned=self.owned,
            look=look,
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
                self.tell_defect(error)

    def tell_defect(self, error: BaseException) -> None:
        """Page for an error that nobody expected."""
        self.tell("defect", f"{type(error).__name__}: {error}", page=True)

    def tell(self, name: str, sentence: str, *, page: bool = False, **fields: object) -> None:
        """Emit a telemetry event."""
        pairs = tuple((key, str(value)) for key, value in sorted(fields.items()))
        self.ports.telemetry.emit(
            TelemetryEvent(name=name, at=self.now().wall, sentence=sentence, fields=pairs, page=page)
        )

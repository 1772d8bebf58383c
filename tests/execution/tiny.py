"""A world of dictionaries and the smallest shell around the step machine: it can crash at every point where a process can.

It stands in for `controller.running` here, so that the machine, the fold and the permits are tested by themselves and
fast; the shipped shell is put through the same in `test_crash_anywhere.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from failover.execution.machine import (
    Attempt,
    Close,
    FailStep,
    FinishWait,
    Observe,
    ReadBack,
    back_off,
    next_actions,
)
from failover.execution.runs import apply
from failover.execution.safety import HALTING, RULES_ASKED, WAITING, grant
from failover.execution.situation import Look, Situation
from failover.model.ids import ApplicationName, ClusterName, Epoch, IntentId, StepId
from failover.model.journal import (
    Change,
    EffectRecorded,
    EffectResult,
    Entry,
    Intent,
    IntentRecorded,
    JournalEntry,
    RecordsChange,
    Run,
    RunClosed,
    RunHalted,
    RunOpened,
    ScaleChange,
    StepDone,
    StepFailed,
    fence_of,
)
from failover.model.permit import Permit
from failover.model.plan import ChangeRecordsStep, Plan, ProveGoneStep, ScaleStep, WaitReadyStep
from failover.model.policy import WorkloadRef
from failover.model.reasons import Refusal
from failover.model.records import (
    FenceRecord,
    RecordChange,
    RecordSet,
    ServerAnswer,
    Verification,
    ZoneChange,
)
from failover.model.time import Now
from tests.execution.worlds import NOW, WALL


class Crash(Exception):
    """The process dies here."""


@dataclass(slots=True)
class TinyWorld:
    """What is outside: replicas with resourceVersions, record sets, fences. Refuses what is stale or fenced off."""

    replicas: dict[tuple[ClusterName, WorkloadRef], int]
    records: dict[tuple[str, str], RecordSet]
    versions: dict[tuple[ClusterName, WorkloadRef], int] = field(default_factory=dict)
    fences: dict[ApplicationName, FenceRecord] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)

    def version(self, key: tuple[ClusterName, WorkloadRef]) -> str:
        return str(self.versions.get(key, 0))

    def send(self, change: Change) -> EffectResult:
        if isinstance(change, ScaleChange):
            key = (ClusterName(change.cluster), change.workload)
            if change.resource_version != self.version(key):
                return EffectResult.CONFLICT
            self.replicas[key] = change.after
            self.versions[key] = self.versions.get(key, 0) + 1
            self.changed.append(f"{change.cluster} {change.workload}={change.after}")
            return EffectResult.APPLIED
        assert isinstance(change, RecordsChange)
        zone = change.change
        held = self.fences.get(zone.application)
        stale = [item for item in zone.changes if self.records.get(item.after.key) != item.before]
        if held != zone.fence_before or stale:
            return EffectResult.CONFLICT
        for item in zone.changes:
            self.records[item.after.key] = item.after
        self.fences[zone.application] = zone.fence_after
        self.changed.append(
            " ".join(f"{item.after.name}={','.join(item.after.values)}" for item in zone.changes)
        )
        return EffectResult.APPLIED

    @property
    def picture(self) -> object:
        return (dict(self.replicas), {key: held.values for key, held in self.records.items()})


@dataclass(slots=True)
class TinyShell:
    """One life of a controller over a journal. `crash_at`: the point of this life at which it dies (None: never).

    `luck(what)` says what becomes of each request: an EffectResult, or `lost` (applied, and no answer came).
    """

    world: TinyWorld
    journal: list[JournalEntry]
    situation: Situation
    epoch: int = 7
    crash_at: int | None = None
    luck: Callable[[str], str] = lambda what: "applied"
    at_each_turn: Callable[["TinyShell"], None] = lambda shell: None
    mono: float = NOW.mono
    points: int = 0

    def point(self) -> None:
        """A place where a process may die."""
        if self.crash_at is not None and self.points == self.crash_at:
            raise Crash
        self.points += 1

    @property
    def now(self) -> Now:
        return Now(mono=self.mono, wall=WALL + timedelta(seconds=self.mono - NOW.mono))

    @property
    def run(self) -> Run:
        run = None
        for entry in self.journal:
            run = apply(run, entry)
        assert run is not None
        return run

    def append(self, *entries: Entry) -> None:
        self.point()
        for entry in entries:
            self.journal.append(
                JournalEntry(
                    sequence=len(self.journal) + 1,
                    epoch=Epoch(self.epoch),
                    at=self.now.wall,
                    run="run-1",
                    entry=entry,
                    previous_hash="",
                    hash="",
                )
            )
        self.point()

    def open(self, plan: Plan, actor: str = "automation") -> None:
        self.append(RunOpened(plan=plan, actor=actor, citations=(f"by {actor}",)))

    def finish(self, turns: int = 300) -> Run:
        """Until the run is over, or nothing moves any more."""
        for _ in range(turns):
            self.at_each_turn(self)
            run = self.run
            agenda = next_actions(run, self.now.wall)
            if run.state.final or (not agenda.actions and agenda.look_again is None):
                break
            for action in agenda.actions:
                self.do(self.run, action)
            if agenda.look_again is not None and not agenda.actions:
                self.mono += max(0.0, (agenda.look_again - self.now.wall).total_seconds())
            self.mono += 0.2
        return self.run

    def do(self, run: Run, action: object) -> None:
        match action:
            case Close():
                self.append(RunClosed(state=action.state, sentence=action.sentence))
            case FinishWait():
                self.append(StepDone(step=action.step.id))
            case FailStep():
                refusal = Refusal(code=action.code, sentence=action.sentence)
                self.append(StepFailed(step=action.step.id, refusal=refusal))
            case Observe(step=ChangeRecordsStep() as step):
                self.verify(step)
            case Observe(step=WaitReadyStep() as step):
                ready = sum(min(self.world.replicas[cluster, ref], n) for cluster, ref, n in step.targets)
                if ready * 100 >= sum(n for _, _, n in step.targets) * step.share:
                    self.append(StepDone(step=step.id))
            case Observe(step=ProveGoneStep() as step):
                if self.world.replicas[step.cluster, step.workload] == 0:
                    self.append(StepDone(step=step.id))
            case ReadBack():
                self.read_back(run, action.step)
            case Attempt():
                self.attempt(run, action.step)

    def stands(self, step: ScaleStep | ChangeRecordsStep) -> bool:
        if isinstance(step, ScaleStep):
            return self.world.replicas[step.cluster, step.workload] == step.after
        return all(
            change.after.same_data(self.world.records.get(change.after.key)) for change in step.changes
        )

    def verify(self, step: ChangeRecordsStep) -> None:
        answer = ServerAnswer(server="192.0.2.53", answered=True, matches=self.stands(step))
        seen = Verification(zone=step.zone, servers=(answer,), checked_at=self.now.wall)
        if seen.effective:
            self.append(StepDone(step=step.id, verification=seen))

    def landed(self, step: ScaleStep | ChangeRecordsStep, effect: EffectRecorded) -> None:
        self.append(effect, *([StepDone(step=step.id)] if isinstance(step, ScaleStep) else []))

    def read_back(self, run: Run, step: ScaleStep | ChangeRecordsStep) -> None:
        intent = run.steps[step.id].intent
        assert intent is not None
        if self.stands(step):
            self.landed(step, EffectRecorded(intent=intent.id, step=step.id, result=EffectResult.APPLIED))
        else:
            self.append(EffectRecorded(intent=intent.id, step=step.id, result=EffectResult.UNAVAILABLE))

    def attempt(self, run: Run, step: ScaleStep | ChangeRecordsStep) -> None:
        if self.stands(step):
            none = EffectRecorded(intent=IntentId("none"), step=step.id, result=EffectResult.UNCHANGED)
            self.landed(step, none)
            return
        intent = self.compose(run, step)
        situation = self.situation_now()
        answer = grant(intent, run, situation)
        if not isinstance(answer, Permit):
            if answer.code in HALTING:
                self.append(RunHalted(refusal=answer))
            elif answer.code not in WAITING:
                self.append(StepFailed(step=step.id, refusal=answer))
            return
        self.append(IntentRecorded(intent=intent))
        result = self.request(intent)
        self.point()
        later = self.now.wall + back_off(intent.attempt, None)
        self.landed(
            step, EffectRecorded(intent=intent.id, step=step.id, result=result)
        ) if result.landed else (
            self.append(EffectRecorded(intent=intent.id, step=step.id, result=result, not_before=later))
        )

    def request(self, intent: Intent) -> EffectResult:
        """What the shell hears. The world has moved where it was applied, also when the answer was lost."""
        luck = self.luck(str(intent.id))
        if luck == "applied":
            return self.world.send(intent.change)
        if luck == "lost":
            self.world.send(intent.change)
            return EffectResult.UNKNOWN
        return EffectResult(luck)

    def situation_now(self) -> Situation:
        from dataclasses import replace

        return replace(
            self.situation,
            epoch=Epoch(self.epoch),
            now=replace(self.now, mono=NOW.mono),
            acting_until=NOW.mono + 10,
            look=Look(dict(self.world.replicas)),
        )

    def compose(self, run: Run, step: ScaleStep | ChangeRecordsStep) -> Intent:
        attempt = run.steps[step.id].attempts + 1
        return Intent(
            id=IntentId(f"{run.id}/{step.id}/{attempt}-e{self.epoch}"),
            run=run.id,
            step=StepId(step.id),
            attempt=attempt,
            epoch=Epoch(self.epoch),
            change=self.change(run, step),
            actor=run.actor,
            reason="a test",
            evidence=run.citations,
            rules=RULES_ASKED,
        )

    def change(self, run: Run, step: ScaleStep | ChangeRecordsStep) -> Change:
        if isinstance(step, ScaleStep):
            key = (step.cluster, step.workload)
            return ScaleChange(
                cluster=step.cluster,
                cluster_uid="uid",
                workload=step.workload,
                field=step.field,
                before=self.world.replicas[key],
                after=step.after,
                resource_version=self.world.version(key),
            )
        return RecordsChange(
            change=ZoneChange(
                zone=step.zone,
                application=step.application,
                changes=tuple(
                    RecordChange(before=self.world.records.get(item.after.key), after=item.after)
                    for item in step.changes
                    if not item.after.same_data(self.world.records.get(item.after.key))
                ),
                fence_before=self.world.fences.get(step.application),
                fence_after=fence_of(
                    run, owner="test", application=step.application, epoch=Epoch(self.epoch), holder="tiny"
                ),
            )
        )

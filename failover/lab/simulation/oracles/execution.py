"""I16 to I22, I27, I28, I30: how it is carried out, who may, and what is written down."""

from collections import Counter

from failover.execution.chain import genesis, line_of, verify
from failover.lab.simulation import trace
from failover.lab.simulation.world import World
from failover.model.journal import (
    EffectRecorded,
    EffectResult,
    IntentRecorded,
    JournalEntry,
    PersonSaid,
    RunClosed,
    RunWidened,
    ScaleChange,
    StepDone,
    StepFailed,
)
from failover.model.plan import ChangeRecordsStep, RunKind, ScaleField, ScaleStep

from .base import LATELY_S, Oracle, Runs
from .standing import stands_for_a_reason


class IntentBeforeEffect(Oracle):
    invariant, about = (
        "I16",
        "every change that lands has an intent in the journal that a power cut would leave",
    )

    def see(self, event: trace.Event) -> None:
        if isinstance(event, trace.Applied):
            known = event.intent in self.runs.intents
            self.must(
                known and event.kept,
                event.at,
                f"{event.target} took {event.intent or '?'} without an intent on disk",
            )


class CrashAnywhere(Oracle):
    invariant, about = "I17", "a finished run leaves what its plan says, once, whatever happened in between"

    def __init__(self, world: World, runs: Runs) -> None:
        super().__init__(world, runs)
        self.last: dict[tuple[str, str], tuple[float, int]] = {}
        self.done: set[tuple[str, str]] = set()
        """Steps of runs that the journal says are done: whoever goes on with the run begins none of them again."""

    def see(self, event: trace.Event) -> None:
        if isinstance(event, trace.Lived) and event.what == "restored":
            self.done.clear()
            for line in self.world.disk.journal:
                self._told(line)
        if isinstance(event, trace.Journaled):
            if isinstance(event.entry.entry, IntentRecorded):
                begun = event.entry.entry.intent.step
                again = (event.entry.run, begun) in self.done
                self.must(not again, event.at, f"{event.entry.run} begins {begun} again, which is done")
            self._told(event.entry)
        if isinstance(event, trace.Applied) and event.kind == "scale" and isinstance(event.after, int):
            self.last[event.target, event.workload] = (event.at, event.after)
        if not isinstance(event, trace.Journaled) or not isinstance(event.entry.entry, RunClosed):
            return
        run = self.runs.by_id.get(event.entry.run)
        if run is None or event.entry.entry.state != "done":
            return
        ends = {(step.cluster, step.workload): step for step in run.plan.steps if isinstance(step, ScaleStep)}
        for step in ends.values():  # several steps of one object lead to what the last of them says
            at, written = self.last.get((step.cluster, str(step.workload)), (run.at, step.after))
            there = self.world.clusters[step.cluster].workloads.get(step.workload)
            # What stood there already, or somebody else has written in between, need not be written.
            stands = step.field is ScaleField.REPLICAS and there is not None and there.wanted == step.after
            self.must(
                written == step.after or at < run.at or stands,
                event.at,
                f"{event.entry.run} is done: {step.workload} at {step.cluster} was set to {written}, not {step.after}",
            )

    def _told(self, line: JournalEntry) -> None:
        """A run that widens may begin again a step that now leads further."""
        if isinstance(line.entry, StepDone):
            self.done.add((line.run, line.entry.step))
        elif isinstance(line.entry, RunWidened):
            self.done -= {(run, step) for run, step in self.done if run == line.run}


class Preconditioned(Oracle):
    invariant, about = "I18", "changes are absolute, and replace what was read"

    def see(self, event: trace.Event) -> None:
        if isinstance(event, trace.Applied) and event.kind == "scale":
            self.must(
                event.expected == event.seen,
                event.at,
                f"{event.intent} replaced {event.seen} of {event.workload} at {event.target}, and had read {event.expected}",
            )


class UnknownIsNotFailed(Oracle):
    invariant, about = (
        "I19",
        "after an unknown outcome the target is looked at before anything is tried or said again",
    )

    def __init__(self, world: World, runs: Runs) -> None:
        super().__init__(world, runs)
        self.unknown: dict[tuple[str, str], tuple[str, bool]] = {}

    def see(self, event: trace.Event) -> None:
        if isinstance(event, trace.Looked):
            for key, (target, _) in list(self.unknown.items()):
                if target == event.target:
                    self.unknown[key] = (target, True)
        if not isinstance(event, trace.Journaled):
            return
        entry, run = event.entry.entry, event.entry.run
        if isinstance(entry, EffectRecorded):
            found = self.runs.intents.get(entry.intent)
            if entry.result is EffectResult.UNKNOWN and found is not None:
                self.unknown[run, entry.step] = (found[0].intent.change.target, False)
            elif entry.result.landed:
                self.unknown.pop((run, entry.step), None)
        elif isinstance(entry, IntentRecorded):
            self._looked_first(event.at, run, entry.intent.step, f"{entry.intent.id} is tried")
        elif isinstance(entry, StepFailed) and entry.refusal.code not in ("outcome-unknown",):
            self._looked_first(event.at, run, entry.step, f"{entry.step} is said to have failed")

    def _looked_first(self, at: float, run: str, step: str, what: str) -> None:
        found = self.unknown.get((run, step))
        if found is not None:
            self.must(found[1], at, f"{what} again without a look at {found[0]}")
            self.unknown.pop((run, step), None)


class NoJournalNoAction(Oracle):
    invariant, about = "I20", "while the store takes no writes, nothing is sent that was not journaled before"

    def see(self, event: trace.Event) -> None:
        if not self.world.disk.trouble:
            return
        if isinstance(event, trace.Looked):
            self.checked += 1  # it works on, and might have sent something
        if isinstance(event, trace.Applied):
            journaled = self.runs.intents.get(event.intent)
            self.must(
                journaled is not None and journaled[1] <= event.at,
                event.at,
                f"{event.target} took {event.intent} while the store was in trouble",
            )


class UnfinishedIsNotFinished(Oracle):
    invariant, about = "I21", "a run is closed by the truth: DONE means that each change stands in the world"

    def __init__(self, world: World, runs: Runs) -> None:
        super().__init__(world, runs)
        self.done: dict[str, set[str]] = {}

    def see(self, event: trace.Event) -> None:
        if not isinstance(event, trace.Journaled):
            return
        run, entry = self.runs.by_id.get(event.entry.run), event.entry.entry
        if run is not None and isinstance(entry, StepDone):
            self.done.setdefault(run.id, set()).add(entry.step)
            step = next((one for one in run.plan.steps if one.id == entry.step), None)
            if isinstance(step, ScaleStep):
                self._scaled(event, step)
            elif isinstance(step, ChangeRecordsStep):
                self._changed(event, step)
        if run is None or not isinstance(entry, RunClosed) or entry.state != "done":
            return
        wanted = {step.id for step in run.plan.steps if step.kind in ("scale", "change-records")}
        missing = sorted(wanted - self.done.get(run.id, set()))
        self.must(not missing, event.at, f"{run.id} is done without {missing[:3]}")

    def _scaled(self, event: trace.Journaled, step: ScaleStep) -> None:
        """A step is done where its number stood in the world, or somebody has gone further, whatever he did a moment later."""
        place = self.world.clusters[step.cluster]
        if event.at - place.told_old_at < LATELY_S:
            return  # its own server says so: nobody can know better
        if step.field is ScaleField.AUTOSCALER_MIN or step.workload not in place.workloads:
            return
        stood = place.wanted_since(step.workload, event.at - LATELY_S)
        beyond = max(stood) > step.after > step.before or (step.owner is not None and min(stood) < step.after)
        self.must(
            step.after in stood or beyond,
            event.at,
            f"{step.id} is done: {step.after} of {step.workload} at {step.cluster}, where {sorted(stood)} stood",
        )

    def _changed(self, event: trace.Journaled, step: ChangeRecordsStep) -> None:
        zone = next(one for one in self.world.zones.values() if one.zone.name == step.zone)
        lately = zone.versions_since(event.at - LATELY_S)
        for change in step.changes:
            stood = any(change.after.same_data(item.record_sets.get(change.after.key)) for item in lately)
            self.must(
                stood, event.at, f"{step.id} is done, and {change.after.name} was not {change.after.values}"
            )

    def finish(self) -> None:
        for run in self.runs.by_id.values():
            self.checked += 1
            if not run.closed and not stands_for_a_reason(self.world, run.id):
                self.violated(self.world.mono, f"{run.id} neither ended nor says why it stands")


class OneActingEpoch(Oracle):
    invariant, about = (
        "I22",
        "no target takes an epoch older than one that it has taken, nor anything after the lease",
    )

    ON_ITS_WAY_S = 3.0
    """What was sent in time may arrive so late: the slowest way of this world, to name servers."""

    def __init__(self, world: World, runs: Runs) -> None:
        super().__init__(world, runs)
        self.highest: dict[tuple[str, str], int] = {}

    def see(self, event: trace.Event) -> None:
        if not isinstance(event, trace.Applied):
            return
        part = str(event.change.application) if event.change is not None else ""
        key = (event.target, part)
        self.must(
            event.epoch >= self.highest.get(key, 0),
            event.at,
            f"{event.target} took epoch {event.epoch} after {self.highest.get(key, 0)}",
        )
        late = event.at - event.leased_until
        self.must(
            late < self.ON_ITS_WAY_S, event.at, f"{event.intent} lands {late:.1f} s after its lease ran out"
        )
        self.highest[key] = max(event.epoch, self.highest.get(key, 0))


class ReturnDeletesNothing(Oracle):
    invariant, about = (
        "I27",
        "a region that was moved away from keeps what it runs until a person drains or fails back",
    )

    def see(self, event: trace.Event) -> None:
        if not isinstance(event, trace.Applied) or event.kind != "scale":
            return
        run = self.runs.of_intent(event.intent)
        if run is not None and run.plan.run_kind in (RunKind.EVACUATION, RunKind.STEERING):
            self.must(
                event.target not in run.plan.sources,
                event.at,
                f"{run.id} changes {event.workload} in {event.target}, which it moves away from",
            )


class DoubtWaits(Oracle):
    invariant, about = (
        "I28",
        "after a database was restored that knows less than the vantages or the fences, automation waits for a person",
    )

    def __init__(self, world: World, runs: Runs) -> None:
        super().__init__(world, runs)
        self.restored: float | None = None
        self.ahead = False

    def see(self, event: trace.Event) -> None:
        if isinstance(event, trace.Lived) and event.what == "restored":
            told = max((head for head, _ in self.world.heads.values()), default=0)
            known = max((int(line.epoch) for line in self.world.disk.journal), default=0)
            self.restored = event.at
            self.ahead = told > len(self.world.disk.journal) or self._highest_fence() > known
        said = event.entry.entry if isinstance(event, trace.Journaled) else None
        if isinstance(said, PersonSaid) and said.verb == "resume":
            self.restored = None
        if self.restored is None or not self.ahead:
            return
        if isinstance(event, trace.Looked):
            self.checked += 1  # it works on, and might have sent something
        if isinstance(event, trace.Applied) and event.kind != "fence":
            run = self.runs.of_intent(event.intent)
            automatic = run is not None and run.automatic
            self.must(not automatic, event.at, f"{event.intent} lands although the journal was restored")

    def _highest_fence(self) -> int:
        fences = [place.fence or 0 for place in self.world.clusters.values()]
        fences += [
            int(one.epoch) for zone in self.world.zones.values() for one in zone.current.fences.values()
        ]
        return max(fences)


class OneRecordAChange(Oracle):
    invariant, about = "I30", "every change that landed is told once in a journal whose chain holds"

    def __init__(self, world: World, runs: Runs) -> None:
        super().__init__(world, runs)
        self.told: Counter[str] = Counter()
        self.landed: Counter[str] = Counter()

    def see(self, event: trace.Event) -> None:
        if isinstance(event, trace.Applied):
            self.landed[event.intent] += 1
            times = self.landed[event.intent]
            self.must(times == 1, event.at, f"{event.intent} changed {event.target} {times} times")
        if isinstance(event, trace.Journaled) and isinstance(event.entry.entry, IntentRecorded):
            name = event.entry.entry.intent.id
            self.told[name] += 1
            intent = event.entry.entry.intent
            self.must(self.told[name] == 1, event.at, f"{name} is told {self.told[name]} times")
            self.must(
                bool(intent.actor and intent.evidence and intent.rules), event.at, f"{name} names no reason"
            )
            if isinstance(intent.change, ScaleChange):
                self.must(bool(intent.change.resource_version), event.at, f"{name} carries no precondition")

    def finish(self) -> None:
        lines = tuple(line_of(entry) for entry in self.world.disk.journal)
        fault = verify(lines, first_previous=genesis(self.world.disk.install_id))
        self.must(fault is None, self.world.mono, f"the chain breaks: {fault}")


EXECUTION = (
    IntentBeforeEffect,
    CrashAnywhere,
    Preconditioned,
    UnknownIsNotFailed,
    NoJournalNoAction,
    UnfinishedIsNotFinished,
    OneActingEpoch,
    ReturnDeletesNothing,
    DoubtWaits,
    OneRecordAChange,
)

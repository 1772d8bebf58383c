"""Were the invariants kept? Checked over what the journal says of a run, after the fact and in tests: names what broke.

What is looked at: I2, I10, I13, I16, I18, I22 and I30 of the design, as far as a journal can show them.
"""

from collections.abc import Iterable, Iterator

from failover.execution.runs import apply
from failover.model.ids import IntentId
from failover.model.journal import (
    EffectRecorded,
    EffectResult,
    Intent,
    IntentRecorded,
    JournalEntry,
    RaiseFence,
    Run,
    RunClosed,
    RunState,
    ScaleChange,
    StepDone,
    StepState,
)
from failover.model.plan import ChangeRecordsStep


def violations(entries: Iterable[JournalEntry]) -> tuple[str, ...]:
    """Every broken invariant of one run, as sentences; `entries` are its own, in order."""
    checker = _Checker()
    return tuple(sentence for entry in entries for sentence in checker.look(entry))


class _Checker:
    """Walks through a run's entries with the run as it was before each."""

    def __init__(self) -> None:
        self._run: Run | None = None
        self._epoch = 0
        self._intents: dict[IntentId, Intent] = {}
        self._landed: set[IntentId] = set()
        self._closed = False

    def look(self, entry: JournalEntry) -> Iterator[str]:
        event, run = entry.entry, self._run
        if entry.epoch < self._epoch:
            yield f"I22: entry {entry.sequence} has epoch {entry.epoch} after {self._epoch}"
        self._epoch = max(self._epoch, int(entry.epoch))
        if isinstance(event, IntentRecorded):
            yield from self._intent(event.intent, entry, run)
        elif isinstance(event, EffectRecorded):
            yield from self._effect(event)
        elif isinstance(event, StepDone):
            yield from _verified(event, run)
        elif isinstance(event, RunClosed):
            yield from self._close(event, run)
        self._run = apply(run, entry)

    def _intent(self, intent: Intent, entry: JournalEntry, run: Run | None) -> Iterator[str]:
        if intent.id in self._intents:
            yield f"I30: intent {intent.id} was written twice"
        self._intents[intent.id] = intent
        if intent.epoch != entry.epoch:
            yield f"I22: intent {intent.id} carries epoch {intent.epoch}, its entry {entry.epoch}"
        if not intent.evidence:
            yield f"I2: intent {intent.id} cites nothing"
        if self._closed:
            yield f"I16: intent {intent.id} came after the run was closed"
        change = intent.change
        if isinstance(change, ScaleChange):
            if not change.resource_version:
                yield f"I18: intent {intent.id} has no precondition"
        elif not isinstance(change, RaiseFence):
            for item in change.change.changes:
                if not item.after.values:
                    yield f"I13: intent {intent.id} empties {item.after.name}"
        yield from _in_order(intent, run)

    def _effect(self, event: EffectRecorded) -> Iterator[str]:
        if event.result is EffectResult.UNCHANGED:
            return
        if event.intent not in self._intents:
            yield f"I16: the effect of {event.intent} has no intent before it"
        if event.result is EffectResult.APPLIED:
            if event.intent in self._landed:
                yield f"I30: intent {event.intent} was applied twice"
            self._landed.add(event.intent)

    def _close(self, event: RunClosed, run: Run | None) -> Iterator[str]:
        self._closed = True
        if run is None or event.state is not RunState.DONE:
            return
        for step, progress in run.steps.items():
            if progress.state is not StepState.DONE:
                yield f"I19: the run was closed as done with {step} {progress.state}"


def _in_order(intent: Intent, run: Run | None) -> Iterator[str]:
    if run is None:
        yield f"I16: intent {intent.id} has no run"
        return
    if run.state is not RunState.RUNNING:
        yield f"I23: intent {intent.id} was written while the run was {run.state}"
    step = next((item for item in run.plan.steps if item.id == intent.step), None)
    if step is not None and run.steps[step.id].state is StepState.INTENDED:
        yield f"I19: intent {intent.id} was written before it was known what became of the one before it"
    for needed in step.needs if step is not None else ():
        if run.steps[needed].state is not StepState.DONE:
            yield f"I10: intent {intent.id} came before {needed} was done"


def _verified(event: StepDone, run: Run | None) -> Iterator[str]:
    """I15: a record change is done when it was read back at a server, and at every one that answered."""
    step = next((item for item in run.plan.steps if item.id == event.step), None) if run is not None else None
    if isinstance(step, ChangeRecordsStep) and (
        event.verification is None or not event.verification.effective
    ):
        yield f"I15: {event.step} was taken for done without being served as intended"

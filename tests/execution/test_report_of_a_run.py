"""What a manager or an auditor asks of a run: phases in seconds, replicas, records, told from the journal alone."""

from dataclasses import replace
from datetime import timedelta

from failover.execution.report import RunReport, report
from failover.execution.runs import fold
from failover.model.ids import RunId
from failover.model.journal import (
    EffectRecorded,
    EffectResult,
    Entry,
    IntentRecorded,
    JournalEntry,
    RunClosed,
    RunHalted,
    RunOpened,
    RunResumed,
    RunState,
    StepDone,
)
from failover.model.plan import ChangeRecordsStep, ScaleStep, WaitReadyStep
from failover.model.reasons import Refusal
from failover.model.records import ServerAnswer, Verification
from tests.execution import test_step_machine as machine
from tests.execution.test_step_machine import told
from tests.execution.worlds import WALL, ZONE, evacuation, journal

PLAN = evacuation()
SCALES = [step for step in PLAN.steps if isinstance(step, ScaleStep)]
READY = next(step for step in PLAN.steps if isinstance(step, WaitReadyStep))
RECORDS = next(step for step in PLAN.steps if isinstance(step, ChangeRecordsStep))
OPENED = RunOpened(
    plan=PLAN,
    actor="automation",
    failed_at=WALL - timedelta(seconds=6),
    verdict_at=WALL - timedelta(seconds=1),
    citations=("control/b/1 0.4 s",),
)
SEEN = Verification(
    zone=ZONE,
    servers=(
        ServerAnswer(server="192.0.2.53", answered=True, matches=True),
        ServerAnswer(server="192.0.2.54", answered=False, matches=False),
    ),
    checked_at=WALL,
)


def intended(step: ScaleStep | ChangeRecordsStep, before: list[Entry]) -> IntentRecorded:
    """The intent of a step after what was told before, citing what the run cites."""
    made = machine.intended(told(*before[1:]), step)
    return replace(made, intent=replace(made.intent, evidence=OPENED.citations))


def events() -> list[Entry]:
    """Opened at 0 s, scaled at 1-4 s, ready at 5 s, records intended, acknowledged at 7 s, served at 8 s, closed at 9 s."""
    found: list[Entry] = [OPENED]
    for step in SCALES:
        intent = intended(step, found)
        found.append(intent)
        applied = EffectRecorded(intent=intent.intent.id, step=step.id, result=EffectResult.APPLIED)
        found += [applied, StepDone(step=step.id)]
    found.append(StepDone(step=READY.id))
    intent = intended(RECORDS, found)
    applied = EffectRecorded(intent=intent.intent.id, step=RECORDS.id, result=EffectResult.APPLIED)
    found += [intent, applied, StepDone(step=RECORDS.id, verification=SEEN)]
    return [*found, RunClosed(state=RunState.DONE, sentence="all steps done and read back")]


def reported(entries: list[Entry]) -> RunReport:
    lines: tuple[JournalEntry, ...] = journal(entries)
    return report(fold(lines)[RunId("run-1")], lines)


def test_the_phases_are_told_in_seconds_from_the_first_failure_on() -> None:
    made = reported(events())
    phases = made.phases
    assert (phases.detect_s, phases.decide_s) == (5.0, 1.0)
    assert phases.capacity_s == 7.0
    assert phases.dns_change_s == 9.0
    assert phases.dns_effective_s == 10.0


def test_replicas_records_evidence_and_silent_servers_are_counted() -> None:
    made = reported(events())
    replicas, records = made.replicas, made.records
    assert (replicas.lost, replicas.replaced, replicas.ready) == (6, 6, 6)
    assert (records.changed, records.verified) == (1, 1)
    assert made.silent_servers == ("192.0.2.54",)
    assert made.evidence == ("control/b/1 0.4 s",)
    assert made.violations == ()


def test_a_phase_that_was_not_reached_has_no_time() -> None:
    made = reported(events()[:4])
    phases = made.phases
    assert (phases.detect_s, phases.capacity_s, phases.dns_change_s, phases.dns_effective_s) == (
        5.0,
        None,
        None,
        None,
    )
    assert made.replicas.ready == 0, "ordered is not ready"


def test_a_persons_command_has_no_first_failure() -> None:
    entries = events()
    entries[0] = replace(OPENED, actor="ada@desk", failed_at=None, verdict_at=None)
    phases = reported(entries).phases
    assert (phases.detect_s, phases.decide_s) == (None, None)
    assert phases.dns_effective_s is not None


def test_the_timeline_is_in_order_and_tells_halts_and_the_end() -> None:
    entries = events()
    halt = RunHalted(refusal=Refusal(code="paused", sentence="paused by ada"))
    made = reported([*entries[:3], halt, RunResumed(actor="ada@desk"), *entries[3:]])
    times = [at for at, _ in made.timeline]
    assert times == sorted(times)
    text = "\n".join(sentence for _, sentence in made.timeline)
    for words in (
        "first failure seen",
        "verdict confirmed",
        "halted: paused by ada",
        "resumed by ada@desk",
        "closed as done",
    ):
        assert words in text


def test_an_effect_without_an_intent_is_a_violation_that_the_report_names() -> None:
    entries = [item for item in events() if item.kind != "intent"]
    assert any("I16" in sentence for sentence in reported(entries).violations)

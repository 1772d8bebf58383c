"""The report of a run and the check of its trace: worked out from the journal alone."""

import json
from dataclasses import replace
from datetime import timedelta

from failover.execution.report import report
from failover.execution.trace import violations
from failover.model.codec import canonical_json, from_plain
from failover.model.ids import Epoch, IntentId, StepId
from failover.model.journal import (
    EffectRecorded,
    EffectResult,
    IntentRecorded,
    JournalEntry,
    RecordsChange,
    RunClosed,
    RunHalted,
    RunOpened,
    RunResumed,
    RunState,
    ScaleChange,
    StepDone,
    StepFailed,
)
from failover.model.plan import ChangeRecordsStep
from failover.model.reasons import Refusal
from failover.model.records import ServerAnswer, Verification
from tests.execution.test_crash_properties import STORIES, shell, world_of
from tests.execution.worlds import WALL, ZONE, evacuation, journal


def a_whole_run() -> list[JournalEntry]:
    """The evacuation of two workloads; the first failure was 6 s and the verdict 1 s before it was opened."""
    seen, plan, actor = STORIES["evacuation"]
    life = shell("evacuation", world_of(seen), [])
    life.append(
        RunOpened(
            plan=plan,
            actor=actor,
            failed_at=WALL - timedelta(seconds=6),
            verdict_at=WALL - timedelta(seconds=1),
            citations=("control/b/1 D timeout",),
        )
    )
    life.finish()
    return life.journal


def folded(entries: list[JournalEntry]):  # type: ignore[no-untyped-def]
    from failover.execution.runs import fold

    return next(iter(fold(entries).values()))


def test_the_report_has_the_phases_in_seconds_the_replicas_and_the_records() -> None:
    entries = a_whole_run()
    told = report(folded(entries), entries)
    assert (told.run_kind, told.domain, told.state) == ("evacuation", "region/north", "done")
    assert told.verdict == "north-1 DOWN"
    assert told.phases.detect_s == 5.0
    assert told.phases.decide_s == 1.0
    assert told.phases.capacity_s is not None
    assert told.phases.dns_change_s is not None
    assert told.phases.dns_effective_s is not None
    assert 0 < told.phases.capacity_s <= told.phases.dns_change_s <= told.phases.dns_effective_s
    assert (told.replicas.lost, told.replicas.replaced, told.replicas.ready) == (12, 12, 12)
    assert (told.records.changed, told.records.verified) == (1, 1)
    assert told.violations == ()
    assert told.attempts == 5, "four scales and one record change"
    assert told.evidence == ("control/b/1 D timeout",)


def test_the_report_is_plain_data_and_comes_back() -> None:
    entries = a_whole_run()
    told = report(folded(entries), entries)
    assert from_plain(type(told), json.loads(canonical_json(told))) == told


def test_the_timeline_is_in_order_and_in_sentences() -> None:
    entries = a_whole_run()
    told = report(folded(entries), entries)
    lines = [line for _, line in told.timeline]
    assert lines[:3] == [
        "first failure seen",
        "verdict confirmed",
        "evacuation of region/north opened by automation",
    ]
    assert "shop.example.test. A served by 1 of 1 servers" in lines
    assert "closed as done: all 5 changes done and read back" in lines
    assert [at for at, _ in told.timeline] == sorted(at for at, _ in told.timeline)


def test_a_phase_that_was_not_reached_is_none_and_what_failed_is_named() -> None:
    plan = evacuation()
    refusal = Refusal(code="not-ready", sentence="12 of 18 replicas are ready after 600 s")
    ready = next(step.id for step in plan.steps if step.kind == "wait-ready")
    entries = list(
        journal(
            [
                RunOpened(plan=plan, actor="ada@desk"),
                RunHalted(refusal=Refusal(code="paused", sentence="paused by bob")),
                RunResumed(actor="bob"),
                StepFailed(step=ready, refusal=refusal),
                RunClosed(state=RunState.PARTIAL, sentence="1 of 4 steps failed"),
            ]
        )
    )
    told = report(folded(entries), entries)
    assert (told.phases.detect_s, told.phases.capacity_s, told.phases.dns_effective_s) == (None, None, None)
    assert told.failed == (f"{ready}: not-ready: 12 of 18 replicas are ready after 600 s",)
    assert (told.replicas.replaced, told.replicas.ready, told.records.changed) == (0, 0, 0)
    lines = [line for _, line in told.timeline]
    assert "halted: paused by bob" in lines
    assert f"{ready} failed: 12 of 18 replicas are ready after 600 s" in lines


def test_silent_servers_are_named() -> None:
    plan = evacuation()
    step = next(item.id for item in plan.steps if isinstance(item, ChangeRecordsStep))
    servers = (
        ServerAnswer(server="192.0.2.53", answered=True, matches=True),
        ServerAnswer(server="192.0.2.54", answered=False, matches=False),
    )
    seen = Verification(zone=ZONE, servers=servers, checked_at=WALL)
    entries = list(journal([RunOpened(plan=plan, actor="ada"), StepDone(step=step, verification=seen)]))
    told = report(folded(entries), entries)
    assert told.silent_servers == ("192.0.2.54",)
    assert "shop.example.test. A served by 1 of 2 servers" in [line for _, line in told.timeline]


# -- the trace ---------------------------------------------------------------------------------------------------------


def broken(change: object) -> tuple[str, ...]:
    """What is said of a whole run after each entry went through a function (None: it is left out)."""
    entries = [change(entry) for entry in a_whole_run()]  # type: ignore[operator]
    return violations([entry for entry in entries if entry is not None])


def first_intent(**changes: object):  # type: ignore[no-untyped-def]
    done: list[bool] = []

    def change(entry: JournalEntry) -> JournalEntry:
        if isinstance(entry.entry, IntentRecorded) and not done:
            done.append(True)
            return replace(entry, entry=IntentRecorded(intent=replace(entry.entry.intent, **changes)))
        return entry

    return change


def test_a_whole_run_breaks_nothing() -> None:
    assert broken(lambda entry: entry) == ()


def test_an_effect_without_an_intent_is_found() -> None:
    found = broken(lambda entry: None if isinstance(entry.entry, IntentRecorded) else entry)
    assert found
    assert all(sentence.startswith("I16") for sentence in found)


def test_an_intent_without_evidence_without_precondition_or_of_another_epoch_is_found() -> None:
    assert [s[:3] for s in broken(first_intent(evidence=()))] == ["I2:"]
    assert [s[:4] for s in broken(first_intent(epoch=Epoch(6)))] == ["I22:"]

    def bare(entry: JournalEntry) -> JournalEntry:
        if isinstance(entry.entry, IntentRecorded) and isinstance(entry.entry.intent.change, ScaleChange):
            change = replace(entry.entry.intent.change, resource_version="")
            return replace(entry, entry=IntentRecorded(intent=replace(entry.entry.intent, change=change)))
        return entry

    assert {s[:4] for s in broken(bare)} == {"I18:"}


def test_an_emptied_record_set_is_found() -> None:
    def emptied(entry: JournalEntry) -> JournalEntry:
        if isinstance(entry.entry, IntentRecorded) and isinstance(entry.entry.intent.change, RecordsChange):
            zone_change = entry.entry.intent.change.change
            item = replace(zone_change.changes[0], after=replace(zone_change.changes[0].after, values=()))
            change = RecordsChange(change=replace(zone_change, changes=(item,)))
            return replace(entry, entry=IntentRecorded(intent=replace(entry.entry.intent, change=change)))
        return entry

    assert [s[:4] for s in broken(emptied)] == ["I13:"]


def test_a_step_that_came_too_early_and_one_that_was_never_served_are_found() -> None:
    waits = {step.id for step in STORIES["evacuation"][1].steps if step.kind == "wait-ready"}

    def hurried(entry: JournalEntry) -> JournalEntry | None:
        return None if isinstance(entry.entry, StepDone) and entry.entry.step in waits else entry

    found = broken(hurried)
    assert any(s.startswith("I10") for s in found)
    assert any(s.startswith("I19") and "closed as done" in s for s in found)

    def unserved(entry: JournalEntry) -> JournalEntry:
        if isinstance(entry.entry, StepDone) and entry.entry.verification is not None:
            return replace(entry, entry=replace(entry.entry, verification=None))
        return entry

    assert [s[:4] for s in broken(unserved)] == ["I15:"]


def test_a_leader_of_yesterday_and_a_second_word_about_one_change_are_found() -> None:
    entries = a_whole_run()
    late = replace(entries[-2], epoch=Epoch(3))
    assert any(s.startswith("I22") for s in violations([*entries[:-2], late, entries[-1]]))
    effect = next(e for e in entries if isinstance(e.entry, EffectRecorded))
    assert any(s.startswith("I30") for s in violations([*entries, effect]))
    intent = next(e for e in entries if isinstance(e.entry, IntentRecorded))
    again = violations([*entries, intent])
    assert any(s.startswith("I30") for s in again)
    assert any(s.startswith("I16") and "closed" in s for s in again)


def test_a_second_attempt_before_the_first_was_settled_is_found() -> None:
    entries = a_whole_run()
    at = next(i for i, e in enumerate(entries) if isinstance(e.entry, IntentRecorded))
    first = entries[at]
    assert isinstance(first.entry, IntentRecorded)
    second = replace(first, entry=IntentRecorded(intent=replace(first.entry.intent, id=IntentId("again"))))
    found = violations([*entries[: at + 1], second])
    assert [s[:4] for s in found] == ["I19:"]
    orphan = EffectRecorded(intent=IntentId("x"), step=StepId("x"), result=EffectResult.APPLIED)
    assert violations(journal([orphan])) == ("I16: the effect of x has no intent before it",)

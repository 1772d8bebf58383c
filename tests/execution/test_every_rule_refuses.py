"""The one module that every change goes through: each rule that a permit asks refuses at least once, by its name."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from failover.execution.admission import is_automatic
from failover.execution.rules import RULES
from failover.execution.runs import fold
from failover.execution.safety import HALTING, RULES_ASKED, WAITING, grant
from failover.execution.situation import Look
from failover.model.ids import ApplicationName, Epoch, RunId, StepId, ZoneName
from failover.model.journal import (
    AbortRequested,
    EffectRecorded,
    EffectResult,
    Entry,
    Intent,
    IntentRecorded,
    RaiseFence,
    RecordsChange,
    Run,
    RunHalted,
    RunOpened,
    StepDone,
)
from failover.model.permit import Permit
from failover.model.plan import ChangeRecordsStep, Phase, Plan, RunKind, ScaleStep
from failover.model.policy import Writers
from failover.model.reasons import Refusal
from failover.model.records import FenceRecord, RecordChange, RecordSet, RecordType
from failover.model.verdict import Freeze, Judgement, VerdictKind, WarmUp
from tests.execution.tiny import TinyShell, TinyWorld
from tests.execution.worlds import (
    ALL_WELL,
    NORTH,
    NORTH_DOWN,
    NOW,
    SOUTH,
    WALL,
    WEB,
    WEST,
    Seen,
    evacuation,
    journal,
    judged,
    situation,
    verdict,
    with_application,
)
from tests.support.policies import NAME, policy

PERSON = "ada@desk"
DRAIN = Seen().plan(RunKind.DRAIN, NORTH, judgement=ALL_WELL, by_person=True)
ADDED, MOVED = "scale", "records"


@dataclass(slots=True, kw_only=True)
class Asked:
    """One change of one step of a run, and everything that the rules look at. Good as it is; a test spoils one thing."""

    step: str = ADDED
    plan: Plan = field(default_factory=evacuation)
    actor: str = "automation"
    needs_done: bool = True
    entries: tuple[Entry, ...] = ()
    intent: dict[str, Any] = field(default_factory=dict)
    change: dict[str, Any] = field(default_factory=dict)
    zone_change: dict[str, Any] = field(default_factory=dict)
    situation: dict[str, Any] = field(default_factory=dict)

    @property
    def wanted(self) -> ScaleStep | ChangeRecordsStep:
        kind = ScaleStep if self.step == ADDED else ChangeRecordsStep
        release = [s for s in self.plan.steps if isinstance(s, ScaleStep) and s.phase is Phase.RELEASE]
        if self.step == "release":
            return release[0]
        return next(step for step in self.plan.steps if isinstance(step, kind))

    def run(self) -> Run:
        done = [StepDone(step=needed) for needed in self._before()] if self.needs_done else []
        opened = RunOpened(plan=self.plan, actor=self.actor, citations=("control/b/1 0.5 s",))
        return fold(journal((opened, *done, *self.entries)))[RunId("run-1")]

    def _before(self) -> list[Any]:
        found, todo = [], list(self.wanted.needs)
        while todo:
            needed = todo.pop()
            found.append(needed)
            todo += next(step for step in self.plan.steps if step.id == needed).needs
        return found

    def composed(self) -> tuple[Intent, Run]:
        seen = Seen()
        world = TinyWorld(replicas=dict(seen.replicas), records={item.key: item for item in seen.records})
        shell = TinyShell(world, [], situation())
        run, step = self.run(), self.wanted
        intent = shell.compose(run, step)
        change = intent.change
        if isinstance(change, RecordsChange):
            inner = replace(change.change, **self.zone_change)
            change = replace(change, change=inner)
        change = replace(change, **self.change)
        return replace(intent, change=change, **self.intent), run

    def spoilt(self, *, after: RecordSet) -> "Asked":
        """The change says something else than the step."""
        change = self.zone_change["changes"][0]
        self.zone_change = {"changes": (replace(change, after=after),)}
        return self

    def answer(self) -> Permit | Refusal:
        judgement = NORTH_DOWN if self.plan.run_kind is RunKind.EVACUATION else ALL_WELL
        intent, run = self.composed()
        return grant(intent, run, situation(**{"judgement": judgement, **self.situation}))


def records_plan(after: RecordSet, *, before: RecordSet | None = None, **step: Any) -> Plan:
    """The evacuation, but its record step says this."""
    plan = evacuation()
    steps = []
    for item in plan.steps:
        if isinstance(item, ChangeRecordsStep):
            change = RecordChange(before=before or item.changes[0].before, after=after)
            item = replace(item, changes=(change,), **step)
        steps.append(item)
    return replace(plan, steps=tuple(steps))


def moved(after: RecordSet, *, before: RecordSet | None = None, **more: Any) -> Asked:
    plan = records_plan(after, before=before)
    change = next(step.changes for step in plan.steps if isinstance(step, ChangeRecordsStep))
    return Asked(step=MOVED, plan=plan, zone_change={"changes": change}, **more)


def addresses(*values: str, name: str = NAME, kind: RecordType = RecordType.A) -> RecordSet:
    return RecordSet(name=name, record_type=kind, ttl=5, values=values)


ALL = ("198.51.100.11", "198.51.100.21", "198.51.100.31")
FREEZE = Freeze(since=WALL, regions=(), sentence="too much looks wrong")
WARM_UP = WarmUp(since=WALL, cause="start", vantages_ready=1, quorum=3)
OTHERS_FENCE = FenceRecord(
    owner="another", application=ApplicationName("shop"), plan="p", generation="g", epoch=Epoch(3), holder="h"
)
SINGLE = with_application(
    policy(), workloads=tuple(replace(w, writers=Writers.SINGLE) for w in policy().applications[0].workloads)
)
SLOW = replace(policy(), guards=replace(policy().guards, changes_per_second=2.0))
SMALL_STEPS = replace(policy(), guards=replace(policy().guards, share_per_step=0.1))
DOWN = verdict(NORTH, VerdictKind.DOWN)


def too_early() -> Asked:
    """A removal that says it belongs to the capacity phase."""
    steps = tuple(
        replace(step, phase=Phase.CAPACITY, needs=())
        if getattr(step, "phase", None) is Phase.RELEASE
        else step
        for step in DRAIN.steps
    )
    plan = replace(DRAIN, steps=steps)
    made = Asked(plan=plan, actor=PERSON)
    step = next(item for item in steps if isinstance(item, ScaleStep) and item.after < item.before)
    made.plan = replace(plan, steps=(step, *(item for item in steps if item is not step)))
    return made


def giving_up(**more: Any) -> Asked:
    """Another application gives up two replicas in the south, and the shop grows there: nothing says that it may."""
    plan = evacuation()
    growth = next(item for item in plan.steps if isinstance(item, ScaleStep) and item.cluster == SOUTH)
    shed = replace(
        growth,
        id=StepId("shed:shop:south-1:deployment.shop.web:all"),
        phase=Phase.SHED,
        before=6,
        after=4,
        owner=ApplicationName("batch"),
        needs=(),
    )
    rest = [replace(item, needs=(shed.id,)) if item.id == growth.id else item for item in plan.steps]
    return Asked(plan=replace(plan, steps=(shed, *rest)), **more)


READY = Look({(SOUTH, WEB): 9, (WEST, WEB): 9})
"""What is ready where the north's replicas went."""

FEWER = Look({(SOUTH, WEB): 1, (WEST, WEB): 2})
"""The same, where nodes were lost after the replacements had been ready."""

CASES: list[tuple[str, Callable[[], Asked]]] = [
    ("lease", lambda: Asked(situation={"acting_until": NOW.mono})),
    ("epoch", lambda: Asked(intent={"epoch": Epoch(6)})),
    ("epoch", lambda: Asked(situation={"epoch": None})),
    ("journal", lambda: Asked(situation={"journal_ok": False})),
    ("doubt", lambda: Asked(situation={"doubt": "the journal was restored"})),
    ("halted", lambda: Asked(entries=(RunHalted(refusal=Refusal(code="paused", sentence="paused")),))),
    ("aborted", lambda: Asked(entries=(AbortRequested(actor=PERSON),))),
    ("paused", lambda: Asked(situation={"paused": "paused by ada"})),
    ("frozen", lambda: Asked(situation={"judgement": judged(DOWN, freeze=FREEZE)})),
    ("warm-up", lambda: Asked(situation={"judgement": judged(DOWN, warm_up=WARM_UP)})),
    ("no-evidence", lambda: Asked(intent={"evidence": ()})),
    ("stale-evidence", lambda: Asked(situation={"judgement": judged(replace(DOWN, evidence=()))})),
    ("still-serving", lambda: Asked(situation={"judgement": ALL_WELL})),
    ("off-plan", lambda: Asked(change={"after": 10})),
    ("off-plan", lambda: Asked(change={"cluster": "west-1"})),
    ("off-plan", lambda: Asked(intent={"step": "another"})),
    ("off-plan", lambda: moved(addresses(*ALL[1:])).spoilt(after=addresses(ALL[1]))),
    ("order", lambda: Asked(step=MOVED, needs_done=False)),
    ("absolute", lambda: Asked(change={"resource_version": ""})),
    ("velocity", lambda: Asked(situation={"policy": SLOW, "sent_last_second": {"south-1": 2}})),
    ("share-per-step", lambda: Asked(situation={"policy": SMALL_STEPS})),
    ("control-plane", lambda: Asked(situation={"judgement": judged(DOWN, verdict(SOUTH, VerdictKind.CONTROL_PLANE_DOWN))})),
    ("control-plane", lambda: Asked(situation={"judgement": judged(DOWN, verdict(SOUTH, VerdictKind.UNKNOWN))})),
    ("add-before-remove", too_early),
    ("capacity-floor", lambda: Asked(plan=DRAIN, actor=PERSON, step="release", situation={"look": READY, "judgement": judged(verdict(SOUTH, VerdictKind.DOWN), verdict("west-1", VerdictKind.DOWN))})),
    ("capacity-floor", lambda: Asked(plan=DRAIN, actor=PERSON, step="release", situation={"judgement": ALL_WELL, "look": FEWER})),
    ("capacity-floor", lambda: Asked(plan=DRAIN, actor=PERSON, step="release", situation={"judgement": ALL_WELL, "look": Look({(SOUTH, WEB): "no answer in time", (WEST, WEB): "429"})})),
    ("capacity-floor", lambda: Asked(plan=DRAIN, actor=PERSON, step="release")),
    ("shed", giving_up),
    ("single-writer", lambda: Asked(situation={"policy": SINGLE})),
    ("never-empty", lambda: moved(addresses())),
    ("own-names", lambda: moved(addresses(*ALL[1:], name="other.example.test."))),
    ("own-names", lambda: moved(addresses(*ALL[1:], kind=RecordType.AAAA))),
    ("own-names", lambda: moved(addresses(*ALL[1:]), before=addresses(*ALL, name="x.example.test."))),
    ("own-names", lambda: Asked(step=MOVED, zone_change={"fence_before": OTHERS_FENCE})),
    ("epoch", lambda: Asked(step=MOVED, zone_change={"fence_after": OTHERS_FENCE})),
    ("epoch", lambda: Asked(step=MOVED, zone_change={"fence_before": replace(OTHERS_FENCE, owner="test", epoch=Epoch(8))})),
    ("unknown-endpoint", lambda: moved(addresses(*ALL[1:], "203.0.113.9"))),
    ("dead-endpoint", lambda: moved(addresses(*ALL), before=addresses(*ALL[1:]))),
    ("serving-member", lambda: moved(addresses(ALL[1]))),
    ("serving-member", lambda: moved(addresses(*ALL[1:]), before=addresses(*ALL, "203.0.113.9"))),
    ("capacity-floor", lambda: Asked(plan=DRAIN, actor=PERSON, step=MOVED, situation={"judgement": ALL_WELL, "look": FEWER})),
    ("capacity-floor", lambda: Asked(plan=DRAIN, actor=PERSON, step=MOVED, situation={"judgement": ALL_WELL})),
]  # fmt: skip


@pytest.mark.parametrize(
    "asked",
    [
        Asked(),
        Asked(step=MOVED),
        Asked(plan=DRAIN, actor=PERSON, step="release", situation={"look": READY}),
    ],
)
def test_what_is_in_order_gets_a_permit_until_the_lease_less_its_margin(asked: Asked) -> None:
    permit = asked.answer()
    assert isinstance(permit, Permit), permit
    assert permit.epoch == 7
    assert permit.expires_mono == situation().acting_until
    assert permit.rules == RULES_ASKED


@pytest.mark.parametrize(("code", "made"), CASES, ids=[f"{n}-{code}" for n, (code, _) in enumerate(CASES)])
def test_each_rule_refuses_by_its_name(code: str, made: Callable[[], Asked]) -> None:
    refusal = made().answer()
    assert isinstance(refusal, Refusal), "a permit was given"
    assert refusal.code == code, refusal
    assert refusal.sentence
    assert refusal.overridable == RULES[code].overridable


def test_the_table_above_leaves_no_rule_out() -> None:
    assert {code for code, _ in CASES} == set(RULES_ASKED)


@pytest.mark.parametrize(("code", "made"), CASES, ids=[f"{n}-{code}" for n, (code, _) in enumerate(CASES)])
def test_automation_overrides_nothing_and_a_person_only_what_they_may_by_name(
    code: str, made: Callable[[], Asked]
) -> None:
    asked = made()
    automatic = is_automatic(asked.actor)
    asked.plan = replace(asked.plan, overrides=(code,))
    refusal = asked.answer()
    if automatic or not RULES[code].overridable:
        assert isinstance(refusal, Refusal)
        assert refusal.code == code
    asked.actor = PERSON
    refusal = asked.answer()
    if RULES[code].overridable:
        assert isinstance(refusal, Permit) or refusal.code != code
    asked.plan = replace(asked.plan, overrides=tuple(name for name in RULES if name != code))
    again = asked.answer()
    if not RULES[code].overridable and code not in ("paused", "frozen", "warm-up", "stale-evidence"):
        assert isinstance(again, Refusal)
        assert again.code == code, "naming every other rule does not help"


def test_pause_freeze_and_warm_up_never_stop_a_person() -> None:
    held = {"paused": "paused", "judgement": judged(DOWN, freeze=FREEZE, warm_up=WARM_UP)}
    assert isinstance(Asked(actor=PERSON, situation=held).answer(), Permit)


def test_after_the_first_dns_write_the_run_itself_is_the_evidence() -> None:
    """A source that recovers then: the run is finished; all else holds (I21)."""
    asked = Asked(step=MOVED)
    intent, _ = asked.composed()
    written = (
        IntentRecorded(intent=intent),
        EffectRecorded(intent=intent.id, step=intent.step, result=EffectResult.APPLIED),
    )
    late = Asked(situation={"judgement": ALL_WELL}, entries=written)
    assert isinstance(late.answer(), Permit)
    paused = Asked(situation={"judgement": ALL_WELL, "paused": "paused"}, entries=written).answer()
    assert isinstance(paused, Refusal)
    assert paused.code == "paused"


def test_raising_a_fence_needs_a_step_there_and_our_epoch() -> None:
    def raising(cluster: str, epoch: int) -> str:
        intent, run = Asked().composed()
        fence = RaiseFence(cluster=cluster, cluster_uid="uid", epoch=Epoch(epoch))
        answer = grant(replace(intent, change=fence), run, situation(sent_last_second={cluster: 10**6}))
        return "" if isinstance(answer, Permit) else answer.code

    assert raising("south-1", 7) == ""
    assert raising("north-1", 7) == "off-plan"
    assert raising("south-1", 8) == "off-plan"


def test_a_scale_carries_a_number_that_is_not_negative() -> None:
    plan = evacuation()
    steps = tuple(replace(s, after=-1) if isinstance(s, ScaleStep) else s for s in plan.steps)
    answer = Asked(plan=replace(plan, steps=steps)).answer()
    assert isinstance(answer, Refusal)
    assert answer.code == "absolute"


def test_every_refusal_halts_waits_or_fails_and_no_rule_does_two_of_them() -> None:
    assert not HALTING & WAITING
    assert set(RULES_ASKED) <= set(RULES)
    assert isinstance(Asked(situation={"judgement": Judgement(verdicts=())}).answer(), Refusal), (
        "no verdict is no permit"
    )


def test_names_in_a_zone_that_the_policy_does_not_name_are_not_ours() -> None:
    answer = Asked(step=MOVED, plan=records_plan(addresses(*ALL[1:]), zone=ZoneName("elsewhere"))).answer()
    assert isinstance(answer, Refusal)
    assert answer.code == "own-names"

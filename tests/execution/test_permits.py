"""Every single change passes `grant`: what gets a permit, and the name of the rule against what does not."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from failover.execution.rules import RULES
from failover.execution.runs import apply
from failover.execution.safety import HALTING, RULES_ASKED, WAITING, grant
from failover.execution.situation import Look
from failover.model.ids import ApplicationName, Epoch, StepId
from failover.model.journal import (
    AbortRequested,
    EffectRecorded,
    EffectResult,
    Intent,
    IntentRecorded,
    RaiseFence,
    RecordsChange,
    Run,
    RunClosed,
    RunHalted,
    RunOpened,
    RunState,
    ScaleChange,
    StepDone,
)
from failover.model.permit import Permit
from failover.model.plan import ChangeRecordsStep, Phase, Placement, Plan, RunKind, ScaleStep
from failover.model.policy import DNSName, GuardSettings, Publish
from failover.model.reasons import Refusal
from failover.model.records import FenceRecord, RecordSet, RecordType
from failover.model.verdict import Freeze, VerdictKind, WarmUp
from tests.execution.test_crash_properties import DATABASE, with_single_writer, world_of
from tests.execution.tiny import TinyShell
from tests.execution.worlds import (
    ALL_WELL,
    NORTH,
    NOW,
    SOUTH,
    WALL,
    WEST,
    ZONE,
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


def opened(plan: Plan, *, actor: str = "automation", all_done_before: type | None = None, **more: Any) -> Run:
    """A run of a plan; steps before the first of the given kind are done."""
    entries: list[Any] = [RunOpened(plan=plan, actor=actor, citations=("control/b/1 D timeout",), **more)]
    for step in plan.steps:
        if all_done_before is not None and isinstance(step, all_done_before):
            break
        if all_done_before is not None:
            entries.append(StepDone(step=step.id))
    run = None
    for entry in journal(entries):
        run = apply(run, entry)
    assert run is not None
    return run


def intent_of(run: Run, kind: type, seen: Seen | None = None) -> Intent:
    """The intent that the shell would compose for the first step of a kind."""
    shell = TinyShell(world_of(seen or Seen()), [], situation())
    step = next(item for item in run.plan.steps if isinstance(item, kind))
    return shell.compose(run, step)


def scale(actor: str = "automation") -> tuple[Intent, Run]:
    run = opened(evacuation(), actor=actor)
    return intent_of(run, ScaleStep), run


def records(actor: str = "automation") -> tuple[Intent, Run]:
    run = opened(evacuation(), actor=actor, all_done_before=ChangeRecordsStep)
    return intent_of(run, ChangeRecordsStep), run


def code(answer: Permit | Refusal) -> str:
    return answer.code if isinstance(answer, Refusal) else "permit"


def changed(intent: Intent, **changes: Any) -> Intent:
    return replace(intent, change=replace(intent.change, **changes))


def test_a_permit_is_for_one_intent_of_one_epoch_and_ends_with_the_lease() -> None:
    intent, run = scale()
    permit = grant(intent, run, situation())
    assert isinstance(permit, Permit)
    assert (permit.intent, permit.epoch, permit.target) == (intent.id, 7, intent.change.target)
    assert permit.field_manager == "failover-e7"
    assert permit.still_good(NOW.mono + 9.9)
    assert not permit.still_good(NOW.mono + 10)


NORTH_IS_NOT_IN_THE_POLICY = replace(
    ALL_WELL, verdicts=tuple(one for one in ALL_WELL.verdicts if one.subject.cluster != NORTH)
)
"""Nobody looks at it any more, and no data is not down (seed 6062)."""


@pytest.mark.parametrize("what", [scale, records])
@pytest.mark.parametrize(
    ("expected", "changes"),
    [
        ("lease", {"acting_until": NOW.mono}),
        ("epoch", {"epoch": Epoch(8)}),
        ("epoch", {"epoch": None}),
        ("journal", {"journal_ok": False}),
        ("doubt", {"doubt": "restored"}),
        ("paused", {"paused": "paused by ada"}),
        ("frozen", {"judgement": judged(verdict(NORTH, VerdictKind.DOWN), freeze=Freeze(since=WALL, regions=(), sentence="too much"))}),
        ("warm-up", {"judgement": judged(verdict(NORTH, VerdictKind.DOWN), warm_up=WarmUp(since=WALL, cause="leadership", vantages_ready=0, quorum=3))}),
        ("still-serving", {"judgement": ALL_WELL}),
        ("stale-evidence", {"now": replace(NOW, mono=NOW.mono + 4), "acting_until": NOW.mono + 10}),
        ("stale-evidence", {"judgement": NORTH_IS_NOT_IN_THE_POLICY}),
    ],
)  # fmt: skip
def test_what_stops_automation_is_asked_before_each_single_change(
    what: Callable[[], tuple[Intent, Run]], expected: str, changes: dict[str, Any]
) -> None:
    intent, run = what()
    assert code(grant(intent, run, situation(**changes))) == expected
    assert expected in HALTING


@pytest.mark.parametrize("what", [scale, records])
def test_a_person_is_stopped_by_neither_pause_nor_freeze_nor_warm_up_nor_age(
    what: Callable[..., tuple[Intent, Run]],
) -> None:
    intent, run = what(PERSON)
    held = judged(
        verdict(NORTH, VerdictKind.DOWN),
        freeze=Freeze(since=WALL, regions=(), sentence="too much"),
        warm_up=WarmUp(since=WALL, cause="start", vantages_ready=0, quorum=3),
    )
    later = situation(
        judgement=held, paused="paused", now=replace(NOW, mono=NOW.mono + 100), acting_until=NOW.mono + 200
    )
    assert code(grant(intent, run, later)) == "permit"


def test_after_the_first_record_change_the_run_is_its_own_evidence() -> None:
    """I21: the source came back too late to stop; pause and freeze still stop it."""
    intent, run = records()
    written = replace(run, dns_written=True)
    assert code(grant(intent, written, situation(judgement=ALL_WELL))) == "permit"
    assert code(grant(intent, written, situation(judgement=ALL_WELL, paused="paused"))) == "paused"


def test_a_change_that_cites_nothing_is_not_sent() -> None:
    intent, run = scale(PERSON)
    assert code(grant(replace(intent, evidence=()), run, situation())) == "no-evidence"


# -- the plan ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [{"after": 99}, {"cluster": str(WEST)}, {"workload": DATABASE}, {"autoscaler_max": 50}],
)
def test_a_scale_that_is_not_what_its_step_says_is_off_plan(changes: dict[str, Any]) -> None:
    intent, run = scale()
    assert isinstance(intent.change, ScaleChange)
    assert intent.change.cluster == str(SOUTH)
    assert code(grant(changed(intent, **changes), run, situation())) == "off-plan"


def test_an_intent_of_no_step_is_off_plan() -> None:
    intent, run = scale()
    assert code(grant(replace(intent, step=StepId("elsewhere")), run, situation())) == "off-plan"


def test_a_record_change_that_is_not_what_its_step_says_is_off_plan() -> None:
    intent, run = records()
    assert isinstance(intent.change, RecordsChange)
    other = replace(intent.change.change.changes[0].after, ttl=999)
    item = replace(intent.change.change.changes[0], after=other)
    wrong = changed(intent, change=replace(intent.change.change, changes=(item,)))
    assert code(grant(wrong, run, situation())) == "off-plan"
    nothing = changed(intent, change=replace(intent.change.change, changes=()))
    assert code(grant(nothing, run, situation())) == "off-plan"


def test_records_wait_for_the_steps_that_they_need() -> None:
    run = opened(evacuation())
    answer = grant(intent_of(run, ChangeRecordsStep), run, situation())
    assert code(answer) == "order"
    assert "ready" in str(answer)


def test_a_halted_or_aborted_run_sends_nothing_new() -> None:
    intent, run = scale(PERSON)
    entries = journal([RunHalted(refusal=Refusal(code="epoch", sentence="fenced"))])
    halted = apply(run, entries[0])
    assert halted is not None
    assert code(grant(intent, halted, situation())) == "halted"
    aborted = apply(run, journal([AbortRequested(actor=PERSON)])[0])
    assert aborted is not None
    assert code(grant(intent, aborted, situation())) == "aborted"


def test_a_fence_is_raised_only_to_our_epoch_and_where_the_plan_changes_something() -> None:
    intent, run = scale()
    step = StepId("fence/south-1")
    raise_it = RaiseFence(cluster=str(SOUTH), cluster_uid="uid", epoch=Epoch(7))
    fence = replace(intent, step=step, change=raise_it)
    assert code(grant(fence, run, situation())) == "permit"
    assert code(grant(changed(fence, epoch=Epoch(8)), run, situation())) == "off-plan"
    assert code(grant(changed(fence, cluster=str(NORTH)), run, situation())) == "off-plan"
    halted = apply(run, journal([RunHalted(refusal=Refusal(code="paused", sentence="paused"))])[0])
    closed = apply(run, journal([RunClosed(state=RunState.DONE, sentence="done")])[0])
    assert halted is not None
    assert closed is not None
    assert code(grant(fence, halted, situation())) == "halted", "a halted run sends nothing at all"
    assert code(grant(fence, closed, situation())) == "off-plan"
    unknown = judged(verdict(NORTH, VerdictKind.DOWN), verdict(SOUTH, VerdictKind.CONTROL_PLANE_DOWN))
    assert code(grant(fence, run, situation(judgement=unknown))) == "control-plane"


def test_velocity_and_share_bound_each_change() -> None:
    intent, run = scale()
    slow = replace(policy(), guards=GuardSettings(changes_per_second=5))
    assert code(grant(intent, run, situation(policy=slow, sent_last_second={"south-1": 4}))) == "permit"
    assert code(grant(intent, run, situation(policy=slow, sent_last_second={"south-1": 5}))) == "velocity"
    assert code(grant(intent, run, situation(policy=slow, sent_last_second={"west-1": 99}))) == "permit"
    careful = replace(policy(), guards=GuardSettings(share_per_step=0.1))
    answer = grant(intent, run, situation(policy=careful))
    assert code(answer) == "share-per-step"
    assert "3 of 18 replicas" in str(answer)
    half = replace(policy(), guards=GuardSettings(share_per_step=0.5))
    assert code(grant(intent, run, situation(policy=half))) == "permit"


# -- replicas ----------------------------------------------------------------------------------------------------------


def test_a_scale_without_a_precondition_is_no_absolute_change() -> None:
    intent, run = scale()
    assert code(grant(changed(intent, resource_version=""), run, situation())) == "absolute"


@pytest.mark.parametrize(
    ("kind", "automation", "person"),
    [
        (VerdictKind.HEALTHY, "permit", "permit"),
        (VerdictKind.DEGRADED, "permit", "permit"),
        (VerdictKind.CONTROL_PLANE_DOWN, "control-plane", "control-plane"),
        (VerdictKind.DATA_PLANE_DOWN, "control-plane", "permit"),
        (VerdictKind.DOWN, "control-plane", "control-plane"),
        (VerdictKind.UNKNOWN, "control-plane", "permit"),
        (VerdictKind.PATH_PROBLEM, "control-plane", "permit"),
    ],
)
def test_no_change_is_attempted_where_the_control_plane_is_not_up(
    kind: VerdictKind, automation: str, person: str
) -> None:
    judgement = judged(verdict(NORTH, VerdictKind.DOWN), verdict(SOUTH, kind))
    for actor, expected in (("automation", automation), (PERSON, person)):
        intent, run = scale(actor)
        assert code(grant(intent, run, situation(judgement=judgement))) == expected
    named = opened(replace(evacuation(), overrides=("control-plane",)), actor=PERSON)
    assert code(grant(intent_of(named, ScaleStep), named, situation(judgement=judgement))) == "permit"


def drain() -> tuple[Plan, Seen]:
    seen = with_single_writer()
    return seen.plan(RunKind.DRAIN, NORTH, judgement=ALL_WELL, by_person=True), seen


def step_intent(run: Run, step: ScaleStep, seen: Seen) -> Intent:
    return TinyShell(world_of(seen), [], situation()).compose(run, step)


def rows_of(plan: Plan) -> list[Placement]:
    return [row for part in plan.applications for row in part.placements]


def release_of(plan: Plan) -> ScaleStep:
    return next(item for item in plan.steps if isinstance(item, ScaleStep) and item.phase is Phase.RELEASE)


def test_replicas_are_taken_away_only_after_the_rest_is_ready_and_published() -> None:
    plan, seen = drain()
    release = release_of(plan)
    entries: list[Any] = [RunOpened(plan=plan, actor=PERSON, citations=(f"person={PERSON}",))]
    entries += [StepDone(step=step.id) for step in plan.steps if step.id != release.id]
    run = None
    for entry in journal(entries):
        run = apply(run, entry)
    assert run is not None
    here = situation(policy=seen.policy, judgement=ALL_WELL)
    assert code(grant(step_intent(run, release, seen), run, here)) == "capacity-floor", "nobody has looked"
    here = replace(here, look=Look({(row.cluster, row.workload): row.after for row in rows_of(plan)}))
    assert code(grant(step_intent(run, release, seen), run, here)) == "permit"
    hurried = replace(
        plan, steps=tuple(replace(s, needs=()) if s.id == release.id else s for s in plan.steps)
    )
    early = opened(hurried, actor=PERSON)
    answer = grant(step_intent(early, release, seen), early, here)
    assert code(answer) == "add-before-remove"
    sideways = replace(release, phase=Phase.CAPACITY, needs=())
    odd = replace(plan, steps=(sideways,))
    run = opened(odd, actor=PERSON)
    assert code(grant(step_intent(run, sideways, seen), run, here)) == "add-before-remove"


def test_a_single_writer_stops_before_it_starts_and_automation_moves_none() -> None:
    plan, seen = drain()
    here = situation(policy=seen.policy, judgement=ALL_WELL)
    start = next(
        item
        for item in plan.steps
        if isinstance(item, ScaleStep) and item.workload == DATABASE and item.after == 1
    )
    hurried = replace(plan, steps=tuple(replace(s, needs=()) if s.id == start.id else s for s in plan.steps))
    early = opened(hurried, actor=PERSON)
    answer = grant(step_intent(early, start, seen), early, here)
    assert code(answer) == "order"
    assert "not proven gone" in str(answer)
    stop = next(
        item
        for item in plan.steps
        if isinstance(item, ScaleStep) and item.workload == DATABASE and item.after == 0
    )
    by_schedule = opened(
        replace(plan, steps=tuple(replace(s, needs=()) if s.id == stop.id else s for s in plan.steps)),
        actor="schedule/monday",
    )
    assert code(grant(step_intent(by_schedule, stop, seen), by_schedule, here)) == "single-writer"


# -- record sets -------------------------------------------------------------------------------------------------------


def plan_with(before: RecordSet | None, after: RecordSet, run_kind: RunKind = RunKind.EVACUATION) -> Plan:
    """The evacuation's plan, but with another record change in it."""
    plan = replace(evacuation(), run_kind=run_kind)
    steps = tuple(
        replace(step, changes=(replace(step.changes[0], before=before, after=after),))
        if isinstance(step, ChangeRecordsStep)
        else step
        for step in plan.steps
    )
    return replace(plan, steps=steps)


def answer_to(
    before: tuple[str, ...],
    after: tuple[str, ...],
    *,
    actor: str = "automation",
    overrides: tuple[str, ...] = (),
    run_kind: RunKind = RunKind.EVACUATION,
    name: str = NAME,
    record_type: RecordType = RecordType.A,
    **changes: Any,
) -> Permit | Refusal:
    """What `grant` says to a change of a record set from some values to others."""
    held = RecordSet(name=name, record_type=record_type, ttl=5, values=before)
    wanted = RecordSet(name=name, record_type=record_type, ttl=5, values=after)
    plan = replace(plan_with(held, wanted, run_kind), overrides=overrides)
    run = opened(plan, actor=actor, all_done_before=ChangeRecordsStep)
    return grant(intent_of(run, ChangeRecordsStep, Seen(records=(held,))), run, situation(**changes))


N, S, W, FOREIGN = "198.51.100.11", "198.51.100.21", "198.51.100.31", "203.0.113.9"


def test_the_source_leaves_and_the_others_stay() -> None:
    assert code(answer_to((N, S, W), (S, W))) == "permit"
    assert code(answer_to((N,), (S, W))) == "permit"


def test_a_record_set_is_never_emptied_whoever_asks() -> None:
    assert (
        code(answer_to((N, S), (), actor=PERSON, overrides=("never-empty", "serving-member")))
        == "never-empty"
    )


def test_a_member_that_the_run_does_not_move_away_from_stays() -> None:
    answer = answer_to((N, S, W), (W,))
    assert code(answer) == "serving-member"
    assert "198.51.100.21 of south-1, which is HEALTHY" in str(answer)
    assert code(answer_to((N, S, W), (W,), actor=PERSON)) == "serving-member"
    assert code(answer_to((N, S, W), (W,), actor=PERSON, overrides=("serving-member",))) == "permit"


def test_what_is_no_clusters_endpoint_is_neither_added_nor_removed() -> None:
    assert code(answer_to((N, S, W), (S, W, FOREIGN))) == "unknown-endpoint"
    assert code(answer_to((N, S, FOREIGN), (S,))) == "serving-member"
    assert code(answer_to((N, S, FOREIGN), (S, FOREIGN))) == "permit"


def test_a_cluster_that_left_the_policy_is_not_a_failed_one() -> None:
    """I29: its address is nobody's now, and stays."""
    base = policy()
    fleet = replace(base.fleet, clusters=tuple(c for c in base.fleet.clusters if c.name != WEST))
    smaller = replace(base, fleet=fleet)
    assert code(answer_to((N, S, W), (S,), policy=smaller)) == "serving-member"


def test_nothing_dead_is_published_also_by_a_ramp_whose_home_dies_again() -> None:
    both = judged(verdict(NORTH, VerdictKind.DOWN), verdict(WEST, VerdictKind.DATA_PLANE_DOWN))
    assert code(answer_to((N, S), (S, W), judgement=both)) == "dead-endpoint"
    unknown = judged(verdict(NORTH, VerdictKind.DOWN), verdict(WEST, VerdictKind.UNKNOWN))
    assert code(answer_to((N, S), (S, W), judgement=unknown)) == "permit", "unknown is not down"
    ramp = answer_to((S, W), (N, S, W), actor=PERSON, run_kind=RunKind.FAILBACK)
    assert code(ramp) == "dead-endpoint"
    assert "dead-endpoint" in WAITING


def test_a_failback_takes_out_only_a_stand_in_that_keeps_nothing() -> None:
    well = {"judgement": ALL_WELL, "run_kind": RunKind.FAILBACK, "actor": PERSON}
    assert code(answer_to((S, W), (N, S, W), **well)) == "permit"
    assert code(answer_to((S, W), (N, S), **well)) == "serving-member"
    first = with_application(
        policy(),
        dns=(
            DNSName(
                name=NAME,
                zone=ZONE,
                record_type=RecordType.A,
                ttl=5,
                publish=Publish.FIRST,
                clusters=(NORTH, SOUTH),
            ),
        ),
    )
    assert code(answer_to((S,), (N,), policy=first, **well)) == "permit"


@pytest.mark.parametrize(
    "name", ["mail.example.test.", "_failover-fence.shop.example.test.", "example.test.", "ns1.example.test."]
)
def test_only_names_that_the_policy_owns(name: str) -> None:
    assert (
        code(answer_to((N, S, W), (S, W), name=name, actor=PERSON, overrides=("own-names",))) == "own-names"
    )


def test_names_are_compared_as_dns_does() -> None:
    loud = with_application(
        policy(),
        dns=(
            DNSName(name="Shop.Example.TEST", zone=ZONE, record_type=RecordType.A, ttl=5, clusters=(NORTH,)),
        ),
    )
    assert code(answer_to((N, S, W), (S, W), policy=loud)) == "permit"


def test_a_name_outside_its_zone_or_a_cname_at_the_apex_is_not_ours() -> None:
    away = with_application(
        policy(),
        dns=(DNSName(name="shop.example.org.", zone=ZONE, record_type=RecordType.A, ttl=5, clusters=()),),
    )
    assert code(answer_to((N, S), (S,), name="shop.example.org.", policy=away)) == "own-names"
    apex = with_application(
        policy(),
        dns=(DNSName(name="example.test.", zone=ZONE, record_type=RecordType.CNAME, ttl=5, clusters=()),),
    )
    answer = answer_to(
        ("north-1.example.net.",),
        ("south-1.example.net.",),
        name="example.test.",
        record_type=RecordType.CNAME,
        policy=apex,
    )
    assert code(answer) == "own-names"
    assert "apex" in str(answer)


def with_fences(intent: Intent, before: FenceRecord | None, **after: Any) -> Intent:
    assert isinstance(intent.change, RecordsChange)
    zone_change = intent.change.change
    fences = replace(zone_change, fence_before=before, fence_after=replace(zone_change.fence_after, **after))
    return changed(intent, change=fences)


def fence(**changes: Any) -> FenceRecord:
    known = FenceRecord(
        owner="test",
        application=ApplicationName("shop"),
        plan="p",
        generation="g",
        epoch=Epoch(6),
        holder="h",
    )
    return replace(known, **changes)


def test_the_fence_of_another_owner_or_of_a_newer_leader_stops_the_change() -> None:
    intent, run = records()
    assert code(grant(with_fences(intent, fence()), run, situation())) == "permit"
    assert code(grant(with_fences(intent, fence(owner="somebody")), run, situation())) == "own-names"
    assert code(grant(with_fences(intent, fence(epoch=Epoch(8))), run, situation())) == "epoch"
    assert code(grant(with_fences(intent, None, epoch=Epoch(6)), run, situation())) == "epoch"
    assert code(grant(with_fences(intent, None, owner="somebody"), run, situation())) == "epoch"


def test_an_application_that_left_the_policy_in_the_middle_of_its_run_changes_no_record() -> None:
    intent, run = records()
    assert code(grant(intent, run, situation(policy=replace(policy(), applications=())))) == "own-names"


def test_overrides_are_a_persons_and_by_name() -> None:
    plan = replace(evacuation(), overrides=("control-plane",))
    judgement = judged(verdict(NORTH, VerdictKind.DOWN), verdict(SOUTH, VerdictKind.DOWN))
    for actor, expected in ((PERSON, "permit"), ("automation", "control-plane")):
        run = opened(plan, actor=actor)
        assert code(grant(intent_of(run, ScaleStep), run, situation(judgement=judgement))) == expected


def test_every_rule_that_a_change_is_asked_is_in_the_table() -> None:
    assert set(RULES_ASKED) <= set(RULES)
    assert not HALTING & WAITING


def test_a_conflict_is_not_a_write_and_an_unknown_outcome_may_be_one() -> None:
    """I21 hangs on it: after the first record change a run is finished, before it it is aborted."""
    intent, run = records()
    effects = {EffectResult.CONFLICT: False, EffectResult.UNKNOWN: True, EffectResult.APPLIED: True}
    for result, written in effects.items():
        after = run
        for entry in journal(
            [
                IntentRecorded(intent=intent),
                EffectRecorded(intent=intent.id, step=intent.step, result=result),
            ],
            start=WALL + timedelta(minutes=1),
        ):
            folded = apply(after, entry)
            assert folded is not None
            after = folded
        assert after.dns_written is written
        assert after.dns_landed is (result is EffectResult.APPLIED)

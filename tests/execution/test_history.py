"""What is remembered of runs that are over: what the limits count, and what is still to be brought home."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from failover.execution.moves import displacements, is_whole, moved_away, owed, summarise
from failover.execution.radius import blast_radius
from failover.execution.runs import fold, open_runs
from failover.model.ids import ApplicationName, ClusterName, IntentId, RunId, StepId
from failover.model.journal import (
    AbortRequested,
    EffectRecorded,
    EffectResult,
    Entry,
    Run,
    RunClosed,
    RunOpened,
    RunState,
    StepDone,
    StepFailed,
)
from failover.model.plan import ChangeRecordsStep, Plan, RunKind, ScaleStep
from failover.model.policy import GuardSettings
from failover.model.reasons import Refusal
from failover.model.verdict import VerdictKind
from tests.execution.worlds import NORTH, SHOP, WALL, Seen, evacuation, journal, judged, situation, verdict
from tests.support.policies import policy

FLEET = policy().fleet
BLOG = ApplicationName("blog")


def applied(step: str) -> tuple[Entry, Entry]:
    step_id = StepId(step)
    return (
        EffectRecorded(intent=IntentId(step), step=step_id, result=EffectResult.APPLIED),
        StepDone(step=step_id),
    )


def run_of(
    plan: Plan,
    *entries: Entry,
    run: str = "run-1",
    state: RunState | None = RunState.DONE,
    actor: str = "automation",
) -> Run:
    """A run whose steps all landed, unless entries say otherwise."""
    events: list[Entry] = list(entries)
    if not entries:
        for step in plan.steps:
            changes = isinstance(step, ScaleStep | ChangeRecordsStep)
            events += applied(step.id) if changes else [StepDone(step=step.id)]
    if state is not None:
        events.append(RunClosed(state=state, sentence="over"))
    return fold(journal([RunOpened(plan=plan, actor=actor), *events], run=run))[RunId(run)]


def with_blog(plan: Plan) -> Plan:
    """The same moves for a second application."""
    blog = tuple(
        replace(
            step,
            id=StepId(f"blog/{step.id}"),
            application=BLOG,
            needs=tuple(StepId(f"blog/{need}") for need in step.needs),
        )
        for step in plan.steps
    )
    part = replace(plan.applications[0], application=BLOG)
    return replace(plan, applications=(*plan.applications, part), steps=(*plan.steps, *blog))


def failback_of(plan: Plan, *applications: ApplicationName, undoes: str = "run-1") -> Plan:
    parts = tuple(part for part in plan.applications if part.application in applications)
    steps = tuple(step for step in plan.steps if step.application in applications)
    return replace(plan, run_kind=RunKind.FAILBACK, applications=parts, steps=steps, undoes=(RunId(undoes),))


def test_a_finished_evacuation_is_still_away_until_its_failback_is_done() -> None:
    away = run_of(evacuation())
    (found,) = displacements([away])
    assert (found.run, str(found.domain)) == (away.id, "region/north")
    assert {step.kind for step in found.plan.steps} == {"scale", "change-records"}
    back = failback_of(away.plan, SHOP)
    running = run_of(back, StepDone(step=StepId("none")), run="run-2", state=None)
    assert displacements([away, running]) == (found,)
    assert displacements([away, run_of(back, run="run-2", state=RunState.FAILED)]) == (found,)
    assert displacements([away, run_of(back, run="run-2")]) == ()


def test_a_cluster_that_took_in_what_another_one_lost_is_not_away_any_more() -> None:
    """Seed 3828: what it runs then stands in for others, and is as wanted as ever."""
    away = run_of(evacuation())
    assert moved_away([away]) == {(NORTH, SHOP)}
    grows = next(step for step in away.plan.steps if isinstance(step, ScaleStep) and step.after > step.before)
    into = replace(away.plan, sources=(grows.cluster,), steps=(replace(grows, cluster=NORTH, needs=()),))
    record = next(step for step in away.plan.steps if isinstance(step, ChangeRecordsStep))
    into = replace(
        into,
        steps=(*into.steps, replace(record, needs=())),
        verdicts=((NORTH, VerdictKind.HEALTHY), (grows.cluster, VerdictKind.DOWN)),
    )
    later = run_of(into, run="run-2")
    assert moved_away([away, later]) == {(grows.cluster, SHOP)}
    assert moved_away([away, run_of(failback_of(into, SHOP, undoes="run-2"), run="run-3"), later]) == {
        (NORTH, SHOP)
    }


def test_what_was_left_out_of_a_failback_or_did_not_get_through_is_still_away() -> None:
    away = run_of(with_blog(evacuation()))
    home = run_of(failback_of(away.plan, SHOP), run="run-2")
    (found,) = displacements([away, home])
    assert {step.application for step in found.plan.steps} == {BLOG}
    assert [part.application for part in found.plan.applications] == [BLOG]
    both = failback_of(away.plan, SHOP, BLOG)
    broken = next(step.id for step in both.steps if step.application == BLOG)
    refusal = Refusal(code="not-ready", sentence="no")
    halfway = run_of(
        both,
        *(StepDone(step=step.id) for step in both.steps if step.application == SHOP),
        StepFailed(step=broken, refusal=refusal),
        run="run-3",
        state=RunState.PARTIAL,
    )
    (found,) = displacements([away, halfway])
    assert {step.application for step in found.plan.steps} == {BLOG}
    assert displacements([away, home, run_of(failback_of(away.plan, BLOG), run="run-4")]) == ()


def test_an_aborted_run_leaves_behind_exactly_what_landed() -> None:
    plan = evacuation()
    first = next(step for step in plan.steps if isinstance(step, ScaleStep))
    aborted = run_of(plan, *applied(first.id), AbortRequested(actor="ada@desk"), state=RunState.ABORTED)
    (found,) = displacements([aborted])
    assert [step.id for step in found.plan.steps] == [first.id]
    summary = summarise(aborted, FLEET)
    assert summary.changed
    assert summary.moved == (), "additions elsewhere are no move"
    assert summary.aborted_by == "ada@desk"
    nothing = run_of(plan, AbortRequested(actor="automation"), state=RunState.ABORTED)
    assert displacements([nothing]) == ()
    assert not summarise(nothing, FLEET).changed
    assert summarise(nothing, FLEET).aborted_by == ""


def test_an_unfinished_run_is_away_with_all_that_it_is_for_and_is_open() -> None:
    run = run_of(evacuation(), StepDone(step=StepId("none")), state=None)
    assert summarise(run, FLEET).moved == (SHOP,)
    assert open_runs({run.id: run}) == (run,)
    assert open_runs({run.id: run_of(evacuation())}) == ()


def test_a_request_whose_outcome_is_unknown_may_have_changed_something() -> None:
    plan = evacuation()
    step = plan.steps[0].id
    lost = EffectRecorded(intent=IntentId("i"), step=step, result=EffectResult.UNKNOWN)
    refused = replace(lost, result=EffectResult.REJECTED)
    assert summarise(run_of(plan, lost, state=RunState.PARTIAL), FLEET).changed
    assert not summarise(run_of(plan, refused, state=RunState.FAILED), FLEET).changed


def test_clusters_that_left_the_policy_are_left_out_of_the_regions_once_the_run_is_over() -> None:
    gone = replace(FLEET, clusters=tuple(entry for entry in FLEET.clusters if entry.name != NORTH))
    assert summarise(run_of(evacuation()), FLEET).regions == ("north",)
    assert summarise(run_of(evacuation()), gone).regions == ()
    going_on = run_of(evacuation(), StepDone(step=StepId("none")), state=None)
    assert summarise(going_on, gone).regions == (f"cluster/{NORTH}",)


def test_what_goes_on_for_a_cluster_that_left_the_policy_holds_up_another_region() -> None:
    """And one that is over counts as a move of this hour, though nothing of it is away any more."""
    gone = replace(policy(), fleet=replace(FLEET, clusters=FLEET.clusters[1:]))
    assert FLEET.clusters[0].name == NORTH
    south = replace(evacuation(), sources=(ClusterName("south-1"),))

    def refused(run: Run) -> list[str]:
        asked = situation(policy=replace(gone, guards=GuardSettings(regions_at_once=1, per_hour=1)))
        asked = replace(asked, history=(summarise(run, gone.fleet),))
        return [item.code for item in blast_radius(south, asked, automatic=True)]

    assert refused(run_of(evacuation(), StepDone(step=StepId("none")), state=None)) == ["regions-at-once"]
    assert refused(run_of(evacuation())) == ["rate"]


def test_a_steering_of_one_broken_application_is_not_of_the_whole_cluster() -> None:
    def steering(judgement: Any, **more: Any) -> Plan:
        return Seen().plan(RunKind.STEERING, NORTH, judgement=judgement, **more)

    assert is_whole(evacuation())
    assert is_whole(steering(judged(verdict(NORTH, VerdictKind.DATA_PLANE_DOWN))))
    own = judged(verdict(NORTH, VerdictKind.DATA_PLANE_DOWN, "shop"))
    assert not is_whole(steering(own, applications=(SHOP,)))


def test_entries_of_a_run_that_was_never_opened_are_nothing() -> None:
    assert fold(journal([StepDone(step=StepId("x"))])) == {}
    assert fold(journal([RunClosed(state=RunState.DONE, sentence="")], run="")) == {}


def test_a_run_that_is_opened_twice_keeps_its_beginning() -> None:
    plan = evacuation()
    entries = [
        RunOpened(plan=plan, actor="automation"),
        *applied(plan.steps[0].id),
        RunOpened(plan=plan, actor="x"),
    ]
    run = fold(journal(entries))[RunId("run-1")]
    assert run.actor == "automation"
    assert run.opened_at == WALL
    assert run.steps[plan.steps[0].id].since == WALL + timedelta(seconds=2)


def test_what_found_no_place_is_wanted_until_a_later_run_has_placed_it_or_it_is_home() -> None:
    whole = evacuation()
    last = [step for step in whole.steps if isinstance(step, ScaleStep)][-1]
    short = replace(whole, steps=tuple(step for step in whole.steps if step is not last))
    first = run_of(short)
    assert owed([first]) == {(SHOP, last.workload): last.after - last.before}
    assert owed([first, run_of(whole, run="run-2")]) == {}, "it has been placed since"
    assert owed([run_of(short, state=None)]) == {}, "it may be placed yet"
    home = replace(whole, run_kind=RunKind.FAILBACK, undoes=(first.id,))
    assert owed([first, run_of(home, run="run-3")]) == {}


def test_what_was_never_added_is_wanted_too() -> None:
    whole = evacuation()
    scale = [step for step in whole.steps if isinstance(step, ScaleStep)]
    entries: list[Entry] = []
    for step in whole.steps:
        if step in scale:
            entries.append(StepFailed(step=step.id, refusal=Refusal(code="not-ready", sentence="no")))
        else:
            entries += applied(step.id) if isinstance(step, ChangeRecordsStep) else [StepDone(step=step.id)]
    found = owed([run_of(whole, *entries, state=RunState.PARTIAL)])
    assert sum(found.values()) == sum(step.after - step.before for step in scale)

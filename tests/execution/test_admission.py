"""May a plan become a run? Every rule over a whole plan, with the sentence that a person reads."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from failover.execution.admission import check_applications, check_run, only
from failover.execution.rules import RULES, refuse, unknown_overrides
from failover.model.ids import ApplicationName, RunId
from failover.model.journal import RunState
from failover.model.observation import Signal
from failover.model.plan import RunKind
from failover.model.policy import GuardSettings, Mode, OnShortage, Workload, WorkloadRef, Writers
from failover.model.verdict import Freeze, Judgement, VerdictKind, Vote, WarmUp
from tests.execution.worlds import (
    ALL_WELL,
    DOWN,
    NORTH,
    NOW,
    SHOP,
    SOUTH,
    WALL,
    Seen,
    codes,
    evacuation,
    judged,
    situation,
    summary,
    verdict,
    view,
    with_application,
)
from tests.support.policies import policy

AUTOMATION, PERSON = "automation", "ada@desk"


def refused(actor: str = AUTOMATION, plan: Any = None, **changes: Any) -> set[str]:
    return codes(check_run(plan or evacuation(), situation(**changes), actor=actor))


def test_a_confirmed_quorum_without_dissent_lets_automation_evacuate() -> None:
    assert refused() == set()


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("paused", {"paused": "paused by ada at 12:00: maintenance"}),
        ("doubt", {"doubt": "the journal was restored"}),
        ("journal", {"journal_ok": False}),
        ("lease", {"epoch": None}),
        ("lease", {"acting_until": NOW.mono}),
        ("stale-plan", {"policy": replace(policy(), generation="fedcba9876543210")}),
        ("frozen", {"judgement": judged(verdict(NORTH, VerdictKind.DOWN), freeze=Freeze(since=WALL, regions=(), sentence="too much"))}),
        ("warm-up", {"judgement": judged(verdict(NORTH, VerdictKind.DOWN), warm_up=WarmUp(since=WALL, cause="start", vantages_ready=1, quorum=3))}),
        ("still-serving", {"judgement": ALL_WELL}),
        ("still-serving", {"judgement": judged(verdict(NORTH, VerdictKind.CONTROL_PLANE_DOWN))}),
        ("still-serving", {"judgement": judged(verdict(NORTH, VerdictKind.PATH_PROBLEM))}),
        ("still-serving", {"judgement": Judgement(verdicts=())}),
        ("not-confirmed", {"judgement": judged(verdict(NORTH, VerdictKind.DOWN, confirmed=False))}),
        ("not-confirmed", {"judgement": judged(verdict(NORTH, VerdictKind.DATA_PLANE_DOWN))}),
        ("not-confirmed", {"judgement": judged(verdict(NORTH, VerdictKind.ISOLATED))}),
        ("stale-evidence", {"now": replace(NOW, mono=NOW.mono + 9.0), "acting_until": NOW.mono + 100}),
        ("others-alive", {"judgement": judged(verdict(NORTH, VerdictKind.DOWN), verdict(SOUTH, last_success_mono=NOW.mono - 5.5))}),
        ("regions-at-once", {"history": (summary(1, "south"),)}),
        ("rate", {"history": (summary(1, "south", opened_at=WALL - timedelta(minutes=59), moved=()),)}),
        ("retry-later", {"history": (summary(1, "north", state=RunState.FAILED, closed_at=WALL - timedelta(seconds=14)),)}),
    ],
)  # fmt: skip
def test_each_rule_stops_automation_by_its_name(code: str, changes: dict[str, Any]) -> None:
    found = check_run(evacuation(), situation(**changes), actor=AUTOMATION)
    assert code in codes(found)
    refusal = next(item for item in found if item.code == code)
    assert refusal.sentence
    assert refusal.overridable == RULES[code].overridable


def test_pause_freeze_and_warm_up_never_stop_a_person() -> None:
    held = judged(
        verdict(NORTH, VerdictKind.DOWN),
        freeze=Freeze(since=WALL, regions=(), sentence="too much"),
        warm_up=WarmUp(since=WALL, cause="start", vantages_ready=1, quorum=3),
    )
    assert refused(PERSON, judgement=held, paused="paused") == set()


def test_the_calendar_is_stopped_by_a_pause_like_automation() -> None:
    drain = Seen().plan(RunKind.DRAIN, NORTH, judgement=ALL_WELL)
    assert "paused" in refused("schedule/monday", drain, judgement=ALL_WELL, paused="paused")
    assert refused(PERSON, drain, judgement=ALL_WELL, paused="paused") == set()


@pytest.mark.parametrize("code", ["doubt", "lease", "journal"])
def test_doubt_lease_and_journal_stop_a_person_too_and_cannot_be_overridden(code: str) -> None:
    changes: dict[str, dict[str, Any]] = {
        "doubt": {"doubt": "the journal was restored"},
        "lease": {"acting_until": NOW.mono},
        "journal": {"journal_ok": False},
    }
    plan = replace(evacuation(), overrides=(code,))
    assert code in refused(PERSON, plan, **changes[code])
    assert unknown_overrides((code,)) == (code,)


def test_a_hypothetical_plan_is_never_carried_out() -> None:
    plan = replace(evacuation(), hypothetical=True, overrides=("hypothetical",))
    assert "hypothetical" in refused(PERSON, plan)
    assert "hypothetical" in refused(AUTOMATION, plan)


def test_one_dissenter_outside_stops_automation_whatever_the_detector_said() -> None:
    data = view(Signal.DATA_PLANE, DOWN, "north", v_south=Vote.UP)
    found = check_run(
        evacuation(),
        situation(judgement=judged(verdict(NORTH, VerdictKind.DOWN, data=data))),
        actor=AUTOMATION,
    )
    assert codes(found) == {"quorum"}
    assert "v-south still reaches it from outside" in found[0].sentence


def test_what_a_vantage_inside_the_region_says_of_it_is_no_dissent() -> None:
    data = view(Signal.DATA_PLANE, DOWN, "north", v_north=Vote.UP)
    control = view(Signal.CONTROL_PLANE, DOWN, "north", v_north=Vote.UP)
    judgement = judged(verdict(NORTH, VerdictKind.DOWN, data=data, control=control))
    assert refused(judgement=judgement) == set()


def test_two_of_five_configured_are_no_quorum_even_if_nobody_else_answers() -> None:
    data = view(Signal.DATA_PLANE, DOWN, "north", control=Vote.UNKNOWN, elsewhere=Vote.UNKNOWN)
    found = check_run(
        evacuation(),
        situation(judgement=judged(verdict(NORTH, VerdictKind.DOWN, data=data))),
        actor=AUTOMATION,
    )
    assert codes(found) == {"quorum"}
    assert "2 vantages say that its data plane is down, 3 of 5 are needed" in found[0].sentence


def test_a_steering_needs_only_the_data_plane_down() -> None:
    judgement = judged(verdict(NORTH, VerdictKind.DATA_PLANE_DOWN))
    plan = Seen().plan(RunKind.STEERING, NORTH, judgement=judgement)
    assert refused(plan=plan, judgement=judgement) == set()


def test_one_broken_application_is_steered_by_its_own_verdict() -> None:
    judgement = judged(verdict(NORTH, VerdictKind.DATA_PLANE_DOWN, "shop"))
    plan = Seen().plan(RunKind.STEERING, NORTH, judgement=judgement, applications=(SHOP,))
    assert refused(plan=plan, judgement=judgement) == set()
    assert "still-serving" in refused(plan=plan, judgement=ALL_WELL)


def test_a_person_may_evacuate_what_serves_only_by_naming_the_rule() -> None:
    plan = evacuation()
    assert refused(PERSON, plan, judgement=ALL_WELL) == {"still-serving"}
    named = replace(plan, overrides=("still-serving",))
    assert refused(PERSON, named, judgement=ALL_WELL) == set()
    assert "still-serving" in refused(AUTOMATION, named, judgement=ALL_WELL), "automation overrides nothing"


def test_an_unknown_region_may_be_evacuated_by_a_person() -> None:
    assert refused(PERSON, judgement=judged(verdict(NORTH, VerdictKind.UNKNOWN))) == set()


def test_a_drain_needs_both_sides_alive() -> None:
    plan = Seen().plan(RunKind.DRAIN, NORTH, judgement=ALL_WELL)
    assert refused(PERSON, plan, judgement=ALL_WELL) == set()
    assert refused(PERSON, plan) == {"not-serving"}


def failback(**more: Any) -> Any:
    return replace(evacuation(), run_kind=RunKind.FAILBACK, **more)


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("not-stable", {"since": WALL - timedelta(seconds=3)}),
        ("held-down", {"hold_down_until": WALL + timedelta(minutes=5)}),
    ],
)
def test_a_failback_goes_to_what_is_stable_and_not_held_down(code: str, changes: dict[str, Any]) -> None:
    judgement = judged(verdict(NORTH, **changes))
    assert refused(PERSON, failback(), judgement=judgement) == {code}
    assert refused(PERSON, failback(overrides=(code,)), judgement=judgement) == set()


def test_a_hold_down_that_is_over_holds_nothing() -> None:
    judgement = judged(verdict(NORTH, hold_down_until=WALL - timedelta(seconds=1)))
    assert refused(PERSON, failback(), judgement=judgement) == set()


def test_a_failback_to_what_is_down_is_refused() -> None:
    assert refused(PERSON, failback()) == {"not-stable"}


# -- I8 ----------------------------------------------------------------------------------------------------------------


def undone(run: str, *applications: str) -> Any:
    return summary(
        99,
        "south",
        run_kind=RunKind.FAILBACK,
        automatic=False,
        moved=(),
        undoes=(RunId(run),),
        returned=tuple(ApplicationName(name) for name in applications),
    )


def test_a_region_that_was_brought_home_is_not_away_any_more() -> None:
    assert "regions-at-once" in refused(history=(summary(1, "south"),))
    assert refused(history=(summary(1, "south"), undone("run-1", "shop"))) == set()
    assert "regions-at-once" in refused(history=(summary(1, "south"), undone("run-1")))


def test_an_unfinished_run_is_away_and_does_not_count_as_finished() -> None:
    running = summary(1, "south", state=RunState.RUNNING, opened_at=WALL, closed_at=None)
    assert refused(history=(running,)) == {"regions-at-once"}
    halted = replace(running, state=RunState.HALTED)
    assert refused(history=(halted,)) == {"regions-at-once"}


def test_what_was_aborted_before_it_moved_anything_is_not_away() -> None:
    aborted = summary(1, "south", state=RunState.ABORTED, moved=(), changed=False, opened_at=WALL)
    assert refused(history=(aborted,)) == set()


def test_going_on_with_the_same_region_is_not_another_move() -> None:
    partial = summary(
        1,
        "north",
        state=RunState.PARTIAL,
        opened_at=WALL - timedelta(minutes=5),
        closed_at=WALL - timedelta(minutes=4),
    )
    assert refused(history=(partial,)) == set()
    flapped = (replace(partial, state=RunState.DONE), undone("run-1", "shop"))
    assert refused(history=flapped) == {"rate"}, "a region that comes and goes is moved once an hour"


def test_two_a_day_is_the_third_ones_end() -> None:
    two = tuple(summary(n, "south", opened_at=WALL - timedelta(hours=3 + n), moved=()) for n in (1, 2))
    assert refused(history=two[:1]) == set()
    assert refused(history=two) == {"rate"}
    assert refused(PERSON, history=two) == set(), "the rate is automation's"


def test_automation_waits_longer_after_each_failure_and_leaves_alone_what_a_person_aborted() -> None:
    def failed(number: int, seconds: float, **more: Any) -> Any:
        at = WALL - timedelta(seconds=seconds)
        return summary(
            number,
            "north",
            state=RunState.FAILED,
            changed=False,
            moved=(),
            opened_at=at,
            closed_at=at,
            **more,
        )

    assert refused(history=(failed(1, 16),)) == set()
    assert refused(history=(failed(1, 40), failed(2, 20))) == {"retry-later"}
    assert refused(history=(failed(1, 60), failed(2, 31))) == set()
    aborted = replace(failed(1, 1800), state=RunState.ABORTED, aborted_by="ada@desk")
    found = check_run(evacuation(), situation(history=(aborted,)), actor=AUTOMATION)
    assert codes(found) == {"retry-later"}
    assert "ada@desk aborted run run-1" in found[0].sentence


def test_a_broken_application_elsewhere_never_holds_up_a_regions_evacuation() -> None:
    steered = summary(1, "south", run_kind=RunKind.STEERING, whole=False, opened_at=WALL)
    assert refused(history=(steered,)) == set()
    judgement = judged(verdict(NORTH, VerdictKind.DATA_PLANE_DOWN, "shop"))
    plan = Seen().plan(RunKind.STEERING, NORTH, judgement=judgement, applications=(SHOP,))
    own = refused(plan=plan, judgement=judgement, history=(steered,))
    assert own == {"regions-at-once", "rate"}, (
        "the same application is steered away from one region at a time"
    )
    others = replace(steered, applications=(ApplicationName("blog"),), moved=(ApplicationName("blog"),))
    assert refused(plan=plan, judgement=judgement, history=(others,)) == set()


def test_the_limits_are_the_policys() -> None:
    generous = replace(policy(), guards=GuardSettings(regions_at_once=2, per_hour=5, per_day=5))
    history = (summary(1, "south", opened_at=WALL),)
    assert refused(policy=generous, history=history) == set()


# -- by application ----------------------------------------------------------------------------------------------------


def left_out(plan: Any, actor: str = AUTOMATION, busy: Any = (), **changes: Any) -> dict[str, str]:
    checked = check_applications(plan, situation(**changes), actor=actor, busy=busy)
    return {part.application: part.left_out.code for part in checked.applications if part.left_out}


@pytest.mark.parametrize("mode", [Mode.OBSERVE, Mode.RECOMMEND])
def test_below_approve_automation_shows_the_plan_and_leaves_the_application_out(mode: Mode) -> None:
    modest = policy(mode=mode)
    plan = evacuation(Seen(policy=modest))
    checked = check_applications(plan, situation(policy=modest), actor=AUTOMATION, busy=())
    assert left_out(plan, policy=modest) == {"shop": "mode"}
    assert checked.steps == ()
    assert checked.applications[0].placements, "what would be done is still shown"
    assert left_out(plan, PERSON, policy=modest) == {}, "a mode binds automation only"


@pytest.mark.parametrize("mode", [Mode.APPROVE, Mode.AUTO])
def test_from_approve_on_it_is_planned(mode: Mode) -> None:
    bold = policy(mode=mode)
    assert left_out(evacuation(Seen(policy=bold)), policy=bold) == {}


def test_one_run_at_a_time_for_an_application() -> None:
    assert left_out(evacuation(), busy=((SHOP, RunId("run-1")),)) == {"shop": "busy"}
    named = replace(evacuation(), overrides=("busy",))
    assert left_out(named, PERSON, busy=((SHOP, RunId("run-1")),)) == {"shop": "busy"}


def test_a_shortage_holds_or_goes_on_as_the_policy_says_and_a_person_may_name_the_rule() -> None:
    plan = evacuation()
    part = replace(plan.applications[0], demand=100, capacity_after=60)
    short = replace(plan, applications=(part,))
    assert left_out(short) == {"shop": "capacity-floor"}
    assert left_out(replace(short, overrides=("capacity-floor",)), PERSON) == {}
    assert left_out(replace(short, overrides=("capacity-floor",))) == {"shop": "capacity-floor"}
    partial = with_application(policy(), on_shortage=OnShortage.PARTIAL)
    assert left_out(short, policy=partial) == {}
    lower = with_application(policy(), floor=60)
    assert left_out(short, policy=lower) == {}


def test_nothing_moves_to_nowhere_and_nobody_may_override_that() -> None:
    plan = evacuation()
    part = replace(plan.applications[0], capacity_after=0)
    nowhere = replace(plan, applications=(part,), overrides=("no-target", "capacity-floor"))
    assert left_out(nowhere, PERSON) == {"shop": "no-target"}


def test_automation_moves_no_single_writer_even_if_a_plan_says_so() -> None:
    lone = WorkloadRef(object_kind="Deployment", namespace="shop", name="web")
    base = policy()
    workload = replace(base.applications[0].workloads[0], ref=lone, writers=Writers.SINGLE)
    single = with_application(base, workloads=(workload,))
    assert isinstance(workload, Workload)
    assert left_out(evacuation(), policy=single) == {"shop": "single-writer"}
    assert left_out(evacuation(), PERSON, policy=single) == {}


def test_an_application_that_left_the_policy_is_left_out() -> None:
    assert left_out(evacuation(), policy=replace(policy(), applications=())) == {"shop": "stale-plan"}


def test_only_keeps_the_named_applications() -> None:
    plan = only(evacuation(), frozenset(), refuse("mode", "in a run of its own"))
    assert plan.steps == ()
    assert plan.applications[0].left_out is not None


def test_every_rule_says_which_invariant_it_keeps_and_can_be_told_in_one_line() -> None:
    assert all(rule.invariant and rule.about and "\n" not in rule.about for rule in RULES.values())
    assert unknown_overrides(("capacity-floor", "nonsense", "lease")) == ("nonsense", "lease")

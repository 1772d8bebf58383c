"""When the policy's resolvers are asked: once, after the old TTL, for what still is as the run left it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from failover.execution.resolvers import GRACE_S, LATE_MAX_S, MARGIN_S, due_questions
from failover.execution.runs import apply
from failover.model.ids import RunId
from failover.model.journal import (
    EffectRecorded,
    EffectResult,
    IntentRecorded,
    ResolversAsked,
    Run,
    RunClosed,
    RunState,
    StepDone,
)
from failover.model.plan import ChangeRecordsStep
from failover.model.policy import NameServer, Policy
from failover.model.records import ServerAnswer
from tests.execution.test_crash_properties import STORIES, shell, world_of
from tests.execution.test_patience import PLAN, told
from tests.execution.worlds import WALL, journal, policy

STEP = next(step for step in PLAN.steps if isinstance(step, ChangeRecordsStep))
OLD_TTL_S = STEP.changes[0].before.ttl if STEP.changes[0].before else 0
SERVED_S = 10.0


def with_resolvers() -> Policy:
    made = policy()
    zones = tuple(replace(zone, resolvers=(NameServer(address="192.0.2.1"),)) for zone in made.zones)
    return replace(made, zones=zones)


def served(at_s: float = SERVED_S, run: str = "run-1") -> Run:
    seen, _, _ = STORIES["evacuation"]
    intent = shell("evacuation", world_of(seen), []).compose(told(), STEP)
    effect = EffectRecorded(intent=intent.id, step=STEP.id, result=EffectResult.APPLIED)
    found = told(
        (at_s - 2, IntentRecorded(intent=intent)), (at_s - 1, effect), (at_s, StepDone(step=STEP.id))
    )
    return replace(found, id=RunId(run))


def due(seconds: float, *runs: Run, made: Policy | None = None) -> list[tuple[str, float]]:
    now = WALL + timedelta(seconds=seconds)
    found = due_questions(runs, (made or with_resolvers()).zones, now)
    return [(item.run, (item.until - WALL).total_seconds()) for item in found]


OVER_S = SERVED_S + OLD_TTL_S + MARGIN_S


def test_they_are_asked_once_the_old_ttl_is_over_and_not_for_ever() -> None:
    run = served()
    assert due(OVER_S - 1, run) == []
    assert due(OVER_S, run) == [(run.id, OVER_S + GRACE_S)]
    assert due(OVER_S + LATE_MAX_S, run) == [(run.id, OVER_S + GRACE_S)]
    assert due(OVER_S + LATE_MAX_S + 1, run) == []


def test_a_zone_without_resolvers_asks_nobody() -> None:
    assert due(OVER_S, served(), made=policy()) == []


@pytest.mark.parametrize("matches", [True, False])
def test_an_answer_that_is_in_the_journal_is_the_last_word_also_of_a_run_that_is_over(matches: bool) -> None:
    answer = ServerAnswer(server="resolver 192.0.2.1 port 53", answered=True, matches=matches)
    closed = served()
    for entry in (
        RunClosed(state=RunState.DONE, sentence=""),
        ResolversAsked(step=STEP.id, answers=(answer,)),
    ):
        (line,) = journal([entry], start=WALL + timedelta(seconds=OVER_S))
        closed = apply(closed, line) or closed
    assert closed.steps[STEP.id].resolvers == (answer,)
    assert due(OVER_S, closed) == []


def test_what_was_changed_again_since_is_not_asked_for() -> None:
    first, second = served(), served(SERVED_S + 20, run="run-2")
    assert due(OVER_S + 20, first, second) == [("run-2", OVER_S + 20 + GRACE_S)]


def test_what_was_adopted_as_it_is_is_not_asked_for() -> None:
    step = replace(STEP, changes=tuple(replace(item, before=item.after) for item in STEP.changes))
    plan = replace(PLAN, steps=tuple(step if item is STEP else item for item in PLAN.steps))
    assert due(OVER_S, replace(served(), plan=plan)) == []

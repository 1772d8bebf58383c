"""The same question is answered once: while a loss is held, it is asked every second."""

from dataclasses import replace

import pytest
from hypothesis import given, settings

from failover.planner.joint import again
from failover.planner.joint.again import solve_again
from failover.planner.joint.problem import Problem
from failover.planner.joint.solve import solve
from tests.planner.joint.problems import anywhere, demand, fleet, problems, site


@pytest.fixture(autouse=True)
def nothing_was_asked_before() -> None:
    again._latest.clear()


def asked(replicas: int, cpu: int = 100) -> Problem:
    """Built anew each time, as a planner does."""
    return fleet([site("a1", cpu), site("b1", cpu)], [demand("web", replicas, anywhere("a1", "b1"))])


def test_a_question_that_is_asked_again_is_answered_without_another_search() -> None:
    assert solve_again(asked(8)) is solve_again(asked(8))


def test_whatever_else_is_asked_is_another_question() -> None:
    first = solve_again(asked(8))
    assert solve_again(asked(9)) is not first
    assert solve_again(asked(8, cpu=3)).unplaced == {"web": 2}
    assert solve_again(replace(asked(8), headroom=0.5)) is not first
    assert solve_again(asked(8)) is first


def test_only_the_last_questions_are_remembered_and_no_large_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(again, "KEPT", 2)
    first, second = solve_again(asked(8)), solve_again(asked(9))
    assert solve_again(asked(8)) is first
    solve_again(asked(10))
    assert solve_again(asked(8)) is first, "it was asked later than the other"
    assert solve_again(asked(9)) is not second
    monkeypatch.setattr(again, "PAIRS_MAX", 1)
    assert solve_again(asked(50)) is not solve_again(asked(50))


@settings(deadline=None, max_examples=60)
@given(problem=problems(running=True))
def test_what_is_answered_again_is_what_would_be_found_again(problem: Problem) -> None:
    fresh, once = solve(problem), solve_again(problem)
    assert fresh.shed == once.shed  # reasons are asked of the first answer before it is given again
    twice = solve_again(problem)
    for one in problem.demands:
        assert twice.placed(one.key) == fresh.placed(one.key)
        assert twice.whys(one.key) == fresh.whys(one.key)
    assert (twice.unplaced, twice.findings) == (fresh.unplaced, fresh.findings)

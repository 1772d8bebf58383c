"""`solve_again`: the same answer to the same question. While a loss is held or waits for a person, it is asked every second."""

from collections import deque

from failover.planner.joint.problem import Problem
from failover.planner.joint.solution import Placement
from failover.planner.joint.solve import solve

KEPT = 4
"""One plan asks once more for each application that it leaves out."""
LARGE_PAIRS = 100_000
"""Demands times sites; of larger problems nothing is kept: their arrays are worth more than what they would save."""

_latest: deque[tuple[Problem, Placement]] = deque(maxlen=KEPT)


def solve_again(asked: Problem) -> Placement:
    """`solve`, which depends on nothing but the problem and whose answer nobody changes; so an answer may be given twice."""
    for problem, answer in tuple(_latest):
        if problem == asked:
            return answer
    answer = solve(asked)
    if len(asked.demands) * len(asked.sites) <= LARGE_PAIRS:
        _latest.append((asked, answer))
    return answer

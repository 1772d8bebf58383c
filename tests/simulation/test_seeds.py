"""Seeds hold, the same seed gives the same log, and what once failed never fails again."""

import os
import subprocess
import sys

import pytest

from failover.lab.simulation.faults import FAULTS
from failover.lab.simulation.play import play, schedule_of
from failover.lab.simulation.sweep import shrink, sweep

CORPUS = {
    107: "an intent cited the cluster's verdict where an application's had convicted",
    116: "what one application had left counted as unwanted for all others: DNS moved without capacity",
    141: "a controller that was frozen for a moment",
    192: "the same by a run that was halted and resumed into the same refusal, again and again",
    245: "additions of an aborted run counted as moved",
    444: "a drain whose source and targets die waits for its deadline, and ends",
    474: "one application's steering, then a cluster's",
    665: "a controller is killed, and data planes fall one after the other",
}
"""Seeds that showed a defect (of the controller or of an oracle), with what it was."""


@pytest.mark.parametrize("seed", sorted(CORPUS))
def test_what_once_failed_holds(seed: int) -> None:
    assert [str(item) for item in play(seed).violations] == []


def test_a_hundred_seeds_hold() -> None:
    found = sweep(range(1, 101))
    assert [(one.seed, str(one.violations[0])) for one in found.failed] == []
    assert found.runs["evacuation"] >= 10
    assert found.runs["steering"] >= 5
    assert len(found.faults) >= 60


def test_there_are_at_least_sixty_kinds_of_faults() -> None:
    assert len(FAULTS) >= 60


@pytest.mark.parametrize("seed", [5, 12])
def test_the_same_seed_gives_the_same_log_in_any_process(seed: int) -> None:
    here = play(seed).digest
    program = f"from failover.lab.simulation.play import play; print(play({seed}).digest)"
    for number in ("0", "1"):
        environment = {**os.environ, "PYTHONHASHSEED": number}
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == here


def test_a_failing_seed_shrinks_to_what_makes_it_fail() -> None:
    from failover.lab.simulation.mutants import MUTANTS

    (mutant,) = (one for one in MUTANTS if one.name == "neighbours-record")
    schedule = schedule_of(1, only=[*mutant.faults, "vantage-restarted", "reports-doubled"])
    with mutant.alive():
        found = play(1, schedule).violations
        if not found:
            pytest.skip("this seed loses nothing")
        fewest = shrink(1, schedule, found[0].invariant)
        assert len(fewest) < len(schedule)
        assert play(1, fewest).violations

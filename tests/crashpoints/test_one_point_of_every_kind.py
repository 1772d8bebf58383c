"""One point of every kind, in a few cycles that are struck many times each; `make crashpoints` takes all points, alone."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crashpoints.cycle import Cycle, Outcome, Strike
from tests.crashpoints.judging import SAME, judge
from tests.crashpoints.points import kind_of
from tests.crashpoints.warden import Warden
from tests.crashpoints.world import CrashLab

CYCLES = 3
"""What is decided, sent and done of one effect falls into different cycles."""
LAST = ("scale/last", "records/last", "append-intent-scale/after", "append-run-closed/before")


@pytest.fixture(scope="module")
def cycle() -> Iterator[Cycle]:
    folder = Path(tempfile.mkdtemp(prefix="failover-crash-"))
    warden = Warden(folder)
    lab = CrashLab(folder / "lab", warden)
    try:
        lab.open()
        yield Cycle(lab)
    finally:
        lab.stop()
        warden.close()


@pytest.fixture(scope="module")
def kinds(cycle: Cycle) -> list[str]:
    """Every kind of point that a cycle without a crash comes by."""
    outcome = cycle.play(Strike())
    assert outcome.wrong == []
    found = list(dict.fromkeys(kind_of(point) for point in cycle.trace.points()))
    assert len(found) >= 25, found
    return found


def same_world(outcome: Outcome) -> None:
    judged = judge(outcome)
    assert (judged.word, judged.reasons) == (SAME, ())


@pytest.mark.parametrize("part", range(CYCLES))
def test_a_controller_killed_at_every_kind_of_point_ends_in_the_same_world(
    cycle: Cycle, kinds: list[str], part: int
) -> None:
    same_world(cycle.play(Strike(points=tuple(kinds[part::CYCLES]))))


def test_one_that_stands_by_takes_over_wherever_the_other_dies(cycle: Cycle) -> None:
    same_world(cycle.play(Strike(points=LAST, variant="standby")))


@pytest.mark.parametrize(
    ("point", "place"),
    [("append-intent-scale/before", "store"), ("scale/last", "kubernetes"), ("records/last", "dns")],
)
def test_one_that_slept_past_its_lease_is_refused(cycle: Cycle, point: str, place: str) -> None:
    outcome = cycle.play(Strike(points=(point,), variant="stop"))
    same_world(outcome)
    assert place in judge(outcome).refused_by

"""Seeds hold, the same seed gives the same log, and what once failed never fails again."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from failover.execution.rules import RULES
from failover.lab.simulation import coverage
from failover.lab.simulation.faults import FAULTS
from failover.lab.simulation.fleet import SHAPES, shape_of
from failover.lab.simulation.oracles import ORACLES
from failover.lab.simulation.play import play, schedule_of
from failover.lab.simulation.story import StoryError, read_story, story_of, write_story
from failover.lab.simulation.sweep import Sweep, shrink, sweep
from failover.model.verdict import VerdictKind

CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.json"))
"""Stories that once showed a defect (of the controller or of an oracle); each says which."""


@pytest.mark.parametrize("path", CORPUS, ids=[path.stem for path in CORPUS])
def test_what_once_failed_holds(path: Path) -> None:
    story = read_story(path)
    assert story.about, "what did it show?"
    assert [str(item) for item in story.play().violations] == []


def test_a_story_is_played_as_it_was_kept(tmp_path: Path) -> None:
    """Whatever kinds of faults are added: fleet and faults are the file's."""
    for seed, shape in ((3, "whole"), (3, "small"), (3, "few-eyes")):
        played = play(seed, shape=SHAPES[shape])
        write_story(tmp_path / "story.json", story_of(played, played.schedule))
        assert read_story(tmp_path / "story.json").play().digest == played.digest


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "it is no story"),
        ('{"seed": 1, "shape": "round", "schedule": [], "about": ""}', "`shape` is one of whole"),
        ('{"seed": true, "shape": "whole", "schedule": [], "about": ""}', "it is no story"),
        ('{"seed": 1, "shape": "whole", "schedule": [{"number": 1, "fault": "bad-weather", "at": 1, "seconds": 1, "lasts": false}], "about": ""}', "fault 1 of `schedule` is none"),
        ('{"seed": 1, "shape": "whole", "schedule": [{"number": 1, "fault": "pause", "at": NaN, "seconds": 1, "lasts": false}], "about": ""}', "`at` and `seconds`"),
        (" " * (2 << 20), "larger than"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_story_is_refused_with_the_reason(text: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "story.json").write_text(text)
    with pytest.raises(StoryError, match=sentence):
        read_story(tmp_path / "story.json")


def test_seeds_play_fleets_of_every_size() -> None:
    met = [shape_of(seed) for seed in range(1, 401)]
    assert {shape.name for shape in met} == set(SHAPES)
    sizes = Counter(shape.clusters + shape.watching for shape in met)
    assert all(count == pytest.approx(133, abs=40) for count in sizes.values())
    assert sum(shape.share < 1 for shape in met) == pytest.approx(120, abs=40)
    assert sum(shape.short for shape in met) == pytest.approx(120, abs=40)


@pytest.fixture(scope="module")
def hundred() -> Sweep:
    """The first of the thousand that CI plays by `make simulate`."""
    return sweep(range(1, 101))


def test_a_hundred_seeds_hold(hundred: Sweep) -> None:
    assert [(one.seed, str(one.violations[0])) for one in hundred.failed] == []
    assert hundred.runs["evacuation"] >= 25
    assert hundred.runs["steering"] >= 12
    assert len(hundred.faults) >= 100
    assert hundred.below_the_mark() == [], "nothing is asked of so few"


def test_a_hundred_seeds_give_the_same_logs_in_any_process(hundred: Sweep) -> None:
    """Byte for byte, whatever Python makes of hashes there, and whoever plays which of them."""
    program = (
        "from failover.lab.simulation.sweep import sweep; print(*sweep(range(1, 101)).digests, sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONHASHSEED": "4711"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == hundred.digests
    assert len(set(hundred.digests)) == 100


def test_a_world_that_lasts_longer_goes_through_one_chapter_of_faults_after_the_other() -> None:
    """Seed 1 once started a single writer at home beside one that ran elsewhere, in its fourth chapter."""
    long = play(1, least_s=1500.0, tell=True)
    assert long.violations == []
    assert long.simulated_s >= 1500
    short = play(1, tell=True)
    assert long.lines[: len(short.lines) - 10] == short.lines[:-10], "its first chapter is the short story"
    assert sum(long.faults.values()) > 2 * sum(short.faults.values())
    assert play(1, least_s=1500.0).digest == long.digest


def test_what_a_thousand_seeds_met_too_seldom_is_said() -> None:
    found = Sweep(seeds=1000, faults=Counter(dict.fromkeys(FAULTS, 50)))
    found.verdicts.update({kind.value: 20 for kind in VerdictKind})
    found.steps.update({f"{run}/{step}": 20 for run, steps in coverage.STEPS.items() for step in steps})
    found.refusals.update({code: 20 for code in RULES if code not in coverage.RARE})
    found.refusals.update(dict.fromkeys(coverage.RARE, 1))
    found.checks.update({oracle.label(): 20 for oracle in ORACLES})
    assert found.below_the_mark() == []
    found.faults["region-killed"] = 49
    del found.refusals["frozen"]
    del found.refusals["held-down"]
    found.checks["I13 NeverEmpty"] = 0
    assert found.below_the_mark() == [
        "fault region-killed: 49 of 50",
        "refusal frozen: 0 of 20",
        "refusal held-down: 0 of 1",
        "oracle I13 NeverEmpty: 0 of 20",
    ]


def test_rules_that_are_excused_from_being_met_exist() -> None:
    assert set(coverage.FIRST_ELSEWHERE) | set(coverage.RARE) <= set(RULES)


def test_there_are_at_least_sixty_kinds_of_faults() -> None:
    assert len(FAULTS) >= 60


def test_a_failing_seed_shrinks_to_what_makes_it_fail() -> None:
    from failover.lab.simulation.mutants import MUTANTS

    (mutant,) = (one for one in MUTANTS if one.name == "neighbours-record")
    schedule = schedule_of(1, only=[*mutant.faults, "vantage-restarted", "reports-doubled"])
    with mutant.alive():
        found = play(1, schedule).violations
        assert found
        fewest = shrink(1, schedule, found[0].invariant)
        assert len(fewest) < len(schedule)
        assert play(1, fewest).violations

"""`failover simulate` as a person meets it: what it says of a seed, of a story in a file, and of what it does not know."""

import json
from pathlib import Path

import pytest

from tests.cli.running import failover

MILD = ("--faults", "vantage-dead", "--faults", "region-killed")


def test_a_seed_tells_its_faults_and_that_it_holds_and_the_same_each_time(tmp_path: Path) -> None:
    done = failover("simulate", "--seed", "3", *MILD, state=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "region-killed" in done.stdout
    assert done.stdout.strip().endswith("no violation")
    first, again = (
        failover("simulate", "--seed", "3", *MILD, "-o", "json", state=tmp_path) for _ in range(2)
    )
    assert first.stdout == again.stdout
    found = json.loads(first.stdout)
    assert found["violations"] == []
    assert found["digest"][:12] in done.stdout


def test_a_story_that_is_kept_is_played_again_to_the_same_log(tmp_path: Path) -> None:
    kept = tmp_path / "story.json"
    drawn = failover(
        "simulate", "--seed", "3", *MILD, "--shrink", "--save", str(kept), "-o", "json", state=tmp_path
    )
    assert "seed 3 holds: there is nothing to shrink" in drawn.stderr
    told = failover("simulate", "--story", str(kept), "-o", "json", state=tmp_path)
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["digest"] == json.loads(drawn.stdout)["digest"]


def test_a_sweep_says_what_it_met_and_never_met(tmp_path: Path) -> None:
    done = failover("simulate", "--seeds", "1..2", *MILD, "--processes", "1", state=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 2 seeds, 0 failed" in done.stderr
    assert "never met: " in done.stdout
    assert done.stdout.strip().endswith("0 failed")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--seed", "3", "--faults", "region-kiled"], "did you mean 'region-killed'?"),
        (["--seed", "3", "--faults", "zzz"], "`failover simulate --list-faults` shows all"),
        (["--seed", "3", "--faults", "state-lost"], "state-lost belongs to scenarios"),
        (["--seeds", "5..3"], "between 1 and 1000000 seeds"),
        (["--seeds", "few"], "--seeds takes A..B, not 'few'"),
        (["--seeds", "1..2", "--save", "x.json"], "--save would mean nothing with --seeds"),
        (["--shrink", "--log"], "--log, --shrink would mean nothing with --seeds"),
        (["--seed", "0", "--seeds", "1..2"], "--seeds would mean nothing with --seed"),
        (
            ["--scenario", "dyn-2016", "--hours", "1", "--marks"],
            "--marks, --hours would mean nothing with --scenario",
        ),
        (["--story", "nowhere.json"], "--story nowhere.json: No such file or directory"),
        (["--scenario", "dyn-2O16"], "dyn-2016"),
    ],
)
def test_what_it_does_not_know_is_a_usage_error_with_a_sentence(
    tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    done = failover("simulate", *arguments, state=tmp_path)
    assert done.returncode == 64
    assert sentence in done.stderr
    assert done.stdout == ""

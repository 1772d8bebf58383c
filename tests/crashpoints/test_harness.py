"""The proof must be able to fail: what is no proof is told apart from one, and nothing is left running."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import forkserver
from pathlib import Path

import pytest

from tests.crashpoints import results
from tests.crashpoints.__main__ import first_of_each_kind, planned
from tests.crashpoints.cycle import Outcome, Strike
from tests.crashpoints.forked import Forked
from tests.crashpoints.judging import DIFFERS, NOT_REACHED, SAME, judge
from tests.crashpoints.points import Trace
from tests.crashpoints.warden import Warden

POINTS = ["acquire/after#1", "scale/last#1", "scale/last#2", "records/last#1"]
FENCED = "kubernetes Conflict: south-1: 409 Conflict"


def stopped(point: str, *sends: str, woke: bool = True) -> Outcome:
    """A cycle in which the controller was frozen there, and what came of what it sent after waking."""
    strike = Strike(points=(point,), variant="stop")
    return Outcome(strike=strike, struck=(point,), woke=(point,) if woke else (), sends=sends)


@pytest.mark.parametrize(
    ("outcome", "word", "reason"),
    [
        (Outcome(strike=Strike(points=("scale/last#1",)), struck=("scale/last#1",)), SAME, ""),
        (Outcome(strike=Strike(points=("scale/last",)), struck=("scale/last#1",)), SAME, ""),
        (Outcome(strike=Strike(points=("scale/last#9",))), NOT_REACHED, ""),
        (
            Outcome(strike=Strike(points=("scale/last#9",)), wrong=["home: shop has 1 replica"]),
            DIFFERS,
            "has 1 replica",
        ),
        (stopped("scale/last#1", FENCED, "store NotLeader: epoch 1 was succeeded"), SAME, ""),
        (stopped("scale/last#1", "kubernetes taken"), DIFFERS, "was not refused: kubernetes taken"),
        (stopped("scale/last#1", "kubernetes OutcomeUnknown: no answer"), DIFFERS, "was not refused"),
        (stopped("scale/last#1", "store StaleEpoch: 1"), DIFFERS, "never refused by kubernetes"),
        (stopped("records/last#1", "dns NOERROR"), DIFFERS, "was not refused: dns NOERROR"),
        (stopped("records/last#1", "dns NXRRSET", "store CancelledError: "), SAME, ""),
        (stopped("records/before#1", "store StaleEpoch: 1"), SAME, ""),
        (stopped("append-intent-scale/before#1"), DIFFERS, "never refused by store"),
        (stopped("append-intent-scale/before#1", "store taken"), DIFFERS, "was not refused: store taken"),
        (stopped("scale/last#1", woke=False), DIFFERS, "was never woken"),
    ],
)
def test_only_what_is_proven_counts(outcome: Outcome, word: str, reason: str) -> None:
    judged = judge(outcome)
    assert judged.word == word
    assert reason in "; ".join(judged.reasons)
    assert bool(judged.reasons) == (word == DIFFERS)


def test_every_kind_comes_first_in_every_variant_and_the_repeats_last() -> None:
    strikes = list(planned(POINTS, ["kill", "stop"], 3))
    assert first_of_each_kind(POINTS) == ["acquire/after#1", "scale/last#1", "records/last#1"]
    assert [(strike.points[0], strike.variant) for strike in strikes[:3]] == [
        ("acquire/after#1", "kill"),
        ("acquire/after#1", "stop"),
        ("scale/last#1", "kill"),
    ]
    assert strikes[6].points == ("scale/last#2",)
    assert {strike.repeat for strike in strikes[:8]} == {1}
    assert len(strikes) == 4 * 2 * 3, "each point in both variants, three times"
    assert len({results.key_of(strike) for strike in strikes}) == len(strikes)


def test_many_points_in_a_cycle_are_far_from_each_other_and_none_is_left_out() -> None:
    points = [f"scale/{where}#{number}" for number in range(1, 8) for where in ("before", "last", "after")]
    strikes = list(planned(points, ["kill", "stop"], 2, together=4))
    for repeat, variant in ((1, "kill"), (2, "kill"), (1, "stop"), (2, "stop")):
        struck = [strike.points for strike in strikes if (strike.repeat, strike.variant) == (repeat, variant)]
        assert sorted(point for group in struck for point in group) == sorted(points)
        assert max(map(len, struck)) == (4 if variant == "kill" else 1)
    assert strikes[0].points == ("scale/before#1", "scale/before#3", "scale/before#5", "scale/before#7")


def test_an_interrupted_run_goes_on_and_proves_nothing_of_other_code(tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    same = Outcome(strike=Strike(points=("scale/last#1",)), struck=("scale/last#1",), seconds=12.0)
    wrong = Outcome(
        strike=Strike(points=("records/last#1",)), struck=("records/last#1",), wrong=["moved: no"]
    )
    for row in (results.row_of(same, "old"), results.row_of(same, "new"), results.row_of(wrong, "new")):
        results.append(file, row)
    with file.open("a") as out:
        out.write('{"code": "new", "poi')  # the runner was killed here
    rows = results.read(file)
    assert [(row.code, row.points[0], row.word) for row in rows] == [
        ("old", "scale/last#1", SAME),
        ("new", "scale/last#1", SAME),
        ("new", "records/last#1", DIFFERS),
    ]
    text, code = results.summary(rows, "new")
    assert (text, code) == (
        "2 cycles struck at 2 points: 1 ended in the same world, 1 in another one, 0 did not come by their point",
        1,
    )
    assert results.summary(rows, "old")[1] == 0
    assert results.summary(rows, "another")[1] == 1, "nothing played proves nothing"
    assert "1 of 2" in results.table([row for row in rows if row.code == "new"]).splitlines()[-1]
    assert (
        results.summary([results.row_of(Outcome(strike=Strike(points=("x/after#7",))), "new")], "new")[1] == 1
    )


def test_what_the_simulation_is_made_of_is_no_other_code(tmp_path: Path) -> None:
    for name in ("controller/run.py", "lab/region.py", "lab/simulation/world.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("one = 1\n")
    before = results.code_of(tmp_path)
    (tmp_path / "lab/simulation/world.py").write_text("two = 2\n")
    assert results.code_of(tmp_path) == before
    (tmp_path / "lab/region.py").write_text("two = 2\n")
    assert results.code_of(tmp_path) != before


def test_what_is_played_again_counts_as_it_ended_last(tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    strike = Strike(points=("scale/last#1",))
    for wrong in (["moved: no"], []):
        results.append(file, results.row_of(Outcome(strike=strike, struck=strike.points, wrong=wrong), "c"))
    assert [row.word for row in results.read(file)] == [SAME]


STRUCK = """
import sys
from pathlib import Path
from tests.crashpoints.points import Points, Trace
points = Points(Trace(Path(sys.argv[1])), frozenset(sys.argv[2].split(",")))
for name in sys.argv[3].split(","):
    points.reach(name)
"""


def lives(trace: Trace, armed: str, passes: str) -> int:
    """The exit code of a process that comes by some points."""
    done = subprocess.run(
        [sys.executable, "-c", STRUCK, str(trace.path), armed, passes],
        cwd=Path(__file__).parents[2],
        check=False,
    )
    return done.returncode


def test_points_are_counted_over_all_processes_of_a_cycle_and_each_strikes_once(tmp_path: Path) -> None:
    trace = Trace(tmp_path / "points")
    armed = "scale/last#2,records/last"
    assert lives(trace, armed, "scale/last,scale/last,scale/last") == -signal.SIGKILL
    assert trace.points() == ["scale/last#1", "scale/last#2"]
    assert lives(trace, armed, "scale/last,records/last,scale/last") == -signal.SIGKILL
    assert lives(trace, armed, "records/last,scale/last") == 0, "everything has struck"
    assert trace.told("STRIKE") == ["scale/last#2", "records/last#1"]
    assert trace.points()[-2:] == ["records/last#2", "scale/last#4"]


SLEEPER = "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'import time; print(1, flush=True); time.sleep(600)'])"


def test_a_runner_that_is_killed_leaves_nothing_running(tmp_path: Path) -> None:
    """Its pipe closes, whatever ended it; what it had reaped itself is let alone."""
    folder = tmp_path / "labs"
    folder.mkdir()
    warden = Warden(folder)
    command = [sys.executable, "-c", SLEEPER]
    one = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    other = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    assert one.stdout is not None
    assert other.stdout is not None
    one.stdout.readline(), other.stdout.readline()  # their children run
    os.kill(one.pid, signal.SIGSTOP)  # a frozen one as well
    for process in (one, other):
        warden.guard(process.pid)
    warden.release(other.pid)
    for number in (signal.SIGINT, signal.SIGTERM):  # as `pkill -f crashpoints` would
        os.kill(warden.pid, number)
    warden.close()
    assert one.wait(timeout=30) == -signal.SIGKILL
    assert one.stdout.read() == b"", "its child is gone too: nobody holds the pipe"
    assert other.poll() is None
    assert not folder.exists()
    os.killpg(other.pid, signal.SIGKILL)
    other.wait(timeout=30)


def test_a_killed_process_is_told_so_to_everybody_who_asks_at_the_same_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cycles run in threads of one process: each new start of one asks for the ends of all the others."""
    process = Forked(signal.pause, ["pause"], tmp_path / "log", {})
    read, both_ask = forkserver.read_signed, threading.Barrier(2)

    def read_when_both_ask(pipe: int) -> int:
        with contextlib.suppress(threading.BrokenBarrierError):  # nobody else was let in: as it should be
            both_ask.wait(timeout=1)
        return read(pipe)

    monkeypatch.setattr(forkserver, "read_signed", read_when_both_ask)
    process.kill()
    with ThreadPoolExecutor(2) as threads:
        told = [threads.submit(process.wait, 30) for _ in range(2)]
        assert [one.result() for one in told] == [-signal.SIGKILL, -signal.SIGKILL]


def test_the_runner_tells_at_once_what_it_cannot_do() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.crashpoints", "--repeat", "0"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 64
    assert "--repeat, --processes and --together are at least 1" in done.stderr

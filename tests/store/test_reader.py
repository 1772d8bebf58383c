"""`failover status` reads beside a writer, after a dead one, on a read-only directory, and without heavy imports."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from failover.store.reader import NoStore, StatusReader
from failover.store.sqlite import SQLiteStore
from tests.store.worlds import HandClock, lead, said

ROOT = Path(__file__).parents[2]


async def test_it_sees_what_a_living_controller_has_just_written(tmp_path: Path) -> None:
    store = await SQLiteStore.open(tmp_path, HandClock())
    lease = await lead(store)
    reader = StatusReader(tmp_path)
    assert reader.document("status") is None
    assert reader.head() == (0, "")
    await store.cas("status", 0, json.dumps({"verdicts": []}))
    written = await store.append_batch(lease.epoch, [("run-1", said("pause")), ("", said("resume"))])
    assert reader.document("status") == {"verdicts": []}
    assert reader.head() == (2, written[-1].hash)
    assert [entry["entry"]["verb"] for entry in reader.tail(1)] == ["resume"]
    assert [entry["run"] for entry in reader.entries(run="run-1")] == ["run-1"]
    leader = reader.leader()
    assert leader is not None
    assert (leader["holder"], leader["epoch"], leader["gone"]) == ("alpha", 1, False)
    assert reader.install_id() == store.install_id
    reader.close()
    await store.close()


async def test_it_reads_while_somebody_holds_the_write_lock(tmp_path: Path) -> None:
    store = await SQLiteStore.open(tmp_path, HandClock())
    await store.cas("status", 0, "{}")
    other = sqlite3.connect(tmp_path / "failover.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with StatusReader(tmp_path) as reader:
        assert reader.document("status") == {}
    other.close()
    await store.close()


def left_behind(directory: Path) -> None:
    """A controller that wrote and died without closing: its write-ahead log is all there is."""
    program = """
import asyncio, os, sys
from pathlib import Path
from failover.controller.clock import SystemClock
from failover.store.processes import boot_id
from failover.store.sqlite import SQLiteStore

async def main():
    store = await SQLiteStore.open(Path(sys.argv[1]), SystemClock())
    await store.acquire("child", boot_id=boot_id(), process=os.getpid(), seconds=3600)
    await store.cas("status", 0, '{"from":"the dead"}')
    os._exit(9)

asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", program, str(directory)], cwd=ROOT, check=False)
    assert (directory / "failover.db-wal").stat().st_size > 0


def test_it_reads_what_a_dead_controller_left_and_says_that_it_is_gone(tmp_path: Path) -> None:
    left_behind(tmp_path)
    with StatusReader(tmp_path) as reader:
        assert reader.document("status") == {"from": "the dead"}
        leader = reader.leader()
        assert leader is not None
        assert leader["gone"]


@pytest.mark.parametrize("dead", [False, True], ids=["closed", "killed"])
async def test_it_reads_as_somebody_who_may_not_write_there(tmp_path: Path, dead: bool) -> None:
    """As another user where the tests run as root, who may write everywhere."""
    state = tmp_path / "state"
    if dead:
        left_behind(state)
    else:
        store = await SQLiteStore.open(state, HandClock())
        await store.cas("status", 0, '{"from":"the dead"}')
        await store.close()
    for path in state.iterdir():
        path.chmod(0o444)
    state.chmod(0o555)
    for parent in (tmp_path, *(path for path in tmp_path.parents if "pytest-" in path.as_posix())):
        parent.chmod(parent.stat().st_mode | 0o055)
    answer = as_nobody(lambda: str(StatusReader(state).document("status")))
    state.chmod(0o755)
    assert answer == "{'from': 'the dead'}"


def as_nobody(function: Callable[[], str]) -> str:
    """What a function returns in a child process that is not root (nobody where the tests run as root)."""
    receiver, sender = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            os.write(sender, function().encode())
        except BaseException as error:
            os.write(sender, repr(error).encode())
        finally:
            os._exit(0)
    os.close(sender)
    os.waitpid(child, 0)
    with os.fdopen(receiver) as answer:
        return answer.read()


def test_no_store_and_strange_files_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(NoStore, match="no controller has run"):
        StatusReader(tmp_path)
    (tmp_path / "failover.db").write_text("hello" * 500)
    with pytest.raises(NoStore, match="cannot be read"):
        StatusReader(tmp_path)
    (tmp_path / "failover.db").unlink()
    other = sqlite3.connect(tmp_path / "failover.db")
    other.execute("CREATE TABLE songs (name TEXT)")
    other.close()
    with pytest.raises(NoStore, match="not a database of failover"):
        StatusReader(tmp_path)


async def test_a_newer_database_is_named(tmp_path: Path) -> None:
    store = await SQLiteStore.open(tmp_path, HandClock())
    await store.close()
    other = sqlite3.connect(tmp_path / "failover.db")
    other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(NoStore, match="newer version"):
        StatusReader(tmp_path)


def test_nothing_heavy_is_imported() -> None:
    program = "import sys, failover.store.reader; print(' '.join(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    heavy = {
        "asyncio",
        "aiohttp",
        "pydantic",
        "kubernetes",
        "dns",
        "yaml",
        "typer",
        "rich",
        "failover.model.codec",
    }
    assert not heavy & loaded

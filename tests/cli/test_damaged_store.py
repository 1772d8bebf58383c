"""Commands on a state directory whose database is damaged: a sentence that names the file, exit 1, and never a stack trace."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from failover.controller.clock import SystemClock
from failover.model.journal import PersonSaid
from failover.store.processes import boot_id
from failover.store.schema import FILE_NAME
from failover.store.sqlite import SQLiteStore
from tests.cli.running import failover

COMMANDS = (["status"], ["history"], ["audit", "verify"], ["pause", "--reason", "x"])


async def fill(directory: Path) -> Path:
    store = await SQLiteStore.open(directory, SystemClock())
    lease = await store.acquire("somebody", boot_id=boot_id(), process=2**22 + 1, seconds=1.0)
    for number in range(200):
        await store.append_batch(lease.epoch, [("run", PersonSaid(verb=f"word {number}", actor="ada"))])
    await store.release(lease)
    await store.close()
    return directory / FILE_NAME


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:9000])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def newer(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()


def somebody_elses(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA application_id = 7")
    connection.close()


def entry_torn(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("UPDATE journal SET entry = substr(entry, 1, 20) WHERE sequence > 190")
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    "damage", [cut, emptied, newer, somebody_elses, entry_torn], ids=lambda damage: damage.__name__
)
async def test_a_damaged_database_is_told_in_a_sentence_with_exit_1(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    damage(await fill(tmp_path))
    for arguments in COMMANDS:
        done = failover(*arguments, state=tmp_path)
        told = done.stderr + done.stdout
        if arguments == ["status"] and damage is entry_torn:
            assert done.returncode in (0, 1), "the journal is not what status shows"
            continue
        assert done.returncode == 1, (arguments, done)
        assert FILE_NAME in told or "journal" in told, (arguments, done)
        assert "Traceback" not in told

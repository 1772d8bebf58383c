"""What can be wrong with the database: each has its sentence, nothing is lost, and nothing half-written stays."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from failover.execution.chain import Line, genesis, hash_of
from failover.model.errors import StoreDoubt, StoreUnavailable
from failover.model.journal import PersonSaid
from failover.store.processes import boot_id, identity, provably_gone
from failover.store.sqlite import SQLiteStore
from tests.store.worlds import HandClock, lead, said


def raw(directory: Path) -> sqlite3.Connection:
    return sqlite3.connect(directory / "failover.db", isolation_level=None)


async def opened(directory: Path, clock: HandClock | None = None) -> SQLiteStore:
    return await SQLiteStore.open(directory, clock or HandClock(), busy_timeout_ms=50)


async def filled(directory: Path, count: int = 3) -> list[str]:
    """A store with some entries, closed again; their hashes."""
    store = await opened(directory)
    lease = await lead(store)
    written = await store.append_batch(lease.epoch, [("run", said(f"word {i}")) for i in range(count)])
    await store.release(lease)
    await store.close()
    return [entry.hash for entry in written]


async def test_a_new_database_is_private_durable_and_has_its_own_id(tmp_path: Path) -> None:
    store = await opened(tmp_path / "state")
    other = await opened(tmp_path / "other")
    assert store.install_id != other.install_id
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "state/failover.db").stat().st_mode & 0o777 == 0o600
    writer = store._writer
    assert writer is not None
    assert writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert writer.execute("PRAGMA synchronous").fetchone() == (2,)
    assert [path.name for path in (tmp_path / "state").iterdir() if path.name.startswith(".")] == []
    await store.close()
    await other.close()


async def test_two_that_create_it_at_once_share_one_database(tmp_path: Path) -> None:
    stores = await asyncio.gather(*(opened(tmp_path) for _ in range(6)))
    assert len({store.install_id for store in stores}) == 1
    for store in stores:
        await store.close()


async def test_locked_by_another_process(tmp_path: Path) -> None:
    await filled(tmp_path)
    store = await opened(tmp_path)
    lease = await lead(store, "beta")
    other = raw(tmp_path)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreUnavailable, match=r"locked by another process.*nothing was changed"):
        await store.append_batch(lease.epoch, [("", said())])
    assert (await store.head())[0] == 3, "reading goes on"
    other.execute("ROLLBACK")
    await store.append_batch(lease.epoch, [("", said())])
    other.close()
    await store.close()


async def test_a_full_disk_refuses_the_batch_whole_and_the_next_one_passes_once_there_is_room(
    tmp_path: Path,
) -> None:
    store = await opened(tmp_path)
    lease = await lead(store)
    writer = store._writer
    assert writer is not None
    pages = writer.execute("PRAGMA page_count").fetchone()[0]
    writer.execute(f"PRAGMA max_page_count = {pages + 1}")
    with pytest.raises(StoreUnavailable, match="full"):
        await store.append_batch(lease.epoch, [("", said("x" * 500)) for _ in range(200)])
    assert (await store.head())[0] == 0
    writer.execute("PRAGMA max_page_count = 100000")
    await store.append_batch(lease.epoch, [("", said("x" * 500)) for _ in range(200)])
    assert await store.verify() is None
    await store.close()


async def test_truncated_to_nothing(tmp_path: Path) -> None:
    await filled(tmp_path)
    (tmp_path / "failover.db").write_bytes(b"")
    with pytest.raises(StoreDoubt, match=r"truncated.*failover resume"):
        await opened(tmp_path)


async def test_truncated_in_the_middle(tmp_path: Path) -> None:
    await filled(tmp_path, 400)
    path = tmp_path / "failover.db"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(StoreDoubt, match="damaged"):
        await opened(tmp_path)


async def test_not_a_database(tmp_path: Path) -> None:
    (tmp_path / "failover.db").write_text("replicas: 6\n" * 1000)
    with pytest.raises(StoreDoubt, match="no database"):
        await opened(tmp_path)


async def test_somebody_elses_database(tmp_path: Path) -> None:
    connection = raw(tmp_path)
    connection.execute("CREATE TABLE songs (name TEXT)")
    connection.close()
    with pytest.raises(StoreDoubt, match="not one of ours"):
        await opened(tmp_path)
    connection = raw(tmp_path)
    assert connection.execute("SELECT count(*) FROM songs").fetchone() == (0,), "it is left alone"
    connection.close()


async def test_written_by_a_newer_version(tmp_path: Path) -> None:
    await filled(tmp_path)
    connection = raw(tmp_path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreDoubt, match=r"newer version.*schema 99"):
        await opened(tmp_path)


async def test_the_log_without_its_database(tmp_path: Path) -> None:
    await filled(tmp_path)
    (tmp_path / "failover.db").rename(tmp_path / "failover.db-wal")
    with pytest.raises(StoreDoubt, match="missing"):
        await opened(tmp_path)


async def test_a_directory_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(StoreUnavailable, match="cannot be used"):
        await opened(tmp_path / "state")


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("UPDATE journal SET entry = replace(entry, 'word 1', 'word 7') WHERE sequence = 2", "entry 2 was changed"),
        ("UPDATE journal SET at = '2020-01-01T00:00:00+00:00' WHERE sequence = 3", "entry 3 was changed"),
        ("UPDATE journal SET run = 'other' WHERE sequence = 1", "entry 1 was changed"),
        ("DELETE FROM journal WHERE sequence = 2", "entry 2 is missing"),
        ("DELETE FROM journal WHERE sequence = 1", "entry 1 is missing"),
        ("UPDATE journal SET sequence = 5 - sequence WHERE sequence IN (2, 3)", "entry 2 does not follow"),
    ],
)  # fmt: skip
async def test_a_journal_that_was_tampered_with_waits_for_a_person(
    tmp_path: Path, statement: str, sentence: str
) -> None:
    await filled(tmp_path, 4)
    connection = raw(tmp_path)
    if "5 - sequence" in statement:
        connection.execute("UPDATE journal SET sequence = -sequence WHERE sequence IN (2, 3)")
        statement = "UPDATE journal SET sequence = 5 + sequence WHERE sequence < 0"
    connection.execute(statement)
    connection.close()
    with pytest.raises(StoreDoubt, match=sentence):
        await opened(tmp_path)


async def test_a_journal_of_another_installation_is_not_taken_for_ours(tmp_path: Path) -> None:
    await filled(tmp_path)
    connection = raw(tmp_path)
    connection.execute("UPDATE meta SET value = 'another' WHERE key = 'install_id'")
    connection.close()
    with pytest.raises(StoreDoubt, match="entry 1 does not follow"):
        await opened(tmp_path)


async def test_restored_from_yesterday_opens_and_the_anchors_noted_elsewhere_tell(tmp_path: Path) -> None:
    await filled(tmp_path / "state", 3)
    shutil.copytree(tmp_path / "state", tmp_path / "backup")
    store = await opened(tmp_path / "state")
    lease = await lead(store, "beta")
    await store.append_batch(lease.epoch, [("", said()) for _ in range(2)])
    head = await store.head()
    await store.close()
    shutil.rmtree(tmp_path / "state")
    shutil.copytree(tmp_path / "backup", tmp_path / "state")
    store = await opened(tmp_path / "state")
    assert (await store.head())[0] == 3
    assert await store.verify() is None, "a chain cannot show that its end was cut off"
    fault = await store.verify([head])
    assert fault is not None
    assert "cut off or restored" in fault.sentence
    assert (await lead(store, "gamma", minimum_epoch=lease.epoch)).epoch == lease.epoch + 1
    await store.close()


async def test_a_journal_that_was_written_anew_is_found_by_its_anchor(tmp_path: Path) -> None:
    hashes = await filled(tmp_path / "a")
    await filled(tmp_path / "b")
    store = await opened(tmp_path / "b")
    fault = await store.verify([(2, hashes[1])])
    assert fault is not None
    assert "rewritten" in fault.sentence
    await store.close()


async def test_a_field_that_is_added_to_the_model_later_does_not_break_the_chain(tmp_path: Path) -> None:
    """The text is hashed as an earlier version wrote it: here one that did not know `reason` and `target`."""
    store = await opened(tmp_path)
    bare = Line(
        sequence=1,
        epoch=1,
        at="2026-03-01T12:00:00+00:00",
        run="",
        text='{"actor":"ada","kind":"person-said","verb":"pause"}',
        previous_hash=genesis(store.install_id),
        hash="",
    )
    connection = raw(tmp_path)
    row = (bare.sequence, bare.epoch, bare.at, bare.run, bare.text, bare.previous_hash, hash_of(bare))
    connection.execute("INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    connection.close()
    await store.close()
    store = await opened(tmp_path)
    assert await store.verify() is None
    (entry,) = await store.entries()
    assert entry.entry == PersonSaid(verb="pause", actor="ada")
    await store.close()


async def test_an_entry_that_no_version_knows_is_a_doubt(tmp_path: Path) -> None:
    await filled(tmp_path)
    store = await opened(tmp_path)
    connection = raw(tmp_path)
    connection.execute('UPDATE journal SET entry = \'{"kind":"from-the-future"}\' WHERE sequence = 3')
    connection.close()
    with pytest.raises(StoreDoubt, match="journal entry 3 cannot be read"):
        await store.entries()
    await store.close()


WRITER = """
import asyncio, os, sys
from pathlib import Path
from failover.controller.clock import SystemClock
from failover.model.journal import PersonSaid
from failover.store.processes import boot_id
from failover.store.sqlite import SQLiteStore

async def main():
    store = await SQLiteStore.open(Path(sys.argv[1]), SystemClock())
    lease = await store.acquire("child", boot_id=boot_id(), process=os.getpid(), seconds=3600)
    number = 0
    while True:
        await store.append_batch(lease.epoch, [("", PersonSaid(verb=str(number + i), actor="child")) for i in range(3)])
        number += 3
        print(number, flush=True)

asyncio.run(main())
"""


async def test_sigkill_loses_nothing_that_was_acknowledged_and_the_dead_holder_is_succeeded_at_once(
    tmp_path: Path,
) -> None:
    child = subprocess.Popen(  # noqa: ASYNC220 - it is killed, not waited for
        [sys.executable, "-c", WRITER, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert child.stdout is not None
    acknowledged = 0
    while acknowledged < 30:
        acknowledged = int(child.stdout.readline())
    child.kill()
    rest = child.stdout.read().split()
    acknowledged = int(rest[-1]) if rest else acknowledged
    child.wait()
    child.stdout.close()
    store = await opened(tmp_path)
    head, _ = await store.head()
    assert head >= acknowledged
    assert head % 3 == 0, "a batch is there whole or not at all"
    assert await store.verify() is None
    assert (await lead(store, "beta")).epoch == 2
    await store.close()


def test_a_process_is_known_by_its_start_and_its_namespace_not_by_its_pid() -> None:
    mine = identity(os.getpid())
    space, _, ticks = mine.partition("/")
    assert not provably_gone(boot_id(), os.getpid(), mine)
    assert provably_gone(boot_id(), os.getpid(), f"{space}/{int(ticks) - 1}"), "the pid was given to another"
    assert provably_gone(boot_id(), 2**22 + 1, mine), "there is no such process"
    assert not provably_gone(boot_id(), 2**22 + 1, f"pid:[1]/{ticks}"), "another container's is unknown"
    assert not provably_gone("another-boot", 2**22 + 1, mine), "another machine's is unknown"
    assert not provably_gone(boot_id(), 2**22 + 1, ""), "one that was never recorded is unknown"


async def test_a_thousand_intents_a_second_are_cheap_to_write_in_batches(tmp_path: Path) -> None:
    """No timing here (`make bench` has it): a batch of a thousand is one transaction."""
    store = await opened(tmp_path)
    lease = await lead(store)
    written = await store.append_batch(lease.epoch, [("run", said(str(i))) for i in range(1000)])
    assert [entry.sequence for entry in written] == list(range(1, 1001))
    await store.close()

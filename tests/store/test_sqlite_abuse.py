"""The real store under abuse: whatever becomes of its files, it tells a sentence, loses nothing that it acknowledged without
saying so, and never invents an entry.
"""

import random
import shutil
import sqlite3
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from failover.execution.chain import Line
from failover.model.errors import StoreDoubt, StoreError, StoreUnavailable
from failover.store.opening import TAIL_CHECKED
from failover.store.reader import NoStore, StatusReader
from failover.store.schema import FILE_NAME
from failover.store.sqlite import SQLiteStore
from tests.store.worlds import HandClock, lead, said

WAL = f"{FILE_NAME}-wal"
WAL_HEADER, FRAME_HEADER = 32, 24
BATCH = 3
SEED = 2026
FLIPS = 160


async def opened(directory: Path) -> SQLiteStore:
    return await SQLiteStore.open(directory, HandClock(), busy_timeout_ms=50)


@dataclass(frozen=True)
class Written:
    """What was acknowledged, and where its files lie."""

    directory: Path
    lines: tuple[Line, ...]
    head: tuple[int, str]

    def copy(self, into: Path) -> Path:
        shutil.copytree(self.directory, into)
        return into


async def written(directory: Path, batches: int, *, keep_log: bool = False) -> Written:
    """A store with acknowledged batches. `keep_log`: as a SIGKILL leaves it, with everything in the write-ahead log."""
    store = await opened(directory / "live")
    lease = await lead(store)
    if keep_log:
        assert store._writer is not None
        store._writer.execute("PRAGMA wal_autocheckpoint = 0")
        store._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for number in range(batches):
        await store.append_batch(lease.epoch, [("run", said(f"{number}/{part}")) for part in range(BATCH)])
    found = Written(directory=directory / "kept", lines=await store.lines(), head=await store.head())
    if keep_log:
        found.directory.mkdir()
        for name in (FILE_NAME, WAL):
            shutil.copy(directory / "live" / name, found.directory / name)
        await store.close()
    else:
        await store.close()
        shutil.copytree(directory / "live", found.directory)
    return found


def refused(error: StoreError, directory: Path) -> str:
    """A refusal is a sentence: which file, and what is the matter with it or what to do."""
    sentence = str(error)
    assert str(directory / FILE_NAME) in sentence, sentence
    assert len(sentence.replace(str(directory / FILE_NAME), "").split()) >= 4, sentence
    return "refused"


async def outcome(directory: Path, before: Written) -> str:
    """What became of a damaged copy: `refused`, `told` by the chain or by an anchor, or `whole`. Everything else fails."""
    try:
        store = await opened(directory)
    except StoreError as error:
        return refused(error, directory)
    try:
        try:
            lines = await store.lines()
            fault = await store.verify([before.head])
        except StoreError as error:
            return refused(error, directory)
        if fault is not None:
            assert len(fault.sentence) > 10
            return "told"
        assert lines == before.lines, "a chain that verifies holds what was acknowledged, and nothing else"
        return "whole"
    finally:
        await store.close()


def read_only_view(directory: Path) -> None:
    """`failover status` and `history` on the same files: an answer or a sentence."""
    try:
        with StatusReader(directory) as reader:
            reader.head(), reader.leader(), reader.entries(), reader.document("status"), reader.install_id()
    except NoStore:
        return


# -- damage to the files -----------------------------------------------------------------------------------------------------


async def test_bytes_that_flip_are_told_or_change_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    before = await written(tmp_path, 60)
    good = (before.directory / FILE_NAME).read_bytes()
    dice = random.Random(SEED)
    places = {*range(0, 100, 2), *(dice.randrange(len(good)) for _ in range(FLIPS - 50))}
    met: dict[str, int] = {}
    target = tmp_path / "flipped"
    target.mkdir()
    for place in sorted(places):
        for name in (WAL, f"{FILE_NAME}-shm"):
            (target / name).unlink(missing_ok=True)
        damaged = bytearray(good)
        damaged[place] ^= 1 << dice.randrange(8)
        (target / FILE_NAME).write_bytes(damaged)
        read_only_view(target)
        (target / FILE_NAME).write_bytes(damaged)
        found = await outcome(target, before)
        met[found] = met.get(found, 0) + 1
    assert met["refused"] > len(places) / 4, met
    assert met["whole"] > 0, "not every byte matters"


async def test_a_database_that_is_cut_anywhere_is_refused(tmp_path: Path) -> None:
    before = await written(tmp_path, 40)
    good = (before.directory / FILE_NAME).read_bytes()
    page = 4096
    dice = random.Random(SEED)
    cuts = {*range(0, len(good), page), *(dice.randrange(len(good)) for _ in range(20)), len(good) - 1}
    for cut in sorted(cuts):
        target = tmp_path / f"cut-{cut}"
        target.mkdir()
        (target / FILE_NAME).write_bytes(good[:cut])
        read_only_view(target)
        with pytest.raises(StoreDoubt, match=r"failover resume"):
            await opened(target)


async def test_a_log_that_is_cut_at_every_frame_leaves_whole_batches_and_the_anchor_tells(
    tmp_path: Path,
) -> None:
    """What was acknowledged is gone with the log's end; it is never there in part, and whoever was told of it is not contradicted."""
    before = await written(tmp_path, 12, keep_log=True)
    log = (before.directory / WAL).read_bytes()
    page = int.from_bytes((before.directory / FILE_NAME).read_bytes()[16:18], "big")
    frame = FRAME_HEADER + page
    frames = (len(log) - WAL_HEADER) // frame
    assert frames > 12
    kept = []
    for number in range(frames + 1):
        for into in (0, FRAME_HEADER // 2, FRAME_HEADER + page // 2):
            cut = WAL_HEADER + number * frame + into
            if cut > len(log):
                continue
            target = tmp_path / f"cut-{cut}"
            before.copy(target)
            (target / WAL).write_bytes(log[:cut])
            store = await opened(target)
            lines = await store.lines()
            assert lines == before.lines[: len(lines)]
            assert len(lines) % BATCH == 0, "a batch is there whole or not at all"
            assert await store.verify() is None
            fault = await store.verify([before.head])
            assert (fault is None) == (len(lines) == len(before.lines)), (
                "the head that was told elsewhere tells"
            )
            await store.close()
            kept.append(len(lines))
            shutil.rmtree(target)
    assert kept[0] == 0
    assert kept[-1] == len(before.lines)
    assert kept == sorted(kept)


async def test_bytes_that_flip_in_the_log_end_it_there(tmp_path: Path) -> None:
    """Each frame carries a checksum: what follows a damaged one does not count, and the anchor tells."""
    before = await written(tmp_path, 12, keep_log=True)
    log = (before.directory / WAL).read_bytes()
    dice = random.Random(SEED)
    met: set[str] = set()
    for number in range(60):
        target = tmp_path / f"flip-{number}"
        before.copy(target)
        damaged = bytearray(log)
        damaged[dice.randrange(len(log))] ^= 1 << dice.randrange(8)
        (target / WAL).write_bytes(damaged)
        met.add(await outcome(target, before))
    assert "told" in met


@pytest.mark.parametrize(("our_batches", "their_batches"), [(5, 9), (9, 1), (5, 1 + TAIL_CHECKED // BATCH)])
async def test_a_log_of_another_database_is_not_taken_in(
    tmp_path: Path, our_batches: int, their_batches: int
) -> None:
    """Nothing in a log says which database it belongs to: what it brings along does not follow from our first entry."""
    ours = await written(tmp_path / "a", our_batches)
    theirs = await written(tmp_path / "b", their_batches, keep_log=True)
    target = ours.copy(tmp_path / "mixed")
    shutil.copy(theirs.directory / WAL, target / WAL)
    with pytest.raises(StoreDoubt, match=r"failover resume"):
        await opened(target)


async def test_a_backup_below_a_newer_log_is_told(tmp_path: Path) -> None:
    """Somebody put yesterday's main file beside today's log."""
    yesterday = await written(tmp_path / "a", 4)
    store = await opened(tmp_path / "a" / "live")
    lease = await lead(store, "beta", take_over=True)
    for number in range(6):
        await store.append_batch(lease.epoch, [("", said(f"today {number}"))])
    head = await store.head()
    target = yesterday.copy(tmp_path / "mixed")
    shutil.copy(tmp_path / "a" / "live" / WAL, target / WAL)
    await store.close()
    try:
        mixed = await opened(target)
    except StoreError:
        return
    try:
        fault = await mixed.verify([head])
        assert fault is not None or await mixed.head() == head
    finally:
        await mixed.close()


# -- no room, no right -------------------------------------------------------------------------------------------------------


def remount(place: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(place)], check=True)


async def fill(store: SQLiteStore, epoch: int, limit: int = 2000) -> tuple[int, str]:
    """Append until there is no room: (acknowledged entries, what was said)."""
    acknowledged = 0
    for _ in range(limit):
        try:
            await store.append_batch(epoch, [("run", said("x" * 400)) for _ in range(BATCH)])  # type: ignore[arg-type]
        except StoreUnavailable as error:
            return acknowledged, str(error)
        acknowledged += BATCH
    raise AssertionError("the disk never filled")


async def test_a_disk_that_fills_refuses_whole_batches_and_keeps_all_that_it_acknowledged(
    small_disk: Path,
) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 150_000)
    store = await opened(small_disk / "state")
    lease = await lead(store)
    acknowledged, sentence = await fill(store, lease.epoch)
    assert acknowledged > 0
    assert "nothing" in sentence
    assert (await store.head())[0] == acknowledged, "what was refused is not there, what was acknowledged is"
    for _ in range(5):
        with pytest.raises(StoreUnavailable):
            await store.append_batch(lease.epoch, [("run", said("x" * 4000)) for _ in range(20)])
    ballast.unlink()
    await store.append_batch(lease.epoch, [("run", said("there is room again"))])
    await store.close()
    store = await opened(small_disk / "state")
    assert (await store.head())[0] == acknowledged + 1
    assert await store.verify() is None
    await store.close()


async def test_a_disk_that_is_full_at_the_start_is_told_and_leaves_no_half_database(small_disk: Path) -> None:
    (small_disk / "ballast").write_bytes(b"x" * (512 * 1024 - 8192))
    with pytest.raises(StoreUnavailable, match=r"full|cannot be"):
        await opened(small_disk / "state")
    assert not (small_disk / "state" / FILE_NAME).exists()
    (small_disk / "ballast").unlink()
    store = await opened(small_disk / "state")
    await store.close()


async def test_a_disk_that_turns_read_only_refuses_and_loses_nothing(small_disk: Path) -> None:
    store = await opened(small_disk / "state")
    lease = await lead(store)
    await store.append_batch(lease.epoch, [("run", said()) for _ in range(BATCH)])
    await store.close()
    remount(small_disk, "ro")
    with pytest.raises(StoreUnavailable, match="cannot be written"):
        await opened(small_disk / "state")
    with StatusReader(small_disk / "state") as reader:
        assert reader.head()[0] == BATCH
    remount(small_disk, "rw")
    store = await opened(small_disk / "state")
    assert (await store.head())[0] == BATCH
    await store.close()


async def test_locked_at_the_start_is_told(tmp_path: Path) -> None:
    before = await written(tmp_path, 2)
    other = sqlite3.connect(before.directory / FILE_NAME, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreUnavailable, match="locked by another process"):
        await opened(before.directory)
    other.close()
    assert await outcome(before.directory, before) == "whole"

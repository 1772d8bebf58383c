"""The Store port on SQLite: WAL, `synchronous=FULL`, one writing connection in a thread of its own, one that reads.

Leadership is a row that every append checks inside its transaction; no lock is held in between, so that a person's
command can take over from a controller that is gone. Sources: DESIGN section 6; reliability facts 5.3.
"""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from failover.execution.chain import ChainFault, Line, genesis, linked, verify, verify_anchors
from failover.model.codec import DecodeError, from_plain
from failover.model.errors import Conflict, NotLeader, StaleEpoch, StoreDoubt, StoreUnavailable
from failover.model.ids import Epoch
from failover.model.journal import Entry, JournalEntry
from failover.model.ports import Clock, Lease
from failover.store.opening import connect, install_id_of, line_of_row, open_file, transaction, translated
from failover.store.processes import identity, provably_gone
from failover.store.schema import FILE_NAME

T = TypeVar("T")
BUSY_TIMEOUT_MS = 3000
WATCH_EVERY_S = 0.5
ALL = 2**62


@dataclass(slots=True, kw_only=True)
class SQLiteLease:
    """Leadership as this process holds it."""

    holder: str
    epoch: Epoch
    expires_mono: float


class SQLiteStore:
    """One database file. Open with `SQLiteStore.open`; close when done."""

    def __init__(self, path: Path, clock: Clock, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> None:
        self._path = path
        self._clock = clock
        self._busy_timeout_ms = busy_timeout_ms
        self._writing = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store-write")
        self._reading = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store-read")
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        self._appended = asyncio.Event()
        self.install_id = ""

    @classmethod
    async def open(
        cls, directory: Path, clock: Clock, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS
    ) -> "SQLiteStore":
        """Open or create `failover.db` in a directory (mode 0700); integrity and the chain's tail are checked first.

        Raises StoreUnavailable (locked, full, read-only) and StoreDoubt (truncated, damaged, newer, not ours).
        """
        store = cls(directory / FILE_NAME, clock, busy_timeout_ms=busy_timeout_ms)
        try:
            await store._write(store._open)
        except BaseException:
            await store.close()
            raise
        return store

    def _open(self) -> None:
        self._writer = open_file(self._path, busy_timeout_ms=self._busy_timeout_ms)
        self._reader = connect(self._path, self._busy_timeout_ms)
        self._reader.execute("PRAGMA query_only = ON")
        self.install_id = install_id_of(self._writer)

    # -- documents -----------------------------------------------------------------------------------------------------

    async def get(self, key: str) -> tuple[int, str] | None:
        """(version, JSON text), or None."""

        def read() -> tuple[int, str] | None:
            row = self._for_reading.execute(
                "SELECT version, value FROM documents WHERE key = ?", (key,)
            ).fetchone()
            return (row[0], row[1]) if row else None

        return await self._read(read)

    async def cas(self, key: str, expected_version: int, value: str, *, epoch: Epoch | None = None) -> int:
        """Write a document if its version (0: absent) still holds."""

        def write() -> int:
            database = self._for_writing
            with transaction(database):
                if epoch is not None:
                    self._require_epoch(database, epoch)
                row = database.execute("SELECT version FROM documents WHERE key = ?", (key,)).fetchone()
                current = int(row[0]) if row else 0
                if current != expected_version:
                    raise Conflict(f"{key} is at version {current}, not {expected_version}", target="store")
                database.execute(
                    "INSERT INTO documents VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET version = excluded.version, "
                    "value = excluded.value",
                    (key, current + 1, value),
                )
            return current + 1

        return await self._write(write)

    # -- journal -------------------------------------------------------------------------------------------------------

    async def append_batch(
        self, epoch: Epoch, entries: Sequence[tuple[str, Entry]]
    ) -> tuple[JournalEntry, ...]:
        """Append in one durable transaction; on return it is on disk.

        The epoch must be the acting one; that its lease runs is asked of each permit, so that what came of the last
        change before an expiry can still be written down.
        """
        at = self._clock.now().wall

        def write() -> tuple[JournalEntry, ...]:
            database = self._for_writing
            written: list[JournalEntry] = []
            lines: list[Line] = []
            with transaction(database):
                self._require_epoch(database, epoch)
                sequence, previous = self._head(database)
                for run, entry in entries:
                    sequence += 1
                    bare = JournalEntry(
                        sequence=sequence, epoch=epoch, at=at, run=run, entry=entry, previous_hash="", hash=""
                    )
                    value, line = linked(bare, previous)
                    previous = line.hash
                    written.append(value)
                    lines.append(line)
                database.executemany(
                    "INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?)", [_row(line) for line in lines]
                )
            return tuple(written)

        result = await self._write(write)
        self._appended.set()
        return result

    async def entries(
        self, *, after: int = 0, run: str | None = None, limit: int = ALL
    ) -> tuple[JournalEntry, ...]:
        """Entries after a sequence number, of one run or of all."""
        return tuple(_entry(line) for line in await self.lines(after=after, run=run, limit=limit))

    async def lines(self, *, after: int = 0, run: str | None = None, limit: int = ALL) -> tuple[Line, ...]:
        """Entries as they are kept, for the chain: nothing is decoded."""

        def read() -> tuple[Line, ...]:
            where, arguments = ("", (after, limit)) if run is None else (_OF_RUN, (after, run, limit))
            rows = self._for_reading.execute(
                f"SELECT * FROM journal WHERE sequence > ? {where} ORDER BY sequence LIMIT ?",  # noqa: S608
                arguments,
            )
            return tuple(line_of_row(row) for row in rows)

        return await self._read(read)

    async def head(self) -> tuple[int, str]:
        """(sequence, hash) of the last entry, (0, genesis) of an empty journal: what is anchored elsewhere (I28)."""
        return await self._read(lambda: self._head(self._for_reading))

    async def verify(self, anchors: Sequence[tuple[int, str]] = ()) -> ChainFault | None:
        """The first fault of the whole chain, or of an anchor noted elsewhere (`failover audit verify`)."""
        lines = await self.lines()
        return verify(lines, first_previous=genesis(self.install_id)) or verify_anchors(lines, anchors)

    async def watch(self, *, after: int) -> AsyncIterator[JournalEntry]:
        """New entries as they come, also those that another process appends."""
        while True:
            self._appended.clear()
            for entry in await self.entries(after=after):
                after = entry.sequence
                yield entry
            try:
                async with asyncio.timeout(WATCH_EVERY_S):
                    await self._appended.wait()
            except TimeoutError:
                continue

    # -- leadership ----------------------------------------------------------------------------------------------------

    async def acquire(
        self,
        holder: str,
        *,
        boot_id: str,
        process: int,
        seconds: float,
        minimum_epoch: int = 0,
        take_over: bool = False,
    ) -> Lease:
        """Become the leader with a new epoch, one more than the highest of `minimum_epoch` and the store's.

        A holder that is provably gone is succeeded at once, any other after its expiry: it stops by itself a margin
        before that. NotLeader otherwise, unless a person says `take_over`.
        """
        now = self._clock.now()

        def write() -> SQLiteLease:
            database = self._for_writing
            with transaction(database):
                row = _leadership(database)
                highest = database.execute(
                    "SELECT epoch FROM journal ORDER BY sequence DESC LIMIT 1"
                ).fetchone()
                known = max(minimum_epoch, highest[0] if highest else 0, row["epoch"] if row else 0)
                if row is not None and not take_over:
                    _refuse_if_held(row, now.wall.timestamp(), now.mono, boot_id)
                expires = now.mono + seconds
                database.execute(
                    "INSERT OR REPLACE INTO leadership VALUES (1, ?, ?, ?, ?, ?, ?, ?, 0)",
                    (
                        known + 1,
                        holder,
                        boot_id,
                        process,
                        identity(process),
                        now.wall.timestamp() + seconds,
                        expires,
                    ),
                )
            return SQLiteLease(holder=holder, epoch=Epoch(known + 1), expires_mono=expires)

        return await self._write(write)

    async def renew(self, lease: Lease, *, seconds: float) -> Lease:
        """Extend our lease; NotLeader where somebody else holds it by now, or it was released."""
        now = self._clock.now()

        def write() -> SQLiteLease:
            database = self._for_writing
            with transaction(database):
                row = _leadership(database)
                if row is None or row["epoch"] != lease.epoch or row["released"]:
                    holder = row["holder"] if row else "nobody"
                    raise NotLeader(f"epoch {lease.epoch} was succeeded: {holder} acts", holder=holder)
                expires = now.mono + seconds
                database.execute(
                    "UPDATE leadership SET expires_wall = ?, expires_mono = ?",
                    (now.wall.timestamp() + seconds, expires),
                )
            return SQLiteLease(holder=lease.holder, epoch=lease.epoch, expires_mono=expires)

        return await self._write(write)

    async def release(self, lease: Lease) -> None:
        """Give up, so that a successor need not wait. Nothing happens where somebody else acts by now."""

        def write() -> None:
            with transaction(self._for_writing):
                self._for_writing.execute(
                    "UPDATE leadership SET released = 1 WHERE epoch = ?", (int(lease.epoch),)
                )

        await self._write(write)

    async def leader(self) -> Lease | None:
        """The row as it stands, expired or not; None before the first leader and after a release."""

        def read() -> SQLiteLease | None:
            row = _leadership(self._for_reading)
            if row is None or row["released"]:
                return None
            return SQLiteLease(
                holder=row["holder"], epoch=Epoch(row["epoch"]), expires_mono=row["expires_mono"]
            )

        return await self._read(read)

    async def close(self) -> None:
        """Close both connections; the last one to close a database folds its write-ahead log in."""

        def shut() -> None:
            for connection in (self._reader, self._writer):
                if connection is not None:
                    connection.close()
            self._reader = self._writer = None

        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._reading, lambda: None)  # nothing is being read any more
            await loop.run_in_executor(self._writing, shut)
        except RuntimeError:
            return  # closed before
        self._reading.shutdown(wait=False)
        self._writing.shutdown(wait=False)

    # -- small things --------------------------------------------------------------------------------------------------

    @property
    def _for_writing(self) -> sqlite3.Connection:
        if self._writer is None:
            raise StoreUnavailable("the store is closed")
        return self._writer

    @property
    def _for_reading(self) -> sqlite3.Connection:
        if self._reader is None:
            raise StoreUnavailable("the store is closed")
        return self._reader

    def _head(self, database: sqlite3.Connection) -> tuple[int, str]:
        row = database.execute("SELECT sequence, hash FROM journal ORDER BY sequence DESC LIMIT 1").fetchone()
        return (int(row[0]), str(row[1])) if row else (0, genesis(self.install_id))

    def _require_epoch(self, database: sqlite3.Connection, epoch: Epoch) -> None:
        row = _leadership(database)
        if row is None or row["epoch"] != epoch or row["released"]:
            acting = f"{row['holder']} with epoch {row['epoch']}" if row and not row["released"] else "nobody"
            raise StaleEpoch(f"epoch {epoch} does not act any more; {acting} does")

    async def _write(self, function: Callable[[], T]) -> T:
        return await self._run(self._writing, function)

    async def _read(self, function: Callable[[], T]) -> T:
        return await self._run(self._reading, function)

    async def _run(self, thread: ThreadPoolExecutor, function: Callable[[], T]) -> T:
        def guarded() -> T:
            try:
                return function()
            except sqlite3.Error as error:
                raise translated(error, self._path) from None

        try:
            future = asyncio.get_running_loop().run_in_executor(thread, guarded)
        except RuntimeError:
            raise StoreUnavailable("the store is closed") from None
        return await future


_OF_RUN = "AND run = ? AND run <> ''"
_LEADERSHIP = (
    "epoch",
    "holder",
    "boot_id",
    "process",
    "process_identity",
    "expires_wall",
    "expires_mono",
    "released",
)


def _leadership(database: sqlite3.Connection) -> dict[str, Any] | None:
    row = database.execute(f"SELECT {', '.join(_LEADERSHIP)} FROM leadership").fetchone()  # noqa: S608
    return dict(zip(_LEADERSHIP, row, strict=True)) if row else None


def _refuse_if_held(row: dict[str, Any], now_wall: float, now_mono: float, boot_id: str) -> None:
    """NotLeader while another holder may act. On one boot the monotonic clock counts, which never jumps."""
    if row["released"] or provably_gone(row["boot_id"], row["process"], row["process_identity"]):
        return
    same_boot = row["boot_id"] == boot_id
    left = row["expires_mono"] - now_mono if same_boot else row["expires_wall"] - now_wall
    if left > 0:
        raise NotLeader(
            f"{row['holder']} (process {row['process']}, epoch {row['epoch']}) acts; its lease has {left:.0f} s left",
            holder=row["holder"],
        )


def _row(line: Line) -> tuple[int, int, str, str, str, str, str]:
    return (line.sequence, line.epoch, line.at, line.run, line.text, line.previous_hash, line.hash)


def _entry(line: Line) -> JournalEntry:
    try:
        decoded: Entry = from_plain(Entry, json.loads(line.text))
    except (ValueError, DecodeError) as error:
        raise StoreDoubt(f"journal entry {line.sequence} cannot be read: {error}") from None
    return JournalEntry(
        sequence=line.sequence,
        epoch=Epoch(line.epoch),
        at=datetime.fromisoformat(line.at),
        run=line.run,
        entry=decoded,
        previous_hash=line.previous_hash,
        hash=line.hash,
    )

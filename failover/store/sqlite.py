"""The Store port on SQLite: WAL, `synchronous=FULL`, one writer connection in a thread of its own.

Leadership is a row that every append checks inside its transaction; no lock is held in between, so that a person's
command can take over from a controller that is gone. Sources: DESIGN section 6; reliability facts 5.3.
"""

import asyncio
import json
import os
import sqlite3
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from failover.execution.chain import genesis, sealed, verify
from failover.model.codec import DecodeError, canonical_json, from_plain
from failover.model.errors import Conflict, NotLeader, StaleEpoch, StoreDoubt, StoreUnavailable
from failover.model.ids import Epoch
from failover.model.journal import Entry, JournalEntry
from failover.model.ports import Clock, Lease
from failover.store.processes import provably_gone, started
from failover.store.schema import APPLICATION_ID, SCHEMA_VERSION, migrate

T = TypeVar("T")
FILE_NAME = "failover.db"
BUSY_TIMEOUT_MS = 3000
TAIL_CHECKED = 500
WATCH_EVERY_S = 0.5


@dataclass(slots=True, kw_only=True)
class SQLiteLease:
    """Leadership as this process holds it."""

    holder: str
    epoch: Epoch
    expires_mono: float


class SQLiteStore:
    """One database file. Open with `SQLiteStore.open`; close when done."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._connection: sqlite3.Connection | None = None
        self._appended = asyncio.Event()
        self.install_id = ""

    @classmethod
    async def open(cls, directory: Path, clock: Clock) -> "SQLiteStore":
        """Open or create `failover.db` in a directory (mode 0700); checks integrity and the chain's tail first."""
        store = cls(directory / FILE_NAME, clock)
        await store._run(store._open)
        return store

    # -- opening -------------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh = not self._path.exists()
            if fresh:
                os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except OSError as error:
            raise StoreUnavailable(
                f"the state directory {self._path.parent} cannot be used: {error}"
            ) from None
        connection = sqlite3.connect(
            self._path, timeout=BUSY_TIMEOUT_MS / 1000, isolation_level=None, check_same_thread=False
        )
        self._connection = connection
        if self._path.stat().st_size == 0 and not fresh:
            raise StoreDoubt(
                f"{self._path} is empty: it was truncated; restore a copy or move it away, then `resume`"
            )
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise StoreDoubt(
                f"{self._path} was written by a newer version (schema {version}, this one knows {SCHEMA_VERSION})"
            )
        if version and connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise StoreDoubt(f"{self._path} is a database, but not one of ours")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        if version and (problem := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise StoreDoubt(f"{self._path} is damaged ({problem}); restore a copy, then `resume`")
        migrate(connection, version)
        self._load_install_id(connection)
        self._check_tail(connection)

    def _load_install_id(self, connection: sqlite3.Connection) -> None:
        connection.execute("INSERT OR IGNORE INTO meta VALUES ('install_id', ?)", (str(uuid.uuid4()),))
        self.install_id = connection.execute("SELECT value FROM meta WHERE key = 'install_id'").fetchone()[0]

    def _check_tail(self, connection: sqlite3.Connection) -> None:
        rows = connection.execute(
            "SELECT * FROM journal ORDER BY sequence DESC LIMIT ?", (TAIL_CHECKED,)
        ).fetchall()
        if not rows:
            return
        entries = [_entry(row) for row in reversed(rows)]
        first = entries[0]
        previous = genesis(self.install_id) if first.sequence == 1 else first.previous_hash
        fault = verify(entries, first_previous=previous, first_sequence=first.sequence)
        if fault is not None:
            raise StoreDoubt(f"the journal's chain is broken at entry {fault.sequence}: {fault.sentence}")

    # -- documents -----------------------------------------------------------------------------------------------------

    async def get(self, key: str) -> tuple[int, str] | None:
        """(version, JSON text), or None."""

        def read() -> tuple[int, str] | None:
            row = self._db.execute("SELECT version, value FROM documents WHERE key = ?", (key,)).fetchone()
            return (row[0], row[1]) if row else None

        return await self._run(read)

    async def cas(self, key: str, expected_version: int, value: str, *, epoch: Epoch | None = None) -> int:
        """Write a document if its version (0: absent) still holds."""

        def write() -> int:
            with _Transaction(self._db):
                if epoch is not None:
                    self._require_epoch(epoch)
                row = self._db.execute("SELECT version FROM documents WHERE key = ?", (key,)).fetchone()
                current = row[0] if row else 0
                if current != expected_version:
                    raise Conflict(f"{key} is at version {current}, not {expected_version}", target="store")
                self._db.execute(
                    "INSERT INTO documents VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET version = excluded.version, "
                    "value = excluded.value",
                    (key, current + 1, value),
                )
            return int(current) + 1

        return await self._run(write)

    # -- journal -------------------------------------------------------------------------------------------------------

    async def append_batch(
        self, epoch: Epoch, entries: Sequence[tuple[str, Entry]]
    ) -> tuple[JournalEntry, ...]:
        """Append in one durable transaction; on return it is on disk."""
        at = self._clock.now().wall

        def write() -> tuple[JournalEntry, ...]:
            with _Transaction(self._db):
                self._require_epoch(epoch)
                row = self._db.execute(
                    "SELECT sequence, hash FROM journal ORDER BY sequence DESC LIMIT 1"
                ).fetchone()
                sequence, previous = (row[0], row[1]) if row else (0, genesis(self.install_id))
                written = []
                for run, entry in entries:
                    sequence += 1
                    line = sealed(
                        JournalEntry(
                            sequence=sequence,
                            epoch=epoch,
                            at=at,
                            run=run,
                            entry=entry,
                            previous_hash="",
                            hash="",
                        ),
                        previous,
                    )
                    previous = line.hash
                    written.append(line)
                self._db.executemany(
                    "INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?)", [_row(line) for line in written]
                )
            return tuple(written)

        result = await self._run(write)
        self._appended.set()
        return result

    async def entries(
        self, *, after: int = 0, run: str | None = None, limit: int = 100_000
    ) -> tuple[JournalEntry, ...]:
        """Entries after a sequence number, of one run or of all."""

        def read() -> tuple[JournalEntry, ...]:
            where, arguments = ("", (after, limit)) if run is None else ("AND run = ?", (after, run, limit))
            rows = self._db.execute(
                f"SELECT * FROM journal WHERE sequence > ? {where} ORDER BY sequence LIMIT ?",  # noqa: S608
                arguments,
            )
            return tuple(_entry(row) for row in rows)

        return await self._run(read)

    async def watch(self, *, after: int) -> AsyncIterator[JournalEntry]:
        """New entries as they come, also those that another process appends."""
        while True:
            for entry in await self.entries(after=after):
                after = entry.sequence
                yield entry
            self._appended.clear()
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
        """Become the leader with a new epoch. A holder that is provably gone is succeeded at once."""
        now = self._clock.now()

        def write() -> SQLiteLease:
            with _Transaction(self._db):
                row = self._db.execute("SELECT * FROM leadership").fetchone()
                highest = self._db.execute("SELECT coalesce(max(epoch), 0) FROM journal").fetchone()[0]
                if row is not None:
                    highest = max(highest, row[1])
                    if not take_over:
                        _refuse_if_held(row, now.wall.timestamp(), now.mono, boot_id)
                epoch = max(highest, minimum_epoch) + 1
                expires = now.mono + seconds
                self._db.execute(
                    "INSERT OR REPLACE INTO leadership VALUES (1, ?, ?, ?, ?, ?, ?, ?, 0)",
                    (
                        epoch,
                        holder,
                        boot_id,
                        process,
                        started(process),
                        now.wall.timestamp() + seconds,
                        expires,
                    ),
                )
            return SQLiteLease(holder=holder, epoch=Epoch(epoch), expires_mono=expires)

        return await self._run(write)

    async def renew(self, lease: Lease, *, seconds: float) -> Lease:
        """Extend our lease; NotLeader where somebody else holds it by now."""
        now = self._clock.now()

        def write() -> SQLiteLease:
            with _Transaction(self._db):
                self._require_epoch(lease.epoch)
                expires = now.mono + seconds
                self._db.execute(
                    "UPDATE leadership SET expires_wall = ?, expires_mono = ?",
                    (now.wall.timestamp() + seconds, expires),
                )
            return SQLiteLease(holder=lease.holder, epoch=lease.epoch, expires_mono=expires)

        try:
            return await self._run(write)
        except StaleEpoch as error:
            raise NotLeader(str(error), holder="another") from None

    async def release(self, lease: Lease) -> None:
        """Give up, so that a successor need not wait."""

        def write() -> None:
            with _Transaction(self._db):
                self._db.execute("UPDATE leadership SET released = 1 WHERE epoch = ?", (lease.epoch,))

        await self._run(write)

    async def leader(self) -> Lease | None:
        """The row as it stands, or None before the first leader and after a release."""

        def read() -> SQLiteLease | None:
            row = self._db.execute("SELECT * FROM leadership WHERE released = 0").fetchone()
            return SQLiteLease(holder=row[2], epoch=Epoch(row[1]), expires_mono=row[7]) if row else None

        return await self._run(read)

    async def close(self) -> None:
        """Checkpoint and close."""

        def shut() -> None:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

        await self._run(shut)
        self._thread.shutdown(wait=False)

    # -- small things --------------------------------------------------------------------------------------------------

    @property
    def _db(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreUnavailable("the store is closed")
        return self._connection

    def _require_epoch(self, epoch: Epoch) -> None:
        row = self._db.execute("SELECT epoch, holder, released FROM leadership").fetchone()
        if row is None or row[0] != epoch or row[2]:
            acting = f"{row[1]} with epoch {row[0]}" if row else "nobody"
            raise StaleEpoch(f"epoch {epoch} does not act any more; {acting} does")

    async def _run(self, function: Callable[[], T]) -> T:
        def guarded() -> T:
            try:
                return function()
            except sqlite3.DatabaseError as error:
                raise _translated(error, self._path) from None

        return await asyncio.get_running_loop().run_in_executor(self._thread, guarded)


class _Transaction:
    """BEGIN IMMEDIATE … COMMIT, or ROLLBACK on any error."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        if kind is None:
            try:
                self._connection.execute("COMMIT")
            except sqlite3.DatabaseError:
                self._rollback()
                raise
        else:
            self._rollback()

    def _rollback(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def _refuse_if_held(row: tuple[Any, ...], now_wall: float, now_mono: float, boot_id: str) -> None:
    _, epoch, holder, held_boot, process, process_started, expires_wall, expires_mono, released = row
    if released or provably_gone(held_boot, process, process_started):
        return
    left = expires_mono - now_mono if held_boot == boot_id else expires_wall - now_wall
    if left > 0:
        raise NotLeader(
            f"{holder} (process {process}, epoch {epoch}) acts; its lease has {left:.0f} s left",
            holder=holder,
        )


def _row(line: JournalEntry) -> tuple[Any, ...]:
    at = line.at.astimezone(UTC).isoformat()
    return (
        line.sequence,
        line.epoch,
        at,
        line.run,
        canonical_json(line.entry),
        line.previous_hash,
        line.hash,
    )


def _entry(row: tuple[Any, ...]) -> JournalEntry:
    sequence, epoch, at, run, entry, previous, digest = row
    try:
        decoded: Entry = from_plain(Entry, json.loads(entry))
    except (ValueError, DecodeError) as error:
        raise StoreDoubt(f"journal entry {sequence} cannot be read: {error}") from None
    return JournalEntry(
        sequence=sequence,
        epoch=Epoch(epoch),
        at=datetime.fromisoformat(at),
        run=run,
        entry=decoded,
        previous_hash=previous,
        hash=digest,
    )


def _translated(error: sqlite3.DatabaseError, path: Path) -> Exception:
    name = getattr(error, "sqlite_errorname", "") or ""
    text = str(error)
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreUnavailable(f"{path} is locked by another process; nothing was changed")
    if name.startswith("SQLITE_FULL"):
        return StoreUnavailable(f"the disk of {path} is full; nothing is changed until there is room")
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_IOERR")):
        return StoreUnavailable(f"{path} cannot be written ({text}); nothing was changed")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return StoreDoubt(f"{path} is damaged or no database ({text}); restore a copy, then `resume`")
    return StoreUnavailable(f"{path}: {text}")

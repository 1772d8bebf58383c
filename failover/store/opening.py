"""Opening the database file: created whole or not at all, checked before use, and every SQLite error as a sentence."""

import errno
import os
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from failover.execution.chain import Line, genesis, verify
from failover.model.errors import StoreDoubt, StoreError, StoreUnavailable
from failover.store.schema import APPLICATION_ID, SCHEMA_VERSION, migrate, version_of

TAIL_CHECKED = 500
"""Entries at the journal's end whose chain is verified at every start, besides its first one; `audit verify` does all of it."""

_RESTORE = "restore a copy or move it away, look at the fleet, then `failover resume`"


def open_file(path: Path, *, busy_timeout_ms: int) -> sqlite3.Connection:
    """A writing connection to a checked database. Raises StoreUnavailable, StoreDoubt."""
    _create_if_missing(path)
    if path.stat().st_size == 0:
        raise StoreDoubt(f"{path} is empty: it was truncated; {_RESTORE}")
    connection = connect(path, busy_timeout_ms)
    try:
        _check(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def connect(path: Path, busy_timeout_ms: int) -> sqlite3.Connection:
    """WAL, every commit on disk before it returns; transactions are begun by hand."""
    connection = sqlite3.connect(
        path, timeout=busy_timeout_ms / 1000, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _create_if_missing(path: Path) -> None:
    """A new database is made under another name and then linked: a crash leaves all of it or nothing."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.exists():
            return
        if path.with_name(f"{path.name}-wal").exists():
            raise StoreDoubt(f"{path} is missing and its write-ahead log is there; {_RESTORE}")
        draft = path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}")
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        try:
            _fill(draft)
            _publish(draft, path)
        finally:
            draft.unlink(missing_ok=True)
        _sync_directory(path.parent)
    except OSError as error:
        raise StoreUnavailable(f"the state directory {path.parent} cannot be used: {error}") from None


def _fill(draft: Path) -> None:
    connection = connect(draft, 1000)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        migrate(connection)
        connection.execute("INSERT INTO meta VALUES ('install_id', ?)", (str(uuid.uuid4()),))
    finally:
        connection.close()


def _publish(draft: Path, path: Path) -> None:
    """Two controllers may be started at once: the first one's file stays."""
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        return
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS) or path.exists():
            raise
        draft.rename(path)


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _check(connection: sqlite3.Connection, path: Path) -> None:
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise StoreDoubt(f"{path} is a database, and not one of ours; name another state directory")
    version = version_of(connection)
    if version > SCHEMA_VERSION:
        raise StoreDoubt(
            f"{path} was written by a newer version of failover (schema {version}; this one knows {SCHEMA_VERSION}): "
            "run that version"
        )
    problem = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if problem != "ok":
        raise StoreDoubt(f"{path} is damaged ({problem}); {_RESTORE}")
    if connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
        raise StoreUnavailable(
            f"{path} cannot keep a write-ahead log there: use a local disk, not a network share"
        )
    migrate(connection)
    _check_ends(connection, path)


def install_id_of(connection: sqlite3.Connection) -> str:
    """The random id that this installation got when its database was made."""
    row = connection.execute("SELECT value FROM meta WHERE key = 'install_id'").fetchone()
    return str(row[0]) if row else ""


def _check_ends(connection: sqlite3.Connection, path: Path) -> None:
    """The journal begins with this installation's own first entry (it may have come in with another database's write-ahead log),
    and its end is a whole chain.
    """
    rows = connection.execute(
        "SELECT * FROM journal ORDER BY sequence DESC LIMIT ?", (TAIL_CHECKED,)
    ).fetchall()
    if not rows:
        return
    first = connection.execute("SELECT * FROM journal ORDER BY sequence LIMIT 1").fetchone()
    fault = verify([line_of_row(first)], first_previous=genesis(install_id_of(connection)))
    if fault is None:
        lines = [line_of_row(row) for row in reversed(rows)]
        fault = verify(lines, first_previous=lines[0].previous_hash, first_sequence=lines[0].sequence)
    if fault is not None:
        raise StoreDoubt(f"{path}: the journal's chain is broken: {fault.sentence}; {_RESTORE}")


def line_of_row(row: tuple[int, int, str, str, str, str, str]) -> Line:
    """A row of the journal as the chain sees it."""
    sequence, epoch, at, run, text, previous_hash, digest = row
    return Line(
        sequence=sequence,
        epoch=epoch,
        at=at,
        run=run,
        text=text,
        previous_hash=previous_hash,
        hash=digest,
    )


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """BEGIN IMMEDIATE … COMMIT, or ROLLBACK on any error (also on one of the commit itself)."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def translated(error: sqlite3.Error, path: Path) -> StoreError:
    """Our error for SQLite's: what is wrong, and what to do."""
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreUnavailable(
            f"{path} is locked by another process; nothing was changed. Find it with `fuser {path}`"
        )
    if name.startswith("SQLITE_FULL"):
        return StoreUnavailable(f"the disk of {path} is full; nothing is changed until there is room")
    if name.startswith("SQLITE_IOERR"):
        hint = f"is its disk full, or broken? `df {path.parent}` tells"
        return StoreUnavailable(f"{path} cannot be read or written ({error}): {hint}; nothing was changed")
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return StoreUnavailable(f"{path} cannot be written ({error}); nothing was changed")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return StoreDoubt(f"{path} is damaged, or no database ({error}); {_RESTORE}")
    return StoreUnavailable(f"{path}: {error}")

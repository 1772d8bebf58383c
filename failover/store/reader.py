"""Reads the store without a controller and without heavy imports: what `failover status` stands on (0.3 s).

Read-only, its own connection; works beside a writing controller, after a dead one, and on a read-only directory.
"""

import json
import sqlite3
from pathlib import Path
from typing import Any

from failover.store.processes import provably_gone
from failover.store.schema import APPLICATION_ID, FILE_NAME, SCHEMA_VERSION

TIMEOUT_S = 2.0


class NoStore(Exception):
    """There is no database yet, or it cannot be read; `str()` is the sentence."""


class StatusReader:
    """A read-only view of one state directory. Close when done, or use it in a `with`."""

    def __init__(self, directory: Path) -> None:
        path = directory / FILE_NAME
        if not path.exists():
            raise NoStore(f"{path} does not exist: no controller has run with this state directory")
        self._path = path
        self._connection = _connect(path)
        try:
            self._check()
        except NoStore:
            self._connection.close()
            raise

    def __enter__(self) -> "StatusReader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check(self) -> None:
        if self._query("PRAGMA application_id", ())[0][0] != APPLICATION_ID:
            raise NoStore(f"{self._path} is not a database of failover")
        if self._query("PRAGMA user_version", ())[0][0] > SCHEMA_VERSION:
            raise NoStore(f"{self._path} was written by a newer version of failover: run that version")

    def document(self, key: str) -> Any:
        """A document's JSON data, or None."""
        row = self._query("SELECT value FROM documents WHERE key = ?", (key,))
        return self._plain(row[0][0], f"document {key}") if row else None

    def leader(self) -> dict[str, Any] | None:
        """Who acts: holder, epoch, process, expiry (wall), released, and whether the process is provably gone."""
        rows = self._query(
            "SELECT epoch, holder, boot_id, process, process_identity, expires_wall, released FROM leadership",
            (),
        )
        if not rows:
            return None
        epoch, holder, boot, process, recorded, expires_wall, released = rows[0]
        return {
            "epoch": epoch,
            "holder": holder,
            "process": process,
            "expires_wall": expires_wall,
            "released": bool(released),
            "gone": bool(released) or provably_gone(boot, process, recorded),
        }

    def entries(self, *, after: int = 0, run: str | None = None, limit: int = 10_000) -> list[dict[str, Any]]:
        """Journal entries as plain data, in order. `text` is the entry exactly as it was written and hashed."""
        where, arguments = (
            ("", (after, limit)) if run is None else ("AND run = ? AND run <> ''", (after, run, limit))
        )
        rows = self._query(
            f"SELECT sequence, epoch, at, run, entry, previous_hash, hash FROM journal WHERE sequence > ? {where} "  # noqa: S608
            "ORDER BY sequence LIMIT ?",
            arguments,
        )
        names = ("sequence", "epoch", "at", "run", "text", "previous_hash", "hash")
        return [
            {**dict(zip(names, row, strict=True)), "entry": self._plain(row[4], f"journal entry {row[0]}")}
            for row in rows
        ]

    def tail(self, count: int) -> list[dict[str, Any]]:
        """The last entries, oldest first."""
        return self.entries(after=max(0, self.head()[0] - count))

    def head(self) -> tuple[int, str]:
        """(sequence, hash) of the last entry; (0, "") of an empty journal."""
        rows = self._query("SELECT sequence, hash FROM journal ORDER BY sequence DESC LIMIT 1", ())
        return (int(rows[0][0]), str(rows[0][1])) if rows else (0, "")

    def install_id(self) -> str:
        """Id of this installation: what the audit chain begins with."""
        rows = self._query("SELECT value FROM meta WHERE key = 'install_id'", ())
        return str(rows[0][0]) if rows else ""

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _plain(self, text: object, what: str) -> Any:
        """The JSON data that a column holds; a damaged page may hold anything there."""
        try:
            return json.loads(str(text))
        except (ValueError, RecursionError):
            raise NoStore(
                f"{self._path} is damaged: {what} is no JSON; `failover audit verify` tells more"
            ) from None

    def _query(self, sql: str, arguments: tuple[Any, ...]) -> list[Any]:
        try:
            return self._connection.execute(sql, arguments).fetchall()
        except sqlite3.DatabaseError as error:
            raise NoStore(f"{self._path} cannot be read: {error}") from None


def _connect(path: Path) -> sqlite3.Connection:
    """Read-only beside any writer. Where even the write-ahead log's index cannot be made, there is no log to read either."""
    options = ["mode=ro"]
    if not path.with_name(f"{path.name}-wal").exists():
        options.append("mode=ro&immutable=1")
    last: sqlite3.DatabaseError | None = None
    for option in options:
        try:
            connection = sqlite3.connect(f"file:{_quoted(path)}?{option}", uri=True, timeout=TIMEOUT_S)
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return connection
        except sqlite3.DatabaseError as error:
            last = error
    raise NoStore(f"{path} cannot be read: {last}")


def _quoted(path: Path) -> str:
    """A path inside an SQLite URI."""
    return str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")

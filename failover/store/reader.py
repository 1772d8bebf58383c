"""Reads the store without a controller and without heavy imports: what `failover status` stands on (0.3 s).

Read-only, its own connection; works beside a writing controller and after a dead one.
"""

import json
import sqlite3
from pathlib import Path
from typing import Any

from failover.store.processes import provably_gone

FILE_NAME = "failover.db"


class NoStore(Exception):
    """There is no database yet, or it cannot be read; `str()` is the sentence."""


class StatusReader:
    """A read-only view of one state directory. Close when done."""

    def __init__(self, directory: Path) -> None:
        path = directory / FILE_NAME
        if not path.exists():
            raise NoStore(f"{path} does not exist: no controller has run with this state directory")
        try:
            self._connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=2.0)
            self._connection.execute("SELECT 1 FROM meta").fetchone()
        except sqlite3.DatabaseError as error:
            raise NoStore(f"{path} cannot be read: {error}") from None

    def document(self, key: str) -> Any:
        """A document's JSON data, or None."""
        row = self._query("SELECT value FROM documents WHERE key = ?", (key,))
        return json.loads(row[0][0]) if row else None

    def leader(self) -> dict[str, Any] | None:
        """Who acts: holder, epoch, process, expiry (wall), released, and whether the process is provably gone."""
        rows = self._query("SELECT * FROM leadership", ())
        if not rows:
            return None
        _, epoch, holder, boot, process, process_started, expires_wall, _, released = rows[0]
        return {
            "epoch": epoch,
            "holder": holder,
            "process": process,
            "expires_wall": expires_wall,
            "released": bool(released),
            "gone": bool(released) or provably_gone(boot, process, process_started),
        }

    def entries(self, *, after: int = 0, run: str | None = None, limit: int = 10_000) -> list[dict[str, Any]]:
        """Journal entries as plain data, in order."""
        where, arguments = ("", (after, limit)) if run is None else ("AND run = ?", (after, run, limit))
        rows = self._query(
            f"SELECT sequence, epoch, at, run, entry, previous_hash, hash FROM journal WHERE sequence > ? {where} "  # noqa: S608
            "ORDER BY sequence LIMIT ?",
            arguments,
        )
        names = ("sequence", "epoch", "at", "run", "entry", "previous_hash", "hash")
        return [{**dict(zip(names, row, strict=True)), "entry": json.loads(row[4])} for row in rows]

    def install_id(self) -> str:
        """Id of this installation: what the audit chain begins with."""
        rows = self._query("SELECT value FROM meta WHERE key = 'install_id'", ())
        return str(rows[0][0]) if rows else ""

    def close(self) -> None:
        self._connection.close()

    def _query(self, sql: str, arguments: tuple[Any, ...]) -> list[Any]:
        try:
            return self._connection.execute(sql, arguments).fetchall()
        except sqlite3.DatabaseError as error:
            raise NoStore(f"the store cannot be read: {error}") from None

"""Tables of the SQLite store and their migrations, by `PRAGMA user_version`. Standard library only: the reader imports it."""

import sqlite3

FILE_NAME = "failover.db"
SCHEMA_VERSION = 1
APPLICATION_ID = 0x46414C56  # "FALV": a file that says otherwise is not ours

_V1 = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",
    "CREATE TABLE documents (key TEXT PRIMARY KEY, version INTEGER NOT NULL, value TEXT NOT NULL) STRICT",
    """CREATE TABLE journal (
        sequence INTEGER PRIMARY KEY,
        epoch INTEGER NOT NULL,
        at TEXT NOT NULL,
        run TEXT NOT NULL,
        entry TEXT NOT NULL,
        previous_hash TEXT NOT NULL,
        hash TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX journal_run ON journal (run, sequence) WHERE run <> ''",
    """CREATE TABLE leadership (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        epoch INTEGER NOT NULL,
        holder TEXT NOT NULL,
        boot_id TEXT NOT NULL,
        process INTEGER NOT NULL,
        process_identity TEXT NOT NULL,
        expires_wall REAL NOT NULL,
        expires_mono REAL NOT NULL,
        released INTEGER NOT NULL
    ) STRICT""",
    f"PRAGMA application_id = {APPLICATION_ID}",
)

MIGRATIONS: dict[int, tuple[str, ...]] = {1: _V1}
"""What leads to each version from the one before it. A version that was released is never edited."""


def version_of(connection: sqlite3.Connection) -> int:
    """The schema version of a file; 0 for a new one."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a file up to SCHEMA_VERSION, one version a transaction. Two processes may do it at once: one waits."""
    while version_of(connection) < SCHEMA_VERSION:
        connection.execute("BEGIN IMMEDIATE")
        try:
            number = version_of(connection) + 1
            for statement in MIGRATIONS.get(number, ()):
                connection.execute(statement)
            if number <= SCHEMA_VERSION:
                connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
        except sqlite3.DatabaseError:
            connection.execute("ROLLBACK")
            raise

"""Tables of the SQLite store and their migrations, by `PRAGMA user_version`. Standard library only: the reader imports it."""

import sqlite3

SCHEMA_VERSION = 1
APPLICATION_ID = 0x46414C56  # "FALV": a file that says otherwise is not ours

_V1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE documents (key TEXT PRIMARY KEY, version INTEGER NOT NULL, value TEXT NOT NULL) STRICT;
CREATE TABLE journal (
    sequence INTEGER PRIMARY KEY,
    epoch INTEGER NOT NULL,
    at TEXT NOT NULL,
    run TEXT NOT NULL,
    entry TEXT NOT NULL,
    previous_hash TEXT NOT NULL,
    hash TEXT NOT NULL
) STRICT;
CREATE INDEX journal_run ON journal (run, sequence) WHERE run <> '';
CREATE TABLE leadership (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch INTEGER NOT NULL,
    holder TEXT NOT NULL,
    boot_id TEXT NOT NULL,
    process INTEGER NOT NULL,
    process_started TEXT NOT NULL,
    expires_wall REAL NOT NULL,
    expires_mono REAL NOT NULL,
    released INTEGER NOT NULL
) STRICT;
"""

MIGRATIONS = {1: _V1}


def migrate(connection: sqlite3.Connection, version: int) -> None:
    """Bring an older file up to SCHEMA_VERSION, one version a transaction."""
    for number in range(version + 1, SCHEMA_VERSION + 1):
        statements = MIGRATIONS[number]
        connection.executescript(
            f"BEGIN IMMEDIATE; {statements} PRAGMA user_version = {number}; "
            f"PRAGMA application_id = {APPLICATION_ID}; COMMIT;"
        )

"""The hash chain of the journal: each entry's hash covers the hash before it and the entry exactly as it was written.

hash = SHA-256(previous hash || canonical JSON of [sequence, epoch, at, run, text of the entry]). The text is hashed, not
the value decoded from it: a later version that knows more fields still verifies what an earlier one wrote.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC

from failover.model.codec import canonical_json
from failover.model.journal import JournalEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One journal entry as it is kept. `at`: RFC 3339 in UTC; `text`: canonical JSON of the entry."""

    sequence: int
    epoch: int
    at: str
    run: str
    text: str
    previous_hash: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainFault:
    """The first entry that does not fit, and why."""

    sequence: int
    sentence: str


def genesis(install_id: str) -> str:
    """What the first entry's `previous_hash` is: it binds the chain to this installation."""
    return hashlib.sha256(f"failover journal of {install_id}".encode()).hexdigest()


def hash_of(line: Line) -> str:
    """The hash that a line must carry."""
    body = json.dumps(
        [line.sequence, line.epoch, line.at, line.run, line.text], separators=(",", ":"), ensure_ascii=False
    )
    return hashlib.sha256(line.previous_hash.encode() + body.encode()).hexdigest()


def line_of(entry: JournalEntry) -> Line:
    """An entry as text. `hash` and `previous_hash` are taken over, not worked out."""
    return Line(
        sequence=entry.sequence,
        epoch=int(entry.epoch),
        at=entry.at.astimezone(UTC).isoformat(),
        run=entry.run,
        text=canonical_json(entry.entry),
        previous_hash=entry.previous_hash,
        hash=entry.hash,
    )


def linked(entry: JournalEntry, previous_hash: str) -> tuple[JournalEntry, Line]:
    """The entry linked to the one before it, as a value and as text."""
    unsigned = replace(line_of(entry), previous_hash=previous_hash, hash="")
    line = replace(unsigned, hash=hash_of(unsigned))
    return replace(entry, previous_hash=previous_hash, hash=line.hash), line


def sealed(entry: JournalEntry, previous_hash: str) -> JournalEntry:
    """The entry, linked to the one before it."""
    return linked(entry, previous_hash)[0]


def verify(lines: Iterable[Line], *, first_previous: str, first_sequence: int = 1) -> ChainFault | None:
    """The first fault of a stretch of lines, or None. `first_previous`: genesis, or the hash before the first line.

    A chain cannot show that its end was cut off, nor that all of it was written anew: `verify_anchors` does.
    """
    previous, expected = first_previous, first_sequence
    for line in lines:
        if line.sequence != expected:
            return ChainFault(
                sequence=expected, sentence=f"entry {expected} is missing (found {line.sequence})"
            )
        if line.previous_hash != previous:
            return ChainFault(
                sequence=line.sequence, sentence=f"entry {line.sequence} does not follow the entry before it"
            )
        if line.hash != hash_of(line):
            return ChainFault(
                sequence=line.sequence, sentence=f"entry {line.sequence} was changed after it was written"
            )
        previous, expected = line.hash, expected + 1
    return None


def verify_anchors(lines: Iterable[Line], anchors: Iterable[tuple[int, str]]) -> ChainFault | None:
    """Whether every anchor (sequence, hash) noted elsewhere is still in the journal; finds truncation and rewriting."""
    wanted = dict(anchors)
    found = {line.sequence: line.hash for line in lines if line.sequence in wanted}
    return next(_missing(wanted, found), None)


def _missing(wanted: dict[int, str], found: dict[int, str]) -> Iterator[ChainFault]:
    for sequence in sorted(wanted):
        if sequence not in found:
            sentence = (
                f"entry {sequence} was noted elsewhere and is not here: the journal was cut off or restored"
            )
            yield ChainFault(sequence=sequence, sentence=sentence)
        elif found[sequence] != wanted[sequence]:
            sentence = (
                f"entry {sequence} was noted elsewhere as {wanted[sequence][:12]}: the journal was rewritten"
            )
            yield ChainFault(sequence=sequence, sentence=sentence)

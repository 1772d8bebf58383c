"""The hash chain of the journal: hash = SHA-256(previous hash || canonical JSON of the entry without its hash)."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from failover.model.codec import canonical_json
from failover.model.journal import JournalEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainFault:
    """The first entry that does not fit, and why."""

    sequence: int
    sentence: str


def genesis(install_id: str) -> str:
    """What the first entry's `previous_hash` is: it binds the chain to this installation."""
    return hashlib.sha256(f"failover journal of {install_id}".encode()).hexdigest()


def hash_of(entry: JournalEntry) -> str:
    """The hash that an entry must carry."""
    text = canonical_json(replace(entry, hash="", previous_hash=""))
    return hashlib.sha256(entry.previous_hash.encode() + text.encode()).hexdigest()


def sealed(entry: JournalEntry, previous_hash: str) -> JournalEntry:
    """The entry, linked to the one before it."""
    linked = replace(entry, previous_hash=previous_hash, hash="")
    return replace(linked, hash=hash_of(linked))


def verify(
    entries: Iterable[JournalEntry], *, first_previous: str, first_sequence: int = 1
) -> ChainFault | None:
    """The first fault of a run of entries, or None. `first_previous`: genesis, or the hash before the first entry."""
    previous, expected = first_previous, first_sequence
    for entry in entries:
        if entry.sequence != expected:
            return ChainFault(
                sequence=expected, sentence=f"entry {expected} is missing (found {entry.sequence})"
            )
        if entry.previous_hash != previous:
            return ChainFault(sequence=entry.sequence, sentence="does not follow the entry before it")
        if entry.hash != hash_of(entry):
            return ChainFault(sequence=entry.sequence, sentence="was changed after it was written")
        previous, expected = entry.hash, expected + 1
    return None


def verify_anchors(entries: Sequence[JournalEntry], anchors: Iterable[tuple[int, str]]) -> ChainFault | None:
    """Whether every anchor (sequence, hash) noted elsewhere is still in the journal; finds truncation and rewriting."""
    by_sequence = {entry.sequence: entry.hash for entry in entries}
    for sequence, digest in sorted(anchors):
        if by_sequence.get(sequence) != digest:
            return ChainFault(
                sequence=sequence, sentence=f"an anchor noted elsewhere says {digest[:12]} here"
            )
    return None

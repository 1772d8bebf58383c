"""The hash chain of the journal: whatever is done to it afterwards is found, and where."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failover.execution.chain import Line, genesis, hash_of, line_of, linked, sealed, verify, verify_anchors
from failover.model.codec import canonical_json, from_plain
from failover.model.journal import Entry, JobFinished, LeaderChanged, PersonSaid, PolicyLoaded
from tests.execution.worlds import journal

FIRST = genesis("installation-1")
ENTRIES: tuple[Entry, ...] = (
    LeaderChanged(holder="alpha", epoch=7, previous=""),  # type: ignore[arg-type]
    PolicyLoaded(generation="0123456789abcdef"),
    PersonSaid(verb="pause", actor="ada@desk", reason="Wartung — größer als gedacht"),
    PersonSaid(verb="resume", actor="ada@desk"),
    JobFinished(schedule="drill", result="done", sentence="all well"),
    PersonSaid(verb="ack", target="north-1", actor="ada@desk"),
)


def chain(entries: tuple[Entry, ...] = ENTRIES) -> list[Line]:
    lines, previous = [], FIRST
    for entry in journal(entries, run=""):
        _, line = linked(entry, previous)
        lines.append(line)
        previous = line.hash
    return lines


LINES = chain()
PLACES = st.integers(0, len(LINES) - 1)


def fault(lines: list[Line]) -> tuple[int, str] | None:
    found = verify(lines, first_previous=FIRST)
    return None if found is None else (found.sequence, found.sentence)


def test_an_untouched_journal_verifies_whole_and_in_stretches() -> None:
    assert fault(LINES) is None
    assert fault([]) is None
    for begin in range(1, len(LINES)):
        rest = LINES[begin:]
        assert verify(rest, first_previous=LINES[begin - 1].hash, first_sequence=begin + 1) is None


def test_an_entry_and_its_line_carry_the_same_hash() -> None:
    entry = journal(ENTRIES, run="")[2]
    value, line = linked(entry, FIRST)
    assert sealed(entry, FIRST) == value
    assert line_of(value) == line


@given(
    PLACES, st.sampled_from(["sequence", "epoch", "at", "run", "text", "previous_hash", "hash"]), st.data()
)
def test_whatever_is_flipped_is_found_at_its_place(place: int, name: str, data: st.DataObject) -> None:
    lines = list(LINES)
    old = getattr(lines[place], name)
    if isinstance(old, int):
        changed: object = old ^ (1 << data.draw(st.integers(0, 20)))
    else:
        at = data.draw(st.integers(0, max(0, len(old) - 1)))
        changed = f"{old[:at]}{'x' if old[at : at + 1] != 'x' else 'y'}{old[at + 1 :]}"
    lines[place] = replace(lines[place], **{name: changed})  # type: ignore[arg-type]
    found = fault(lines)
    assert found is not None
    assert place < found[0] <= place + 2


@given(PLACES)
def test_a_deleted_entry_is_missing_unless_it_was_the_last(place: int) -> None:
    lines = LINES[:place] + LINES[place + 1 :]
    if place == len(LINES) - 1:
        assert fault(lines) is None, "an end that was cut off needs an anchor"
    else:
        assert fault(lines) == (place + 1, f"entry {place + 1} is missing (found {place + 2})")


@given(st.permutations(LINES))
def test_an_order_that_was_changed_is_found(lines: list[Line]) -> None:
    assert (fault(lines) is None) == (lines == LINES)


@given(PLACES)
def test_a_deletion_that_was_numbered_anew_is_found(place: int) -> None:
    kept = LINES[:place] + LINES[place + 1 :]
    renumbered = [replace(line, sequence=number + 1) for number, line in enumerate(kept)]
    assert (fault(renumbered) is None) == (place == len(LINES) - 1)


@pytest.mark.parametrize("left", range(len(LINES)))
def test_an_end_that_was_cut_off_is_found_by_an_anchor_noted_elsewhere(left: int) -> None:
    anchor = (LINES[-1].sequence, LINES[-1].hash)
    assert verify_anchors(LINES, [anchor]) is None
    found = verify_anchors(LINES[:left], [anchor])
    assert found is not None
    assert found.sequence == 6
    assert "cut off or restored" in found.sentence


def test_a_journal_that_was_written_anew_from_some_point_is_found_by_its_anchors() -> None:
    forged = chain((*ENTRIES[:3], PersonSaid(verb="resume", actor="nobody"), *ENTRIES[4:]))
    assert fault(forged) is None, "in itself it is without fault"
    anchors = [(line.sequence, line.hash) for line in LINES]
    found = verify_anchors(forged, anchors)
    assert found is not None
    assert found.sequence == 4
    assert "rewritten" in found.sentence
    assert verify_anchors(forged, anchors[:3]) is None


def test_another_installations_journal_is_not_ours() -> None:
    found = verify(LINES, first_previous=genesis("installation-2"))
    assert found is not None
    assert found.sequence == 1


def test_the_text_is_hashed_as_written_so_that_a_field_added_later_breaks_nothing() -> None:
    line = LINES[2]
    older = canonical_json({"kind": "person-said", "verb": "pause", "actor": "ada"})
    _, kept = linked(journal(ENTRIES, run="")[0], FIRST)
    unsigned = replace(kept, text=older, hash="")
    signed = replace(unsigned, hash=hash_of(unsigned))
    assert verify([signed], first_previous=FIRST) is None
    assert from_plain(PersonSaid, {"verb": "pause", "actor": "ada"}).reason == ""
    assert "größer" in line.text, "people's words are kept as they wrote them"

"""Entries of the journal as a person follows them."""

from failover.cli.telling import Teller


def test_what_resolvers_gave_is_told_in_one_line() -> None:
    answers = [{"matches": True}, {"matches": False}]
    row = {"run": "run-1", "entry": {"kind": "resolvers-asked", "step": "records:shop", "answers": answers}}
    told = Teller(lambda run: [])
    assert told.progress(row) == "records:shop given by 1 of 2 resolvers after the old TTL"

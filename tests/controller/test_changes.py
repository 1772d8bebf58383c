"""I12: what is counted of changes, where several runs change one target at a time."""

import pytest

from failover.controller.changes import Changes
from failover.model.errors import StoreUnavailable


def test_what_was_sent_counts_for_a_second() -> None:
    changes = Changes()
    changes.note("south-1", 10.0)
    changes.note("south-1", 10.5)
    assert changes.last_second(10.9) == {"south-1": 2}
    assert changes.last_second(11.2) == {"south-1": 1}
    assert changes.last_second(11.6) == {}
    assert changes.latest() == changes.last_sent(11.6) == {"south-1": 10.5}


def test_what_is_permitted_counts_until_it_is_sent_and_then_as_sent() -> None:
    """Two runs would otherwise find the same room, while the first one's intents are on their way to the journal."""
    changes = Changes()
    with changes.permits() as permits:
        permits.hold("south-1")
        assert changes.last_second(10.0) == {"south-1": 1}
        assert changes.last_sent(10.0) == {"south-1": 10.0}
        assert changes.latest() == {}, "nothing has changed there yet"
        permits.spend("south-1")
        changes.note("south-1", 10.1)
        assert changes.last_second(10.2) == {"south-1": 1}
    assert changes.last_second(10.3) == {"south-1": 1}
    assert changes.last_second(11.5) == {}


def test_what_a_batch_did_not_send_is_given_back_however_it_ends() -> None:
    changes = Changes()
    permits = changes.permits()
    permits.hold("south-1")
    permits.hold("south-1")
    permits.spend("south-1")
    with pytest.raises(StoreUnavailable), permits:
        raise StoreUnavailable("the journal does not take it")
    assert changes.last_second(10.0) == {}
    assert changes.last_sent(10.0) == {}


def test_one_batch_spends_nothing_of_another() -> None:
    changes = Changes()
    with changes.permits() as one, changes.permits() as other:
        one.hold("south-1")
        other.spend("south-1")
        assert changes.last_second(10.0) == {"south-1": 1}

"""A target that could not be read is left alone for longer each time, and for as long as it asks."""

from failover.controller.retries import Retries
from failover.model.errors import Throttled, Unavailable


def test_the_wait_doubles_is_bounded_and_begins_anew_with_a_success() -> None:
    retries = Retries(most_s=2.0)
    waits = [retries.wait_s("south-1", Unavailable("no answer", target="south-1")) for _ in range(6)]
    assert waits == [0.25, 0.5, 1.0, 2.0, 2.0, 2.0]
    assert retries.wait_s("west-1", Unavailable("no answer", target="west-1")) == 0.25
    retries.well("south-1")
    assert retries.wait_s("south-1", Unavailable("no answer", target="south-1")) == 0.25


def test_what_a_target_asks_for_is_kept_to() -> None:
    error = Throttled("too many requests", target="south-1", retry_after_s=7.0)
    assert Retries(most_s=2.0).wait_s("south-1", error) == 7.0

"""I12: how many changes may go to one target now. The guard asks it, and so does who composes a batch."""


def room(rate: float, *, sent_last_second: int, since_last_s: float | None) -> int:
    """Further changes that may be sent now, at `rate` changes a second. `since_last_s`: None where none was sent yet.

    A rate below one a second is a distance in time: 0.5 is one change every two seconds.
    """
    if rate >= 1:
        return max(0, int(rate) - sent_last_second)
    return int(since_last_s is None or since_last_s >= 1 / rate)

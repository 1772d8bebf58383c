"""The confirm clock: how long a quorum has been down without an outside success, before automation may act.

It begins when a signal's state falls to down (a quorum of votes, no dissent), runs while the quorum's latest observations
are failures and no outside vantage's latest fresh one is a success, and any such success sets it back to zero. `fall` and
`confirm` therefore follow each other: 3 s + 2 s in `fast`, which is what DESIGN section 4's simulated figures rest on.

What brought the state down may also be that a dissenter was cordoned or began to abstain: then the clock begins now, and
never in the past.
"""

from typing import NamedTuple

from failover.health.quorum import Tally
from failover.model.policy import Timing
from failover.model.verdict import VerdictKind


class Confirmation(NamedTuple):
    """`confirming_s`: how long so far, None while the clock stands still; `needed_s`: how long it must run.

    `data_confirmed`: the same of the data plane alone.
    """

    confirmed: bool
    data_confirmed: bool
    confirming_s: float | None
    needed_s: float
    dissent_possible: bool


def advance(clock: float | None, tally: Tally, judged_mono: float, now_mono: float) -> float | None:
    """When the clock began (monotonic seconds), or None while it stands still. `judged_mono`: the judgement before."""
    if tally.down_floor is None:
        return None
    floor = min(tally.down_floor, now_mono)
    return max(floor, judged_mono) if clock is None else max(floor, clock)


def confirmation(
    kind: VerdictKind,
    *,
    data_clock: float | None,
    control_clock: float | None,
    voting_outside: int,
    quorum: int,
    timing: Timing,
    now_mono: float,
) -> Confirmation:
    """For DOWN both signals must have held; otherwise the data plane alone.

    With fewer than quorum + 1 outside votes nobody could dissent: then it takes at least 30 s (the policy's
    `confirm_without_dissent_s`).
    """
    dissent_possible = voting_outside >= quorum + 1
    needed = timing.confirm_s
    if not dissent_possible:
        needed = max(needed, timing.confirm_without_dissent_s)
    if not kind.no_longer_serves:
        return Confirmation(
            confirmed=False,
            data_confirmed=False,
            confirming_s=None,
            needed_s=needed,
            dissent_possible=dissent_possible,
        )
    data = _running((data_clock,), now_mono)
    confirming = _running((data_clock, control_clock), now_mono) if kind is VerdictKind.DOWN else data
    return Confirmation(
        confirmed=confirming is not None and confirming >= needed,
        data_confirmed=data is not None and data >= needed,
        confirming_s=confirming,
        needed_s=needed,
        dissent_possible=dissent_possible,
    )


def _running(clocks: tuple[float | None, ...], now_mono: float) -> float | None:
    """How long all of these clocks have run; None while one of them stands still."""
    began = [clock for clock in clocks if clock is not None]
    if len(began) < len(clocks):
        return None
    return max(0.0, now_mono - max(began))

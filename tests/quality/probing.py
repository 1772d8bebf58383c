"""What the vantages send: probe series at the shipped pace, what each probe meets, and when the controller hears of it.

As `failover.probes.cadence`: the first probe at a random phase, then every interval with jitter, never two at once of a
series. As `failover.web.vantage`: results are posted every 0.1 s, over a network of 10 to 50 ms one way. A success takes
50 ms; a probe meets what holds when it starts (a connection that begins in the dark is not saved by a retransmission).
"""

import math
import random
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import NamedTuple

from failover.model.ids import VantageName
from failover.model.observation import Outcome, Signal
from failover.model.policy import Timing
from failover.web.vantage import POST_EVERY_S

from .panels import SIGNALS

ANSWER_S = 0.05
NETWORK_S = (0.01, 0.05)

Answer = Callable[[Signal, float], Outcome | None]
"""What a vantage gets for a probe of a signal that starts at a second; None: it does not probe any more."""


class Heard(NamedTuple):
    """One observation on its way. `age_s`: since its probe ended, when it was posted."""

    arrival: float
    ended: float
    vantage: VantageName
    signal: Signal
    outcome: Outcome
    age_s: float


def probe_all(
    answers: Mapping[VantageName, Answer],
    timing: Timing,
    *,
    begin: float,
    end: float,
    chance: random.Random,
    signals: Iterable[Signal] = SIGNALS,
) -> list[Heard]:
    """Every observation of probes that start from `begin` to `end`, in order of arrival."""
    found: list[Heard] = []
    for vantage, answer in answers.items():
        network_s = chance.uniform(*NETWORK_S)
        post_phase = chance.uniform(0.0, POST_EVERY_S)
        for signal in signals:
            for ended, outcome in _series(answer, signal, timing, begin, end, chance):
                posted = math.ceil((ended - post_phase) / POST_EVERY_S) * POST_EVERY_S + post_phase
                found.append(Heard(posted + network_s, ended, vantage, signal, outcome, posted - ended))
    found.sort(key=attrgetter("arrival", "ended"))
    return found


def _series(
    answer: Answer, signal: Signal, timing: Timing, begin: float, end: float, chance: random.Random
) -> Iterable[tuple[float, Outcome]]:
    shortest, longest = timing.interval_s * (1 - timing.jitter), timing.interval_s * (1 + timing.jitter)
    uniform = chance.uniform
    start = begin + uniform(0.0, timing.interval_s)
    while start < end:
        outcome = answer(signal, start)
        if outcome is None:
            return
        ended = start + (timing.timeout_s if outcome is Outcome.TIMEOUT else ANSWER_S)
        yield ended, outcome
        start = max(start + uniform(shortest, longest), ended)

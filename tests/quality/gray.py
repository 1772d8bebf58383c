"""Gray failures: a share of the probes fails, at random. How soon the shipped judge says so, and that it never evacuates.

**Noticed** is the first judgement that tells `degraded`: as the verdict, or, where the errors have taken up votes away, beside
it. Only D fails then (a control plane that fails has alerts of its own).

**Convicted** by itself a region can only be while the latest outcomes of all outside vantages are failures for as long as
`confirm` takes, so that the last `c` outcomes of each are, with `c` the fewest that fit into `confirm` and one before. The
estimator is that of `alarms`, with these moments for overlaps: outcomes are independent of one another, so an observation of
one vantage completes such a row, after a success, `(1/i) (1-p) p^c` times a second, and finds every other vantage in one with
probability `p^c`; given that, what came before and what comes after is independent again. C fails at the same rate, which is
harder than a gray data plane alone.
"""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

from failover.health.expectation import confirm_s
from failover.model.ids import VantageName
from failover.model.observation import Outcome, Signal

from .alarms import SLACK_S, Count, Estimate, count_events, dangerous, estimate
from .blips import YEAR_S
from .panels import Bench, C, D, bench_for
from .playing import TICK_S, Play
from .probing import Answer, Heard, probe_all

SHARE = 0.3
SETTLE, RECENT, LATER = 120, 20, 25
"""Intervals: after which no vote remembers its beginning; that are looked at first; and after which no row goes on."""
HARMLESS_PLAYS = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Onsets:
    """A question: `plays` beginnings of a gray failure that all outside vantages meet alike."""

    panel: str
    profile: str
    plays: int
    share: float = SHARE
    seed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noticed:
    """Seconds from each onset until it was told, in order."""

    question: Onsets
    told: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A question: `rows` moments of a lasting gray failure of D and C at which the latest outcomes all fail."""

    panel: str
    profile: str
    rows: int
    share: float = SHARE
    seed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endured:
    """`years` of gray failure that the drawn moments stand for; how often a year automation might steer away, and evacuate."""

    question: Rows
    years: float
    played: int
    steered: Estimate
    evacuated: Estimate


def onsets(question: Onsets) -> Noticed:
    """Let gray failures begin, again and again."""
    bench = bench_for(question.panel, question.profile)
    chance = random.Random(f"{question}")
    found = []
    for _ in range(question.plays):
        begin, end = -2.0 * bench.timing.interval_s, 300.0

        def answer(signal: Signal, second: float) -> Outcome:
            bad = second >= 0 and signal is D and chance.random() < question.share
            return Outcome.SERVER_ERROR if bad else Outcome.OK

        answers: dict[VantageName, Answer] = dict.fromkeys(bench.panel.names, answer)
        heard = probe_all(answers, bench.timing, begin=begin, end=end, chance=chance)
        steps = Play(bench, heard, begin=begin).steps(end)
        found.append(next(step.second for step in steps if step.told("degraded")))
    return Noticed(question=question, told=tuple(sorted(found)))


def rows(question: Rows) -> Endured:
    """Draw the moments at which a gray failure looks like an outage, and play the judge over them."""
    bench = bench_for(question.panel, question.profile)
    panel, timing, share = bench.panel, bench.timing, question.share
    needed_s = confirm_s(timing, outside=panel.outside, quorum=panel.quorum) - SLACK_S
    length = row_length(bench)
    per_second = panel.outside * (1 - share) * share ** (length * panel.outside) / timing.interval_s
    harmless = min(1.0, HARMLESS_PLAYS / question.rows)
    chance = random.Random(f"{question}")
    counted: list[tuple[float, Count]] = []
    for _ in range(question.rows):
        recent = [
            _row(bench, name, length, share, chance, completes=place == 0)
            for place, name in enumerate(panel.outside_names)
        ]
        heard = sorted(item for row in recent for item in row)
        weight = 1.0
        if not dangerous(heard, timing, panel.outside, panel.quorum, needed_s):
            if chance.random() >= harmless:
                continue
            weight = 1 / harmless
        counted.append((weight, _play(bench, recent, share, chance)))
    per_year = per_second * YEAR_S
    return Endured(
        question=question,
        years=question.rows / per_year,
        played=len(counted),
        steered=estimate(per_year, [(w, c.acted) for w, c in counted], question.rows),
        evacuated=estimate(per_year, [(w, c.evacuated) for w, c in counted], question.rows),
    )


def row_length(bench: Bench) -> int:
    """The fewest outcomes of one series that come in while `confirm` runs, and the one before."""
    timing, panel = bench.timing, bench.panel
    needed_s = confirm_s(timing, outside=panel.outside, quorum=panel.quorum) - TICK_S
    return math.floor(needed_s / (timing.interval_s * (1 + timing.jitter))) + 1


def _row(
    bench: Bench,
    vantage: VantageName,
    length: int,
    share: float,
    chance: random.Random,
    *,
    completes: bool,
) -> list[Heard]:
    """D of one vantage around second 0. `completes`: an observation of it completes its row just then, after a success."""
    pace = _pace(bench, chance)
    if completes:
        latest, following = 0.0, next(pace)
    else:
        # A step that spans a given moment is longer the likelier it is to span one.
        step = next(one for one in pace if chance.random() * bench.timing.interval_s * 2 < one)
        following = chance.uniform(0.0, step)
        latest = following - step
    found = []
    for number, second in enumerate(_steps(latest, -RECENT * bench.timing.interval_s, pace)):
        known_good = completes and number == length
        bad = number < length or (not known_good and chance.random() < share)
        found.append(_heard(vantage, D, second, bad))
    for second in _steps(following, LATER * bench.timing.interval_s, pace):
        found.append(_heard(vantage, D, second, chance.random() < share))
    return found


def _play(bench: Bench, recent: list[list[Heard]], share: float, chance: random.Random) -> Count:
    """Judge the moment with its past, and with C beside it."""
    interval_s = bench.timing.interval_s
    begin, end = -SETTLE * interval_s, LATER * interval_s
    heard = [item for row in recent for item in row]
    for row in recent:
        oldest = min(item.arrival for item in row)
        pace = _pace(bench, chance)
        for second in _steps(oldest - next(pace), begin, pace):
            heard.append(_heard(row[0].vantage, D, second, chance.random() < share))
    for name in bench.panel.names:
        pace = _pace(bench, chance)
        for second in _steps(begin + chance.uniform(0.0, interval_s), end, pace):
            heard.append(_heard(name, C, second, chance.random() < share))
    ends = min(item.arrival for item in heard if _ends_it(item))
    return count_events(bench, sorted(heard), begin=begin, ends=ends, hurry_until=-RECENT * interval_s)


def _ends_it(item: Heard) -> bool:
    return item.arrival > 0 and item.signal is D and item.outcome is Outcome.OK


def _pace(bench: Bench, chance: random.Random) -> Iterator[float]:
    timing = bench.timing
    while True:
        yield timing.interval_s * chance.uniform(1 - timing.jitter, 1 + timing.jitter)


def _steps(start: float, end: float, pace: Iterator[float]) -> Iterator[float]:
    """From start on, towards the end, backwards where it lies before."""
    second, direction = start, math.copysign(1.0, end - start)
    while (end - second) * direction > 0:
        yield second
        second += direction * next(pace)


def _heard(vantage: VantageName, signal: Signal, second: float, bad: bool) -> Heard:
    """Heard as soon as it has ended: transport would shift all of them alike."""
    return Heard(second, second, vantage, signal, Outcome.SERVER_ERROR if bad else Outcome.OK, 0.0)

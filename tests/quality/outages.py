"""Real failures: how long the shipped judge takes to see a dead region, and what one vantage that always says up does.

Everyone outside sees the region die at second 0, on D and on C; a vantage inside dies with it. Seconds are counted to the
judgement that says so, so that they include the probe's answer, the post, the network and the tick.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from failover.model.ids import VantageName
from failover.model.observation import Outcome, Signal
from failover.model.verdict import VerdictKind

from .panels import REGION, Bench, bench_for
from .playing import Play
from .probing import Answer, probe_all

CORDON_AFTER_S = 30.0
"""Somebody who was paged takes this long to cordon the vantage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deaths:
    """A question: `plays` deaths of a region, which refuses connections or is silent."""

    panel: str
    profile: str
    silent: bool
    plays: int
    seed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Seconds from each death to its confirmed `DOWN`, in order, and to the first verdict that lets automation steer."""

    question: Deaths
    confirmed: tuple[float, ...]
    steered: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Liars:
    """A question: `plays` silent deaths of a region, which one outside vantage always reports up."""

    panel: str
    profile: str
    plays: int
    seed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """`acted`: plays in which automation might have acted before the cordon. `paged`, `named`: seconds from death to the page
    (PATH_PROBLEM) and to the one that names the vantage (lone-dissenter); `paged_after`: from the disagreement (a quorum down,
    the vantage up) to that one; `released`: from the cordon to the confirmed verdict.
    """

    question: Liars
    acted: int
    paged: tuple[float, ...]
    named: tuple[float, ...]
    paged_after: tuple[float, ...]
    released: tuple[float, ...]


def quantile(values: Sequence[float], share: float) -> float:
    """The value that this share of the values does not exceed (values in order)."""
    return values[min(len(values) - 1, max(0, round(share * len(values) + 0.5) - 1))]


def deaths(question: Deaths) -> Seen:
    """Kill the region again and again."""
    bench = bench_for(question.panel, question.profile)
    chance = random.Random(f"{question}")
    pairs = [_death(bench, question.silent, chance) for _ in range(question.plays)]
    return Seen(
        question=question,
        confirmed=tuple(sorted(pair[0] for pair in pairs)),
        steered=tuple(sorted(pair[1] for pair in pairs)),
    )


def _death(bench: Bench, silent: bool, chance: random.Random) -> tuple[float, float]:
    begin, end = -2.0 * bench.timing.interval_s, 120.0
    heard = probe_all(_answers(bench, silent), bench.timing, begin=begin, end=end, chance=chance)
    steered = None
    for step in Play(bench, heard, begin=begin).steps(end):
        if steered is None and step.verdict.data_confirmed:
            steered = step.second
        if step.verdict.confirmed and step.verdict.kind is VerdictKind.DOWN:
            assert steered is not None
            return step.second, steered
    raise AssertionError(f"a dead region was never confirmed: {step.verdict.sentence}")


def _answers(bench: Bench, silent: bool, liar: str = "") -> dict[VantageName, Answer]:
    failure = Outcome.TIMEOUT if silent else Outcome.REFUSED

    def outside(signal: Signal, second: float) -> Outcome:
        return failure if second >= 0 else Outcome.OK

    def inside(signal: Signal, second: float) -> Outcome | None:
        return None if second >= 0 else Outcome.OK

    def lies(signal: Signal, second: float) -> Outcome:
        return Outcome.OK

    answers: dict[VantageName, Answer] = {
        name: inside if name == REGION else outside for name in bench.panel.names
    }
    if liar:
        answers[VantageName(liar)] = lies
    return answers


def liars(question: Liars) -> Blocked:
    """Kill the region while one vantage goes on to see it up; cordon that vantage after the page."""
    bench = bench_for(question.panel, question.profile)
    chance = random.Random(f"{question}")
    plays = [_lie(bench, chance) for _ in range(question.plays)]
    return Blocked(
        question=question,
        acted=sum(play.acted for play in plays),
        paged=tuple(sorted(play.paged for play in plays)),
        named=tuple(sorted(play.named for play in plays)),
        paged_after=tuple(sorted(play.named - play.disagreed for play in plays)),
        released=tuple(sorted(play.released - play.cordoned for play in plays)),
    )


@dataclass(slots=True)
class _Lie:
    """Seconds of one play; negative: not yet."""

    disagreed: float = -1.0
    paged: float = -1.0
    named: float = -1.0
    cordoned: float = -1.0
    released: float = -1.0
    acted: bool = False


def _lie(bench: Bench, chance: random.Random) -> _Lie:
    liar = bench.panel.outside_names[0]
    begin, end = -2.0 * bench.timing.interval_s, 200.0
    heard = probe_all(_answers(bench, True, liar), bench.timing, begin=begin, end=end, chance=chance)
    play, told = Play(bench, heard, begin=begin), _Lie()
    for step in play.steps(end):
        if told.cordoned < 0 and (step.verdict.confirmed or step.verdict.data_confirmed):
            told.acted = True
        if told.disagreed < 0 and step.verdict.kind is VerdictKind.PATH_PROBLEM:
            told.disagreed = step.second
        if told.paged < 0 and step.paged("path-problem"):
            told.paged = step.second
        if told.named < 0 and step.paged("lone-dissenter"):
            told.named = step.second
        if told.cordoned < 0 <= told.named <= step.second - CORDON_AFTER_S:
            told.cordoned = step.second
            play.cordoned = frozenset({liar})
        if told.cordoned >= 0 and step.verdict.confirmed and step.verdict.kind is VerdictKind.DOWN:
            told.released = step.second
            return told
    raise AssertionError(f"not released by a cordon: {step.verdict.sentence}")

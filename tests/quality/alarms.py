"""False alarms: how often blips of paths alone make the shipped judge act, or wake somebody, though the region serves.

**The estimator.** `blips` draws the overlaps that are necessary for the event and says how many there are a year; the judge
is played over each, at probe granularity, with its past; what happens inside the overlap is counted. To save the judge's
time, an overlap that looks harmless is played only with probability `c` and then counts `1/c`-fold (Russian roulette); one
that looks `dangerous` is always played. So

    rate = overlaps a year x mean(X),  X = 0 if not played, else (events inside) / (probability of being played),

which is unbiased whatever `dangerous` says and whatever the judge does: a bad guess costs variance, never truth. Its standard
error is `overlaps a year x sd(X) / sqrt(n)`.

**What is necessary.** No data is not down, and every observation of a quorum must be a failure: so a quorum of paths is in
shadow whenever the judge may act at all (`Rule.QUORUM`). With the rule of dissent all outside paths are (`Rule.ALL`), as any
success stops the clock: that is far rarer, and conditioning on it makes the small numbers measurable. That the rule does
what it says is not assumed: `Rule.QUORUM` is also played with the shipped judge, every overlap, for whole millennia.
A page for `PATH_PROBLEM` needs so many paths that no quorum votes up, in shadow for as long as a vote takes to come back.
"""

import math
import random
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from enum import StrEnum

from failover.health.expectation import confirm_s
from failover.lab.simulation.mutants import MUTANTS
from failover.model.ids import VantageName
from failover.model.observation import Outcome, Signal
from failover.model.policy import Timing
from failover.model.verdict import VerdictKind

from .blips import Blips, Crowd, Darkness, Overlap, overlap, whole
from .panels import Bench, D, Panel, bench_for
from .playing import Play
from .probing import Answer, Heard, probe_all

SLACK_S = 0.35
"""From a probe's end to the tick that judges it: the answer, waiting for a post, the network, waiting for a tick."""
HARMLESS_PLAYS = 25
"""So many of the overlaps that look harmless are played on average."""


class Rule(StrEnum):
    """Which overlaps are drawn."""

    ALL = "all outside paths in the dark"
    QUORUM = "a quorum of paths in the dark"
    UNDECIDED = "so many in the dark that no quorum votes up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One estimate. `dissent`: the shipped judge, otherwise the mutant without the rule; `overlaps`: how many are drawn;
    `play_all`: also those that look harmless.
    """

    panel: str
    profile: str
    blips: Blips
    rule: Rule
    dissent: bool = True
    overlaps: int = 1000
    play_all: bool = False
    seed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """What happened inside one overlap. `acted`: D confirmed, so that automation may steer; `evacuated`: DOWN confirmed."""

    acted: int = 0
    evacuated: int = 0
    pages: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Events a region-year with the standard error. `seen`: events that were played; `played` of `drawn` overlaps."""

    per_year: float
    error: float
    seen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The estimates of one question. `region_years`: for which the drawn overlaps stand. `pages`: where `Rule.UNDECIDED` was asked."""

    question: Question
    drawn: int
    played: int
    region_years: float
    acted: Estimate
    evacuated: Estimate
    pages: Estimate


def crowd_of(panel: Panel, timing: Timing, blips: Blips, rule: Rule) -> Crowd:
    """The crowd whose overlaps a rule draws."""
    shadow_s = timing.interval_s * (1 + timing.jitter) + SLACK_S
    together = {
        Rule.ALL: panel.outside,
        Rule.QUORUM: panel.quorum,
        Rule.UNDECIDED: panel.outside - panel.quorum + 1,
    }[rule]
    if rule is Rule.UNDECIDED:
        shadow_s = timing.rise * timing.interval_s * (1 + timing.jitter) + SLACK_S
    return Crowd(blips=blips, paths=panel.outside, together=together, shadow_s=shadow_s)


def ask(question: Question) -> Answered:
    """Draw the overlaps, play those that are to be played, and estimate. The same question gives the same answer."""
    bench = bench_for(question.panel, question.profile)
    crowd = crowd_of(bench.panel, bench.timing, question.blips, question.rule)
    chance = random.Random(f"{question}")
    harmless = 1.0 if question.play_all else min(1.0, HARMLESS_PLAYS / question.overlaps)
    played = 0
    counted: list[tuple[float, Count]] = []
    with judge_as(dissent=question.dissent):
        for _ in range(question.overlaps):
            found = _weighed(bench, crowd, question, harmless, chance)
            if found is not None:
                played += 1
                counted.append(found)
    estimates = {
        name: estimate(
            crowd.overlaps_per_year,
            [(weight, getattr(count, name)) for weight, count in counted],
            question.overlaps,
        )
        for name in ("acted", "evacuated", "pages")
    }
    return Answered(
        question=question,
        drawn=question.overlaps,
        played=played,
        region_years=question.overlaps / crowd.overlaps_per_year,
        **estimates,
    )


def judge_as(*, dissent: bool) -> AbstractContextManager[None]:
    """The shipped judge, or the mutant of the simulation that lacks the rule of dissent, while this is open."""
    if dissent:
        return nullcontext()
    (mutant,) = (one for one in MUTANTS if one.name == "no-dissent")
    return mutant.alive()


def _weighed(
    bench: Bench, crowd: Crowd, question: Question, harmless: float, chance: random.Random
) -> tuple[float, Count] | None:
    """One overlap: how often it counts, and what happened in it; None where it is not played."""
    found = overlap(crowd, chance)
    timing, panel = bench.timing, bench.panel
    needed_s = confirm_s(timing, outside=panel.outside, quorum=panel.quorum) - SLACK_S
    weight = 1.0
    if found.ends < needed_s:
        if chance.random() >= harmless:
            return None
        weight = 1 / harmless
    begin, heard = _script(bench, crowd, found, chance)
    if (
        weight == 1.0
        and harmless < 1.0
        and not dangerous(heard, timing, crowd.together, panel.quorum, needed_s)
    ):
        if chance.random() >= harmless:
            return None
        weight = 1 / harmless
    # Before the overlap no verdict can fall; a page, though, may have been waiting for its patience.
    hurry_until = -math.inf if question.rule is Rule.UNDECIDED else 0.0
    return weight, count_events(bench, heard, begin=begin, ends=found.ends, hurry_until=hurry_until)


def _script(
    bench: Bench, crowd: Crowd, found: Overlap, chance: random.Random
) -> tuple[float, Sequence[Heard]]:
    """When to begin, and all that the vantages send from there to the overlap's end."""
    timing, panel = bench.timing, bench.panel
    quiet_s = (timing.rise + 2) * timing.interval_s * (1 + timing.jitter) + timing.timeout_s + SLACK_S
    begin, paths = whole(crowd, found, quiet_s, chance)
    begin -= 2 * timing.interval_s
    answers = {name: path_answer(darkness) for name, darkness in zip(panel.names, paths, strict=False)}
    answers |= {name: path_answer([]) for name in panel.names if name not in answers}
    return begin, probe_all(answers, timing, begin=begin, end=found.ends, chance=chance)


def path_answer(darkness: Darkness) -> Answer:
    """What a vantage gets over a path that is dark at times: packets are lost, so probes time out."""

    def answer(signal: Signal, second: float) -> Outcome:
        dark = any(start <= second < end for start, end in darkness)
        return Outcome.TIMEOUT if dark else Outcome.OK

    return answer


def dangerous(heard: Iterable[Heard], timing: Timing, together: int, quorum: int, needed_s: float) -> bool:
    """Whether `together` vantages fail on D, a quorum of them for `fall` probes, for as long as confirm takes.

    Only a guess at what is worth playing: see the estimator above.
    """
    failures: dict[VantageName, int] = {}
    since: float | None = None
    for item in heard:
        if item.signal is not D:
            continue
        if since is not None and item.arrival - since >= needed_s:
            return True
        failures[item.vantage] = 0 if item.outcome is Outcome.OK else failures.get(item.vantage, 0) + 1
        failing = sum(1 for count in failures.values() if count)
        down = sum(1 for count in failures.values() if count >= timing.fall)
        if failing < together or down < quorum:
            since = None
        elif since is None:
            since = item.arrival
    return False


def count_events(
    bench: Bench, heard: Sequence[Heard], *, begin: float, ends: float, hurry_until: float = -math.inf
) -> Count:
    """Count what begins from second 0 to the overlap's end."""
    before = (False, False, False)
    totals = [0, 0, 0]
    for step in Play(bench, heard, begin=begin, hurry_until=hurry_until).steps(ends):
        verdict = step.verdict
        now = (
            verdict.data_confirmed,
            verdict.confirmed and verdict.kind is VerdictKind.DOWN,
            step.paged("path-problem"),
        )
        if step.second >= 0:
            totals = [total + (new and not old) for total, new, old in zip(totals, now, before, strict=True)]
        before = now
    return Count(acted=totals[0], evacuated=totals[1], pages=totals[2])


def estimate(per_year: float, counted: Sequence[tuple[float, int]], drawn: int) -> Estimate:
    values = deque(weight * count for weight, count in counted)
    mean = math.fsum(values) / drawn
    square = math.fsum(value * value for value in values) / drawn
    variance = max(0.0, square - mean * mean) / max(1, drawn - 1)
    return Estimate(
        per_year=per_year * mean,
        error=per_year * math.sqrt(variance),
        seen=sum(count for _, count in counted),
    )

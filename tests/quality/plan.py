"""What is asked, how much of it, and by whom: every question is a value, answered in any process with the same result."""

import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

from failover.health.expectation import BLIP_MEAN_S, BLIPS_PER_YEAR, false_evacuations

from .alarms import Question, Rule, ask, crowd_of
from .blips import Blips
from .gray import Onsets, Rows, onsets, rows
from .outages import Deaths, Liars, deaths, liars
from .panels import FIVE, FIVE_ONE_INSIDE, ONE, PANELS, PROFILES, THREE, Panel

RATES = (1, 10)
"""Blips a day of each path."""
LONG_YEARS = 101_000
"""Region-years that five vantages are played through without any conditioning on dissent; three get a two-hundredth of them.
What was drawn is told, and lies up to half a percent beside it.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How many events to see on average, or how many plays. `first`: of the figures with a limit."""

    first: int = 300
    others: int = 60
    tenfold: int = 40
    pages: int = 100
    long_years: int = LONG_YEARS
    deaths: int = 200
    liars: int = 30
    onsets: int = 300
    rows: int = 20_000


def path_blips(times_a_day: int) -> Blips:
    """The blips that `failover validate` reckons with, so many times as often."""
    return Blips(per_year=times_a_day * BLIPS_PER_YEAR, mean_s=BLIP_MEAN_S)


def closed_form(panel: Panel, profile: str, blips: Blips, *, dissent: bool) -> float:
    """False alarms a region-year as `failover validate` reckons them."""
    per_thousand = false_evacuations(
        PROFILES[profile],
        outside=panel.outside,
        quorum=panel.quorum,
        blips_per_year=blips.per_year,
        dissent=dissent,
    )
    return per_thousand / 1000


def questions(effort: Effort, seed: str) -> list[Any]:
    """Everything that `make quality` asks, the longest first."""
    found: list[Any] = []
    for profile in PROFILES:
        for panel in PANELS.values():
            for rate in RATES:
                found += _alarms(panel, profile, rate, effort, seed)
        found += _long(profile, effort, seed)
        for panel in PANELS.values():
            names = {"panel": panel.name, "profile": profile, "seed": seed}
            found += [Deaths(**names, silent=silent, plays=effort.deaths) for silent in (False, True)]
            if panel is not ONE:  # with one that lies nobody disagrees
                found.append(Liars(**names, plays=effort.liars))
            found.append(Onsets(**names, plays=effort.onsets))
            # Only this one has anything to show: of one vantage rows are many, and of the others none was ever seen.
            scarce = 1 if (panel, profile) == (THREE, "fast") else 10
            found.append(Rows(**names, rows=max(1, effort.rows // scarce)))
    return sorted(found, key=lambda question: -_cost(question))


def _alarms(panel: Panel, profile: str, rate: int, effort: Effort, seed: str) -> Iterator[Question]:
    blips = path_blips(rate)
    seen = effort.tenfold if rate > 1 else effort.first if panel is THREE else effort.others
    names = {"panel": panel.name, "profile": profile, "blips": blips, "seed": seed}
    for rule, dissent in ((Rule.ALL, True), (Rule.QUORUM, False)):
        if panel is ONE and not dissent:
            continue
        a_year = crowd_of(panel, PROFILES[profile], blips, rule).overlaps_per_year
        wanted = seen * a_year / closed_form(panel, profile, blips, dissent=dissent)
        yield Question(**names, rule=rule, dissent=dissent, overlaps=max(10, round(wanted)))
    if panel is not ONE:
        yield Question(**names, rule=Rule.UNDECIDED, overlaps=effort.pages, play_all=True)


def _long(profile: str, effort: Effort, seed: str) -> Iterator[Question]:
    blips = path_blips(1)
    for panel in (THREE, FIVE_ONE_INSIDE, FIVE):
        years = effort.long_years / 200 if panel is THREE else effort.long_years
        overlaps = years * crowd_of(panel, PROFILES[profile], blips, Rule.QUORUM).overlaps_per_year
        yield Question(
            panel=panel.name,
            profile=profile,
            blips=blips,
            rule=Rule.QUORUM,
            overlaps=max(1, round(overlaps)),
            play_all=True,
            seed=seed,
        )


def _cost(question: Any) -> float:
    """Roughly, in plays; what comes last should be short, so that no process ends alone."""
    if isinstance(question, Question):
        return float(min(question.overlaps, 500))
    if isinstance(question, Rows):
        return question.rows / 50
    return float(question.plays) / 2


def answer(question: Any) -> Any:
    """The answer to one question."""
    kinds = {Question: ask, Deaths: deaths, Liars: liars, Onsets: onsets, Rows: rows}
    return kinds[type(question)](question)


def answer_all(asked: Sequence[Any], *, processes: int) -> list[Any]:
    """The answers in the questions' order, whatever process was first; tells how far it is."""
    answers: dict[int, Any] = {}
    with ProcessPoolExecutor(max_workers=processes) as pool:
        numbers = {pool.submit(_timed, question): number for number, question in enumerate(asked)}
        for done in as_completed(numbers):
            number = numbers[done]
            answers[number], seconds = done.result()
            words = f"{len(answers):3} of {len(asked)}: {told(asked[number])} ({seconds:.0f} s)"
            print(words, file=sys.stderr, flush=True)
    return [answers[number] for number in range(len(asked))]


def _timed(question: Any) -> tuple[Any, float]:
    """The answer, and the processor's seconds that it took."""
    began = time.process_time()
    return answer(question), time.process_time() - began


def told(question: Any) -> str:
    """One question in words."""
    about = f"{question.panel}, {question.profile}"
    if isinstance(question, Question):
        judge = "" if question.dissent else ", without dissent"
        times = question.blips.per_year / BLIPS_PER_YEAR
        return f"{about}: {question.rule}, {times:g} a day{judge}"
    if isinstance(question, Deaths):
        return f"{about}: a region dies, {'silent' if question.silent else 'refusing'}"
    if isinstance(question, Liars):
        return f"{about}: one vantage always says up"
    return f"{about}: a gray failure {'begins' if isinstance(question, Onsets) else 'lasts'}"

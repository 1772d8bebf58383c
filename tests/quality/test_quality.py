"""`make quality` in small: the shipped judge, played over few samples, agrees with the closed form and keeps the limits."""

import json
import random
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from failover.health import quorum
from failover.health.expectation import detection_s
from failover.lab.simulation.mutants import MUTANTS

from .alarms import Question, Rule, ask, crowd_of, path_answer
from .blips import Blips, Crowd, overlap, whole
from .figures import DETECTION_MAX_S, Results, errors_off, figures
from .gray import Onsets, Rows, onsets, row_length, rows
from .outages import Deaths, Liars, deaths, liars, quantile
from .panels import FIVE_ONE_INSIDE, ONE, PANELS, PROFILES, THREE, bench_for
from .picture import draw
from .plan import Effort, answer_all, closed_form, path_blips, questions
from .playing import Play
from .probing import probe_all
from .report import as_json, judge, markdown, short

SEED = "tests"
HERE = Path(__file__).parent
DAILY = path_blips(1)


def alarms(panel: str, profile: str, seen: int, *, dissent: bool = True) -> Question:
    """A question that sees so many events on average."""
    rule = Rule.ALL if dissent else Rule.QUORUM
    a_year = crowd_of(PANELS[panel], PROFILES[profile], DAILY, rule).overlaps_per_year
    wanted = seen * a_year / closed_form(PANELS[panel], profile, DAILY, dissent=dissent)
    return Question(
        panel=panel,
        profile=profile,
        blips=DAILY,
        rule=rule,
        dissent=dissent,
        overlaps=round(wanted),
        seed=SEED,
    )


# -- the sampling ----------------------------------------------------------------------------------------------------------


def paths_in_plain(crowd: Crowd, seconds: float, chance: random.Random) -> tuple[int, float]:
    """Overlaps of a crowd, and the seconds that they last, counted in a plain simulation."""
    changes = []
    for _ in range(crowd.paths):
        second, until = chance.expovariate(crowd.blips.rate), -1.0
        while second < seconds:
            end = second + chance.expovariate(1 / crowd.blips.mean_s)
            if second > until:
                changes += [(until, -1), (second, 1)] if until >= 0 else [(second, 1)]
            until = end + crowd.shadow_s
            second = end + chance.expovariate(crowd.blips.rate)
    overlaps, lasted, count, began = 0, 0.0, 0, 0.0
    for second, change in sorted(changes):
        if change > 0 and count == crowd.together - 1:
            overlaps, began = overlaps + 1, second
        if change < 0 and count == crowd.together:
            lasted += second - began
        count += change
    return overlaps, lasted


@pytest.mark.parametrize(("paths", "together"), [(1, 1), (3, 3), (3, 2), (5, 3)])
def test_overlaps_are_as_frequent_and_as_long_as_in_a_plain_simulation(paths: int, together: int) -> None:
    """At rates at which a plain one sees enough of them; at a blip a day it would not in an age."""
    crowd = Crowd(
        blips=Blips(per_year=365.25 * 200, mean_s=30.0), paths=paths, together=together, shadow_s=8.0
    )
    chance = random.Random(SEED)
    seconds = 86_400.0 * 400
    overlaps, lasted = paths_in_plain(crowd, seconds, chance)
    drawn = [overlap(crowd, chance).ends for _ in range(4000)]
    expected = crowd.overlaps_per_year * seconds / (365.25 * 86_400)
    assert overlaps == pytest.approx(expected, rel=0.05 + 3 / expected**0.5)
    assert sum(drawn) / len(drawn) == pytest.approx(lasted / overlaps, rel=0.08)


def test_the_past_of_an_overlap_begins_when_all_is_well() -> None:
    crowd = crowd_of(THREE, PROFILES["balanced"], path_blips(1000), Rule.ALL)
    chance = random.Random(SEED)
    for _ in range(300):
        found = overlap(crowd, chance)
        begin, paths = whole(crowd, found, 40.0, chance)
        assert begin <= 0 < found.ends
        for darkness in paths:
            assert all(start < end for start, end in darkness)
            assert all(before[1] < after[0] for before, after in pairwise(darkness))
            assert not any(start < begin and end > begin - 40.0 for start, end in darkness)
            assert any(start <= 0 < end + crowd.shadow_s for start, end in darkness)


def test_ticks_that_are_skipped_would_have_changed_nothing() -> None:
    """What falls when, what is told, and how long it has been confirming: tick by tick the same."""
    bench = bench_for(THREE.name, "balanced")
    chance = random.Random(SEED)
    crowd = crowd_of(THREE, bench.timing, DAILY, Rule.QUORUM)
    for _ in range(4):
        found = overlap(crowd, chance)
        begin, paths = whole(crowd, found, 40.0, chance)
        answers = dict(zip(THREE.names, (path_answer(darkness) for darkness in paths), strict=True))
        heard = probe_all(answers, bench.timing, begin=begin - 10, end=found.ends, chance=chance)
        full, lean = (
            _turns(Play(bench, heard, begin=begin - 10, every_tick=every), found.ends)
            for every in (True, False)
        )
        assert full == lean


def _turns(play: Play, end: float) -> list[tuple[object, ...]]:
    turns: list[tuple[object, ...]] = []
    for step in play.steps(end):
        verdict = step.verdict
        codes = tuple((alert.code, alert.page) for alert in step.judgement.alerts)
        now = (verdict.kind, verdict.confirmed, verdict.data_confirmed, verdict.confirming_s is None, codes)
        if not turns:
            turns.append(("at first", *now))
        elif turns[-1][1:] != now:
            turns.append((round(step.second, 3), *now))
    return turns


# -- false alarms ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("panel", "profile", "seen", "dissent"),
    [
        (ONE.name, "balanced", 60, True),
        (THREE.name, "balanced", 40, True),
        (THREE.name, "fast", 40, True),
        (THREE.name, "fast", 30, False),
        (FIVE_ONE_INSIDE.name, "fast", 20, True),
    ],
)
def test_the_closed_form_agrees_with_the_shipped_judge(
    panel: str, profile: str, seen: int, dissent: bool
) -> None:
    answered = ask(alarms(panel, profile, seen, dissent=dissent))
    assert answered.acted.seen >= seen / 2
    assert errors_off(answered) <= 3, f"{answered.acted} instead of the closed form"
    assert answered.evacuated.per_year <= answered.acted.per_year


def test_a_quorum_of_dark_paths_alone_never_moves_anything_and_pages_now_and_then() -> None:
    for profile in PROFILES:
        question = Question(
            panel=THREE.name, profile=profile, blips=DAILY, rule=Rule.QUORUM, overlaps=15, play_all=True
        )
        answered = ask(question)
        assert answered.played == 15
        assert answered.acted.seen == 0
    pages = ask(
        Question(
            panel=THREE.name, profile="fast", blips=DAILY, rule=Rule.UNDECIDED, overlaps=25, play_all=True
        )
    )
    assert pages.pages.seen > 0
    assert pages.acted.seen == 0


def test_the_same_question_gives_the_same_answer_in_any_process() -> None:
    asked = [
        alarms(THREE.name, "fast", 4),
        Deaths(panel=THREE.name, profile="fast", silent=True, plays=2),
        Onsets(panel=THREE.name, profile="fast", plays=2),
    ]
    assert answer_all(asked, processes=2) == answer_all(asked, processes=1)


def test_the_mutant_without_dissent_is_gone_afterwards() -> None:
    before = quorum.state_of
    ask(alarms(THREE.name, "fast", 2, dissent=False))
    assert quorum.state_of is before
    assert "no-dissent" in {mutant.name for mutant in MUTANTS}


# -- what is real ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("silent", [False, True])
@pytest.mark.parametrize("profile", list(PROFILES))
@pytest.mark.parametrize("panel", [THREE, FIVE_ONE_INSIDE], ids=lambda panel: panel.name)
def test_a_dead_region_is_seen_as_soon_as_the_closed_form_says(panel, profile, silent) -> None:  # type: ignore[no-untyped-def]
    seen = deaths(Deaths(panel=panel.name, profile=profile, silent=silent, plays=15, seed=SEED))
    shape = {"outside": panel.outside, "quorum": panel.quorum, "silent": silent}
    usual = detection_s(PROFILES[profile], **shape, share=0.5)
    nearly_all = detection_s(PROFILES[profile], **shape, share=0.99)
    spread = nearly_all - usual
    assert quantile(seen.confirmed, 0.5) == pytest.approx(usual, abs=0.25 + spread / 2)
    assert seen.confirmed[-1] <= nearly_all + 0.4 + spread / 4
    assert seen.confirmed[-1] <= DETECTION_MAX_S[profile, silent]
    assert all(early <= late for early, late in zip(seen.steered, seen.confirmed, strict=True))


def test_a_gray_failure_is_told_and_evacuates_nothing() -> None:
    for profile in PROFILES:
        noticed = onsets(Onsets(panel=THREE.name, profile=profile, plays=10, seed=SEED))
        assert quantile(noticed.told, 0.5) <= 45
        endured = rows(Rows(panel=THREE.name, profile=profile, rows=60, seed=SEED))
        assert endured.played > 0
        assert endured.evacuated.seen == 0


def test_a_row_that_convicts_is_at_least_as_long_as_confirm() -> None:
    assert row_length(bench_for(THREE.name, "fast")) == 2
    assert row_length(bench_for(THREE.name, "balanced")) == 6


@pytest.mark.parametrize("profile", list(PROFILES))
def test_a_vantage_that_always_says_up_blocks_is_named_and_can_be_set_aside(profile: str) -> None:
    for panel in (THREE, FIVE_ONE_INSIDE):
        blocked = liars(Liars(panel=panel.name, profile=profile, plays=2, seed=SEED))
        assert blocked.acted == 0
        assert blocked.paged_after[-1] <= 60
        assert all(value > 0 for value in blocked.released)


# -- what is shown ---------------------------------------------------------------------------------------------------------


def test_tables_and_picture_hold_what_was_found() -> None:
    effort = Effort(
        first=2, others=1, tenfold=1, pages=2, long_years=300, deaths=2, liars=1, onsets=2, rows=20
    )
    asked = [
        item for item in questions(effort, SEED) if not isinstance(item, Question) or item.blips == DAILY
    ]
    results = Results.of(answer_all(asked, processes=2))
    found = figures(results)
    text = markdown(results, found, SEED)
    assert "| 3 vantages (quorum 2) | fast | 1 |" in text
    assert "lone-dissenter" in text
    dead = text.split("## A dead region seen")[1].split("## ")[0]
    assert all(dead.count(f"| {name} (quorum") == 4 for name in PANELS), dead
    document = json.loads(as_json(results, found, SEED))
    assert len(document["figures"]) == len(found) > 8
    root = ElementTree.fromstring(draw(results))
    words = {element.text for element in root.iter() if element.tag.endswith("text")}
    assert {"5 vantages, 1 inside", "balanced", "≤ 6 s"} <= words


def test_the_tables_that_are_shown_are_of_the_judge_that_is_shipped() -> None:
    shown = (HERE / "quality.md").read_text()
    assert f"judge `{judge()}`" in shown, "failover/health has changed: run `make quality`"


def test_numbers_are_written_for_people() -> None:
    assert [short(value) for value in (0, 0.0027843, 43.46, 121_400.0, 4.6e-11)] == [
        "0",
        "0.00278",
        "43.5",
        "121,000",
        "4.6e-11",
    ]

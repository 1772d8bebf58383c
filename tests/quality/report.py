"""The answers as tables for people (Markdown) and for programs (JSON). No time of day and no machine: the same seed, the same text."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import failover.health
from failover.health.expectation import BLIP_MEAN_S

from .alarms import Answered, Estimate, Rule
from .figures import (
    DETECTION_MAX_S,
    NOTICED_MAX_S,
    Figure,
    Results,
    errors_off,
    how,
    rate_of,
    reckoned,
    reckoned_detection,
)
from .gray import SHARE
from .outages import CORDON_AFTER_S, quantile
from .panels import ONE, PANELS

Rows = list[list[str]]


def judge() -> str:
    """Digest of the judge's source: what was found of another one is not found of this one."""
    digest = hashlib.sha256()
    for path in sorted(Path(failover.health.__file__).parent.glob("*.py")):
        digest.update(f"{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def markdown(results: Results, found: Sequence[Figure], seed: str) -> str:
    """All tables, each with what it means."""
    parts = [
        f"""# Detection quality

Written by `make quality` (seed `{seed}`, judge `{judge()}`): the shipped `failover.health.judge`, played at probe granularity and at the
controller's ticks. `tests/quality/` says how, `alarms.py` the estimator. ± is one standard error.""",
        *_alarms(results),
        *_deaths(results),
        *_gray(results),
        *_liars(results),
        "## Figures\n",
        table(["figure", "value", "limit", ""], figure_rows(found)),
    ]
    return "\n\n".join(parts) + "\n"


def _alarms(results: Results) -> Iterator[str]:
    yield f"""## False alarms

How often blips of paths alone would make automation act against a region that serves, per 1,000 region-years. Each path
from a vantage to the region fails by itself, independently, for {BLIP_MEAN_S:g} s on average (exponential). *Acts* counts D confirmed: steering or
evacuating; *evacuates* counts `DOWN` confirmed, which needs the control plane as well. *Without dissent* is a mutant of the
judge to which a quorum is enough. *Pages* are `PATH_PROBLEM`, the price of dissent, per region and year."""
    head = "vantages|profile|blips a day|acts|closed form|evacuates|without dissent|closed form|pages a year"
    yield table(head.split("|"), list(_alarm_rows(results)))
    yield """With dissent these are rare events, estimated by conditioning on the moments when every path that must be dark is. The same
judge was also played over *every* moment at which a quorum of paths was dark at once, for so many region-years:"""
    head = "vantages|profile|region-years|such moments|false alarms"
    yield table(head.split("|"), list(_long_rows(results)))


def _deaths(results: Results) -> Iterator[str]:
    yield """## A dead region seen

Seconds from the death to the confirmed verdict `DOWN`, with transport and ticks; *may steer* is the first verdict that lets
automation change DNS. One vantage is there for comparison: nobody can contradict it, and so `fast` waits for longer."""
    head = "vantages|profile|region|p50|p99|closed form|may steer, p50|limit, p99"
    yield table(head.split("|"), list(_detection_rows(results)))


def _gray(results: Results) -> Iterator[str]:
    yield f"""## Gray failure: {SHARE:.0%} of the probes fail

Seconds until `degraded` is told. Nothing moves for that; what a lasting one makes automation do by chance (C failing as often
as D) is given per year of gray failure."""
    head = "vantages|profile|p50|p95|p99|limit, p99|played years|steers a year|evacuates a year"
    yield table(head.split("|"), list(_gray_rows(results)))


def _liars(results: Results) -> Iterator[str]:
    yield f"""## A vantage that always says up

A region dies silently, and one outside vantage goes on to see it up. Seconds, medians (worst); it is cordoned
{CORDON_AFTER_S:g} s after the page that names it (`lone-dissenter`)."""
    head = "vantages|profile|deaths|automation acted|page after death|page after disagreement|cordon to `DOWN` confirmed"
    yield table(head.split("|"), list(_liar_rows(results)))


def table(head: Sequence[str], rows: Rows) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(row) + " |" for row in [list(head), ["---"] * len(head), *rows]]
    return "\n".join(lines)


def figure_rows(found: Sequence[Figure]) -> Rows:
    """One row a figure."""
    return [
        [
            figure.what,
            f"{short(figure.value)} {figure.unit}".strip(),
            f"{figure.limit:g} {figure.unit}".strip(),
            "ok" if figure.ok else "MISSED",
        ]
        for figure in found
    ]


def short(value: float) -> str:
    """Three significant digits; thousands apart, tiny ones with an exponent."""
    if value == 0:
        return "0"
    if value >= 1000:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:.3g}"


def _both(estimate: Estimate) -> str:
    if estimate.seen == 0:
        return "0 seen"
    return f"{short(1000 * estimate.per_year)} ± {short(1000 * estimate.error)}"


def _of(panel: str) -> str:
    return f"{panel} (quorum {PANELS[panel].quorum})"


def _alarm_rows(results: Results) -> Iterator[list[str]]:
    for item in results.asked(Rule.ALL, dissent=True):
        without = results.find(item, Rule.QUORUM, dissent=False)
        pages = results.find(item, Rule.UNDECIDED, dissent=True)
        yield [
            _of(item.question.panel),
            item.question.profile,
            f"{rate_of(item):g}",
            f"**{_both(item.acted)}**",
            short(1000 * reckoned(item)),
            _both(item.evacuated),
            "the same" if without is None else _both(without.acted),
            "" if without is None else short(1000 * reckoned(without)),
            "none" if pages is None else f"{short(pages.pages.per_year)} ± {short(pages.pages.error)}",
        ]


def _long_rows(results: Results) -> Iterator[list[str]]:
    for item in results.long():
        yield [
            _of(item.question.panel),
            item.question.profile,
            f"{item.region_years:,.0f}",
            f"{item.played:,}",
            f"{item.acted.seen}",
        ]


def _limit(panel: str, most_s: float) -> str:
    """One vantage is shown for comparison only."""
    return "none" if panel == ONE.name else f"{most_s:g}"


def _detection_rows(results: Results) -> Iterator[list[str]]:
    for item in results.seen:
        question = item.question
        closed = " / ".join(f"{reckoned_detection(item, share):.1f}" for share in (0.5, 0.99))
        yield [
            _of(question.panel),
            question.profile,
            how(question.silent),
            f"{quantile(item.confirmed, 0.5):.1f}",
            f"**{quantile(item.confirmed, 0.99):.1f}**",
            closed,
            f"{quantile(item.steered, 0.5):.1f}",
            _limit(question.panel, DETECTION_MAX_S[question.profile, question.silent]),
        ]


def _gray_rows(results: Results) -> Iterator[list[str]]:
    for item, lasting in zip(results.noticed, results.endured, strict=True):
        yield [
            _of(item.question.panel),
            item.question.profile,
            f"{quantile(item.told, 0.5):.1f}",
            f"{quantile(item.told, 0.95):.1f}",
            f"**{quantile(item.told, 0.99):.1f}**",
            _limit(item.question.panel, NOTICED_MAX_S),
            short(lasting.years),
            *(_bounded(estimate, lasting.years) for estimate in (lasting.steered, lasting.evacuated)),
        ]


def _bounded(estimate: Estimate, years: float) -> str:
    """With nothing seen, what 95 % confidence allows (the rule of three)."""
    if estimate.seen == 0:
        return f"none seen (< {short(3 / years)})"
    return f"{short(estimate.per_year)} ± {short(estimate.error)}"


def _liar_rows(results: Results) -> Iterator[list[str]]:
    for item in results.blocked:
        times = (item.named, item.paged_after, item.released)
        yield [
            _of(item.question.panel),
            item.question.profile,
            f"{item.question.plays}",
            f"{item.acted}",
            *(f"{quantile(values, 0.5):.1f} ({values[-1]:.1f})" for values in times),
        ]


def as_json(results: Results, found: Sequence[Figure], seed: str) -> str:
    """Everything that the tables hold, and the quantiles of what was timed."""

    def alarm(item: Answered) -> dict[str, Any]:
        compared = item.question.rule is not Rule.UNDECIDED and not (
            item.question.rule is Rule.QUORUM and item.question.dissent
        )
        return {
            **asdict(item),
            "closed_form_per_year": reckoned(item) if compared else None,
            "standard_errors_off": errors_off(item) if compared else None,
        }

    def timed(item: Any) -> dict[str, Any]:
        return {
            key: quantiles(value) if isinstance(value, tuple) else value
            for key, value in asdict(item).items()
        }

    document = {
        "seed": seed,
        "false_alarms": [alarm(item) for item in results.alarms],
        "detection": [timed(item) for item in results.seen],
        "gray_noticed": [timed(item) for item in results.noticed],
        "gray_lasting": [asdict(item) for item in results.endured],
        "always_up": [timed(item) for item in results.blocked],
        "figures": [{**asdict(figure), "ok": figure.ok} for figure in found],
    }
    return json.dumps(document, indent=1) + "\n"


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """What a distribution is told by."""
    shares = {"min": 0.0, "p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {name: round(quantile(values, share), 3) for name, share in shares.items()}

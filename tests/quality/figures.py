"""The figures that have a limit (issue 4, "What it must reach"), from the answers."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from failover.health.expectation import BLIPS_PER_YEAR, detection_s

from .alarms import Answered, Rule
from .gray import Endured, Noticed
from .outages import Blocked, Seen, quantile
from .panels import ONE, PANELS, PROFILES, THREE
from .plan import closed_form

FALSE_ALARMS_MAX = {"balanced": 0.01, "fast": 0.2}
"""Per 1,000 region-years, three vantages, a blip a day."""
DETECTION_MAX_S = {
    ("balanced", False): 47.0,
    ("balanced", True): 50.0,
    ("fast", False): 6.0,
    ("fast", True): 8.0,
}
NOTICED_MAX_S = 60.0
PAGED_MAX_S = 60.0
LEFT_OUT = 0.05
"""What the closed form says that it leaves out, as a part of the figure."""
ERRORS_MAX = 3.0
"""Standard errors by which the simulation may lie beside that."""
SECONDS_OFF_MAX = 0.5
"""What transport, ticks and the sampling of a quantile may add to the closed form of detection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure that must not exceed its limit."""

    what: str
    value: float
    limit: float
    unit: str = ""

    @property
    def ok(self) -> bool:
        return self.value <= self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """All answers, by kind."""

    alarms: tuple[Answered, ...]
    seen: tuple[Seen, ...]
    blocked: tuple[Blocked, ...]
    noticed: tuple[Noticed, ...]
    endured: tuple[Endured, ...]

    @classmethod
    def of(cls, answers: Sequence[Any]) -> "Results":
        def kind(wanted: type) -> tuple[Any, ...]:
            return tuple(sorted((item for item in answers if isinstance(item, wanted)), key=_place))

        return cls(
            alarms=kind(Answered),
            seen=kind(Seen),
            blocked=kind(Blocked),
            noticed=kind(Noticed),
            endured=kind(Endured),
        )

    def asked(self, rule: Rule, *, dissent: bool) -> Iterator[Answered]:
        """The estimates by one rule; those of whole millennia are not among them."""
        for item in self.alarms:
            if item.question.rule is rule and item.question.dissent is dissent and not is_long(item):
                yield item

    def long(self) -> Iterator[Answered]:
        """Every overlap of a quorum of paths in so many years, played with the shipped judge."""
        return (item for item in self.alarms if is_long(item))

    def find(self, like: Answered, rule: Rule, *, dissent: bool) -> Answered | None:
        """The estimate by another rule for the same panel, profile and rate."""
        return next(
            (item for item in self.asked(rule, dissent=dissent) if _place(item) == _place(like)), None
        )


def is_long(item: Answered) -> bool:
    """Whether it was asked to see whole millennia go by."""
    return item.question.rule is Rule.QUORUM and item.question.dissent


def rate_of(item: Answered) -> float:
    """Blips a day of each path."""
    return item.question.blips.per_year / BLIPS_PER_YEAR


def _place(item: Any) -> tuple[Any, ...]:
    question = item.question
    rate = question.blips.per_year if isinstance(item, Answered) else 0.0
    silent = getattr(question, "silent", False)
    return (rate, list(PANELS).index(question.panel), list(PROFILES).index(question.profile), silent)


def reckoned(item: Answered) -> float:
    """The closed form's false alarms a region-year for what was estimated."""
    question = item.question
    return closed_form(PANELS[question.panel], question.profile, question.blips, dissent=question.dissent)


def errors_off(item: Answered) -> float:
    """By how many standard errors the estimate lies beside the closed form, what that leaves out allowed for."""
    expected = reckoned(item)
    off = max(0.0, abs(item.acted.per_year - expected) - LEFT_OUT * expected)
    return off / item.acted.error if item.acted.error else 0.0 if not off else float("inf")


def reckoned_detection(item: Seen, share: float) -> float:
    """The closed form's quantile for what was played."""
    panel = PANELS[item.question.panel]
    return detection_s(
        PROFILES[item.question.profile],
        outside=panel.outside,
        quorum=panel.quorum,
        silent=item.question.silent,
        share=share,
    )


def figures(results: Results) -> list[Figure]:
    """Every figure with its limit."""
    return [
        *_false_alarms(results),
        *_agreement(results),
        *_detection(results),
        *_gray(results),
        *_liars(results),
    ]


def _false_alarms(results: Results) -> Iterator[Figure]:
    for item in results.asked(Rule.ALL, dissent=True):
        if item.question.panel == THREE.name and rate_of(item) == 1:
            yield Figure(
                what=f"false alarms per 1,000 region-years, 3 vantages, {item.question.profile}, two standard errors up",
                value=1000 * (item.acted.per_year + 2 * item.acted.error),
                limit=FALSE_ALARMS_MAX[item.question.profile],
            )
    for item in results.long():
        yield Figure(
            what=f"false alarms in {item.region_years:,.0f} region-years, {item.question.panel}, {item.question.profile}",
            value=item.acted.seen,
            limit=0,
        )


def _agreement(results: Results) -> Iterator[Figure]:
    compared = [
        *results.asked(Rule.ALL, dissent=True),
        *results.asked(Rule.QUORUM, dissent=False),
    ]
    yield Figure(
        what=f"closed form beside the simulation, the worst of {len(compared)}, {LEFT_OUT:.0%} allowed for",
        value=max(errors_off(item) for item in compared),
        limit=ERRORS_MAX,
        unit="standard errors",
    )
    yield Figure(
        what="closed form of detection beside the simulation, p50 and p99, at worst",
        value=max(
            abs(quantile(item.confirmed, share) - reckoned_detection(item, share))
            for item in results.seen
            for share in (0.5, 0.99)
        ),
        limit=SECONDS_OFF_MAX,
        unit="s",
    )


def _detection(results: Results) -> Iterator[Figure]:
    for item in results.seen:
        question = item.question
        if question.panel == ONE.name:
            continue  # for comparison: nobody can contradict it, so that it has to be surer
        yield Figure(
            what=f"dead region seen, p99, {question.panel}, {question.profile}, {how(question.silent)}",
            value=quantile(item.confirmed, 0.99),
            limit=DETECTION_MAX_S[question.profile, question.silent],
            unit="s",
        )


def _gray(results: Results) -> Iterator[Figure]:
    for item in results.noticed:
        if item.question.panel == ONE.name:
            continue
        yield Figure(
            what=f"gray failure noticed, p99, {item.question.panel}, {item.question.profile}",
            value=quantile(item.told, 0.99),
            limit=NOTICED_MAX_S,
            unit="s",
        )
    yield Figure(
        what="evacuations by gray failures, three vantages or more",
        value=sum(item.evacuated.seen for item in results.endured if item.question.panel != ONE.name),
        limit=0,
    )


def _liars(results: Results) -> Iterator[Figure]:
    yield Figure(
        what="automation not blocked by a vantage that always says up",
        value=sum(item.acted for item in results.blocked),
        limit=0,
    )
    yield Figure(
        what="page that names it, after the disagreement, at worst",
        value=max(_all(item.paged_after for item in results.blocked)),
        limit=PAGED_MAX_S,
        unit="s",
    )


def _all(parts: Iterable[Sequence[float]]) -> list[float]:
    return [value for part in parts for value in part]


def how(silent: bool) -> str:
    """How a region is dead."""
    return "silent" if silent else "refused"

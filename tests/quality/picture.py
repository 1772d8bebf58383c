"""The picture: false alarms on a logarithmic axis, and how long it takes to see what is real. Plain SVG, light and dark."""

import math
from collections.abc import Sequence
from html import escape

from .alarms import Rule
from .figures import (
    DETECTION_MAX_S,
    FALSE_ALARMS_MAX,
    NOTICED_MAX_S,
    Results,
    how,
    rate_of,
    reckoned,
)
from .outages import Seen
from .panels import PROFILES, THREE
from .report import short

WIDTH, HEIGHT = 980, 560
STYLE = """
svg { font: 12px system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif; }
.paper { fill: #ffffff } .ink { fill: #1f2328 } .soft { fill: #59636e } .head { font-weight: 600; font-size: 14px }
.grid { stroke: #d1d9e0; stroke-width: 1 } .limit { stroke: #cf222e; stroke-width: 1.5; stroke-dasharray: 4 3 }
.warn { fill: #cf222e } .a { stroke: #0969da; fill: #0969da } .b { stroke: #bc4c00; fill: #bc4c00 }
.at { fill: #0969da } .bt { fill: #bc4c00 }
.closed { stroke: #1f2328; stroke-width: 2 } .open { fill: none; stroke-width: 2 } .link { stroke-width: 1.5; opacity: .45 }
.curve { fill: none; stroke-width: 2 } .other { stroke-dasharray: 5 3 }
@media (prefers-color-scheme: dark) {
.paper { fill: #0d1117 } .ink { fill: #e6edf3 } .soft { fill: #9198a1 } .grid { stroke: #3d444d } .closed { stroke: #e6edf3 }
.limit { stroke: #f85149 } .warn { fill: #f85149 } .at { fill: #58a6ff } .bt { fill: #f0883e } .a { stroke: #58a6ff; fill: #58a6ff } .b { stroke: #f0883e; fill: #f0883e }
.open, .curve { fill: none } }
"""
CLASS = {"balanced": "a", "fast": "b"}


def draw(results: Results) -> str:
    """The whole picture."""
    parts = [
        f'<rect class="paper" width="{WIDTH}" height="{HEIGHT}" rx="8"/>',
        *_alarms(results, left=216, right=560, top=84, bottom=452),
        *_detections(results, left=650, right=950),
    ]
    title = (
        "Detection quality: false alarms by vantages, profile and dissent; time until real failures are seen"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img" aria-label="{title}">\n<title>{title}</title>\n<style>{STYLE}</style>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _text(x: float, y: float, words: str, kind: str = "ink", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


# -- false alarms ----------------------------------------------------------------------------------------------------------


def _alarms(results: Results, *, left: int, right: int, top: int, bottom: int) -> list[str]:
    """One row for each panel and profile: as shipped, in closed form, and without dissent."""
    shown = [item for item in results.asked(Rule.ALL, dissent=True) if rate_of(item) == 1]
    low, high = _decades(results)

    def place(per_thousand: float) -> float:
        decade = math.log10(per_thousand) if per_thousand > 0 else low
        return left + (right - left) * (decade - low) / (high - low)

    parts = [
        _text(24, 32, "False alarms per 1,000 region-years", "ink head"),
        _text(24, 50, "each path fails by itself once a day, for 30 s on average", "soft"),
    ]
    for decade in range(low, high + 1, 3):
        x = place(10.0**decade)
        parts.append(_line(x, top - 8, x, bottom, "grid"))
        parts.append(_text(x, bottom + 18, _power(decade), "soft", "middle"))
    height = (bottom - top) / max(1, len(shown))
    for number, item in enumerate(shown):
        y = top + (number + 0.5) * height
        name, color = item.question.panel, CLASS[item.question.profile]
        if number % 2 == 0:
            parts.append(_text(24, y + height / 2 - 6, name, "ink"))
        parts.append(_text(left - 12, y + 4, item.question.profile, "soft", "end"))
        limit = FALSE_ALARMS_MAX[item.question.profile]
        if name == THREE.name:
            parts.append(_line(place(limit), y - 10, place(limit), y + 16, "limit"))
        shipped = place(1000 * item.acted.per_year)
        parts.append(_text(shipped, y - 12, short(1000 * item.acted.per_year), "soft", "middle"))
        without = results.find(item, Rule.QUORUM, dissent=False)
        if without is not None:
            other = place(1000 * without.acted.per_year)
            parts.append(_line(shipped, y, other, y, f"{color} link"))
            parts.append(f'<circle cx="{other:.1f}" cy="{y:.1f}" r="6" class="{color} open"/>')
        parts.append(f'<circle cx="{shipped:.1f}" cy="{y:.1f}" r="6" class="{color}"/>')
        parts.append(
            _line(place(1000 * reckoned(item)), y - 10, place(1000 * reckoned(item)), y + 10, "closed")
        )
    return parts + _legend(bottom + 48)


def _decades(results: Results) -> tuple[int, int]:
    rates = [
        1000 * item.acted.per_year
        for item in results.alarms
        if item.acted.per_year > 0 and rate_of(item) == 1 and item.question.rule is not Rule.UNDECIDED
    ]
    low = math.floor(math.log10(min(rates, default=1.0)) / 3)
    high = math.ceil(math.log10(max(rates, default=10.0)) / 3)
    return 3 * low, 3 * high


def _power(decade: int) -> str:
    if -3 <= decade <= 3:
        return f"{10.0**decade:,g}"
    digits = str(decade).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"10{digits}"


def _legend(y: float) -> list[str]:
    """What the marks mean, in two lines."""
    marks = [
        ('<circle cx="{x}" cy="{y}" r="6" class="a"/>', "as shipped", 0, 0),
        ('<circle cx="{x}" cy="{y}" r="6" class="a open"/>', "without the rule of dissent", 120, 0),
        (_line(0, -8, 0, 8, "closed"), "closed form (`failover validate`)", 0, 22),
        (_line(0, -8, 0, 8, "limit"), "limit for 3 vantages", 240, 22),
    ]
    parts = []
    for mark, words, x, down in marks:
        placed = mark.format(x=0, y=0)
        parts.append(f'<g transform="translate({34 + x} {y - 4 + down})">{placed}</g>')
        parts.append(_text(48 + x, y + down, words, "soft"))
    return parts


# -- detection -------------------------------------------------------------------------------------------------------------


def _detections(results: Results, *, left: int, right: int) -> list[str]:
    parts = [
        _text(left - 30, 32, "Seconds until what is real is seen", "ink head"),
        _text(left - 30, 50, f"share of cases; {THREE.name} (dashed: 1 and 5 vantages)", "soft"),
    ]
    top = 92.0
    for profile in PROFILES:
        shown = [item for item in results.seen if item.question.profile == profile]
        limits = [DETECTION_MAX_S[profile, silent] for silent in (False, True)]
        start = math.floor(min(item.confirmed[0] for item in shown)) - 1
        parts += _chart(
            left, right, top, (start, max(limits) + 1), f"dead region confirmed, {profile}", limits
        )
        for item in shown:
            parts.append(_curve(item.confirmed, left, right, top, (start, max(limits) + 1), _kind(item)))
        x = left + 6
        for silent in (False, True):
            parts.append(_text(x, top + 20, how(silent), "at" if not silent else "bt"))
            x += 62
        top += 160
    span = (0.0, max([NOTICED_MAX_S, *(item.told[-1] for item in results.noticed)]) + 5)
    parts += _chart(left, right, top, span, "gray failure (30 % errors) told", [NOTICED_MAX_S])
    for noticed in results.noticed:
        broken = " other" if noticed.question.panel != THREE.name else ""
        parts.append(
            _curve(noticed.told, left, right, top, span, f"{CLASS[noticed.question.profile]} curve{broken}")
        )
    x = _along(NOTICED_MAX_S, left, right, span) - 10
    parts.append(_text(x, top + 70, "balanced", "at", "end"))
    parts.append(_text(x, top + 88, "fast", "bt", "end"))
    return parts


CHART_HEIGHT = 104.0


def _kind(item: Seen) -> str:
    broken = " other" if item.question.panel != THREE.name else ""
    return f"{'b' if item.question.silent else 'a'} curve{broken}"


def _chart(
    left: float, right: float, top: float, span: tuple[float, float], title: str, limits: Sequence[float]
) -> list[str]:
    bottom = top + CHART_HEIGHT
    parts = [_text(left - 30, top - 16, title, "ink")]
    for share in (0, 50, 100):
        y = bottom - CHART_HEIGHT * share / 100
        parts.append(_line(left, y, right, y, "grid"))
        parts.append(_text(left - 6, y + 4, f"{share} %", "soft", "end"))
    step = next(size for size in (1, 2, 5, 10, 20, 50) if (span[1] - span[0]) / size <= 10)
    second = math.ceil(span[0] / step) * step
    while second <= span[1]:
        parts.append(_text(_along(second, left, right, span), bottom + 16, f"{second:g}", "soft", "middle"))
        second += step
    for limit in limits:
        x = _along(limit, left, right, span)
        parts.append(_line(x, top, x, bottom, "limit"))
        parts.append(_text(x, top - 4, f"≤ {limit:g} s", "warn", "middle"))
    return parts


def _curve(
    values: Sequence[float], left: float, right: float, top: float, span: tuple[float, float], kind: str
) -> str:
    """The share of cases that are over by each second."""
    bottom = top + CHART_HEIGHT
    points = [(left, bottom), (_along(values[0], left, right, span), bottom)]
    for number, value in enumerate(values):
        x = _along(value, left, right, span)
        points.append((x, bottom - CHART_HEIGHT * (number + 1) / len(values)))
    points.append((right, top))
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" class="{kind}"/>'


def _along(value: float, left: float, right: float, span: tuple[float, float]) -> float:
    return left + (right - left) * (value - span[0]) / (span[1] - span[0])

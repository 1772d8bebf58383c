"""How the time grows with the candidate pairs, and the curve as a picture."""

import gc
import time
from dataclasses import replace

import numpy as np

from failover.planner.joint.solve import solve
from tests.benchmarks.planner.fleet import BIG, Shape, make_fleet

WORKLOADS = (3_000, 10_000, 30_000, 100_000)


def points() -> list[tuple[int, float]]:
    """(rows, CPU seconds) for growing parts of the big fleet: workloads and clusters in proportion.

    Regions keep their number of clusters, so what grows is the fleet and not each workload's list.
    """
    found = []
    for workloads in WORKLOADS:
        part = workloads / BIG.workloads
        shape: Shape = replace(
            BIG,
            workloads=workloads,
            clusters=round(BIG.clusters * part),
            regions=max(2, round(BIG.regions * part)),
        )
        problem = make_fleet(shape)
        gc.collect()
        gc.freeze()
        began = time.process_time()
        plan = solve(problem)
        found.append((len(plan.prepared.site), time.process_time() - began))
        gc.unfreeze()
    return found


def exponent(measured: list[tuple[int, float]]) -> float:
    """The slope of log seconds over log rows."""
    rows, seconds = np.log(np.array(measured)).T
    return float(np.polyfit(rows, seconds, 1)[0])


def picture(measured: list[tuple[int, float]], slope: float) -> str:
    """An SVG of 560 by 360: both axes logarithmic, the fitted line, and each point with its seconds."""
    rows, seconds = np.log10(np.array(measured)).T
    left, right = np.floor(rows.min()), np.ceil(rows.max())
    low, high = np.floor(seconds.min()), np.ceil(seconds.max())

    def at(x: float, y: float) -> tuple[float, float]:
        return 60 + 480 * (x - left) / (right - left), 310 - 270 * (y - low) / (high - low)

    level = float(np.mean(seconds - slope * rows))
    (x1, y1), (x2, y2) = (
        at(rows.min(), level + slope * rows.min()),
        at(rows.max(), level + slope * rows.max()),
    )
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 560 360" font-family="sans-serif" font-size="12">',
        '<rect width="560" height="360" fill="white"/>',
        f'<text x="60" y="20">full plan: seconds over candidate pairs, exponent {slope:.2f}</text>',
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#888" stroke-dasharray="4 3"/>',
    ]
    for decade in np.arange(left, right + 1):
        x, y = at(decade, low)
        parts.append(f'<line x1="{x:.1f}" y1="40" x2="{x:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{x:.1f}" y="{y + 18:.1f}" text-anchor="middle">{10**decade:,.0f}</text>')
    for decade in np.arange(low, high + 1):
        x, y = at(left, decade)
        parts.append(f'<line x1="{x:.1f}" y1="{y:.1f}" x2="540" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{x - 6:.1f}" y="{y + 4:.1f}" text-anchor="end">{10**decade:g} s</text>')
    for (number, taken), x_log, y_log in zip(measured, rows, seconds, strict=True):
        x, y = at(x_log, y_log)
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="#1f5fa8"/>')
        parts.append(
            f'<text x="{x - 8:.1f}" y="{y - 8:.1f}" text-anchor="end">{number:,}: {taken:.2f} s</text>'
        )
    return "\n".join([*parts, "</svg>", ""])

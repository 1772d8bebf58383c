"""Where an application may run and why its replicas stand where they do: what `explain` tells of placement."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from failover.controller.surviving import survivability_row
from failover.model.codec import to_plain
from failover.model.journal import Run
from failover.model.policy import Application, Workload
from failover.planner import Survivability
from failover.planner.world import in_window

ROWS_MAX = 200
"""Of one application: a status is read by people, and a fleet may have a thousand clusters."""


def placement_of(application: Application, runs: Sequence[Run], window: str) -> dict[str, Any]:
    """Rules in force now, and what the latest run that placed it said about each change."""
    held = in_window(application, window)
    run = next((item for item in reversed(runs) if application.name in item.applications), None)
    return {
        "tier": application.tier,
        "survives": str(application.survives) if application.survives else None,
        "window": window or None,
        "workloads": [_workload(workload) for workload in held.workloads[:ROWS_MAX]],
        "why": _why(application, run) if run is not None else [],
        "why_run": run.id if run is not None else None,
    }


def _workload(workload: Workload) -> dict[str, Any]:
    return {
        "workload": to_plain(workload.ref),
        "strategy": workload.strategy.value,
        "standby": workload.standby,
        "spread": [
            {"over": str(one.over), "at_least": one.at_least, "at_most_percent": one.at_most_percent}
            for one in workload.spread
        ],
        "rules": [
            {
                "cluster": rule.cluster,
                "weight": rule.weight,
                "min": rule.min_replicas,
                "max": rule.max_replicas,
                "group": rule.group,
            }
            for rule in workload.placement[:ROWS_MAX]
        ],
    }


def _why(application: Application, run: Run) -> list[dict[str, Any]]:
    part = next(part for part in run.plan.applications if part.application == application.name)
    return [
        {
            "workload": to_plain(row.workload),
            "cluster": row.cluster,
            "before": row.before,
            "after": row.after,
            "reason": row.reason,
            "would_change": row.would_change,
        }
        for row in part.placements[:ROWS_MAX]
        if row.reason
    ]


def survives_row(asked: tuple[datetime, Survivability] | None) -> dict[str, Any] | None:
    """The latest answer to "could we fail over now?", without the outcomes that are well; None before the first."""
    if asked is None:
        return None
    at, found = asked
    row = survivability_row(found)
    bad = [item for item in row["outcomes"] if item["survives"] is not True]
    return {**row, "outcomes": bad[:ROWS_MAX], "asked": len(row["outcomes"]), "at": to_plain(at)}

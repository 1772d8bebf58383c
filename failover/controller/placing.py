"""Where an application may run and why its replicas stand where they do: what `explain` tells of placement."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from failover.controller.surviving import survivability_row
from failover.model.codec import to_plain
from failover.model.ids import ClusterName
from failover.model.journal import Run, RunState, StepState
from failover.model.plan import ScaleStep
from failover.model.policy import Application, Workload, WorkloadRef
from failover.planner import Survivability
from failover.planner.world import in_window

ROWS_MAX = 200
"""Of one application: a status is read by people, and a fleet may have a thousand clusters."""


def placement_of(application: Application, runs: Sequence[Run], window: str) -> dict[str, Any]:
    """Rules in force now, and what the latest run that placed each replica said about it."""
    held = in_window(application, window)
    why = _why(application, runs)
    return {
        "tier": application.tier,
        "survives": str(application.survives) if application.survives else None,
        "window": window or None,
        "workloads": [_workload(workload) for workload in held.workloads[:ROWS_MAX]],
        "why": why[:ROWS_MAX],
        "why_run": why[0]["run"] if why else None,
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


def _why(application: Application, runs: Sequence[Run]) -> list[dict[str, Any]]:
    """For each workload and cluster what the latest run said that has placed it, or that made it give something up. A run that
    ended before it changed anything there explains nothing.
    """
    found: dict[tuple[WorkloadRef, ClusterName], dict[str, Any]] = {}
    for run in reversed(runs):
        for workload, cluster, row in (*_given(application, run), *_placed(application, run)):
            found.setdefault((workload, cluster), {**row, "run": run.id})
    return list(found.values())


_Row = tuple[WorkloadRef, ClusterName, dict[str, Any]]


def _placed(application: Application, run: Run) -> Iterator[_Row]:
    for part in run.plan.applications:
        if part.application != application.name or part.left_out is not None:
            continue
        for row in part.placements:
            changes = row.before != row.after
            if row.reason and (_landed(run, row.workload, row.cluster) if changes else not _undone(run)):
                yield (
                    row.workload,
                    row.cluster,
                    _row(row.workload, row.cluster, row.before, row.after, row.reason, row.would_change),
                )


def _given(application: Application, run: Run) -> Iterator[_Row]:
    """What it gave up, or got back, in a run for another application."""
    for part in run.plan.applications:
        for row in part.sheds:
            if row.owner != application.name or part.left_out is not None:
                continue
            if _landed(run, row.workload, row.cluster):
                number = row.before - row.after
                verb = (
                    f"gave up {number} for" if number > 0 else f"got back {-number} that it had given up for"
                )
                reason = f"{verb} {part.application}"
                yield (
                    row.workload,
                    row.cluster,
                    _row(row.workload, row.cluster, row.before, row.after, reason, ""),
                )


def _row(
    workload: WorkloadRef, cluster: ClusterName, before: int, after: int, reason: str, change: str
) -> dict[str, Any]:
    return {
        "workload": to_plain(workload),
        "cluster": cluster,
        "before": before,
        "after": after,
        "reason": reason,
        "would_change": change,
    }


def _landed(run: Run, workload: WorkloadRef, cluster: ClusterName) -> bool:
    """It has scaled this object there."""
    return any(
        isinstance(step, ScaleStep)
        and (step.workload, step.cluster) == (workload, cluster)
        and run.steps[step.id].state in (StepState.EFFECTED, StepState.DONE)
        for step in run.plan.steps
    )


def _undone(run: Run) -> bool:
    """It did not get through, and ended without a single change of replicas."""
    return run.state in (RunState.ABORTED, RunState.FAILED) and not any(
        isinstance(step, ScaleStep) and run.steps[step.id].state in (StepState.EFFECTED, StepState.DONE)
        for step in run.plan.steps
    )


def survives_row(asked: tuple[datetime, Survivability] | None) -> dict[str, Any] | None:
    """The latest answer to "could we fail over now?", without the outcomes that are well; None before the first."""
    if asked is None:
        return None
    at, found = asked
    row = survivability_row(found)
    bad = [item for item in row["outcomes"] if item["survives"] is not True]
    return {**row, "outcomes": bad[:ROWS_MAX], "asked": len(row["outcomes"]), "at": to_plain(at)}

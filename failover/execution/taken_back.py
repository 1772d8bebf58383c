"""Numbers that another manager set back after a run had set them: told, with the manager's name, and never fought over.

While a run waits for its additions to become ready it notices by itself, and fails the step. This also sees what is set
back afterwards, and what a run had taken away: a scale-down is the last thing that a run does.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from failover.model.ids import ClusterName, RunId
from failover.model.inventory import ClusterInventory, WorkloadState
from failover.model.journal import Run, StepState
from failover.model.plan import ScaleField, ScaleStep
from failover.model.policy import WorkloadRef
from failover.model.time import Now

OURS = "failover-e"
WATCHED = timedelta(hours=1)
"""After that a number that changes is somebody's new wish, and not an answer to the run's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenBack:
    """`run` set `workload` in `cluster` to `set_to`; `manager` has set it to `wanted` since."""

    run: RunId
    cluster: ClusterName
    workload: WorkloadRef
    set_to: int
    wanted: int
    manager: str

    def __str__(self) -> str:
        return (
            f"{self.manager} set {self.workload} in {self.cluster} back to {self.wanted} after run {self.run} had set "
            f"{self.set_to}; it is not fought over"
        )


def taken_back(
    runs: Sequence[Run], inventories: Iterable[ClusterInventory], now: Now
) -> tuple[TakenBack, ...]:
    """By cluster and workload, of the last hour; `runs` in order of opening. An autoscaler's number is no manager's, and while
    the outcome of a change of ours is unknown the number may be our own.
    """
    unsettled = set(_unsettled(runs))
    latest = {(step.cluster, step.workload): (run, step, at) for run, step, at in _landed(runs, now)}
    found = []
    for seen in inventories:
        for state in seen.workloads:
            run, step, at = latest.get((seen.cluster, state.ref), (None, None, None))
            if run is None or step is None or at is None or now.wall_of(seen.taken_mono) <= at:
                continue
            if (seen.cluster, state.ref) in unsettled:
                continue
            if state.exists and state.autoscaler is None and _undone(step, state):
                found.append(
                    TakenBack(
                        run=run.id,
                        cluster=seen.cluster,
                        workload=state.ref,
                        set_to=step.after,
                        wanted=state.wanted,
                        manager=other_manager(state.managers),
                    )
                )
    return tuple(found)


def other_manager(managers: Collection[str]) -> str:
    """Who wrote a number last that we did not; the API server may not tell."""
    others = [name for name in managers if not name.startswith(OURS)]
    return others[-1] if others else "another manager"


def _landed(runs: Sequence[Run], now: Now) -> Iterator[tuple[Run, ScaleStep, datetime]]:
    """Scales that landed within the last hour, with when that was known, the latest last."""
    for run in runs:
        for step in run.plan.steps:
            if not isinstance(step, ScaleStep) or step.field is not ScaleField.REPLICAS:
                continue
            progress = run.steps[step.id]
            if (
                progress.result is not None
                and progress.result.landed
                and now.wall - progress.since <= WATCHED
            ):
                yield run, step, progress.since


def _unsettled(runs: Sequence[Run]) -> Iterator[tuple[ClusterName, WorkloadRef]]:
    """What an intent was journaled for of which no effect is known."""
    for run in runs:
        for step in run.plan.steps:
            if isinstance(step, ScaleStep) and run.steps[step.id].state is StepState.INTENDED:
                yield step.cluster, step.workload


def _undone(step: ScaleStep, state: WorkloadState) -> bool:
    """More than an addition's number is nobody's taking back, nor is less than a removal's."""
    if step.after > step.before:
        return state.wanted < step.after
    return state.wanted > step.after

"""A run's line in `status` and `history`: where it stands, what it does or waits for, and what keeps it from going on."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

from failover.controller.world import World
from failover.execution.machine import wait_began
from failover.model.codec import to_plain
from failover.model.ids import RunId, StepId
from failover.model.journal import Run, RunState, StepProgress, StepState
from failover.model.plan import ChangeRecordsStep, ProveGoneStep, ScaleStep, Step, WaitReadyStep, WaitStep

Held = Mapping[tuple[RunId, StepId], str]
"""Why a step that is asked for may not go yet."""

NOTHING_HELD: Final[Held] = {}


def run_row(run: Run, world: World | None = None, held: Held = NOTHING_HELD) -> dict[str, Any]:
    """One run's line in `status` and `history`. `world`, `held`: where a controller acts, so that it can say how far a wait is, and
    why a step may not go yet.
    """
    changing = [step for step in run.plan.steps if isinstance(step, ScaleStep | ChangeRecordsStep)]
    done = sum(1 for step in changing if run.steps[step.id].state is StepState.DONE)
    return {
        "id": run.id,
        "run_kind": run.plan.run_kind.value,
        "domain": str(run.plan.domain),
        "state": run.state.value,
        "actor": run.actor,
        "reason": run.reason,
        "opened_at": to_plain(run.opened_at),
        "closed_at": to_plain(run.closed_at) if run.closed_at else None,
        "epoch": int(run.epoch),
        "changes": len(changing),
        "changes_done": done,
        "halted": to_plain(run.halted) if run.halted else None,
        "sentence": run.sentence,
        "waits_for": waits_for(run, world, held),
        "applications": list(run.applications),
        "plan": run.plan.short_hash,
        "silent_servers": sorted(
            {
                server
                for progress in run.steps.values()
                if progress.verification is not None
                for server in progress.verification.silent
            }
        ),
    }


def waits_for(run: Run, world: World | None, held: Held) -> str:
    """What a run does or waits for at the moment; "" for one that is over or halted."""
    if run.state is RunState.AWAITING_APPROVAL:
        return f"waits for a person: `failover plan --run {run.id}`, then `failover approve {run.id}`"
    if run.state is not RunState.RUNNING:
        return ""
    said: dict[str, int] = {}
    for step in run.plan.steps:
        progress = run.steps[step.id]
        over = progress.state in (StepState.DONE, StepState.FAILED)
        if over or not all(run.steps[needed].state is StepState.DONE for needed in step.needs):
            continue
        why = held.get((run.id, step.id))
        doing = _doing(run, step, progress, world) if why is None else (_kept_back(step, why),)
        for sentence in doing:
            said[sentence] = said.get(sentence, 0) + 1
    lines = [f"{sentence} ({count} changes)" if count > 1 else sentence for sentence, count in said.items()]
    return "; ".join(lines[:3]) + (f"; and {len(lines) - 3} more" if len(lines) > 3 else "")


def _kept_back(step: Step, why: str) -> str:
    place = f" in {step.cluster}" if isinstance(step, ScaleStep) else ""
    return f"{step.application}{place}: not yet: {why}"


def _doing(run: Run, step: Step, progress: StepProgress, world: World | None) -> Iterator[str]:
    """What a step that may go on is at. Times are absolute."""
    if isinstance(step, WaitReadyStep):
        wanted, share = sum(count for _, _, count in step.targets), step.share
        enough = f", {share} % are enough" if share < 100 else ""
        ready = f"{_ready_of(step, world)} of {wanted}" if world is not None else f"{wanted}"
        yield f"{step.application}: waits for replicas, {ready} ready{enough}"
    elif isinstance(step, ProveGoneStep):
        yield f"waits until {step.workload} is gone from {step.cluster}"
    elif isinstance(step, WaitStep):
        until = wait_began(run, step) + timedelta(seconds=step.seconds)
        yield f"{step.application}: waits until {until:%H:%M:%S} UTC: {step.reason}"
    elif progress.not_before is not None:
        target = step.cluster if isinstance(step, ScaleStep) else f"zone {step.zone}"
        note = progress.note.removeprefix(f"{target}: ") or progress.result
        yield f"{target}: {note}; tries again at {progress.not_before:%H:%M:%S} UTC"
    elif isinstance(step, ScaleStep):
        yield f"changes replicas in {step.cluster}"
    elif progress.state is StepState.EFFECTED:
        count = len(world.servers.get(step.zone, ())) if world is not None else 0
        yield f"reads back zone {step.zone} at {f'{count} servers' if count else 'every server'}"
    else:
        yield f"changes zone {step.zone}"


def _ready_of(step: WaitReadyStep, world: World) -> int:
    """How many of the replicas that a step waits for are ready, as last seen."""
    ready = 0
    for cluster, ref, count in step.targets:
        seen = world.inventories.get(cluster)
        state = seen.workload(ref) if seen is not None else None
        ready += min(state.ready, count) if state is not None else 0
    return ready

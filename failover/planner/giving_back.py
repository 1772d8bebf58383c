"""What was given up for an application goes back to its owners when the application goes home."""

from dataclasses import dataclass
from typing import TypeGuard

from failover.model.ids import ApplicationName, ClusterName, StepId
from failover.model.inventory import WorkloadState
from failover.model.plan import ScaleStep, Shed, Step
from failover.model.policy import Application, WorkloadRef
from failover.model.resources import NOTHING, Resources, minus, places_on, total
from failover.model.snapshot import Displacement
from failover.planner.capacity import FreeCapacity
from failover.planner.returning import Return
from failover.planner.sheds import is_shed
from failover.planner.steps import Builder
from failover.planner.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class GivingBack:
    """Rows from what its owner runs now to what it gets again; `notes`: what does not fit, or is not there any more."""

    sheds: tuple[Shed, ...] = ()
    notes: tuple[str, ...] = ()


def give_back(
    world: World,
    application: Application,
    displacements: tuple[Displacement, ...],
    returns: tuple[Return, ...],
    free: FreeCapacity,
) -> GivingBack:
    """Everything that finished runs took for this application and that fits again once its stand-ins have shrunk."""
    released = _released(returns)
    rows, notes = [], []
    for (cluster, workload), (owner, taken, most, made_room_for) in sorted(
        _taken(application, displacements).items(), key=lambda item: (item[0][0], str(item[0][1]))
    ):
        state = world.state(cluster, workload)
        if state is None or not world.control_is_up(cluster):
            notes.append(
                f"{cluster} cannot be asked for {workload}: {owner} does not get {taken} replicas back"
            )
            continue
        wanted = min(state.wanted + taken, max(most, state.wanted))
        left = released.get(cluster, NOTHING)
        fits = min(places_on(left, state.requests), wanted - state.wanted)
        more = min(free.places(cluster, state.requests), wanted - state.wanted - fits)
        after = state.wanted + fits + more
        if after < wanted:
            notes.append(
                f"{cluster} has room for {after - state.wanted} of the {wanted - state.wanted} replicas of {workload} "
                f"that {owner} gave up"
            )
        if fits:
            released[cluster] = minus(left, state.requests, fits)
        if more:
            free.take(cluster, state.requests, more)
        if after > state.wanted:
            rows.append(_row(owner, workload, cluster, state, after, made_room_for))
    return GivingBack(sheds=tuple(rows), notes=tuple(notes))


def give_back_steps(build: Builder, back: GivingBack, needs: tuple[StepId, ...]) -> list[Step]:
    """Growth once the stand-ins are gone; its room is theirs."""
    return [
        build.give_back(
            row, needs=needs, reason=f"{row.owner} gets back what it gave up for {row.made_room_for}"
        )
        for row in back.sheds
    ]


def _row(
    owner: ApplicationName,
    workload: WorkloadRef,
    cluster: ClusterName,
    state: WorkloadState,
    after: int,
    made_room_for: WorkloadRef,
) -> Shed:
    return Shed(
        owner=owner,
        workload=workload,
        cluster=cluster,
        before=state.wanted,
        after=after,
        made_room_for=made_room_for,
    )


Taken = dict[tuple[ClusterName, WorkloadRef], tuple[ApplicationName, int, int, WorkloadRef]]


def _taken(application: Application, displacements: tuple[Displacement, ...]) -> Taken:
    """(owner, replicas given up, what ran before, for what) by object, from the steps that landed."""
    found: Taken = {}
    for item in displacements:
        for_what = {
            (row.cluster, row.workload): row.made_room_for
            for part in item.plan.applications
            if part.application == application.name
            for row in part.sheds
        }
        for step in item.plan.steps:
            if not _is_ours(step, application):
                continue
            key = (step.cluster, step.workload)
            _, taken, most, _ = found.get(key, ("", 0, 0, None))
            found[key] = (
                step.owner or step.application,
                taken + step.before - step.after,
                max(most, step.before),
                for_what.get(key, step.workload),
            )
    return found


def _is_ours(step: Step, application: Application) -> TypeGuard[ScaleStep]:
    return is_shed(step) and step.application == application.name


def _released(returns: tuple[Return, ...]) -> dict[ClusterName, Resources]:
    """What the stand-ins leave when they shrink, by cluster."""
    found: dict[ClusterName, list[Resources]] = {}
    for item in returns:
        for stand_in in item.stand_ins:
            gone = stand_in.state.wanted - stand_in.after
            found.setdefault(stand_in.cluster, []).extend([stand_in.state.requests] * gone)
    return {cluster: total(parts) for cluster, parts in found.items()}

"""What finished runs displaced of one workload: the homes that get it back, and the stand-ins that shrink."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from failover.model.ids import ClusterName
from failover.model.inventory import WorkloadState
from failover.model.plan import ChangeRecordsStep, ScaleField, ScaleStep
from failover.model.policy import Application, Workload, WorkloadRef
from failover.model.snapshot import Displacement
from failover.planner.loss import is_single_writer
from failover.planner.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """One source that gets a workload back: `former` replicas are wanted there again, it has `state.wanted`."""

    cluster: ClusterName
    state: WorkloadState
    after: int

    @property
    def missing(self) -> int:
        return self.after - self.state.wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class StandIn:
    """One cluster that took over. `after`: what it keeps; `minimum_after`: its autoscaler's, None if untouched."""

    cluster: ClusterName
    state: WorkloadState
    after: int
    minimum_after: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """One workload's way home. `unasked`: where a single writer may run for all that is known, and nobody can be asked."""

    workload: Workload
    single: bool
    homes: tuple[Home, ...]
    stand_ins: tuple[StandIn, ...]
    unasked: tuple[ClusterName, ...] = ()
    notes: tuple[str, ...] = ()


def displaced(application: Application, displacements: Iterable[Displacement]) -> tuple[Displacement, ...]:
    """Those finished runs that changed anything of this application."""
    return tuple(
        item
        for item in displacements
        if any(
            isinstance(step, ScaleStep | ChangeRecordsStep) and step.application == application.name
            for step in item.plan.steps
        )
    )


def way_home(
    world: World, workload: Workload, application: Application, displacements: tuple[Displacement, ...]
) -> Return:
    """What a workload had at home, and what was added for it elsewhere, from the steps that landed."""
    former: dict[ClusterName, int] = {}
    rows: dict[ClusterName, tuple[int, int]] = {}
    minimums: dict[ClusterName, int] = {}
    for item in displacements:
        landed = {
            step.cluster: step.after
            for step in item.plan.steps
            if isinstance(step, ScaleStep)
            and (step.application, step.workload) == (application.name, workload.ref)
        }
        for part in item.plan.applications:
            for row in part.placements if part.application == application.name else ():
                if row.workload != workload.ref:
                    continue
                if row.cluster in item.plan.sources:
                    former.setdefault(row.cluster, row.before)
                elif row.cluster in landed and row.after > row.before:
                    least, added = rows.get(row.cluster, (row.before, 0))
                    reached = max(0, min(row.after, landed[row.cluster]) - row.before)
                    rows[row.cluster] = (min(least, row.before), added + reached)
        for step in item.plan.steps:
            if (
                isinstance(step, ScaleStep)
                and step.field is ScaleField.AUTOSCALER_MIN
                and (step.application, step.workload) == (application.name, workload.ref)
            ):
                minimums.setdefault(step.cluster, step.before)
    notes: list[str] = []
    homes = _homes(world, workload.ref, former, notes)
    if is_single_writer(world, workload):
        return _one_writers_way(world, workload, homes, rows, notes)
    back = sum(home.after for home in homes)
    stand_ins = _stand_ins(world, workload.ref, rows, minimums, back, notes)
    return Return(workload=workload, single=False, homes=homes, stand_ins=stand_ins, notes=tuple(notes))


def _one_writers_way(
    world: World, workload: Workload, homes: tuple[Home, ...], ours: Collection[ClusterName], notes: list[str]
) -> Return:
    """A single writer stops wherever it runs before it starts at home, whoever started it there. `ours`: where runs put it; of
    these one that the policy names no more runs it still, for all that is known.
    """
    stand_ins, unasked = [], []
    at_home = {home.cluster for home in homes}
    named = {rule.cluster for rule in workload.placement}
    for cluster in sorted({*named, *ours} - at_home):
        state = world.state(cluster, workload.ref)
        if cluster not in named or not world.looked_for(cluster, workload.ref):
            unasked.append(cluster)
        elif state is None or not (state.wanted or state.ready):
            continue
        elif not (world.control_is_up(cluster) and world.fresh(cluster)):
            unasked.append(cluster)
        else:
            stand_ins.append(StandIn(cluster=cluster, state=state, after=0))
            if cluster not in ours:
                notes.append(
                    f"{cluster} runs {workload.ref} too, and no run put it there: it stops first all the same"
                )
    return Return(
        workload=workload,
        single=True,
        homes=homes,
        stand_ins=tuple(stand_ins) if homes else (),
        unasked=tuple(unasked),
        notes=tuple(notes),
    )


def _homes(
    world: World, workload: WorkloadRef, former: dict[ClusterName, int], notes: list[str]
) -> tuple[Home, ...]:
    homes = []
    for cluster in sorted(former):
        if cluster not in world.sources or not former[cluster]:
            continue
        state = world.state(cluster, workload)
        if state is None:
            notes.append(
                f"{workload} does not exist in {cluster} any more; it ran {former[cluster]} replicas there"
            )
            continue
        if state.wanted:
            ran = f"{cluster} runs {state.wanted} replicas of {workload} again"
            if state.autoscaler is not None and state.wanted < former[cluster]:
                notes.append(f"{ran}; its autoscaler follows the load up to the former {former[cluster]}")
                homes.append(Home(cluster=cluster, state=state, after=state.wanted))
                continue
            notes.append(f"{ran}: duplicates of what the stand-ins run until they shrink")
        homes.append(Home(cluster=cluster, state=state, after=max(state.wanted, former[cluster])))
    return tuple(homes)


def _stand_ins(
    world: World,
    workload: WorkloadRef,
    rows: dict[ClusterName, tuple[int, int]],
    minimums: dict[ClusterName, int],
    back: int,
    notes: list[str],
) -> tuple[StandIn, ...]:
    """What was added is taken away again, at most what is back home, and never below what was there before."""
    stand_ins = []
    left = back
    for cluster, (least, added) in sorted(rows.items(), key=lambda row: (-row[1][1], row[0])):
        state = world.state(cluster, workload)
        if state is None or cluster in world.sources:
            continue
        if not world.control_is_up(cluster):
            notes.append(f"{cluster} cannot be asked: it keeps its {state.wanted} replicas of {workload}")
            continue
        after = max(min(least, state.wanted), state.wanted - min(added, left))
        left -= state.wanted - after
        minimum = None
        if state.autoscaler is not None and cluster in minimums:
            lowered = state.autoscaler.min_replicas - min(added, state.wanted - after)
            minimum = minimums[cluster] if after <= least else max(minimums[cluster], lowered)
            minimum = minimum if minimum < state.autoscaler.min_replicas else None
            if minimum is not None and after:
                notes.append(
                    f"{cluster} shrinks by its autoscaler {state.autoscaler.name}; "
                    f"its maxReplicas stays {state.autoscaler.max_replicas}"
                )
        if after < state.wanted or minimum is not None:
            stand_ins.append(StandIn(cluster=cluster, state=state, after=after, minimum_after=minimum))
    return tuple(sorted(stand_ins, key=lambda item: item.cluster))


def emptied(world: World, application: Application, returns: tuple[Return, ...]) -> frozenset[ClusterName]:
    """Clusters that keep no replica of the application: they leave its record sets again."""
    after = {
        (stand_in.cluster, item.workload.ref): stand_in.after
        for item in returns
        for stand_in in item.stand_ins
    }
    shrunk = {cluster for cluster, _ in after}

    def keeps(cluster: ClusterName) -> bool:
        for workload in application.workloads:
            state = world.state(cluster, workload.ref)
            if state is not None and after.get((cluster, workload.ref), state.wanted):
                return True
        return False

    return frozenset(cluster for cluster in shrunk if not keeps(cluster))

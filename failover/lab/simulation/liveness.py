"""What must come to pass when faults stop: within a bounded time every lost replica runs elsewhere and DNS is right, or a
refusal with its reason stands in `status`; and nothing hangs.
"""

from collections.abc import Collection, Sequence

from failover.controller.context import Context
from failover.execution.taken_back import taken_back
from failover.lab.twins.zone import Version
from failover.model.ids import ClusterName, RegionName
from failover.model.plan import RunKind
from failover.model.policy import WorkloadRef

from .fleet import MOVED, REPLICAS, TTL_S, ZONE
from .oracles.base import Violation
from .world import World

NAMES = {"shop.example.test.": "shop", "ledger.example.test.": "ledger"}


def check_liveness(world: World) -> list[Violation]:
    """Violations of liveness, judged by the world and by what clients are told; the controller's own words are only reasons."""
    found: list[Violation] = []

    def missing(sentence: str) -> None:
        found.append(Violation(invariant="liveness", at=world.mono, sentence=sentence))

    life = world.acting
    controller = life.controller if life is not None else None
    if controller is None or not controller.acting:
        missing("nobody acts")
        return found
    context = controller.context
    for defect in [line for line in world.lines if " defect " in line][:3]:
        missing(f"a defect of ours: {defect}")
    for run in context.open_runs():
        if run.halted is None and run.state.value != "awaiting-approval":
            missing(f"{run.id} hangs in {run.state}")
    everything = context.judgement.freeze or context.doubt or context.people.pause
    lost = [name for name in world.clusters if not world.serves(name)]
    if context.judgement.freeze and not lost:
        missing(f"everything serves, and it is frozen still: {context.judgement.freeze.sentence}")
    for name, application in NAMES.items():
        if everything or _excused(context, application, {world.region_of(one) for one in lost}):
            continue
        dead = sorted(value for value in _answered(world, name) if world.cluster_at(value) in lost)
        if dead and len(lost) < len(world.clusters):
            missing(f"{name} still names {dead}, and status gives no reason")
        able = {cluster for cluster in world.clusters if _serves(world, cluster, application)}
        for version in _versions(world) if able else ():
            values = version.record_sets[name, "A"].values
            if not able.intersection(map(world.cluster_at, values)):
                missing(
                    f"{name} leads to {', '.join(values)}, where nobody serves, and status gives no reason"
                )
        ready = sum(
            world.ready(cluster, MOVED[application]) for cluster in world.clusters if cluster not in lost
        )
        demand = REPLICAS * (len(world.clusters) - _deleted(world, MOVED[application]))
        ready += _taken_back(context, MOVED[application])
        if ready < demand and not world.forgotten and not _tried(world, application, lost):
            missing(f"{application} has {ready} of {demand} replicas ready, and status gives no reason")
    return found


def _taken_back(context: Context, ref: WorkloadRef) -> int:
    """Replicas that another manager took away again, as `status` tells: they are not fought over."""
    told = taken_back(list(context.runs.values()), context.world.inventories.values(), context.now())
    return sum(max(0, item.set_to - item.wanted) for item in told if item.workload == ref)


def _answered(world: World, name: str) -> set[str]:
    """Every address that a client may have now."""
    return {value for version in _versions(world) for value in version.record_sets[name, "A"].values}


def _versions(world: World) -> list[Version]:
    """Every answer that a client may have now: from any server that answers, or kept by its resolver for the TTL."""
    zone = world.zones[ZONE]
    versions = [zone.seen_by(server) for server in zone.servers if not server.stopped]
    return versions + zone.versions_since(world.mono - TTL_S)


def _serves(world: World, cluster: str, application: str) -> bool:
    """Clients of an application who come there are served."""
    return world.serves(cluster, application) and world.ready(cluster, MOVED[application]) > 0


def _excused(context: Context, application: str, lost: Collection[RegionName]) -> bool:
    """Whether `status` gives a reason why this application is not where it should be: of a region that is lost, or of a zone."""
    refused = any(
        item.application in ("", None, application)
        for case, refusals in context.refusals.items()
        if case.split("/")[0] in ("zone", *lost)
        for item in refusals
    )
    return refused or any(application in run.applications for run in context.open_runs())


def _deleted(world: World, ref: WorkloadRef) -> int:
    """Clusters where somebody deleted it: what he did not want there is no demand."""
    return sum(found == ref for _, found in world.deleted)


def _tried(world: World, application: str, lost: Sequence[ClusterName]) -> bool:
    """A finished run that names what it could not place, or what was given up, is a reason too; so is a person who overrode
    the floor, or was shown what a drain would leave without a place. Where something is lost: a run for just that.
    """
    life = world.acting
    if life is None or life.controller is None:
        return False
    return any(
        (
            (run.state.value in ("partial", "aborted", "failed") or "capacity-floor" in run.plan.overrides)
            and any(part.application == application for part in run.plan.applications)
        )
        or any(shed.owner == application for part in run.plan.applications for shed in part.sheds)
        or any(
            part.application == application and part.unplaced and run.plan.run_kind is RunKind.DRAIN
            for part in run.plan.applications
        )
        for run in life.controller.context.runs.values()
        if not lost or set(lost) & set(run.plan.sources)
    )

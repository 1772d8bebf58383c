"""Moves that lie on top of each other: what was moved twice goes home in the opposite order."""

from failover.model.ids import ApplicationName, ClusterName
from failover.model.plan import Plan
from failover.model.policy import Application
from failover.model.reasons import Refusal
from failover.model.snapshot import Displacement
from failover.planner.returning import displaced
from failover.planner.world import World


def not_moved_on(
    world: World, application: Application, displacements: tuple[Displacement, ...]
) -> tuple[tuple[Displacement, ...], Refusal | None]:
    """Those moves that can be undone now. Where there are none, also the reason, and all of them.

    A later run may have made the home of an earlier one a stand-in for others, by adding there or by counting on duplicates that
    ran there again: they cannot be told from what went away, and would be given back with it. That run is undone first.
    """
    on_top = {item.run: _on_top(world, application, item, displacements) for item in displacements}
    free = tuple(item for item in displacements if on_top[item.run] is None)
    later = next((found for found in on_top.values() if found is not None), None)
    if free or later is None:
        return free, None
    return displacements, Refusal(
        code="moved-on",
        sentence=(
            f"run {later.run} moved {application.name} from {later.domain} to where this one comes home, after it had left: "
            f"fail back {later.domain} first"
        ),
        evidence=(f"run={later.run}",),
        application=application.name,
        overridable=False,
    )


def _on_top(
    world: World, application: Application, first: Displacement, together: tuple[Displacement, ...]
) -> Displacement | None:
    """A later run, not undone together with this one, that counts on what the application runs where this one took it away. One
    that nothing can come home to, because the policy names none of its clusters any more, holds up nobody.
    """
    for later in displaced(application, world.snapshot.displacements):
        if later in together or later.finished_at <= first.finished_at:
            continue
        if world.entries.keys().isdisjoint(later.plan.sources):
            continue
        if counts_on(later.plan, application.name) & set(first.plan.sources):
            return later
    return None


def counts_on(plan: Plan, application: ApplicationName) -> frozenset[ClusterName]:
    """Clusters that served when a plan was made, and whose replicas of the application it keeps, or adds to."""
    served = {name for name, kind in plan.verdicts if kind.serves}
    return frozenset(
        row.cluster
        for part in plan.applications
        for row in part.placements
        if part.application == application
        and row.cluster in served
        and row.cluster not in plan.sources
        and row.after > 0
    )

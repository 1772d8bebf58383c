"""Which clusters clients are sent to: what runs elsewhere, and may not be published, carries nobody."""

from failover.model.ids import ClusterName
from failover.model.policy import Application
from failover.model.reasons import Refusal
from failover.planner.traffic import current_set, publishes_one, values_of
from failover.planner.world import World


def unreached(
    world: World, application: Application, targets: dict[ClusterName, Refusal | None]
) -> frozenset[ClusterName]:
    """Clusters that a finished run moved it away from, that none of its names holds, and that no plan brings in, because they are
    no target (back, say, and cordoned). Their replicas are neither kept nor credited.

    None where a zone is unknown, and where a name holds one cluster at a time, the others being its reserve.
    """
    if any(publishes_one(name) or name.zone not in world.zones for name in application.dns):
        return frozenset()
    listed = {cluster for name in application.dns for cluster in name.clusters} - world.sources
    held = {
        cluster
        for name in application.dns
        for value in values_of(name, current_set(world, name))
        for cluster in world.owners.get((name.record_type, value), ())
    }
    moved = {cluster for cluster, name in world.snapshot.away if name == application.name}
    return frozenset(cluster for cluster in (listed - held) & moved if targets.get(cluster) is not None)

"""What runs in clusters, and the room for it."""

import asyncio
from collections.abc import Collection

from failover.lab.simulation import trace
from failover.lab.simulation.fleet import API, WEB
from failover.lab.simulation.layers import Undo
from failover.lab.simulation.places import SimCluster
from failover.lab.simulation.world import World
from failover.model.ids import ClusterName
from failover.model.journal import RunOpened
from failover.model.plan import RunKind

from .clusters import lose_nodes, one
from .registry import all_of, ender, fault


@fault("pods-never-ready", "workloads", longest_s=60)
def pods_never_ready(world: World) -> Undo:
    """What is ready stays so; what comes anew gets ready when this is over."""
    cluster = world.clusters[one(world)]
    for ref in cluster.workloads:
        cluster.settle(ref)  # what was due before is ready, whether or not anybody had looked
    return world.knobs.turn(cluster.faults, "never_ready", True)


@fault("pods-slow", "workloads")
def pods_slow(world: World) -> Undo:
    return world.knobs.turn(world.clusters[one(world)], "ready_s", world.random.uniform(5, 20))


@fault("less-capacity-than-told", "workloads", longest_s=120)
def less_capacity(world: World) -> Undo:
    """Nodes tell of room that replicas do not get, since something else has run out; what comes anew waits."""
    undos = []
    for name in world.random.sample(list(world.clusters), world.random.randint(1, 2)):
        cluster = world.clusters[name]
        limit = sum(cluster.settle(ref).placed for ref in cluster.workloads) + world.random.randint(0, 1)
        undos.append(limit_places(cluster, limit))
    return all_of(*undos)


def limit_places(cluster: SimCluster, limit: int) -> Undo:
    cluster.limits.append(limit)

    def undo() -> None:
        if limit in cluster.limits:
            cluster.limits.remove(limit)
            cluster.find_places()

    return undo


@fault("survivors-lose-nodes", "workloads", longest_s=120)
def survivors_lose_nodes(world: World) -> Undo:
    """Clusters that serve lose machines: at once, or in the middle of the next move away from another."""
    order = world.random.sample(list(world.clusters), len(world.clusters))
    survivors, nodes = world.random.randint(1, 3), world.random.randint(1, 2)
    waits, after_s = world.random.random() < 0.6, world.random.uniform(0.0, 5.0)
    undos: list[Undo] = []
    ended: list[bool] = []

    def strike(sources: Collection[ClusterName] = ()) -> None:
        if ended or undos:
            return
        struck = [name for name in order if name not in sources and world.serves(name)][:survivors]
        world.say(f"lost: {nodes} nodes in each of {', '.join(struck)}")
        undos.extend(lose_nodes(world.clusters[name], nodes) for name in struck)

    def watch(event: trace.Event) -> None:
        if isinstance(event, trace.Journaled) and isinstance(event.entry.entry, RunOpened):
            plan = event.entry.entry.plan
            if plan.run_kind is not RunKind.FAILBACK:
                asyncio.get_running_loop().call_later(after_s, strike, plan.sources)

    def undo() -> None:
        ended.append(True)
        world.watchers.remove(watch)
        all_of(*undos)()

    world.watchers.append(watch)
    if not waits:
        strike()
    return undo


@fault("replicas-taken-back", "workloads", longest_s=20)
def replicas_taken_back(world: World) -> Undo:
    """A GitOps tool sets back whatever differs from its repository, for a while."""
    name = one(world)
    task = asyncio.ensure_future(take_back(world, name))
    return ender(task)


async def take_back(world: World, name: ClusterName) -> None:
    cluster = world.clusters[name]
    wanted = {ref: item.wanted for ref, item in cluster.workloads.items()}
    while True:
        await world.clock.sleep(3.0)
        for ref, count in wanted.items():
            if ref in cluster.workloads and cluster.workloads[ref].wanted != count:
                cluster.set_replicas(ref, count, "argocd")


@fault("object-deleted", "workloads")
def object_deleted(world: World) -> Undo:
    cluster = world.clusters[one(world)]
    ref = world.random.choice((WEB, API))
    kept = cluster.workloads.pop(ref, None)
    world.deleted.add((str(cluster.name), ref))

    def undo() -> None:
        if kept is not None and ref not in cluster.workloads:
            kept.version += 10
            cluster.workloads[ref] = kept

    return undo

"""Regions, datacenters, clusters: their machines, control planes, data planes; and many at once."""

import asyncio
from collections.abc import Sequence

from failover.lab.simulation import trace
from failover.lab.simulation.layers import Undo
from failover.lab.simulation.places import SimCluster
from failover.lab.simulation.world import World
from failover.model.ids import ClusterName
from failover.model.journal import IntentRecorded, RecordsChange
from failover.model.observation import Outcome, Signal

from .registry import all_of, ender, fault

REGIONS = ("north", "south", "west")
NOTICED_S = 20.0
"""How long what ran on a lost node is missed before it starts elsewhere: Kubernetes' five minutes, compressed."""
NEVER_NOTICED_S = 600.0
"""What gives replicas another place is not back either."""


def members(world: World, region: str) -> list[ClusterName]:
    return [name for name in world.clusters if world.region_of(name) == region]


def one(world: World) -> ClusterName:
    return world.random.choice(list(world.clusters))


def kill(world: World, names: Sequence[ClusterName], outcome: Outcome) -> Undo:
    world.say(f"dead: {', '.join(names)} ({outcome})")
    undos = [world.dead.put(name, outcome) for name in names]
    world.refresh_truth()

    def undo() -> None:
        all_of(*undos)()
        world.refresh_truth()

    return undo


def layer(world: World, key: object, value: object) -> Undo:
    undo_layer = world.paths.put(key, value)
    world.refresh_truth()

    def undo() -> None:
        undo_layer()
        world.refresh_truth()

    return undo


# -- machines ------------------------------------------------------------------------------------------------------------


def lose_nodes(cluster: SimCluster, count: int, noticed_s: float = NOTICED_S) -> Undo:
    """What ran there is given another place only when it is noticed; one node is always left."""
    lost = min(count, cluster.nodes - 1)
    cluster.set_nodes(cluster.nodes - lost, noticed_s=noticed_s)
    return lambda: cluster.set_nodes(cluster.nodes + lost)


@fault("region-killed", "domain", longest_s=120, lasting=True)
def region_killed(world: World) -> Undo:
    return kill(world, members(world, world.random.choice(REGIONS)), Outcome.REFUSED)


@fault("region-silent", "domain", longest_s=120, lasting=True)
def region_silent(world: World) -> Undo:
    return kill(world, members(world, world.random.choice(REGIONS)), Outcome.TIMEOUT)


@fault("region-isolated", "domain", longest_s=90)
def region_isolated(world: World) -> Undo:
    """Nobody reaches it, neither clients nor its API servers; its machines live, and what it pushes out arrives."""
    region = world.random.choice(REGIONS)
    undos = []
    for name in members(world, region):
        undos += [layer(world, (plane, name), Outcome.TIMEOUT) for plane in ("data", "control")]
        undos.append(world.clusters[name].api.put("isolated"))
    return all_of(*undos)


@fault("region-back-too-early", "domain", longest_s=14)
def region_back_too_early(world: World) -> Undo:
    return kill(world, members(world, world.random.choice(REGIONS)), Outcome.REFUSED)


@fault("region-half-back", "domain", longest_s=90)
def region_half_back(world: World) -> Undo:
    names = members(world, world.random.choice(REGIONS))
    first = kill(world, names[:1], Outcome.REFUSED)
    rest = kill(world, names[1:], Outcome.REFUSED) if names[1:] else first
    asyncio.get_running_loop().call_later(30.0, rest)
    return all_of(first, rest)


@fault("region-slow", "domain", longest_s=90)
def region_slow(world: World) -> Undo:
    """Everything in it is late: what clients ask, its API servers' health, and what they answer to us."""
    return all_late(world, members(world, world.random.choice(REGIONS)))


def all_late(world: World, names: Sequence[ClusterName]) -> Undo:
    undos = [world.clusters[name].api.put("slow", world.random.uniform(0.5, 4.0)) for name in names]
    return all_of(slow(world, names, Signal.DATA_PLANE, Signal.CONTROL_PLANE), *undos)


def datacenter(world: World) -> list[ClusterName]:
    entry = world.random.choice(world.policy.fleet.clusters)
    return [item.name for item in world.policy.fleet.clusters if item.datacenter == entry.datacenter]


@fault("datacenter-killed", "domain", longest_s=120, lasting=True)
def datacenter_killed(world: World) -> Undo:
    return kill(world, datacenter(world), Outcome.REFUSED)


@fault("datacenter-silent", "domain", longest_s=120, lasting=True)
def datacenter_silent(world: World) -> Undo:
    return kill(world, datacenter(world), Outcome.TIMEOUT)


@fault("datacenter-half-back", "domain", longest_s=120)
def datacenter_half_back(world: World) -> Undo:
    return half_back(world, datacenter(world))


@fault("datacenter-back-too-early", "domain", longest_s=14)
def datacenter_back_too_early(world: World) -> Undo:
    return kill(world, datacenter(world), Outcome.REFUSED)


@fault("datacenter-slow", "domain", longest_s=90)
def datacenter_slow(world: World) -> Undo:
    return all_late(world, datacenter(world))


def half_back(world: World, names: Sequence[ClusterName]) -> Undo:
    """They answer again, with one node of three: what ran on the others waits for them."""
    dead = kill(world, names, Outcome.REFUSED)
    machines = [lose_nodes(world.clusters[name], 2, noticed_s=NEVER_NOTICED_S) for name in names]
    asyncio.get_running_loop().call_later(world.random.uniform(10.0, 40.0), dead)
    return all_of(dead, *machines)


@fault("cluster-killed", "domain", longest_s=120, lasting=True)
def cluster_killed(world: World) -> Undo:
    return kill(world, [one(world)], Outcome.REFUSED)


@fault("cluster-silent", "domain", longest_s=120)
def cluster_silent(world: World) -> Undo:
    return kill(world, [one(world)], Outcome.TIMEOUT)


@fault("cluster-back-too-early", "domain", longest_s=14)
def cluster_back_too_early(world: World) -> Undo:
    return kill(world, [one(world)], Outcome.REFUSED)


@fault("cluster-half-back", "domain", longest_s=120)
def cluster_half_back(world: World) -> Undo:
    return half_back(world, [one(world)])


@fault("provider-gone", "correlated", longest_s=90)
def provider_gone(world: World) -> Undo:
    names = [item.name for item in world.policy.fleet.clusters if item.provider == "alpha"]
    return kill(world, names, Outcome.TIMEOUT)


@fault("everything-down", "correlated", longest_s=60)
def everything_down(world: World) -> Undo:
    return kill(world, list(world.clusters), Outcome.TIMEOUT)


@fault("region-flapping", "domain", longest_s=170)
def region_flapping(world: World) -> Undo:
    names = members(world, world.random.choice(REGIONS))
    task = asyncio.ensure_future(flap(world, names))

    return ender(task)


async def flap(world: World, names: Sequence[ClusterName]) -> None:
    undo: Undo | None = None
    try:
        while True:
            undo = kill(world, names, Outcome.REFUSED)
            await world.clock.sleep(world.random.uniform(4, 16))
            undo()
            await world.clock.sleep(world.random.uniform(4, 16))
    finally:
        if undo is not None:
            undo()


# -- control planes ------------------------------------------------------------------------------------------------------


def control(world: World, outcome: Outcome, **api: object) -> Undo:
    name = one(world)
    cluster = world.clusters[name]
    undos = [cluster.api.put(key, value) for key, value in api.items()]
    return all_of(world.paths.put(("control", name), outcome), *undos)


@fault("control-plane-down", "control plane", longest_s=90)
def control_plane_down(world: World) -> Undo:
    return control(world, Outcome.REFUSED, refuses="connection refused")


@fault("control-plane-silent", "control plane", longest_s=90)
def control_plane_silent(world: World) -> Undo:
    return control(world, Outcome.TIMEOUT, silent=True)


@fault("control-plane-500", "control plane")
def control_plane_500(world: World) -> Undo:
    return control(world, Outcome.SERVER_ERROR, fails="500 InternalError")


@fault("control-plane-garbage", "control plane")
def control_plane_garbage(world: World) -> Undo:
    return control(world, Outcome.WRONG_ANSWER, fails="the answer is no JSON object")


@fault("control-plane-401", "control plane")
def control_plane_401(world: World) -> Undo:
    return control(world, Outcome.LOCAL, local="401 Unauthorized")


@fault("control-plane-403", "control plane")
def control_plane_403(world: World) -> Undo:
    return control(world, Outcome.LOCAL, local="403 Forbidden")


@fault("control-planes-all-down", "correlated", longest_s=90)
def control_planes_all_down(world: World) -> Undo:
    undos = []
    for name, cluster in world.clusters.items():
        undos += [world.paths.put(("control", name), Outcome.TIMEOUT), cluster.api.put("silent")]
    return all_of(*undos)


@fault("api-slow", "control plane")
def api_slow(world: World) -> Undo:
    return world.clusters[one(world)].api.put("slow", world.random.uniform(0.5, 4.0))


@fault("api-list-breaks-off", "control plane", longest_s=90)
def api_list_breaks_off(world: World) -> Undo:
    """What is read page by page ends in an error, and is not to be taken for whole, or for nothing; all else is answered."""
    return world.clusters[one(world)].api.put("breaks-off")


@fault("api-stale-reads", "control plane", longest_s=40)
def api_stale_reads(world: World) -> Undo:
    """Its reads come from a cache that does not follow; what is written is held against the truth."""
    cluster = world.clusters[one(world)]
    return cluster.api.put("stale", cluster.as_it_stands())


@fault("api-429", "control plane")
def api_429(world: World) -> None:
    """So many requests are turned away, whoever sends them: controllers or vantages."""
    world.clusters[one(world)].faults.throttle += world.random.randint(5, 60)


@fault("api-answers-lost", "control plane")
def api_answers_lost(world: World) -> None:
    world.clusters[one(world)].faults.lose_answers += world.random.randint(1, 4)


@fault("api-conflict-storm", "control plane")
def api_conflict_storm(world: World) -> None:
    world.clusters[one(world)].faults.conflicts += world.random.randint(2, 6)


@fault("api-fails-at-changes", "control plane", longest_s=120)
def api_fails_at_changes(world: World) -> Undo:
    """Of a cluster's changes every other finds its API server broken, silent or out of reach, between the look and the write."""
    undos: list[Undo] = []

    def watch(event: trace.Event) -> None:
        if not isinstance(event, trace.Journaled) or not isinstance(event.entry.entry, IntentRecorded):
            return
        change = event.entry.entry.intent.change
        if isinstance(change, RecordsChange) or world.random.random() < 0.5:
            return
        layer = world.random.choice(("fails", "silent", "isolated"))
        world.say(f"the API server of {change.cluster} {layer} before {event.holder} sends")
        broken = world.clusters[ClusterName(change.cluster)].api.put(layer, "500 InternalError")
        undos.append(broken)
        asyncio.get_running_loop().call_later(world.random.uniform(0.1, 12.0), broken)

    world.watchers.append(watch)
    return all_of(lambda: world.watchers.remove(watch), lambda: all_of(*undos)())


# -- data planes ---------------------------------------------------------------------------------------------------------


def data(world: World, outcome: Outcome) -> Undo:
    return layer(world, ("data", one(world)), outcome)


@fault("data-plane-refused", "data plane", longest_s=90, lasting=True)
def data_plane_refused(world: World) -> Undo:
    return data(world, Outcome.REFUSED)


@fault("data-plane-silent", "data plane", longest_s=90)
def data_plane_silent(world: World) -> Undo:
    return data(world, Outcome.TIMEOUT)


@fault("data-plane-reset", "data plane")
def data_plane_reset(world: World) -> Undo:
    return data(world, Outcome.RESET)


@fault("data-plane-500", "data plane")
def data_plane_500(world: World) -> Undo:
    return data(world, Outcome.SERVER_ERROR)


@fault("data-plane-expired-certificate", "data plane", longest_s=90)
def data_plane_expired_certificate(world: World) -> Undo:
    return data(world, Outcome.TLS)


@fault("data-plane-wrong-body", "data plane")
def data_plane_wrong_body(world: World) -> Undo:
    return data(world, Outcome.WRONG_ANSWER)


@fault("data-plane-gray", "data plane", longest_s=120)
def data_plane_gray(world: World) -> Undo:
    name = one(world)
    undo_errors = world.paths.put(("errors", name), world.random.uniform(0.01, 0.5))
    return all_of(undo_errors, lambda: world.gray_no_more(name))


@fault("data-plane-slow", "data plane", longest_s=90)
def data_plane_slow(world: World) -> Undo:
    """Slower than usual; or so slow that nobody waits for a part of the answers, or for any."""
    return slow(world, [one(world)], Signal.DATA_PLANE)


def slow(world: World, names: Sequence[ClusterName], *signals: Signal) -> Undo:
    mean_s = world.policy.fleet.timing.timeout_s * world.random.uniform(0.2, 3.0)
    world.say(f"slow by {mean_s:.1f} s: {', '.join(names)}")
    undos = [layer(world, ("slow", signal, name), mean_s) for name in names for signal in signals]

    def fast_again() -> None:
        for name in names:
            world.gray_no_more(name)

    return all_of(*undos, fast_again)


@fault("application-broken", "data plane", longest_s=90)
def application_broken(world: World) -> Undo:
    return layer(world, ("application", "shop", one(world)), Outcome.SERVER_ERROR)

"""The twin of a cluster puts whole replicas on nodes."""

from failover.controller.clock import SystemClock
from failover.lab.twins.cluster import ClusterWorld
from failover.model.policy import WorkloadRef
from failover.model.resources import Resources

WEB = WorkloadRef(object_kind="Deployment", namespace="shop", name="web")
API = WorkloadRef(object_kind="Deployment", namespace="ledger", name="api")
THIRD = Resources(cpu_m=5000, memory=1 << 20)
"""Three of these fit on a node of 16 cores."""


def cluster(**replicas: int) -> ClusterWorld:
    world = ClusterWorld("north-1", SystemClock(), nodes=3, ready_s=0.0)
    for ref, wanted in ((WEB, replicas["web"]), (API, replicas["api"])):
        world.add(ref, wanted).requests = THIRD
    return world


def test_every_replica_goes_to_the_node_that_has_most() -> None:
    free = cluster(web=4, api=1).free()
    assert [node.cpu_m for node in free] == [6000, 6000, 11000]
    assert [node.pods for node in free] == [108, 108, 109]


def test_room_that_others_give_up_is_taken_at_once() -> None:
    world = cluster(web=4, api=5)
    world.set_replicas(API, 1, "failover")
    world.set_replicas(WEB, 8, "failover")
    assert world.settle(WEB).ready == 8


def test_what_no_node_holds_waits() -> None:
    world = cluster(web=4, api=3)
    world.set_replicas(WEB, 8, "failover")
    assert (world.settle(WEB).wanted, world.settle(WEB).ready) == (8, 6)

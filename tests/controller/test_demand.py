"""Demand is counted by application: what one application left does not make another's replicas there unwanted."""

from dataclasses import replace

from failover.controller.demand import DemandTracker
from failover.model.inventory import ClusterInventory, WorkloadState
from failover.model.policy import PlacementRule, Workload, WorkloadRef
from failover.model.time import EPOCH_START, Now
from tests.support.policies import WEB, policy

API = WorkloadRef(object_kind="Deployment", namespace="ledger", name="api")
NOW = Now(mono=100.0, wall=EPOCH_START)


def test_an_application_that_was_left_out_of_a_run_is_still_wanted_where_it_runs() -> None:
    made = policy()
    shop = made.applications[0]
    rules = tuple(PlacementRule(cluster=entry.name) for entry in made.fleet.clusters)
    ledger = replace(shop, name="ledger", workloads=(Workload(ref=API, placement=rules),), dns=())
    made = replace(made, applications=(shop, ledger))
    inventories = {
        entry.name: ClusterInventory(
            cluster=entry.name,
            uid="u",
            taken_mono=100.0,
            workloads=tuple(WorkloadState(ref=ref, exists=True, wanted=4, ready=4) for ref in (WEB, API)),
        )
        for entry in made.fleet.clusters
    }
    tracker = DemandTracker()
    tracker.note(made, inventories, NOW)
    tracker.away = frozenset({("north-1", "ledger")})
    assert {item.application: item.replicas for item in tracker.demands(made, inventories)} == {
        "shop": 12,
        "ledger": 8,
    }

    tracker.owed = {("ledger", API): 3}
    assert {item.application: item.replicas for item in tracker.demands(made, inventories)} == {
        "shop": 12,
        "ledger": 11,
    }, "what was moved away and placed nowhere"


def test_what_a_cluster_runs_of_a_workload_that_nobody_looked_for_there_is_unknown_and_never_none() -> None:
    """Seed 3794: the cluster had left the policy when it was looked into last, and died before it was looked into again."""
    made = policy()
    inventories = {
        entry.name: ClusterInventory(
            cluster=entry.name,
            uid="u",
            taken_mono=100.0,
            workloads=(WorkloadState(ref=WEB, exists=True, wanted=4, ready=4),),
        )
        for entry in made.fleet.clusters
    }
    tracker = DemandTracker()
    tracker.note(made, inventories, NOW)
    for unknown in (None, replace(inventories["north-1"], workloads=())):
        seen = {name: item for name, item in inventories.items() if name != "north-1"}
        if unknown is not None:
            seen["north-1"] = unknown
        (demand,) = tracker.demands(made, seen)
        assert demand.replicas == 12
    absent = replace(inventories["north-1"], workloads=(WorkloadState(ref=WEB, exists=False),))
    (demand,) = tracker.demands(made, {**inventories, "north-1": absent})
    assert demand.replicas == 8, "somebody looked, and it is not there any more"

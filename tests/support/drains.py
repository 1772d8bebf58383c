"""Drains of the north in virtual time: of two applications that stand in elsewhere, up to the last second before something goes.

South carries the ledger and west the shop; both are to be taken away in the north.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from failover.lab.fleet import TwinFleet
from failover.lab.virtual import VirtualClock
from failover.model.ids import ApplicationName, ClusterName
from failover.model.journal import Run, StepState
from failover.model.plan import WaitStep
from failover.model.policy import FenceMode, PlacementRule, Workload, WorkloadRef
from failover.model.records import RecordSet, RecordType
from failover.model.verdict import VerdictKind
from tests.support.policies import NAME, WEB, policy

NORTH, SOUTH, WEST = (ClusterName(name) for name in ("north-1", "south-1", "west-1"))
LEDGER = WorkloadRef(object_kind="Deployment", namespace="ledger", name="api")
LEDGER_NAME = "ledger.example.test."


async def started(fleet: TwinFleet, kind: str) -> str:
    assert fleet.controller is not None
    answer = await fleet.controller.command(
        {"actor": "ada@desk", "verb": "start", "kind": kind, "domain": "north"}
    )
    return str(answer["run"])


def run_of(fleet: TwinFleet, run: str) -> Run:
    assert fleet.controller is not None
    return fleet.controller.context.runs[run]  # type: ignore[index]


async def ended(fleet: TwinFleet, run: str) -> Run:
    await fleet.until(lambda: run_of(fleet, run).state.final, seconds=1500)
    return run_of(fleet, run)


def kind_of(fleet: TwinFleet, cluster: ClusterName) -> VerdictKind:
    assert fleet.controller is not None
    verdict = fleet.controller.context.judgement.of_cluster(cluster)
    assert verdict is not None
    return verdict.kind


def two_applications(shop_at: ClusterName = WEST) -> TwinFleet:
    """The ledger stands in at south only, the shop at west only (or `shop_at`); both run in the north."""
    made = policy()
    (shop,) = made.applications

    def at(*names: ClusterName) -> tuple[PlacementRule, ...]:
        return tuple(PlacementRule(cluster=name) for name in names)

    def made_of(application: Any, ref: WorkloadRef, name: str, stand_in: ClusterName) -> Any:
        return replace(
            application,
            workloads=(Workload(ref=ref, placement=at(NORTH, stand_in)),),
            dns=(replace(application.dns[0], name=name, clusters=(NORTH, stand_in)),),
        )

    ledger = made_of(replace(shop, name=ApplicationName("ledger")), LEDGER, LEDGER_NAME, SOUTH)
    applications = (ledger, made_of(shop, WEB, NAME, shop_at))
    return TwinFleet(replace(made, applications=applications), VirtualClock(), seed=3)


async def opened(fleet: TwinFleet, shop_at: ClusterName = WEST) -> None:
    zone = next(iter(fleet.zones.values()))
    address = {entry.name: entry.ipv4[0] for entry in fleet.policy.fleet.clusters}
    for name, ref, stand_in in ((LEDGER_NAME, LEDGER, SOUTH), (NAME, WEB, shop_at)):
        values = tuple(sorted((address[NORTH], address[stand_in])))
        zone.set_records(RecordSet(name=name, record_type=RecordType.A, ttl=30, values=values))
        for cluster in (NORTH, stand_in):
            fleet.clusters[cluster].add(ref, 4)
    controller = fleet.boot()
    fleet.start_vantages()
    await fleet.until(lambda: controller.context.judgement.warm_up is None, seconds=60)
    await fleet.clock.sleep(15)


async def a_second_before(fleet: TwinFleet) -> tuple[str, Callable[[], bool]]:
    """A drain of the north is a second from taking the ledger away; the run, and whether the wait is over."""
    await opened(fleet)
    run = await started(fleet, "drain")
    await fleet.until(lambda: len(fleet.addresses("example-test", LEDGER_NAME)) == 1, seconds=60)
    (wait,) = [
        step
        for step in run_of(fleet, run).plan.steps
        if isinstance(step, WaitStep) and step.application == "ledger"
    ]

    def over() -> bool:
        return run_of(fleet, run).steps[wait.id].state is StepState.DONE

    began = run_of(fleet, run).steps[wait.id].since
    await fleet.clock.sleep((began - fleet.clock.now().wall).total_seconds() + wait.seconds - 1)
    assert not over()
    return run, over


def port_of(fleet: TwinFleet, cluster: ClusterName) -> Any:
    assert fleet.controller is not None
    return fleet.controller.ports.clusters[cluster]


def waits_for(fleet: TwinFleet) -> str:
    assert fleet.controller is not None
    return str(fleet.controller.status()["runs"][-1]["waits_for"])


def loses_its_nodes(fleet: TwinFleet) -> None:
    fleet.clusters[SOUTH].set_nodes(0, noticed_s=600)


def answers_no_more(fleet: TwinFleet) -> None:
    fleet.clusters[SOUTH].faults.down = True


async def at_once(number: int) -> None:
    """Nothing is waited for."""


def held_up(
    fleet: TwinFleet, cluster: ClusterName, method: str, before: Callable[[int], Awaitable[Any]]
) -> list[float]:
    """When a method of that cluster's port is called; `before(n)` is waited for before the n-th call goes on."""
    called: list[float] = []
    port = port_of(fleet, cluster)
    real = getattr(port, method)

    async def asked_first(*asked: Any) -> Any:
        called.append(fleet.clock.now().mono)
        await before(len(called))
        return await real(*asked)

    setattr(port, method, asked_first)
    return called


def reads(fleet: TwinFleet, cluster: ClusterName, before: Callable[[int], Awaitable[Any]]) -> list[float]:
    """When that cluster's workloads are asked for."""
    return held_up(fleet, cluster, "read_workloads", before)


def fenced(fleet: TwinFleet) -> TwinFleet:
    """The policy asks every cluster for the fence."""
    clusters = tuple(replace(entry, fence=FenceMode.POLICY) for entry in fleet.policy.fleet.clusters)
    fleet.policy = replace(fleet.policy, fleet=replace(fleet.policy.fleet, clusters=clusters))
    return fleet


def the_last_copy_stays(fleet: TwinFleet) -> None:
    assert fleet.replicas(LEDGER)[NORTH][0] == 4


def port_of_zone(fleet: TwinFleet) -> Any:
    assert fleet.controller is not None
    return next(iter(fleet.controller.ports.zones.values()))

"""One frozen sight of the world for the planner: verdicts, inventories, record sets, people's words."""

from dataclasses import dataclass, field
from datetime import datetime

from failover.model.ids import ApplicationName, ClusterName, Domain, RunId
from failover.model.inventory import ClusterInventory, Demand
from failover.model.plan import Plan
from failover.model.policy import WorkloadRef
from failover.model.records import OwnedName, RecordSet, ZoneState
from failover.model.time import Now
from failover.model.verdict import Judgement, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Cordon:
    """A domain that is kept from being a target, or a vantage kept from voting (`vantage/NAME`)."""

    target: str
    by: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Displacement:
    """What a finished run took away from a domain and nobody brought back yet: what a failback undoes."""

    run: RunId
    domain: Domain
    plan: Plan
    finished_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """Room that an unfinished run is about to fill: `replicas` of a workload that are not ready in the cluster yet.

    `sent`: its change has landed, or may have; otherwise the run may still be planned anew.
    """

    run: RunId
    application: ApplicationName
    cluster: ClusterName
    workload: WorkloadRef
    replicas: int
    sent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything that a plan may depend on.

    `inventories`: the latest complete look at each cluster, however old (age = now.mono - taken_mono decides its use);
    a cluster never seen is absent. `zones`: only zones that were read whole; an absent one is unknown.
    `busy`: applications with an unfinished run, by run. `away`: applications, and the clusters that finished runs moved them
    away from: what is still wanted there is no demand. `intended`: what runs made of each record set last, by whichever
    zone: what a repair brings back. `owned`: names that changes of ours have landed at. `reserved`: what unfinished runs are about to fill. `windows`: names of the time windows
    that hold now, by application.
    """

    now: Now
    policy_generation: str
    judgement: Judgement
    inventories: tuple[ClusterInventory, ...] = ()
    zones: tuple[ZoneState, ...] = ()
    demands: tuple[Demand, ...] = ()
    cordons: tuple[Cordon, ...] = ()
    displacements: tuple[Displacement, ...] = ()
    busy: tuple[tuple[ApplicationName, RunId], ...] = field(default=())
    away: frozenset[tuple[ClusterName, ApplicationName]] = frozenset()
    intended: tuple[RecordSet, ...] = ()
    owned: frozenset[OwnedName] = frozenset()
    reserved: tuple[Reservation, ...] = ()
    windows: tuple[tuple[ApplicationName, str], ...] = ()

    def inventory(self, cluster: ClusterName) -> ClusterInventory | None:
        return next((item for item in self.inventories if item.cluster == cluster), None)

    def verdict(self, cluster: ClusterName) -> Verdict | None:
        return self.judgement.of_cluster(cluster)

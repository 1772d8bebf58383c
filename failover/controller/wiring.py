"""Opens the real adapters of a policy: store, clusters, zones, probers. The only place that knows all of them."""

import os
import secrets
import socket
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from failover.controller.clock import InlineCompute, PoolCompute, SystemClock
from failover.controller.ports import ApiServer, Identity, Ports
from failover.dnszones import open_zones
from failover.kube import open_clusters
from failover.model.ids import ClusterName
from failover.model.policy import Policy
from failover.model.ports import Cluster, DNSZone, Telemetry
from failover.model.telemetry import TelemetryEvent
from failover.policy.certificates import read_certificates
from failover.probes import ProberSet
from failover.store.processes import boot_id
from failover.store.sqlite import SQLiteStore

if TYPE_CHECKING:
    from failover.kube.cluster import KubeCluster

POOL_FROM_WORKLOADS = 500


class SilentTelemetry:
    """Emits nothing: a command tells its person by itself."""

    def emit(self, event: TelemetryEvent) -> None:
        del event


@dataclass(slots=True, kw_only=True)
class OpenPorts:
    """Open ports and how to close them."""

    ports: Ports
    prober: ProberSet

    async def follow(self, policy: Policy) -> bool:
        """Open what a changed policy, or a rewritten kubeconfig, names; close what is gone. True if anything changed.

        Problems are told once each, when they begin.
        """
        ports = self.ports
        clusters, problems = open_clusters(policy, ports.clock, ports.clusters)  # type: ignore[arg-type]
        zones = open_zones(policy, ports.clock, ports.zones)
        for name, sentence in problems.items():
            if ports.closed.get(name) != sentence:
                _tell_closed(ports.telemetry, ports.clock.now().wall, sentence)
        same = clusters == ports.clusters and zones == ports.zones and problems == ports.closed
        ports.closed = problems
        if same:
            return False
        gone: list[Cluster | DNSZone] = [
            *(item for name, item in ports.clusters.items() if clusters.get(name) is not item),
            *(zone for name, zone in ports.zones.items() if zones.get(name) is not zone),
        ]
        ports.clusters, ports.zones, ports.api_servers = clusters, zones, _api_servers(clusters)
        for old in gone:
            await old.close()
        return True

    async def close(self) -> None:
        """Close every connection and the store."""
        for cluster in self.ports.clusters.values():
            await cluster.close()
        for zone in self.ports.zones.values():
            await zone.close()
        await self.prober.close()
        await self.ports.store.close()
        if isinstance(self.ports.compute, PoolCompute):
            self.ports.compute.close()


def read_text(path: str) -> str:
    """A CA bundle's certificates, "" for no path. Raises LocalFault."""
    return read_certificates(path)


async def open_ports(
    policy: Policy, state: Path, *, telemetry: Telemetry | None = None, source: str = "", pool: bool = False
) -> OpenPorts:
    """Open everything that a policy names. Raises StoreError; a cluster or zone that cannot be opened is left out and told."""
    clock = SystemClock()
    store = await SQLiteStore.open(state, clock)
    teller = telemetry or SilentTelemetry()
    clusters, problems = open_clusters(policy, clock)
    zones = open_zones(policy, clock)
    for sentence in problems.values():
        _tell_closed(teller, clock.now().wall, sentence)
    prober = ProberSet(allow_cidrs=policy.fleet.probe_allow_cidrs, source=source)
    workloads = sum(len(application.workloads) for application in policy.applications)
    ports = Ports(
        clock=clock,
        compute=PoolCompute() if pool and workloads >= POOL_FROM_WORKLOADS else InlineCompute(),
        store=store,
        telemetry=teller,
        prober=prober,
        clusters=clusters,
        zones=zones,
        api_servers=_api_servers(clusters),
        closed=problems,
        identity=Identity(
            holder=f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}",
            boot_id=boot_id(),
            process=os.getpid(),
        ),
    )
    return OpenPorts(ports=ports, prober=prober)


def _api_servers(clusters: "dict[ClusterName, KubeCluster]") -> dict[ClusterName, ApiServer]:
    found = {}
    for name, cluster in clusters.items():
        where = cluster.api_server
        found[name] = ApiServer(
            address=where.address, port=where.port, server_name=where.server_name, ca_pem=where.ca_pem
        )
    return found


def _tell_closed(telemetry: Telemetry, at: datetime, sentence: str) -> None:
    telemetry.emit(TelemetryEvent(name="target.closed", at=at, sentence=sentence, page=True))

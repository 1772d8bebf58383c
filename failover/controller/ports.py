"""Everything that a controller is built from: the ports, already adapted or twinned."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from failover.model.ids import ClusterName, ZoneName
from failover.model.ports import Clock, Cluster, Compute, DNSZone, Prober, Store, Telemetry


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiServer:
    """Where a cluster's API server answers, for the control-plane probe. Free of secrets. `port` of `address`."""

    address: str
    port: int
    server_name: str
    ca_pem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who this process is. `boot_id`: of the machine's boot (or of the twin's life); `process`: its pid."""

    holder: str
    boot_id: str
    process: int


@dataclass(slots=True, kw_only=True)
class Ports:
    """The outside of one controller. `random` is seeded by the caller; the adapters own their clients.

    `closed`: a sentence for each cluster whose access cannot be read. Such a cluster is unknown, and never down.
    """

    clock: Clock
    compute: Compute
    store: Store
    telemetry: Telemetry
    prober: Prober
    clusters: Mapping[ClusterName, Cluster]
    zones: Mapping[ZoneName, DNSZone]
    api_servers: Mapping[ClusterName, ApiServer]
    identity: Identity
    closed: Mapping[ClusterName, str] = field(default_factory=dict)
    random: Random = field(default_factory=Random)

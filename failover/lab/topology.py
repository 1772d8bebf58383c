"""What a lab consists of: regions, clusters, vantages, applications, ports; and the policy files that describe it."""

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from failover.web.tokens import token_digest

ZONE = "lab.test"
ENDPOINT_PORT = 8443


NODE = {"cpu": "32", "memory": "128Gi", "pods": "250"}
"""What a node can give where a lab says nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabCluster:
    """One simulated cluster: its place, the loopback address that clients reach it by, and its API server's port."""

    name: str
    provider: str
    region: str
    datacenter: str
    address: str
    endpoint_port: int
    api_port: int
    nodes: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class LabVantage:
    """One vantage and the loopback address that it sends from, so that its path alone can be cut."""

    name: str
    region: str
    source: str
    controller: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LabApplication:
    """Applications of `deployments` workloads with `replicas` over all clusters.

    `policy`, `workload`: fields of its document, and of its workloads' entries, over what every lab's application has.
    `window`: weights by domain of a time window that begins with the minute after next, for the next half hour.
    """

    name: str
    deployments: int
    replicas: int
    mode: str = "auto"
    policy: dict[str, Any] = field(default_factory=dict)
    workload: dict[str, Any] = field(default_factory=dict)
    window: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """One lab. `ready_s`: how long a pod takes to be ready; `timing`: policy timings over the profile's.

    `dns`: the providers that serve the zone, two name servers each (`dns_ports`, in order) and an API (`dns_api_ports`, 0
    where there is none). `weights`: names have weighted records; `prepare`: at Route 53 from the start, for its health checks
    to stand beside. `standby_port`: where a second controller would listen, 0 for none.
    `node`: what each of a cluster's nodes can give; `prices`: by region, an hour of a core.
    """

    clusters: tuple[LabCluster, ...]
    vantages: tuple[LabVantage, ...]
    applications: tuple[LabApplication, ...]
    listen_port: int
    dns_ports: tuple[int, ...]
    dns: tuple[str, ...] = ("rfc2136",)
    dns_api_ports: tuple[int, ...] = (0,)
    weights: bool = False
    prepare: bool = False
    standby_port: int = 0
    profile: str = "fast"
    ready_s: float = 1.0
    floor: int = 100
    on_shortage: str = "partial"
    timing: dict[str, Any] = field(default_factory=dict)
    guards: dict[str, Any] = field(default_factory=dict)
    node: dict[str, str] = field(default_factory=lambda: dict(NODE))
    prices: dict[str, float] = field(default_factory=dict)

    @property
    def regions(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(cluster.region for cluster in self.clusters))

    @property
    def domains(self) -> tuple[str, ...]:
        """Bare names, widest first."""
        levels = ("provider", "region", "datacenter", "name")
        return tuple(dict.fromkeys(getattr(one, level) for level in levels for one in self.clusters))

    def zone_names(self) -> tuple[str, ...]:
        """The policy's zone at each provider."""
        first, *rest = self.dns
        del first
        return ("lab-test", *(f"lab-test-{provider}" for provider in rest))

    def in_domain(self, name: str) -> tuple[LabCluster, ...]:
        """Clusters of a domain by its bare name."""
        return tuple(
            one for one in self.clusters if name in (one.name, one.datacenter, one.region, one.provider)
        )


class _Plain(yaml.SafeDumper):
    """Never writes aliases: the loader refuses them."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def write_policies(
    lab: Lab, folder: Path, *, ca_file: Path, tsig_key: Path, kubeconfig: Path
) -> dict[str, Path]:
    """Write the policy files of a lab and the vantages' tokens; returns the token file of each vantage."""
    policies = folder / "policies"
    policies.mkdir(parents=True, exist_ok=True)
    tokens: dict[str, Path] = {}
    digests: dict[str, str] = {}
    for vantage in lab.vantages:
        if not vantage.controller:
            token = secrets.token_urlsafe(32)
            path = folder / f"{vantage.name}.token"
            path.touch(mode=0o600)
            path.write_text(token + "\n")
            tokens[vantage.name], digests[vantage.name] = path, token_digest(token)
    documents = {
        "fleet.yaml": [_document("Fleet", "lab", _fleet(lab, digests, ca_file, kubeconfig))],
        "dns.yaml": [
            _document("DNSZone", name, _zone(lab, number, folder, tsig_key))
            for number, name in enumerate(lab.zone_names())
        ],
        "applications.yaml": [
            _document("Application", one.name, _application(lab, one)) for one in lab.applications
        ],
        "guards.yaml": [_document("Guards", "guards", lab.guards)],
    }
    for name, found in documents.items():
        (policies / name).write_text(
            "---\n".join(yaml.dump(item, Dumper=_Plain, sort_keys=False) for item in found)
        )
    return tokens


def _document(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "failover/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def _fleet(lab: Lab, digests: dict[str, str], ca_file: Path, kubeconfig: Path) -> dict[str, Any]:
    providers: dict[str, dict[str, dict[str, list[dict[str, Any]]]]] = {}
    for one in lab.clusters:
        regions = providers.setdefault(one.provider, {})
        regions.setdefault(one.region, {}).setdefault(one.datacenter, []).append(
            {
                "name": one.name,
                "endpoint": {"ipv4": [one.address], "hostname": f"{one.name}.{ZONE}"},
                "access": {"kubeconfig": str(kubeconfig), "context": one.name},
                "fence": "policy",
                "probe": {
                    "kind": "https",
                    "port": one.endpoint_port,
                    "path": "/healthz",
                    "bodyContains": "ok",
                    "caFile": str(ca_file),
                },
            }
        )
    return {
        "profile": lab.profile,
        "timing": {"stable": "10s", "inventoryInterval": "2s", "inventoryMaxAge": "10s", **lab.timing},
        "probes": {"allowCidrs": ["127.0.0.0/8"]},
        "providers": [
            {
                "name": provider,
                "regions": [
                    {
                        "name": region,
                        "price": {"cpu": lab.prices[region]} if region in lab.prices else {},
                        "datacenters": [
                            {"name": datacenter, "clusters": clusters}
                            for datacenter, clusters in datacenters.items()
                        ],
                    }
                    for region, datacenters in regions.items()
                ],
            }
            for provider, regions in providers.items()
        ],
        "vantages": [_vantage(lab, vantage, digests) for vantage in lab.vantages],
    }


def _vantage(lab: Lab, vantage: LabVantage, digests: dict[str, str]) -> dict[str, Any]:
    """References are the name servers (outside every region) and the lab's controller port."""
    references = [
        {"name": f"anchor-{number}", "address": "127.0.0.1", "port": port, "kind": "tcp"}
        for number, port in enumerate(lab.dns_ports)
    ]
    found: dict[str, Any] = {"name": vantage.name, "references": references}
    if vantage.region:
        found["region"] = vantage.region
    if vantage.controller:
        found["controller"] = True
    else:
        found["tokenSHA256"] = digests[vantage.name]
    return found


def credentials_path(folder: Path, provider: str) -> Path:
    """Where a provider's stand-in leaves what its client needs."""
    return folder / f"{provider}.credentials"


def _zone(lab: Lab, number: int, folder: Path, tsig_key: Path) -> dict[str, Any]:
    provider = lab.dns[number]
    servers = [{"address": "127.0.0.1", "port": port} for port in lab.dns_ports[2 * number : 2 * number + 2]]
    common = {
        "apex": ZONE,
        "provider": provider,
        "authoritative": servers,
        "adopt": True,
        "timeout": "2s",
    }
    if provider == "rfc2136":
        return {**common, "primary": servers[0], "tsigKeyFile": str(tsig_key)}
    access = {
        "credentialsFile": str(credentials_path(folder, provider)),
        "endpoint": f"http://127.0.0.1:{lab.dns_api_ports[number]}",
    }
    if provider == "route53":
        own = {"hostedZone": "Z0FAILOVERLAB", **({"prepare": True} if lab.prepare else {})}
        return {**common, **access, **own}
    return {**common, **access, "project": "failover-lab", "managedZone": "lab"}


def _application(lab: Lab, one: LabApplication) -> dict[str, Any]:
    placement = [{"cluster": cluster.name, "weight": 1, "min": 1} for cluster in lab.clusters]
    spec = {
        "mode": one.mode,
        "floor": lab.floor,
        "onShortage": lab.on_shortage,
        "workloads": [
            {
                "kind": "Deployment",
                "namespace": one.name,
                "names": workload_names(one),
                "placement": placement,
                **one.workload,
            }
        ],
        "dns": [
            {
                "name": f"{one.name}.{ZONE}",
                "zones": list(lab.zone_names()),
                "type": "A",
                "ttl": "5s",
                "publish": "all",
                **({"weights": True} if lab.weights else {}),
            }
        ],
        **one.policy,
    }
    if one.window:
        spec["windows"] = [_window(one.window, datetime.now(UTC))]
    return spec


def _window(weights: dict[str, int], now: datetime) -> dict[str, Any]:
    """In UTC, which skips no time of day."""
    begins = now + timedelta(minutes=2)
    return {
        "name": "day",
        "cron": f"{begins.minute} {begins.hour} * * *",
        "timezone": "UTC",
        "duration": "30m",
        "weights": weights,
    }


def workload_names(one: LabApplication) -> list[str]:
    """Names of an application's deployments."""
    return (
        [one.name]
        if one.deployments == 1
        else [f"{one.name}-{number:03d}" for number in range(one.deployments)]
    )

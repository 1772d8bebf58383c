"""Health checks of Route 53 beside our records (`prepare: true`): the way that needs no API when it is flipped.

Route 53's control plane answers from one region. Its checkers and its name servers go on without it: a weighted record
whose check fails is answered no more, by Route 53's own judgement of one endpoint and not by our quorum. That is the
second way, prepared beforehand; the first is still a fenced change.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from failover.model.observation import ProbeKind
from failover.model.policy import ClusterEntry

PREFIX = "failover"
INTERVAL_S, FAILURES = 10, 3
PAGES_MAX = 50

_TYPES = {ProbeKind.HTTPS: "HTTPS", ProbeKind.HTTP: "HTTP"}
Ask = Callable[..., Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedEndpoint:
    """One address and the check that a client's request to it makes. `reference`: the same for the same wish."""

    value: str
    reference: str
    config: dict[str, Any]


def endpoints_of(zone: str, clusters: Sequence[ClusterEntry]) -> tuple[CheckedEndpoint, ...]:
    """Every address of the clusters, with their data-plane probe as a Route 53 health check."""
    found = []
    for entry in clusters:
        probe = entry.data_probe
        for value in (*entry.ipv4, *entry.ipv6):
            kind = _TYPES.get(probe.probe, "TCP")
            config: dict[str, Any] = {
                "IPAddress": value,
                "Port": probe.port,
                "Type": kind,
                "RequestInterval": INTERVAL_S,
                "FailureThreshold": FAILURES,
            }
            if kind != "TCP":
                config["ResourcePath"] = probe.path
                if host := probe.server_name or probe.host or entry.hostname:
                    config["FullyQualifiedDomainName"] = host.rstrip(".")
            if kind == "HTTPS":
                config["EnableSNI"] = True
            found.append(
                CheckedEndpoint(value=value, reference=f"{PREFIX}:{zone}:{value}:{probe.port}", config=config)
            )
    return tuple(found)


def list_checks(ask: Ask, zone: str) -> dict[str, str]:
    """Value -> id of the checks that were made for a zone. Raises our errors."""
    found: dict[str, str] = {}
    marker: dict[str, str] = {}
    for _ in range(PAGES_MAX):
        page = ask("list_health_checks", MaxItems="100", **marker)
        for item in page.get("HealthChecks", ()):
            reference = str(item.get("CallerReference", ""))
            if reference.startswith(f"{PREFIX}:{zone}:"):
                value = reference.removeprefix(f"{PREFIX}:{zone}:").rpartition(":")[0]
                found[value] = str(item["Id"])
        if not page.get("IsTruncated"):
            break
        marker = {"Marker": str(page["NextMarker"])}
    return found


def create_check(ask: Ask, endpoint: CheckedEndpoint) -> str:
    """Make a check, or find the one that was made by the same reference; its id. It changes no answer by itself."""
    made = ask("create_health_check", CallerReference=endpoint.reference, HealthCheckConfig=endpoint.config)
    return str(made["HealthCheck"]["Id"])

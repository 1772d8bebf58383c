"""Health checks of Route 53 beside our records (`prepare: true`): the way that needs no API when it is flipped.

Route 53's control plane answers from one region. Its checkers and its name servers go on without it: a weighted record
whose check fails is answered no more, by Route 53's own judgement of one endpoint and not by our quorum. That is the
second way, prepared beforehand; the first is still a fenced change.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from failover.model.codec import digest
from failover.model.errors import Rejected, Unavailable
from failover.model.ids import ZoneName
from failover.model.observation import ProbeKind
from failover.model.policy import ClusterEntry, Policy

PREFIX = "failover"
INTERVAL_S, FAILURES = 10, 3
PAGES_MAX = 50
ATTEMPTS_MAX = 9
USED_UP = "HealthCheckAlreadyExists"

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
            found.append(CheckedEndpoint(value=value, reference=_reference(zone, config), config=config))
    return tuple(found)


def _reference(zone: str, config: Mapping[str, Any]) -> str:
    """The same for the same wish, another for any other, and at most 64 characters, however long a path or a name is."""
    return f"{PREFIX}:{digest(zone)[:12]}:{digest(dict(config))[:32]}"


def checked_clusters(policy: Policy, zone: ZoneName) -> tuple[ClusterEntry, ...]:
    """The clusters whose endpoints stand in weighted records of a zone: health checks stand beside those."""
    published = {
        cluster
        for application in policy.applications
        for name in application.dns
        if name.zone == zone and name.weighted
        for cluster in name.clusters
    }
    return tuple(item for item in policy.fleet.clusters if item.name in published)


@dataclass(frozen=True, slots=True)
class ListedChecks:
    """Every health check of the account, listed whole: (id, caller reference) of each."""

    rows: tuple[tuple[str, str], ...] = ()

    def of(self, endpoint: CheckedEndpoint) -> str:
        """The id of the check that makes this very probe, "" for none: of several attempts the last one."""
        found = {reference: number for number, reference in self.rows}
        return next(
            (found[name] for name in reversed(references_of(endpoint)) if name in found),
            "",
        )

    def has(self, number: str) -> bool:
        return any(number == known for known, _ in self.rows)


def references_of(endpoint: CheckedEndpoint) -> tuple[str, ...]:
    """What a check is called, attempt by attempt: a reference is used up once its check was deleted or edited."""
    return (
        endpoint.reference,
        *(f"{endpoint.reference}:{number}" for number in range(2, ATTEMPTS_MAX + 1)),
    )


def checks_page(ask: Ask, marker: str, *, where: str, target: str) -> tuple[tuple[tuple[str, str], ...], str]:
    """One page of (id, caller reference), and the marker of the next, "" at the end. Raises our errors.

    What is no listing, or does not say how it goes on, is unknown: a check that is not listed might be there.
    """
    page = ask("list_health_checks", MaxItems="100", **({"Marker": marker} if marker else {}))
    listed, more = page.get("HealthChecks"), page.get("IsTruncated")
    following = str(page.get("NextMarker", ""))
    if not isinstance(listed, Sequence) or not isinstance(more, bool) or (more and not following):
        raise Unavailable(f"{where}: the answer is no listing of health checks", target=target)
    rows = tuple((str(item["Id"]), str(item.get("CallerReference", ""))) for item in listed)
    return rows, following if more else ""


def create_check(ask: Ask, endpoint: CheckedEndpoint) -> str:
    """Make a check, or find the one that was made by the same reference; its id. It changes no answer by itself."""
    refused: Rejected | None = None
    for reference in references_of(endpoint):
        try:
            made = ask("create_health_check", CallerReference=reference, HealthCheckConfig=endpoint.config)
            return str(made["HealthCheck"]["Id"])
        except Rejected as error:
            if USED_UP not in str(error):
                raise
            refused = error
    assert refused is not None
    raise refused

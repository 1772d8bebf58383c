"""From policies to probe definitions: what every vantage asks, free of secrets."""

from collections.abc import Callable, Mapping
from typing import Protocol

from failover.model.ids import ApplicationName, ClusterName, Subject
from failover.model.observation import ProbeDefinition, ProbeKind, Signal
from failover.model.policy import ClusterEntry, DataProbe, Policy

READYZ_PATH = "/readyz"


class ApiServerLike(Protocol):
    """Where an API server answers; see `controller.ports.ApiServer`."""

    @property
    def address(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def server_name(self) -> str: ...
    @property
    def ca_pem(self) -> str: ...


def build_definitions(
    policy: Policy, api_servers: Mapping[ClusterName, ApiServerLike], read_ca: Callable[[str], str]
) -> tuple[ProbeDefinition, ...]:
    """Every probe of the fleet: D and C of each cluster, D of each application that names its own probe.

    `read_ca(path)` returns a CA bundle's PEM text ("" for ""). A cluster whose API server is unknown gets no C probe:
    its control plane is then unknown, never down.
    """
    found: list[ProbeDefinition] = []
    for entry in policy.fleet.clusters:
        data = _data_probe(policy, entry, entry.data_probe, None, read_ca)
        if data is not None:
            found.append(data)
        server = api_servers.get(entry.name)
        if server is not None:
            found.append(_readyz(policy, entry, server))
        for application in policy.applications:
            if application.data_probe is not None and entry.name in application.clusters:
                own = _data_probe(policy, entry, application.data_probe, application.name, read_ca)
                if own is not None:
                    found.append(own)
    return tuple(found)


def _data_probe(
    policy: Policy,
    entry: ClusterEntry,
    probe: DataProbe,
    application: ApplicationName | None,
    read_ca: Callable[[str], str],
) -> ProbeDefinition | None:
    addresses = (*entry.ipv4, *entry.ipv6)
    if not addresses:
        return None
    timing = policy.fleet.timing
    return ProbeDefinition(
        subject=Subject(cluster=entry.name, application=application),
        signal=Signal.DATA_PLANE,
        probe=probe.probe,
        address=addresses[0],
        more_addresses=addresses[1:],
        port=probe.port,
        server_name=probe.server_name or entry.hostname,
        host=probe.host or probe.server_name or entry.hostname,
        path=probe.path,
        statuses=probe.statuses,
        body_contains=probe.body_contains,
        ca_pem=read_ca(probe.ca_file),
        interval_s=timing.interval_s,
        timeout_s=timing.timeout_s,
    )


def _readyz(policy: Policy, entry: ClusterEntry, server: ApiServerLike) -> ProbeDefinition:
    timing = policy.fleet.timing
    return ProbeDefinition(
        subject=Subject(cluster=entry.name),
        signal=Signal.CONTROL_PLANE,
        probe=ProbeKind.READYZ,
        address=server.address,
        port=server.port,
        server_name=server.server_name,
        path=READYZ_PATH,
        ca_pem=server.ca_pem,
        interval_s=timing.interval_s,
        timeout_s=timing.timeout_s,
    )

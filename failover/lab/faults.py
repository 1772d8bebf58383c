"""Faults of a running lab by name, each with how it is switched on and off. One small function a kind."""

import signal
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from failover.lab.nameserver.faults import Faults
from failover.lab.processes import LabError, LabProcesses
from failover.lab.providers import ProviderFaults

Fault = Callable[[LabProcesses, str, bool, dict[str, Any]], None]
NAME_SERVERS = {"0": 0, "primary": 0, "1": 1, "secondary": 1}
FLAPPING = {"down_s": 5.0, "up_s": 8.0}
"""Longer than `fall` and `rise` take in the lab, so that the verdict follows."""


def region(lab: LabProcesses, target: str, on: bool, options: dict[str, Any]) -> None:
    """A region dies with its vantage: SIGKILL (refused at once), or SIGSTOP with `silent` (nothing answers)."""
    if target not in lab.lab.regions:
        raise LabError(f"there is no region {target!r} in this lab; there are {', '.join(lab.lab.regions)}")
    names = [f"region-{target}", *([f"vantage-{target}"] if target in lab.tokens else [])]
    for name in names:
        if on and options.get("silent"):
            lab.send_signal(name, signal.SIGSTOP)
        elif on:
            lab.kill(name)
        elif lab.runs(name):
            lab.send_signal(name, signal.SIGCONT)
        elif name == f"region-{target}":
            lab.spawn_region(target)
        else:
            lab.spawn_vantage(target)


def cluster_faults(part: str, values: dict[str, Any]) -> Fault:
    """A fault that is switched at each cluster of a domain; `values`: what is set while it is on, unless told otherwise."""

    def switch(lab: LabProcesses, target: str, on: bool, options: dict[str, Any]) -> None:
        _only(options, values)
        wanted = {name: options.get(name, value) if on else type(value)() for name, value in values.items()}
        _tell_clusters(lab, target, {"faults": {part: wanted}})

    return switch


def datacenter(lab: LabProcesses, target: str, on: bool, options: dict[str, Any]) -> None:
    """Every cluster of a domain is gone, both planes; the rest of its region goes on."""
    _only(options, {})
    _tell_clusters(lab, target, {"faults": {"endpoint": {"down": on}, "api": {"down": on}}})


def path(lab: LabProcesses, target: str, on: bool, options: dict[str, Any]) -> None:
    """`vantage:domain`: that vantage gets no answer from there; everybody else does."""
    _only(options, {})
    source, domain = _source(lab, target)
    _tell_clusters(lab, domain, {"faults": _blocking(source, on)})


def flapping(lab: LabProcesses, target: str, on: bool, options: dict[str, Any]) -> None:
    """A domain, or a vantage's path to one (`vantage:domain`), that comes and goes: `down_s` dark, then `up_s` light."""
    _only(options, FLAPPING)
    if ":" in target:
        source, domain = _source(lab, target)
        dark, light = _blocking(source, True), _blocking(source, False)
    else:
        domain = target
        dark, light = ({part: {"down": down} for part in ("endpoint", "api")} for down in (True, False))
    pace = {name: float(options.get(name, value)) for name, value in FLAPPING.items()}
    if min(pace.values()) <= 0:
        raise LabError("down_s and up_s are more than 0")
    _tell_clusters(lab, domain, {"flapping": target, "on": on, "dark": dark, "light": light, **pace})


def name_server(lab: LabProcesses, target: str, on: bool, options: dict[str, Any]) -> None:
    """A name server answers nothing, or what the options say, such as `updates_per_s` or `refuse_updates`."""
    if target not in NAME_SERVERS:
        raise LabError(
            f"there is no name server {target!r} in this lab; there are primary (0) and secondary (1)"
        )
    _only(options, {item.name: None for item in fields(Faults)})
    faults = (options or {"silent": True}) if on else {}
    lab.tell("names", {"server": NAME_SERVERS[target], "faults": faults})


def dns_provider(lab: LabProcesses, target: str, on: bool, options: dict[str, Any]) -> None:
    """A DNS provider is dead, API and name servers; or its API does what the options say, such as `throttle=20`."""
    if target not in lab.lab.dns:
        raise LabError(f"there is no DNS provider {target!r} in this lab; there are {', '.join(lab.lab.dns)}")
    _only(options, {item.name: None for item in fields(ProviderFaults)})
    number = lab.lab.dns.index(target)
    dead = on and not options
    lab.tell("names", {"provider": number, "dead": dead, "faults": options if on else {}})
    servers = {2 * number, 2 * number + 1}
    lab.dead_servers = lab.dead_servers | servers if dead else lab.dead_servers - servers


def _tell_clusters(lab: LabProcesses, domain: str, told: dict[str, Any]) -> None:
    clusters = lab.lab.in_domain(domain)
    if not clusters:
        raise LabError(f"there is no domain {domain!r} in this lab; there are {', '.join(lab.lab.domains)}")
    for one in clusters:
        lab.tell(f"region-{one.region}", {"cluster": one.name, **told})


def _source(lab: LabProcesses, target: str) -> tuple[str, str]:
    """(address that a vantage sends from, domain) of `vantage:domain`."""
    name, _, domain = target.partition(":")
    source = next((one.source for one in lab.lab.vantages if one.name == name), None)
    if source is None or not domain:
        known = ", ".join(one.name for one in lab.lab.vantages)
        raise LabError(f"{target!r} is not VANTAGE:DOMAIN of this lab; its vantages are {known}")
    return source, domain


def _blocking(source: str, on: bool) -> dict[str, Any]:
    return {part: {"block" if on else "unblock": source} for part in ("endpoint", "api")}


def _only(options: dict[str, Any], known: dict[str, Any]) -> None:
    """Raises LabError for an option that the fault does not have."""
    for name in options:
        if name not in known:
            raise LabError(f"this fault has no option {name!r}; it has {', '.join(sorted(known)) or 'none'}")


FAULTS: dict[str, Fault] = {
    "region": region,
    "datacenter": datacenter,
    "control-plane": cluster_faults("api", {"down": True}),
    "data-plane": cluster_faults("endpoint", {"down": True}),
    "slow": cluster_faults("endpoint", {"slow_s": 0.5}),
    "gray": cluster_faults("endpoint", {"errors": 0.3}),
    "flapping": flapping,
    "path": path,
    "throttle": cluster_faults("api", {"throttle": 5}),
    "name-server": name_server,
    "dns-provider": dns_provider,
    "never-ready": cluster_faults("kubelets", {"never_ready": True}),
}


def switch(
    lab: LabProcesses, kind: str, target: str, *, on: bool, options: dict[str, Any] | None = None
) -> None:
    """Switch one fault. Raises LabError for a kind, a target or an option that there is not."""
    if kind not in FAULTS:
        raise LabError(f"there is no fault {kind!r}; there are {', '.join(sorted(FAULTS))}")
    FAULTS[kind](lab, target, on, dict(options or {}))

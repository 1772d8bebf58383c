"""Faults of a running lab by name, each with how it is switched on and off. One small function a kind."""

import signal
from collections.abc import Callable
from typing import Any

from failover.lab.processes import LabError, LabProcesses

Fault = Callable[[LabProcesses, str, bool, dict[str, Any]], None]


def region(lab: LabProcesses, target: str, on: bool, options: dict[str, Any]) -> None:
    """A region dies with its vantage: SIGKILL (refused at once), or SIGSTOP with `silent: true` (nothing answers)."""
    names = [f"region-{target}", f"vantage-{target}"]
    if options.get("silent"):
        for name in names:
            lab.send_signal(name, signal.SIGSTOP if on else signal.SIGCONT)
    elif on:
        for name in names:
            lab.kill(name)
    else:
        lab.spawn_region(target)
        if target in lab.tokens:
            lab.spawn_vantage(target)


def cluster_faults(key: str, values: dict[str, Any]) -> Fault:
    """A fault that is switched at each cluster of a domain."""

    def switch(lab: LabProcesses, target: str, on: bool, options: dict[str, Any]) -> None:
        clusters = lab.lab.in_domain(target)
        if not clusters:
            raise LabError(f"there is no domain {target!r} in this lab")
        wanted = (
            {name: options.get(name, value) for name, value in values.items()} if on else _off(key, values)
        )
        for one in clusters:
            lab.tell(f"region-{one.region}", {"cluster": one.name, "faults": {key: wanted}})

    return switch


def _off(key: str, values: dict[str, Any]) -> dict[str, Any]:
    del key
    neutral: dict[type, Any] = {bool: False, float: 0.0, int: 0, list: []}
    return {name: neutral[type(value)] for name, value in values.items()}


def datacenter(lab: LabProcesses, target: str, on: bool, options: dict[str, Any]) -> None:
    """Every cluster of a domain is gone, both planes; the rest of its region goes on."""
    cluster_faults("endpoint", {"down": True})(lab, target, on, options)
    cluster_faults("api", {"down": True})(lab, target, on, options)


def path(lab: LabProcesses, target: str, on: bool, options: dict[str, Any]) -> None:
    """`vantage:domain`: that vantage gets no answer from there; everybody else does."""
    del options
    name, _, domain = target.partition(":")
    source = next((one.source for one in lab.lab.vantages if one.name == name), None)
    if source is None or not lab.lab.in_domain(domain):
        raise LabError(f"{target!r} is not VANTAGE:DOMAIN of this lab")
    for one in lab.lab.in_domain(domain):
        blocked = {"blocked": [source] if on else []}
        lab.tell(
            f"region-{one.region}", {"cluster": one.name, "faults": {"endpoint": blocked, "api": blocked}}
        )


def name_server(lab: LabProcesses, target: str, on: bool, options: dict[str, Any]) -> None:
    """A fault of a name server (`0` the primary, `1` the secondary), such as `updates_per_s` or `refuse_updates`."""
    faults = options if on else {}
    lab.tell("names", {"server": int(target), "faults": faults})


FAULTS: dict[str, Fault] = {
    "region": region,
    "datacenter": datacenter,
    "control-plane": cluster_faults("api", {"down": True}),
    "data-plane": cluster_faults("endpoint", {"down": True}),
    "slow": cluster_faults("endpoint", {"slow_s": 0.5}),
    "gray": cluster_faults("endpoint", {"errors": 0.3}),
    "path": path,
    "throttle": cluster_faults("api", {"throttle": 5}),
    "name-server": name_server,
    "never-ready": cluster_faults("kubelets", {"never_ready": True}),
}


def switch(
    lab: LabProcesses, kind: str, target: str, *, on: bool, options: dict[str, Any] | None = None
) -> None:
    """Switch one fault. Raises LabError for a kind or a target that there is not."""
    if kind not in FAULTS:
        raise LabError(f"there is no fault {kind!r}; there are {', '.join(sorted(FAULTS))}")
    FAULTS[kind](lab, target, on, dict(options or {}))

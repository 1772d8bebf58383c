"""The lab of a cycle: three regions, two applications, three vantages that report to two controllers, quick in everything."""

import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from failover.cli.main import main as failover
from failover.lab.presets import make_lab
from failover.lab.processes import LabProcesses
from failover.lab.topology import Lab
from tests.crashpoints import controller
from tests.crashpoints.forked import Forked
from tests.crashpoints.warden import Warden

VICTIM, CLUSTER = "north", "north-1"
VANTAGES = ("control", "elsewhere", "south")
"""As few as a quorum with a dissenter outside the victim needs: each more costs a seventh of a cycle's work."""
TIMING = {
    "interval": "1s",
    "timeout": "1s",
    "fall": 2,
    "rise": 2,
    "confirm": "500ms",
    "inventoryInterval": "1s",
    "lease": "4s",
    "leaseRenew": "1s",
    "leaseMargin": "1s",
    "stable": "1s",
    "holdDown": {"changes": 100},
}
GUARDS = {"perHour": 1000, "perDay": 1000}
CONTROLLERS = ("first", "second")
PORTS_FROM, PORTS_TO = 20_000, 30_000
"""Below what the kernel gives to outgoing connections: a controller must get its port again when it starts anew."""
_ports = itertools.cycle(range(PORTS_FROM, PORTS_TO))
for _ in range(os.getpid() * 61 % (PORTS_TO - PORTS_FROM)):  # another runner begins elsewhere
    next(_ports)
_choosing = threading.Lock()


class CrashLab(LabProcesses):
    """A lab whose processes a warden knows, and whose vantages report to both controllers."""

    def __init__(self, folder: Path, warden: Warden) -> None:
        lab, listening = _lab()
        super().__init__(lab, folder)
        self.warden = warden
        self.ports = dict(zip(CONTROLLERS, listening, strict=True))

    def open(self) -> None:
        """Everything but a controller."""
        self.prepare()
        self._shorten_ttl()
        self._have_patience()
        self.start_world()
        self.start_vantages()

    def _shorten_ttl(self) -> None:
        """A failback waits for the old TTL at each stage: one second is enough to see that it does."""
        path = self.policies / "applications.yaml"
        documents = list(yaml.safe_load_all(path.read_text()))
        for document in documents:
            for name in document["spec"]["dns"]:
                name["ttl"] = "1s"
        path.write_text(yaml.safe_dump_all(documents, sort_keys=False))
        names = self.folder / "names.json"
        told = json.loads(names.read_text())
        for record in told["records"]:
            record["ttl"] = 1
        names.write_text(json.dumps(told))

    def _have_patience(self) -> None:
        """An update that gets no answer proves nothing about who was refused: a busy machine may take its time."""
        path = self.policies / "dns.yaml"
        zone = yaml.safe_load(path.read_text())
        zone["spec"]["timeout"] = "10s"
        path.write_text(yaml.safe_dump(zone, sort_keys=False))

    def start_crashing(self, name: str, points: Sequence[str], blow: str) -> None:
        """A controller, armed or only recording. Two of them share the state directory and nothing else."""
        assert self.certificates is not None
        own = next(one for one in self.lab.vantages if one.controller)
        self._fork(
            name,
            controller.main,
            [
                *("controller", str(self.folder / "points")),
                *(",".join(points) or "-", blow, "--"),
                *("run", "--state", str(self.state), "--policies", str(self.policies)),
                *("--source-address", own.source, "--listen", f"127.0.0.1:{self.ports[name]}"),
                *("--tls-cert", str(self.certificates.certificate), "--tls-key", str(self.certificates.key)),
            ],
        )

    def end_controller(self, name: str) -> None:
        """Gently, also one that is frozen."""
        process = self.running.get(name)
        if process is None:
            return
        self.send_signal(name, signal.SIGCONT)
        self.send_signal(name, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
        self.kill(name)

    def command(self, *arguments: str) -> int:
        """What a person types: `failover …`; its exit code."""
        self._fork("command", failover, ["failover", *arguments])
        code = self.running["command"].wait(timeout=60)
        self.kill("command")
        return int(code) if code is not None else -signal.SIGKILL

    def _fork(self, name: str, main: Callable[[], None], arguments: Sequence[str]) -> None:
        environment = {"FAILOVER_STATE": str(self.state), "FAILOVER_POLICIES": str(self.policies)}
        process: Any = Forked(main, arguments, self.folder / f"{name}.log", environment)
        self.running[name] = process
        self.warden.guard(process.pid)

    # -- what the lab's own starting and ending is told anew -----------------------------------------------------------

    def spawn_vantage(self, name: str) -> None:
        assert self.certificates is not None
        vantage = next(one for one in self.lab.vantages if one.name == name)
        controllers = [("--controller", f"https://127.0.0.1:{port}") for port in self.ports.values()]
        self._spawn(
            f"vantage-{name}",
            [
                *("-m", "failover", "vantage", "--name", name, *itertools.chain(*controllers)),
                *("--token-file", str(self.tokens[name]), "--ca-file", str(self.certificates.authority)),
                *("--source-address", vantage.source),
            ],
        )

    def _spawn(self, name: str, arguments: Sequence[str]) -> None:
        super()._spawn(name, arguments)
        self.warden.guard(self.running[name].pid)

    def kill(self, name: str) -> None:
        process = self.running.get(name)
        super().kill(name)
        if process is not None:
            self.warden.release(process.pid)


def _lab() -> tuple[Lab, list[int]]:
    """The lab, and the ports that its two controllers listen on."""
    made = make_lab(
        applications=[["shop", 1, 6], ["ledger", 1, 6]], ready_s=0.3, timing=dict(TIMING), guards=dict(GUARDS)
    )
    with _choosing:
        ports = _free()
        endpoint_port = next(ports)
        clusters = tuple(
            replace(one, api_port=next(ports), endpoint_port=endpoint_port) for one in made.clusters
        )
        dns_ports, listening = (next(ports), next(ports)), [next(ports), next(ports)]
    vantages = tuple(one for one in made.vantages if one.name in VANTAGES)
    lab = replace(made, clusters=clusters, dns_ports=dns_ports, listen_port=listening[0], vantages=vantages)
    return lab, listening


def _free() -> Iterator[int]:
    for port in _ports:
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind(("0.0.0.0", port))
            except OSError:
                continue
        yield port

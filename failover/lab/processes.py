"""Starts, kills and stops the processes of a lab: name servers, regions, vantages, the controller."""

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from failover.lab.certificates import LabCertificates, write_certificates
from failover.lab.topology import ZONE, Lab, credentials_path, workload_names, write_policies
from failover.model.errors import FailoverError

KEY_NAME = "failover-lab"
START_TIMEOUT_S = 30.0


class LabError(FailoverError):
    """A lab process did not start, or died; the message holds the end of its log."""


@dataclass(slots=True)
class LabProcesses:
    """One running lab in one folder. Everything that it started it ends, by the processes that it started."""

    lab: Lab
    folder: Path
    certificates: LabCertificates | None = None
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    tokens: dict[str, Path] = field(default_factory=dict)
    dead_servers: set[int] = field(default_factory=set)
    """Name servers of a DNS provider that is dead: nothing can be asked of them."""

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def policies(self) -> Path:
        return self.folder / "policies"

    @property
    def asleep(self) -> Path:
        """There once a controller that sleeps has fallen asleep; then what became of what it sent when it woke."""
        return self.folder / "asleep"

    # -- files ---------------------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Write certificates, keys, kubeconfig, policies, and what each process is told."""
        lab, folder = self.lab, self.folder
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        addresses = ["127.0.0.1", *(cluster.address for cluster in lab.clusters)]
        names = [f"{cluster.name}.{ZONE}" for cluster in lab.clusters]
        self.certificates = write_certificates(folder, addresses, ["localhost", *names])
        token, secret = secrets.token_urlsafe(24), _base64(secrets.token_bytes(32))
        self._write_key(secret)
        self._write_kubeconfig(token)
        self.tokens = write_policies(
            lab,
            folder,
            ca_file=self.certificates.authority,
            tsig_key=folder / "tsig.key",
            kubeconfig=folder / "kubeconfig.yaml",
        )
        for one in lab.clusters:  # a new lab in an old folder is a new world
            (folder / f"{one.name}.ledger").unlink(missing_ok=True)
        for region in lab.regions:
            self._tell(f"region-{region}", self._region(region, token))
        self._tell("names", self._names(secret))

    def _tell(self, name: str, told: dict[str, Any]) -> None:
        path = self.folder / f"{name}.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps(told, indent=1))

    def _write_key(self, secret: str) -> None:
        path = self.folder / "tsig.key"
        path.touch(mode=0o600)
        path.write_text(f'key "{KEY_NAME}" {{\n  algorithm hmac-sha256;\n  secret "{secret}";\n}};\n')

    def _write_kubeconfig(self, token: str) -> None:
        lab = self.lab
        assert self.certificates is not None
        clusters = [
            {
                "name": one.name,
                "cluster": {
                    "server": f"https://127.0.0.1:{one.api_port}",
                    "certificate-authority": str(self.certificates.authority),
                },
            }
            for one in lab.clusters
        ]
        value = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": lab.clusters[0].name,
            "clusters": clusters,
            "users": [{"name": "failover-lab", "user": {"token": token}}],
            "contexts": [
                {"name": one.name, "context": {"cluster": one.name, "user": "failover-lab"}}
                for one in lab.clusters
            ],
        }
        path = self.folder / "kubeconfig.yaml"
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(value, sort_keys=False))

    def _region(self, region: str, token: str) -> dict[str, Any]:
        assert self.certificates is not None
        clusters = [one for one in self.lab.clusters if one.region == region]
        names = [one.name for one in self.lab.clusters]
        return {
            "certificate": str(self.certificates.certificate),
            "key": str(self.certificates.key),
            "token": token,
            "ready_s": self.lab.ready_s,
            "workloads": [
                {"namespace": app.name, "name": name, "replicas": app.replicas // len(names)}
                for app in self.lab.applications
                for name in workload_names(app)
            ],
            "clusters": [
                {
                    "name": one.name,
                    "address": one.address,
                    "endpoint_port": one.endpoint_port,
                    "api_port": one.api_port,
                    "nodes": one.nodes,
                    "node": self.lab.node,
                    "ledger": str(self.folder / f"{one.name}.ledger"),
                }
                for one in clusters
            ],
        }

    def _names(self, secret: str) -> dict[str, Any]:
        values = sorted(one.address for one in self.lab.clusters)
        return {
            "apex": ZONE,
            "prepare": self.lab.prepare,
            "providers": [
                {
                    "provider": provider,
                    "ports": list(self.lab.dns_ports[2 * number : 2 * number + 2]),
                    "api_port": self.lab.dns_api_ports[number],
                    "credentials": str(credentials_path(self.folder, provider)),
                }
                for number, provider in enumerate(self.lab.dns)
            ],
            "key_name": KEY_NAME,
            "secret": secret,
            "records": [
                {"name": f"{app.name}.{ZONE}.", "ttl": 5, "values": values} for app in self.lab.applications
            ],
        }

    # -- processes -----------------------------------------------------------------------------------------------------

    def start_world(self) -> None:
        """Name servers and regions, until each says that it is ready."""
        self._spawn("names", ["-m", "failover.lab.names", str(self.folder / "names.json")])
        for region in self.lab.regions:
            self.spawn_region(region)
        for name in ["names", *(f"region-{region}" for region in self.lab.regions)]:
            self._await_ready(name)

    def spawn_region(self, region: str) -> None:
        """Start (again) the process of a region."""
        file = self.folder / f"region-{region}.json"
        file.with_suffix(".sock").unlink(missing_ok=True)
        self._spawn(f"region-{region}", ["-m", "failover.lab.region", str(file)])

    def start_vantages(self) -> None:
        """Every vantage but the controller's own."""
        for vantage in self.lab.vantages:
            if not vantage.controller:
                self.spawn_vantage(vantage.name)

    def spawn_vantage(self, name: str) -> None:
        """Start (again) one vantage."""
        assert self.certificates is not None
        vantage = next(one for one in self.lab.vantages if one.name == name)
        self._spawn(
            f"vantage-{name}",
            [
                *("-m", "failover", "vantage", "--name", name),
                *(word for url in self._controllers() for word in ("--controller", url)),
                *("--token-file", str(self.tokens[name]), "--ca-file", str(self.certificates.authority)),
                *("--source-address", vantage.source),
            ],
        )

    def _controllers(self) -> list[str]:
        ports = [self.lab.listen_port, *([self.lab.standby_port] if self.lab.standby_port else [])]
        return [f"https://127.0.0.1:{port}" for port in ports]

    def start_controller(self, name: str = "controller", *, sleeps: bool = False) -> None:
        """The shipped controller, as a user would start it; `standby` is a second one beside it.

        `sleeps`: it stands still as soon as it has looked for the last time whether it may change DNS (`lab.sleeper`).
        """
        assert self.certificates is not None
        own = next(one for one in self.lab.vantages if one.controller)
        port = self.lab.standby_port if name == "standby" else self.lab.listen_port
        self._spawn(
            name,
            [
                *(("-m", "failover.lab.sleeper", str(self.asleep)) if sleeps else ("-m", "failover")),
                *("run", "--state", str(self.state), "--policies", str(self.policies)),
                *("--listen", f"127.0.0.1:{port}", "--source-address", own.source),
                *("--tls-cert", str(self.certificates.certificate), "--tls-key", str(self.certificates.key)),
            ],
        )

    def _spawn(self, name: str, arguments: Sequence[str]) -> None:
        log = (self.folder / f"{name}.log").open("ab")
        self.running[name] = subprocess.Popen(  # noqa: S603 - our own interpreter and modules
            [sys.executable, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        log.close()

    def _await_ready(self, name: str) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while "ready" not in self.log_tail(name):
            if self.running[name].poll() is not None or time.monotonic() > deadline:
                raise LabError(f"{name} did not start:\n{self.log_tail(name)}")
            time.sleep(0.02)

    def log_tail(self, name: str) -> str:
        """The end of a process's log."""
        with contextlib.suppress(OSError):
            return (self.folder / f"{name}.log").read_text(errors="replace")[-3000:]
        return ""

    def send_signal(self, name: str, number: int) -> None:
        """To one process that this lab started."""
        process = self.running.get(name)
        if process is not None and process.poll() is None:
            os.kill(process.pid, number)

    def runs(self, name: str) -> bool:
        """Whether a process that this lab started is there, frozen or not."""
        process = self.running.get(name)
        return process is not None and process.poll() is None

    def kill(self, name: str) -> None:
        """SIGKILL and reap."""
        self.send_signal(name, signal.SIGKILL)
        process = self.running.pop(name, None)
        if process is not None:
            process.wait()

    def tell(self, name: str, asked: dict[str, Any]) -> None:
        """Switch a fault of the name servers or of a region. Raises LabError where the process does not take it."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(5.0)
            try:
                connection.connect(str(self.folder / f"{name}.sock"))
                connection.sendall(json.dumps(asked).encode() + b"\n")
                answer = connection.makefile("rb").readline().decode().strip()
            except OSError as error:
                raise LabError(f"{name} cannot be reached: {error}") from None
        if answer != "ok":
            raise LabError(f"{name} did not take the fault: {answer or 'it hung up'}")

    def stop(self) -> None:
        """End everything: the controller gently, the rest at once."""
        self.send_signal("controller", signal.SIGTERM)
        controller = self.running.get("controller")
        if controller is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                controller.wait(timeout=3.0)
        for name in list(self.running):
            self.kill(name)


def free_port(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _base64(data: bytes) -> str:
    import base64

    return base64.b64encode(data).decode()

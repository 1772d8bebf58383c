"""A fleet of real servers in the shape of the lab's: the same topology, policies, vantages and controller processes."""

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from failover.kube.rbac import manifest
from failover.lab.presets import make_lab
from failover.lab.processes import LabProcesses
from failover.lab.topology import ZONE, workload_names
from failover.policy import load_directory
from failover.store.reader import NoStore, StatusReader
from tests.kube.test_contract import apply_document
from tests.servers.bind import BindPair
from tests.servers.kubernetes.controlplane import ControlPlane, running, write_kubeconfig


class RealFleet(LabProcesses):
    """Real control planes and BIND instead of the lab's regions and name servers."""

    def __init__(self, folder: Path, planes: Sequence[ControlPlane], bind: BindPair, **lab: Any) -> None:
        made = make_lab(**lab)
        ports = (bind.primary.port, bind.secondary.port)
        from dataclasses import replace

        super().__init__(replace(made, dns_ports=ports), folder)
        self.planes = {plane.name: plane for plane in planes}
        self.bind = bind

    def _write_key(self, secret: str) -> None:
        del secret
        path = self.folder / "tsig.key"
        path.touch(mode=0o600)
        path.write_text(self.bind.key.text())

    def _write_kubeconfig(self, token: str) -> None:
        del token
        write_kubeconfig(self.folder / "kubeconfig.yaml", self.planes.values(), user="failover")

    def start_world(self) -> None:
        """Endpoints, workloads, rights and records; the planes and BIND run already."""
        assert self.certificates is not None
        policy = load_directory(self.policies)
        documents = list(yaml.safe_load_all(manifest(policy, fence=True, user="failover")))
        for one in self.lab.clusters:
            plane = self.planes[one.name]
            for document in documents:
                apply_document(plane.admin, document)
            for app in self.lab.applications:
                for name in workload_names(app):
                    plane.create_deployment(name, app.replicas // len(self.lab.clusters), namespace=app.name)
            tls = (str(self.certificates.certificate), str(self.certificates.key))
            self._spawn(
                f"endpoint-{one.name}",
                ["-m", "tests.real.endpoint", one.address, str(one.endpoint_port), *tls],
            )

    def lose(self, cluster: str, *, silent: bool = False) -> None:
        """The region dies, with its endpoint and its vantage."""
        region = next(one.region for one in self.lab.clusters if one.name == cluster)
        names = [f"endpoint-{cluster}", f"vantage-{region}"]
        if silent:
            for name in names:
                self.send_signal(name, signal.SIGSTOP)
            self.planes[cluster].freeze()
        else:
            for name in names:
                self.kill(name)
            self.planes[cluster].kill()

    def find(self, cluster: str) -> None:
        """A frozen region thaws."""
        region = next(one.region for one in self.lab.clusters if one.name == cluster)
        self.planes[cluster].thaw()
        for name in (f"endpoint-{cluster}", f"vantage-{region}"):
            self.send_signal(name, signal.SIGCONT)

    def until(self, what: Any, seconds: float) -> dict[str, Any]:
        """Wait for the status to say something. Raises AssertionError with the controller's log."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                reader = StatusReader(self.state)
                status = reader.document("status")
                reader.close()
            except NoStore:
                status = None
            if status is not None and what(status):
                return dict(status)
            time.sleep(0.1)
        raise AssertionError(f"not within {seconds} s:\n{self.log_tail('controller')}")


@contextmanager
def real_fleet(folder: Path, *, kube_api_qps: int = 500, **lab: Any) -> Iterator[RealFleet]:
    """Three planes named as the lab's clusters, BIND, endpoints, vantages and a controller, healthy."""
    planes = [
        ControlPlane(name, folder / name, kube_api_qps=kube_api_qps, pod_ready_s=0.2, nodes=4)
        for name in ("north-1", "south-1", "west-1")
    ]
    bind = BindPair(folder / "bind", zones=(ZONE,))
    bind.start()
    try:
        with running(planes):
            fleet = RealFleet(folder / "fleet", planes, bind, **lab)
            try:
                fleet.prepare()
                add_records(fleet)
                fleet.start_world()
                fleet.start_controller()
                fleet.start_vantages()
                fleet.until(healthy, 120)
                yield fleet
            finally:
                fleet.stop()
    finally:
        bind.stop()


def add_records(fleet: RealFleet) -> None:
    """Every application's first record set, as the zone's owner would write it."""
    import dns.update

    update = dns.update.UpdateMessage(ZONE, keyring=fleet.bind.key.keyring())
    for app in fleet.lab.applications:
        for one in fleet.lab.clusters:
            update.add(app.name, 5, "A", one.address)
    fleet.bind.update(update)


def healthy(status: dict[str, Any]) -> bool:
    """Everything is seen, serves and is ready."""
    return (
        status["warm_up"] is None
        and all(
            one["verdict"] == "HEALTHY"
            and one["replicas_ready"]
            and one["replicas_ready"] == one["replicas_wanted"]
            for one in status["clusters"]
        )
        and all(one["state"] == "ok" for one in status["vantages"])
    )

"""A whole Kubernetes control plane on loopback: etcd, kube-apiserver, controller-manager, scheduler, kwok's nodes.

TLS stays on: the API server writes a self-signed certificate that is good for 127.0.0.1 and serves as the CA of
every kubeconfig made here.
"""

import base64
import json
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from ..process import Process, ServerFailed, free_ports, kill_all, wait_until
from .api import Requests
from .build import find_programs

STAGES = Path(__file__).resolve().parent / "stages"
START_TIMEOUT_S = 120.0
"""Ready after some 5 s alone; the limit is for a busy machine."""

ADMIN = "admin"
KUBE_API_QPS_DEFAULT = 20

CONTROLLERS = (
    "deployment-controller",
    "replicaset-controller",
    "statefulset-controller",
    "daemonset-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "endpointslice-controller",
    "serviceaccount-controller",
    "disruption-controller",
    # Without it, new nodes keep the taint not-ready:NoSchedule and nothing is ever scheduled.
    "node-lifecycle-controller",
)
AUTOSCALER = "horizontal-pod-autoscaler-controller"


class ControlPlane:
    """One real cluster; a region of the tests that can die in both ways.

    `kube_api_qps`: how fast the controller-manager may write; 20 is its own default. `pod_ready_s`: from a pod's
    binding to its readiness. `users`: plain users without any right, for the adapter under the generated RBAC.
    `autoscaler`: run the HorizontalPodAutoscaler controller too (there are no metrics: it keeps to `minReplicas`).
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        *,
        programs: Mapping[str, Path] | None = None,
        kube_api_qps: int = KUBE_API_QPS_DEFAULT,
        pod_ready_s: float = 0.2,
        nodes: int = 2,
        users: Sequence[str] = ("failover",),
        autoscaler: bool = False,
    ) -> None:
        self.name = name
        self.folder = folder
        self.kube_api_qps = kube_api_qps
        self.autoscaler = autoscaler
        self.programs = dict(programs or find_programs()[0])
        self._nodes = nodes
        folder.mkdir(parents=True)
        self.etcd_port, self.etcd_peer_port, self.port = free_ports(3)
        self.tokens = {user: secrets.token_urlsafe(24) for user in (ADMIN, *users)}
        self._certificate = folder / "certificates" / "apiserver.crt"
        self.admin = self.client(self.tokens[ADMIN])
        self._write_files(pod_ready_s)
        self._core = (self._etcd(), self._apiserver())
        self._members = (self._controller_manager(), self._scheduler(), self._kwok())
        self._adopted: list[Process] = []

    @property
    def server(self) -> str:
        """The API server's URL."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def processes(self) -> tuple[Process, ...]:
        """Everything that dies with this region, adopted processes included."""
        return (*self._core, *self._members, *self._adopted)

    def adopt(self, process: Process) -> None:
        """Make a started process part of this region (its client endpoint, its vantage): it shares its fate."""
        self._adopted.append(process)

    def start(self) -> None:
        """Start everything and wait until pods can be scheduled. Raises ServerFailed."""
        start_together((self,))

    def kill(self) -> None:
        """SIGKILL of everything at once: connections are refused from now on. `start` brings the same cluster back."""
        kill_all(self.processes)

    def freeze(self) -> None:
        """SIGSTOP of everything: sockets stay open and nothing answers."""
        for process in self.processes:
            process.freeze()

    def thaw(self) -> None:
        """SIGCONT of everything."""
        for process in self.processes:
            process.thaw()

    def stop(self) -> None:
        """End everything for good and drop its data; logs stay in `folder`."""
        self.kill()
        shutil.rmtree(self.folder / "etcd", ignore_errors=True)

    def kubeconfig(
        self, user: str = "failover", *, token: str | None = None, path: Path | None = None
    ) -> Path:
        """Write a kubeconfig (mode 0600) whose one context is this cluster's name; needs a started cluster.

        `user`: `admin` (system:masters) or a plain user. `token`: another token than the user's, for a wrong one.
        """
        return write_kubeconfig(
            path or self.folder / f"{user}.kubeconfig", (self,), user=user, token=token or self.tokens[user]
        )

    def client(self, token: str) -> Requests:
        """The same plain requests as somebody else."""
        return Requests(port=self.port, certificate=self._certificate, token=token)

    def create_node(self, name: str, *, labels: Mapping[str, str] | None = None, **resources: str) -> None:
        """Make a node and leave the rest to kwok. `resources`: allocatable, by default 64 CPUs, 500 pods."""
        allocatable = {"cpu": "64", "memory": "256Gi", "pods": "500", **resources}
        metadata = {"name": name, "labels": {"kubernetes.io/hostname": name, **(labels or {})}}
        status = {"allocatable": allocatable, "capacity": allocatable}
        node = {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "status": status}
        self.admin.create("/api/v1/nodes", node)

    def create_deployment(
        self, name: str, replicas: int, *, namespace: str = "default", labels: Mapping[str, str] | None = None
    ) -> None:
        """Make a Deployment of one small container a pod."""
        selector = {"app": name}
        container = {"name": "main", "image": "app:1", "resources": {"requests": {"cpu": "10m"}}}
        body = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "labels": {**selector, **(labels or {})}},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": selector},
                "template": {
                    "metadata": {"labels": {**selector, **(labels or {})}},
                    "spec": {"containers": [container]},
                },
            },
        }
        self.admin.create(f"/apis/apps/v1/namespaces/{namespace}/deployments", body)

    def create_autoscaler(
        self, deployment: str, min_replicas: int, max_replicas: int, *, namespace: str = "default"
    ) -> None:
        """Make a HorizontalPodAutoscaler over a Deployment (80 % CPU, which nobody measures here)."""
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": deployment}
        usage = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}
        body = {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": deployment},
            "spec": {
                "scaleTargetRef": target,
                "minReplicas": min_replicas,
                "maxReplicas": max_replicas,
                "metrics": [{"type": "Resource", "resource": usage}],
            },
        }
        self.admin.create(f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers", body)

    def ready_replicas(self, name: str, *, namespace: str = "default") -> int:
        """The ready replicas of a Deployment, as its status tells."""
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
        return int(self.admin.get(path)["status"].get("readyReplicas", 0))

    def wait_replicas(self, name: str, replicas: int, *, namespace: str = "default") -> None:
        """Wait until a Deployment has that many ready replicas. Raises ServerFailed with all logs."""
        wait_until(
            lambda: self.ready_replicas(name, namespace=namespace) == replicas,
            what=f"{replicas} ready replicas of {name} at {self.name}",
            timeout_s=START_TIMEOUT_S,
            processes=self.processes,
        )

    def _begin(self) -> None:
        """Start etcd and the API server, and what was adopted and has died."""
        for process in (*self._core, *self._adopted):
            if not process.running:
                process.start()

    def _join_members(self) -> None:
        """Wait for the API server and start what lives off it."""
        self._wait(self.admin.is_ready, "ready API server", self._core)
        self._wait(self._has_namespace, "namespace `default`", self._core)
        self.kubeconfig(ADMIN)
        # After a restart kwok is another holder, and would leave the nodes alone until the old leases expire.
        self.admin.delete("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases")
        for process in self._members:
            process.start()
        known = {node["metadata"]["name"] for node in self.admin.get("/api/v1/nodes")["items"]}
        for number in range(1, self._nodes + 1):
            name = f"{self.name}-node-{number}"
            if name not in known:
                self.create_node(name)

    def _wait_schedulable(self) -> None:
        self._wait(self._nodes_schedulable, "schedulable nodes", self.processes)

    def _has_namespace(self) -> bool:
        return self.admin.request("GET", "/api/v1/namespaces/default")[0] == 200

    def _nodes_schedulable(self) -> bool:
        nodes = self.admin.get("/api/v1/nodes")["items"]
        return all(_is_ready(node) and not node["spec"].get("taints") for node in nodes)

    def _wait(self, check: Callable[[], bool], what: str, processes: Sequence[Process]) -> None:
        wait_until(
            check,
            what=f"{what} at {self.name}",
            timeout_s=START_TIMEOUT_S,
            processes=processes,
        )

    def _write_files(self, pod_ready_s: float) -> None:
        private, public = service_account_keys()
        (self.folder / "service-account.key").write_bytes(private)
        (self.folder / "service-account.pub").write_bytes(public)
        lines = [f'{self.tokens[ADMIN]},{ADMIN},{ADMIN},"system:masters"']
        lines += [f"{token},{user},{user}" for user, token in self.tokens.items() if user != ADMIN]
        _write_private(self.folder / "tokens.csv", "\n".join(lines) + "\n")
        for stage in STAGES.glob("*.yaml"):
            text = stage.read_text(encoding="utf-8").replace(
                "durationMilliseconds: POD_READY_MS", f"durationMilliseconds: {round(pod_ready_s * 1000)}"
            )
            (self.folder / stage.name).write_text(text, encoding="utf-8")

    def _process(self, program: str, *flags: str) -> Process:
        if program not in self.programs:
            raise ServerFailed(f"{program} is missing: `make kube-servers` builds it.")
        command = [str(self.programs[program]), *flags]
        return Process(program, command, folder=self.folder, environment={"HOME": str(self.folder)})

    def _etcd(self) -> Process:
        client = f"http://127.0.0.1:{self.etcd_port}"
        peer = f"http://127.0.0.1:{self.etcd_peer_port}"
        return self._process(
            "etcd",
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        )

    def _apiserver(self) -> Process:
        return self._process(
            "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{self.etcd_port}",
            f"--secure-port={self.port}",
            "--bind-address=127.0.0.1",
            # An address that is nobody's (RFC 5737): the endpoints of `kubernetes.default` are not used here, and
            # without one the server looks for a default route, which a machine may not have.
            "--advertise-address=192.0.2.1",
            "--endpoint-reconciler-type=none",
            f"--cert-dir={self.folder / 'certificates'}",
            f"--service-account-key-file={self.folder / 'service-account.pub'}",
            f"--service-account-signing-key-file={self.folder / 'service-account.key'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--authorization-mode=RBAC",
            f"--token-auth-file={self.folder / 'tokens.csv'}",
            "--disable-admission-plugins=ServiceAccount",
        )

    def _controller_manager(self) -> Process:
        controllers = (*CONTROLLERS, AUTOSCALER) if self.autoscaler else CONTROLLERS
        return self._process(
            "kube-controller-manager",
            f"--kubeconfig={self.folder / f'{ADMIN}.kubeconfig'}",
            "--leader-elect=false",
            "--secure-port=0",
            f"--controllers={','.join(controllers)}",
            f"--kube-api-qps={self.kube_api_qps}",
            # Kubernetes' own ratio: 30 to 20.
            f"--kube-api-burst={self.kube_api_qps * 3 // 2}",
            "--horizontal-pod-autoscaler-sync-period=1s",
        )

    def _scheduler(self) -> Process:
        kubeconfig = self.folder / f"{ADMIN}.kubeconfig"
        return self._process(
            "kube-scheduler", f"--kubeconfig={kubeconfig}", "--leader-elect=false", "--secure-port=0"
        )

    def _kwok(self) -> Process:
        return self._process(
            "kwok",
            f"--kubeconfig={self.folder / f'{ADMIN}.kubeconfig'}",
            "--manage-all-nodes",
            "--node-lease-duration-seconds=40",
            "--cidr=10.1.0.0/16",
            f"--config={self.folder / 'node.yaml'}",
            f"--config={self.folder / 'pod.yaml'}",
        )


def start_together(planes: Sequence[ControlPlane]) -> None:
    """Start several control planes side by side, again or for the first time, and wait until pods can be scheduled.

    Raises ServerFailed with the logs; what was started is killed then.
    """
    try:
        for plane in planes:
            plane._begin()
        for plane in planes:
            plane._join_members()
        for plane in planes:
            plane._wait_schedulable()
    except BaseException:
        for plane in planes:
            plane.kill()
        raise


@contextmanager
def running(planes: Sequence[ControlPlane]) -> Iterator[Sequence[ControlPlane]]:
    """Run several control planes for the length of a `with` block."""
    try:
        start_together(planes)
        yield planes
    finally:
        for plane in planes:
            plane.stop()


def write_kubeconfig(
    path: Path, planes: Iterable[ControlPlane], *, user: str, token: str | None = None
) -> Path:
    """Write one kubeconfig (mode 0600) with a context for every plane, named as the plane is."""
    clusters, users, contexts = [], [], []
    for plane in planes:
        certificate = base64.b64encode(plane._certificate.read_bytes()).decode("ascii")
        reach = {"server": plane.server, "certificate-authority-data": certificate}
        name = f"{user}@{plane.name}"
        clusters.append({"name": plane.name, "cluster": reach})
        users.append({"name": name, "user": {"token": token or plane.tokens[user]}})
        contexts.append({"name": plane.name, "context": {"cluster": plane.name, "user": name}})
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": clusters,
        "users": users,
        "contexts": contexts,
        "current-context": contexts[0]["name"],
    }
    _write_private(path, json.dumps(document, indent=2) + "\n")
    return path


@cache
def service_account_keys() -> tuple[bytes, bytes]:
    """One RSA key pair in PEM, private and public; every control plane of a session signs with it."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private, public


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")


def _is_ready(node: Mapping[str, Any]) -> bool:
    conditions = node.get("status", {}).get("conditions", ())
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)

"""The harnesses hold what they promise: the rest of the server tiers leans on them."""

import http.client
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dns.exception
import dns.rcode
import dns.update
import pytest
import yaml

from .bind import BindPair, TsigKey
from .install import install_packages
from .kubernetes import build
from .kubernetes.controlplane import ControlPlane
from .process import Process, ServerFailed, free_ports, wait_until
from .tiers import TIERS, servers_required


def update(pair: BindPair, apex: str, key: TsigKey | None = None) -> dns.update.UpdateMessage:
    return dns.update.UpdateMessage(apex, keyring=(key or pair.key).keyring())


# -- BIND


def test_a_signed_update_reaches_the_secondary(bind_pair: BindPair) -> None:
    bind_pair.add_zone("reach.test", ["shop 60 IN A 192.0.2.1"])
    message = update(bind_pair, "reach.test")
    message.present("shop", "A", "192.0.2.1")
    message.replace("shop", 30, "A", "192.0.2.2")
    assert bind_pair.update(message) == dns.rcode.NOERROR
    bind_pair.wait_serving("reach.test")
    for server in bind_pair.servers:
        assert server.values("shop.reach.test", "A") == ("192.0.2.2",)


def test_a_stale_prerequisite_and_a_strange_key_change_nothing(bind_pair: BindPair) -> None:
    bind_pair.add_zone("refuse.test", ["shop 60 IN A 192.0.2.1"])
    stale = update(bind_pair, "refuse.test")
    stale.present("shop", "A", "192.0.2.9")
    stale.replace("shop", 30, "A", "192.0.2.2")
    assert bind_pair.update(stale) == dns.rcode.NXRRSET
    forged = update(bind_pair, "refuse.test", TsigKey.generate(bind_pair.key.name))
    forged.delete("shop", "A")
    with pytest.raises(dns.tsig.PeerBadSignature):
        bind_pair.update(forged)
    assert bind_pair.primary.values("shop.refuse.test", "A") == ("192.0.2.1",)


def test_a_key_file_is_private_and_in_binds_syntax(tmp_path: Path) -> None:
    path = TsigKey.generate("failover").write(tmp_path / "failover.key")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().startswith('key "failover" {\n\talgorithm hmac-sha256;\n\tsecret "')


def test_a_frozen_secondary_is_silent_and_catches_up(bind_tier: None, tmp_path: Path) -> None:
    pair = BindPair(tmp_path / "pair")
    try:
        pair.start()
        pair.secondary.freeze()
        with pytest.raises(dns.exception.Timeout):
            pair.secondary.query("failover.test", "SOA", timeout_s=0.3)
        message = update(pair, "failover.test")
        message.add("shop", 60, "A", "192.0.2.1")
        assert pair.update(message) == dns.rcode.NOERROR
        pair.secondary.thaw()
        pair.wait_serving("failover.test")
        pair.primary.kill()
        with pytest.raises(OSError, match="refused"):
            pair.primary.query("failover.test", "SOA", tcp=True)
        assert pair.secondary.values("shop.failover.test", "A") == ("192.0.2.1",)
    finally:
        pair.stop()


def test_bind_tells_of_an_address_that_no_interface_has(bind_tier: None, tmp_path: Path) -> None:
    with pytest.raises(ServerFailed, match=r"No interface has 192\.0\.2\.53"):
        BindPair(tmp_path / "pair", addresses=("127.0.0.1", "192.0.2.53"))


# -- Kubernetes


@pytest.fixture
def namespace(control_plane: ControlPlane, request: pytest.FixtureRequest) -> Iterator[str]:
    name = f"servers-{abs(hash(request.node.name)) % 10**8}"
    metadata = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    control_plane.admin.create("/api/v1/namespaces", metadata)
    yield name
    control_plane.admin.delete(f"/api/v1/namespaces/{name}")


def test_a_deployment_becomes_ready_and_scales(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.create_deployment("web", 3, namespace=namespace)
    control_plane.wait_replicas("web", 3, namespace=namespace)
    scale = f"/apis/apps/v1/namespaces/{namespace}/deployments/web/scale"
    control_plane.admin.patch(scale, {"spec": {"replicas": 1}})
    control_plane.wait_replicas("web", 1, namespace=namespace)


def test_an_autoscaler_raises_replicas_to_its_minimum(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.create_deployment("web", 1, namespace=namespace)
    control_plane.create_autoscaler("web", 2, 5, namespace=namespace)
    control_plane.wait_replicas("web", 2, namespace=namespace)


def test_a_plain_user_has_no_rights_and_its_kubeconfig_is_private(control_plane: ControlPlane) -> None:
    path = control_plane.kubeconfig("failover")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    document = yaml.safe_load(path.read_text())
    assert document["current-context"] == "solo"
    token = document["users"][0]["user"]["token"]
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"verb": "get", "resource": "pods", "namespace": "default"}},
    }
    user = control_plane.client(token)
    answer = user.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
    assert answer["status"]["allowed"] is False
    assert user.request("GET", "/api/v1/namespaces/default/pods")[0] == 403
    assert control_plane.client("not-a-token").request("GET", "/api/v1/nodes")[0] == 401


def test_three_regions_run_and_one_dies_in_both_ways(three_control_planes: tuple[ControlPlane, ...]) -> None:
    east, *others = three_control_planes
    identities = {
        plane.admin.get("/api/v1/namespaces/kube-system")["metadata"]["uid"] for plane in three_control_planes
    }
    assert len(identities) == 3
    east.create_deployment("spine", 2)
    east.wait_replicas("spine", 2)

    east.freeze()
    try:
        with pytest.raises(TimeoutError):
            east.admin.request("GET", "/readyz", timeout_s=0.5)
        assert all(plane.admin.is_ready() for plane in others)
    finally:
        east.thaw()
    wait_until(east.admin.is_ready, what="east again", timeout_s=30, processes=east.processes)

    east.kill()
    try:
        with pytest.raises(ConnectionRefusedError):
            east.admin.request("GET", "/readyz")
        assert all(plane.admin.is_ready() for plane in others)
    finally:
        east.start()
    east.admin.patch("/apis/apps/v1/namespaces/default/deployments/spine/scale", {"spec": {"replicas": 3}})
    east.wait_replicas("spine", 3)
    east.admin.delete("/apis/apps/v1/namespaces/default/deployments/spine")


def test_a_region_takes_what_it_adopted_along(kubernetes_tier: None, tmp_path: Path) -> None:
    plane = ControlPlane("east", tmp_path / "east")
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    endpoint = Process("endpoint", command, folder=plane.folder)

    def answers() -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
        try:
            connection.request("HEAD", "/")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    endpoint.start()
    plane.adopt(endpoint)
    try:
        wait_until(answers, what="endpoint", timeout_s=20, processes=[endpoint])
        plane.freeze()
        assert not answers()
        plane.kill()
        assert not endpoint.running
    finally:
        plane.stop()


# -- processes, tiers and the build


def test_no_server_outlives_a_session_that_was_killed(tmp_path: Path) -> None:
    """A test session that dies by SIGKILL leaves no server behind."""
    program = (
        "import os, signal, sys; from pathlib import Path; from tests.servers.process import Process\n"
        "p = Process('sleeper', ['sleep', '600'], folder=Path(sys.argv[1])); p.start(); print(p.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    repository = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=repository
    ) as session:
        assert session.stdout is not None
        pid = int(session.stdout.readline())
    watcher = Process("watcher", ["sleep", "60"], folder=tmp_path)
    watcher.start()
    try:
        wait_until(lambda: is_gone(pid), what="end of the server", timeout_s=10, processes=[watcher])
    finally:
        watcher.kill()


def is_gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has reaped yet counts as ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def test_a_server_that_dies_at_once_is_reported_with_its_log(tmp_path: Path) -> None:
    process = Process("broken", ["sh", "-c", "echo no such thing >&2; exit 3"], folder=tmp_path)
    process.start()
    with pytest.raises(ServerFailed, match="broken ended while waiting for a miracle:\nno such thing"):
        wait_until(lambda: False, what="a miracle", timeout_s=10, processes=[process])


def test_free_ports_are_free_and_distinct() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    for port in ports:
        with socket.socket() as taken:
            # As a server does: a closed connection of a neighbour may still linger on the port.
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(("127.0.0.1", port))


def test_every_missing_tier_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    problems = {tier.name: tier.problem() for tier in TIERS}
    assert problems["kubernetes"] == (
        "The Kubernetes tier needs etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kwok of "
        f"Kubernetes {build.KUBERNETES_VERSION}: run `make kube-servers`, which builds them once into a cache."
    )


def test_packages_are_installed_without_starting_a_service_and_stale_lists_are_fetched_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An `apt-get` that knows the package only after an update, as on a machine whose lists have aged."""
    calls = tmp_path / "calls"
    script = tmp_path / "apt-get"
    script.write_text(
        "#!/bin/sh\n"
        f'echo "$RUNLEVEL $SYSTEMD_OFFLINE $*" >> {calls}\n'
        f'case "$*" in *update) touch {tmp_path}/fresh;; *) test -e {tmp_path}/fresh;; esac\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "mirror_Packages.lz4").touch()
    assert install_packages(("bind9",), lists=lists)
    install = "1 1 -q -o DPkg::Lock::Timeout=120 install -y --no-install-recommends bind9"
    assert calls.read_text().splitlines() == [install, "1 1 -q -o DPkg::Lock::Timeout=120 update", install]


@pytest.mark.parametrize(("value", "required"), [("1", True), ("0", False), ("", False)])
def test_servers_are_required_by_one_variable(value: str, required: bool) -> None:
    assert servers_required({"FAILOVER_REQUIRE_SERVERS": value}) is required


def test_programs_come_from_the_assets_folder_first_and_only_in_our_minor_version(tmp_path: Path) -> None:
    assets = tmp_path / "assets"
    assets.mkdir()
    for name, answer in (
        ("etcd", "etcd"),
        ("kube-apiserver", "Kubernetes v1.36.9"),
        ("kube-scheduler", "Kubernetes v1.2.3"),
    ):
        (assets / name).write_text(f"#!/bin/sh\necho {answer}\n")
        (assets / name).chmod(0o755)
    environment = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "KUBEBUILDER_ASSETS": str(assets)}
    found, missing = build.find_programs(environment)
    assert found == {"etcd": assets / "etcd", "kube-apiserver": assets / "kube-apiserver"}
    assert missing == ("kube-controller-manager", "kube-scheduler", "kwok")


def test_a_program_of_another_version_in_the_cache_is_built_again(tmp_path: Path) -> None:
    environment = {"XDG_CACHE_HOME": str(tmp_path)}
    cache = build.cache_folder(environment)
    cache.mkdir(parents=True)
    kwok = next(program for program in build.PROGRAMS if program.name == "kwok")
    (cache / "kwok").touch(mode=0o755)
    (cache / build.STAMP).write_text('{"kwok": "v0.0.1"}')
    assert "kwok" in build.find_programs(environment)[1]
    (cache / build.STAMP).write_text(f'{{"kwok": "{build.wanted_version(kwok)}"}}')
    assert build.find_programs(environment)[0] == {"kwok": cache / "kwok"}
    assert os.access(cache / "kwok", os.X_OK)


def test_the_modules_pin_the_version_that_the_cache_is_named_after() -> None:
    apiserver = next(program for program in build.PROGRAMS if program.name == "kube-apiserver")
    assert build.wanted_version(apiserver) == build.KUBERNETES_VERSION

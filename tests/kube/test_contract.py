"""One contract for the Cluster port: the twin, the one of the simulation, and through the adapter the lab's API server and a real kube-apiserver."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from failover.controller.clock import SystemClock
from failover.kube.cluster import MERGE, KubeCluster
from failover.kube.kubeconfig import read_config
from failover.kube.objects import autoscaler_path, object_path
from failover.kube.rbac import manifest
from failover.lab.certificates import write_certificates
from failover.lab.kubeapi.access import EVERYTHING, Access
from failover.lab.kubeapi.kubelets import Kubelets
from failover.lab.kubeapi.objects import ObjectStore
from failover.lab.kubeapi.server import ApiServer
from failover.lab.region import furnish
from failover.lab.simulation.lives import Life
from failover.lab.simulation.twins import LifeClock, SimClusterPort
from failover.lab.simulation.world import World
from failover.lab.twins.cluster import ClusterWorld, TwinCluster
from failover.model.errors import Conflict, FencedOff, LocalFault, NotFound, Rejected
from failover.model.ids import ClusterName, Epoch, IntentId
from failover.model.inventory import Autoscaler
from failover.model.journal import RaiseFence, ScaleChange
from failover.model.permit import Permit
from failover.model.plan import ScaleField
from failover.model.policy import ClusterAccess, WorkloadRef
from failover.model.ports import Cluster
from tests.servers.kubernetes.controlplane import ControlPlane, running
from tests.support.policies import policy

WEB = WorkloadRef(object_kind="Deployment", namespace="shop", name="web")
GHOST = WorkloadRef(object_kind="Deployment", namespace="shop", name="ghost")


def permit(epoch: int = 7, *, good: bool = True) -> Permit:
    return Permit(
        intent=IntentId("run/step/1"),
        epoch=Epoch(epoch),
        target="c",
        rules=(),
        expires_mono=float("inf") if good else 0.0,
    )


def change(state: Any, after: int, uid: str, **changes: object) -> ScaleChange:
    made = ScaleChange(
        cluster="c",
        cluster_uid=uid,
        workload=WEB,
        field=ScaleField.REPLICAS,
        before=state.wanted,
        after=after,
        resource_version=state.resource_version,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


@dataclass
class Place:
    """A cluster under test, seen with full rights and with the generated ones."""

    cluster: Cluster
    least: Cluster

    async def scale_as(self, manager: str, replicas: int) -> None:
        """Somebody else scales the workload."""
        raise NotImplementedError

    async def add_autoscaler(self, lowest: int, highest: int) -> None:
        """The workload gets an autoscaler."""
        raise NotImplementedError


@dataclass
class ServedPlace(Place):
    """One that speaks HTTP: others write through the API as anybody would."""

    cluster: KubeCluster

    async def scale_as(self, manager: str, replicas: int) -> None:
        path = f"{object_path(WEB)}/scale?fieldManager={manager}"
        await self.cluster._transport.send(
            "PATCH", path, {"spec": {"replicas": replicas}}, content_type=MERGE
        )

    async def add_autoscaler(self, lowest: int, highest: int) -> None:
        body = {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "web"},
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "minReplicas": lowest,
                "maxReplicas": highest,
            },
        }
        await self.cluster._transport.send("POST", autoscaler_path("shop"), body)


@dataclass
class TwinPlace(Place):
    """The twin on the machine's clock."""

    world: ClusterWorld

    async def scale_as(self, manager: str, replicas: int) -> None:
        self.world.set_replicas(WEB, replicas, manager)

    async def add_autoscaler(self, lowest: int, highest: int) -> None:
        self.world.workloads[WEB].autoscaler = Autoscaler(
            name="web", min_replicas=lowest, max_replicas=highest, resource_version="1"
        )


async def the_twin(folder: Path) -> AsyncIterator[Place]:
    del folder
    world = ClusterWorld("c", SystemClock(), nodes=3, ready_s=0.1)
    world.add(WEB, 2)
    twin = TwinCluster(world)
    yield TwinPlace(cluster=twin, least=twin, world=world)


async def the_simulated_one(folder: Path) -> AsyncIterator[Place]:
    """The port that simulated controllers use, in a world without faults; its clock is the test's loop."""
    del folder
    world = World(1)
    place = world.clusters[ClusterName("north-a1")]
    place.ready_s = 0.1
    place.workloads.clear()
    place.add(WEB, 2)
    life = Life(holder="controller-1", clock=LifeClock(world.clock), paths=world.paths)
    port = SimClusterPort(world, place, life)
    yield TwinPlace(cluster=port, least=port, world=place)


def open_with(path: Path, context: str = "") -> KubeCluster:
    return KubeCluster(
        ClusterName("c"),
        read_config("c", ClusterAccess(kubeconfig=str(path), context=context)),
        SystemClock(),
    )


async def the_lab(folder: Path) -> AsyncIterator[Place]:
    certificates = write_certificates(folder, ["127.0.0.1"], ["localhost"])
    store = ObjectStore()
    furnish(store, {"name": "c", "nodes": 3}, [{"namespace": "shop", "name": "web", "replicas": 2}])
    access = Access({"everything": ("admin", EVERYTHING)})
    server = ApiServer(
        store, access, Kubelets(store=store, ready_s=0.1), host="127.0.0.1", port=0, tls=certificates.server()
    )
    await server.start()
    config = {
        "clusters": [
            {
                "name": "c",
                "cluster": {
                    "server": f"https://127.0.0.1:{server.port}",
                    "certificate-authority": str(certificates.authority),
                },
            }
        ],
        "users": [{"name": "u", "user": {"token": "everything"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }
    path = folder / "kubeconfig.yaml"
    path.write_text(yaml.safe_dump(config))
    cluster = open_with(path)
    try:
        yield ServedPlace(cluster=cluster, least=cluster)
    finally:
        await cluster.close()
        await server.stop()


async def the_real_one(plane: Any, folder: Path) -> AsyncIterator[Place]:
    """Applies the generated RBAC and fence for the plain user `failover`, and makes the workload anew."""
    admin = plane.admin
    for document in yaml.safe_load_all(manifest(policy(), fence=True, user="failover")):
        apply_document(admin, document)
    fence = "/api/v1/namespaces/failover/configmaps/failover-fence"
    admin.request("PATCH", fence, {"data": None}, content_type=MERGE)  # epochs begin anew with each test
    plane.create_deployment("web", 2, namespace="shop")
    plane.wait_replicas("web", 2, namespace="shop")
    everything = open_with(plane.kubeconfig("admin", path=folder / "admin.yaml"))
    least = open_with(plane.kubeconfig("failover", path=folder / "plain.yaml"))
    try:
        yield ServedPlace(cluster=everything, least=least)
    finally:
        await everything.close()
        await least.close()
        admin.request("DELETE", f"{autoscaler_path('shop')}/web")
        admin.delete("/apis/apps/v1/namespaces/shop/deployments/web")


PLURAL = {
    "Namespace": ("/api/v1", "namespaces"),
    "ConfigMap": ("/api/v1", "configmaps"),
    "Role": ("/apis/rbac.authorization.k8s.io/v1", "roles"),
    "RoleBinding": ("/apis/rbac.authorization.k8s.io/v1", "rolebindings"),
    "ClusterRole": ("/apis/rbac.authorization.k8s.io/v1", "clusterroles"),
    "ClusterRoleBinding": ("/apis/rbac.authorization.k8s.io/v1", "clusterrolebindings"),
    "ValidatingAdmissionPolicy": ("/apis/admissionregistration.k8s.io/v1", "validatingadmissionpolicies"),
    "ValidatingAdmissionPolicyBinding": (
        "/apis/admissionregistration.k8s.io/v1",
        "validatingadmissionpolicybindings",
    ),
}


def apply_document(admin: Any, document: dict[str, Any]) -> None:
    """Create one object of the manifest, and the namespace that it lies in."""
    prefix, plural = PLURAL[document["kind"]]
    namespace = document["metadata"].get("namespace", "")
    if namespace:
        admin.request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
        prefix += f"/namespaces/{namespace}"
    status, answer = admin.request("POST", f"{prefix}/{plural}", document)
    assert status in (201, 409), answer


@pytest.fixture(scope="module")
def contract_plane(kubernetes_tier: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A plane of its own: the generated rights would stay behind in the shared one."""
    plane = ControlPlane("contract", tmp_path_factory.mktemp("contract") / "plane", autoscaler=True)
    with running([plane]):
        yield plane


@pytest.fixture(params=["twin", "simulated", "lab", "real"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    if request.param == "real":
        maker = the_real_one(request.getfixturevalue("contract_plane"), tmp_path)
    else:
        makers = {"twin": the_twin, "simulated": the_simulated_one, "lab": the_lab}
        maker = makers[request.param](tmp_path)
    async for made in maker:
        yield made


async def ready(cluster: Cluster, replicas: int) -> Any:
    async with asyncio.timeout(30):
        while True:
            (state,) = await cluster.read_workloads([WEB])
            if state.ready == replicas and state.settled:
                return state
            await asyncio.sleep(0.05)


async def test_an_inventory_is_whole(place: Place) -> None:
    await ready(place.least, 2)
    seen = await place.least.inventory([WEB, GHOST])
    assert seen.uid
    assert seen.nodes_ready == seen.nodes_total == len(seen.nodes) > 0
    assert all(node.free.pods > 0 and node.free.cpu_m > 0 for node in seen.nodes)
    for resource in ("cpu", "memory", "pods"):
        given, taken = (part.by_name()[resource] for part in (seen.allocatable, seen.requested))
        assert given - taken == seen.free.by_name()[resource], "no node of these owes anything"
    web, ghost = seen.workloads
    assert (web.exists, web.wanted, web.ready, web.pods) == (True, 2, 2, 2)
    assert not ghost.exists
    assert seen.odd == ()


async def test_a_scale_lands_with_the_epoch_as_its_manager_and_pods_follow(place: Place) -> None:
    before = await ready(place.least, 2)
    uid = (await place.least.inventory([])).uid
    after = await place.least.scale(permit(7), change(before, 4, uid))
    assert after.wanted == 4
    state = await ready(place.least, 4)
    assert "failover-e7" in state.managers


async def test_a_stale_resource_version_is_a_conflict_and_changes_nothing(place: Place) -> None:
    before = await ready(place.least, 2)
    await place.least.scale(permit(), change(before, 3, ""))
    with pytest.raises(Conflict):
        await place.least.scale(permit(), change(before, 5, ""))
    (state,) = await place.least.read_workloads([WEB])
    assert state.wanted == 3


async def test_a_missing_object_another_cluster_and_an_old_permit_are_told_apart(place: Place) -> None:
    before = await ready(place.least, 2)
    with pytest.raises(Rejected, match="another cluster"):
        await place.least.scale(permit(8), change(before, 3, "some-other-uid"))
    with pytest.raises(Conflict, match="permit ran out"):
        await place.least.scale(permit(good=False), change(before, 3, ""))
    with pytest.raises((NotFound, LocalFault)):
        await place.cluster.scale(permit(), change(before, 3, "", workload=GHOST))
    (state,) = await place.least.read_workloads([WEB])
    assert state.wanted == 2


async def test_the_fence_rises_only_and_refuses_an_older_epoch(place: Place) -> None:
    seen = await place.least.inventory([WEB])
    top = (seen.fence_epoch or 0) + 10
    await place.least.raise_fence(
        permit(top), RaiseFence(cluster="c", cluster_uid=seen.uid, epoch=Epoch(top))
    )
    assert (await place.least.inventory([])).fence_epoch == top
    with pytest.raises(FencedOff):
        await place.least.raise_fence(
            permit(top - 1), RaiseFence(cluster="c", cluster_uid="", epoch=Epoch(top - 1))
        )
    await asyncio.sleep(
        1.0
    )  # a new admission policy and a raised epoch take a moment to bite (kubernetes facts)
    state = await ready(place.least, 2)
    with pytest.raises(FencedOff):
        await place.least.scale(permit(top - 1), change(state, 3, ""))
    assert (await place.least.scale(permit(top), change(state, 3, ""))).wanted == 3


async def test_the_generated_rights_suffice_and_nothing_is_missing(place: Place) -> None:
    problems = await place.least.check_rights([WEB], fence=True)
    assert [item for item in problems if not item.warning] == []
    (warning,) = (
        await place.least.check_rights([GHOST], fence=False) if place.least is place.cluster else (None,)
    )
    assert warning is None or "does not exist" in warning.sentence


async def test_an_event_is_written(place: Place) -> None:
    state = await ready(place.least, 2)
    await place.least.record_event(permit(), change(state, 3, ""), "replicas 2 -> 3 by a test")


async def test_a_value_that_another_manager_took_back_names_that_manager(place: Place) -> None:
    before = await ready(place.least, 2)
    await place.least.scale(permit(7), change(before, 4, ""))
    await ready(place.least, 4)
    await asyncio.sleep(1.1)  # managedFields carry whole seconds
    await place.scale_as("kubectl-scale", 1)
    state = await ready(place.least, 1)
    assert (state.wanted, state.managers[-1]) == (1, "kubectl-scale")


async def test_an_autoscalers_minimum_moves_and_its_maximum_when_it_must(place: Place) -> None:
    await ready(place.least, 2)
    await place.add_autoscaler(2, 4)
    (state,) = await place.least.read_workloads([WEB])
    assert state.autoscaler is not None
    assert (state.autoscaler.name, state.autoscaler.min_replicas, state.autoscaler.max_replicas) == (
        "web",
        2,
        4,
    )
    wanted = change(
        state,
        5,
        "",
        field=ScaleField.AUTOSCALER_MIN,
        autoscaler="web",
        resource_version=state.autoscaler.resource_version,
    )
    after = await place.least.scale(permit(), wanted)
    assert after.autoscaler is not None
    assert (after.autoscaler.min_replicas, after.autoscaler.max_replicas) == (5, 5)
    with pytest.raises(Conflict):
        await place.least.scale(permit(), wanted)
    assert (await ready(place.least, 5)).wanted == 5


async def test_the_fence_holds_for_an_autoscaler_too(place: Place) -> None:
    await ready(place.least, 2)
    await place.add_autoscaler(2, 4)
    top = ((await place.least.inventory([])).fence_epoch or 0) + 5
    await place.least.raise_fence(permit(top), RaiseFence(cluster="c", cluster_uid="", epoch=Epoch(top)))
    await asyncio.sleep(1.0)
    (state,) = await place.least.read_workloads([WEB])
    assert state.autoscaler is not None
    older = change(
        state,
        3,
        "",
        field=ScaleField.AUTOSCALER_MIN,
        autoscaler="web",
        resource_version=state.autoscaler.resource_version,
    )
    with pytest.raises(FencedOff):
        await place.least.scale(permit(top - 1), older)


async def test_applying_the_manifest_again_does_not_lower_the_fence(
    contract_plane: ControlPlane, tmp_path: Path
) -> None:
    async for place in the_real_one(contract_plane, tmp_path):
        top = ((await place.least.inventory([])).fence_epoch or 0) + 3
        await place.least.raise_fence(permit(top), RaiseFence(cluster="c", cluster_uid="", epoch=Epoch(top)))
        (fence,) = (
            item for item in yaml.safe_load_all(manifest(policy(), fence=True)) if item["kind"] == "ConfigMap"
        )
        path = "/api/v1/namespaces/failover/configmaps/failover-fence"
        status, _ = contract_plane.admin.request("PATCH", path, fence, content_type=MERGE)
        assert status == 200
        assert (await place.least.inventory([])).fence_epoch == top

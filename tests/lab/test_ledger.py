"""A region of the lab that was killed comes back as the one that it was: identity, fence, and the replicas that it had."""

from pathlib import Path

from failover.lab.kubeapi.ledger import Ledger
from failover.lab.kubeapi.objects import KINDS, ObjectStore
from failover.lab.region import furnish

NAMESPACES, DEPLOYMENTS = KINDS["", "namespaces"], KINDS["apps", "deployments"]
CONFIG_MAPS, PODS = KINDS["", "configmaps"], KINDS["", "pods"]
CLUSTER = {"name": "north-1", "nodes": 2}
WORKLOADS = [{"namespace": "shop", "name": "web", "replicas": 2}]


def a_cluster(path: Path) -> ObjectStore:
    """A cluster as its region starts it: from its ledger, or new."""
    store = ObjectStore()
    if not Ledger(path).restore(store):
        furnish(store, CLUSTER, WORKLOADS)
    return store


def drain(store: ObjectStore) -> None:
    web = store.get(DEPLOYMENTS, "shop", "web")
    store.replace(DEPLOYMENTS, {**web, "spec": {**web["spec"], "replicas": 0}})
    fence = store.get(CONFIG_MAPS, "failover", "failover-fence")
    store.replace(CONFIG_MAPS, {**fence, "data": {"epoch": "7"}})


def test_what_was_drained_returns_drained_with_its_identity_and_its_fence(tmp_path: Path) -> None:
    before = a_cluster(tmp_path / "north-1.ledger")
    drain(before)
    store = a_cluster(tmp_path / "north-1.ledger")
    assert store.get(DEPLOYMENTS, "shop", "web")["spec"]["replicas"] == 0
    assert store.get(CONFIG_MAPS, "failover", "failover-fence")["data"] == {"epoch": "7"}
    uid = before.get(NAMESPACES, "", "kube-system")["metadata"]["uid"]
    assert store.get(NAMESPACES, "", "kube-system")["metadata"]["uid"] == uid
    assert len(list(store.select(KINDS["", "nodes"], None))) == 2
    assert store.version > before.version, "a version is never given twice"


def test_a_line_that_the_kill_cut_off_was_never_answered(tmp_path: Path) -> None:
    path = tmp_path / "north-1.ledger"
    drain(a_cluster(path))
    path.write_text(path.read_text() + '[["apps", "deployments", "shop", "web"], {"metadata": {"na')
    again = a_cluster(path)
    assert again.get(DEPLOYMENTS, "shop", "web")["spec"]["replicas"] == 0
    again.delete(DEPLOYMENTS, "shop", "web")
    assert list(a_cluster(path).select(DEPLOYMENTS, None)) == []


def test_pods_and_their_counts_are_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "north-1.ledger"
    store = a_cluster(path)
    store.create(PODS, "shop", {"metadata": {"name": "web-1"}, "spec": {}})
    web = store.get(DEPLOYMENTS, "shop", "web")
    size = path.stat().st_size
    store.replace(DEPLOYMENTS, {**web, "status": {"readyReplicas": 2}})
    assert path.stat().st_size == size, "what kubelets find out is no change of the cluster"
    again = a_cluster(path)
    assert list(again.select(PODS, None)) == []
    assert "status" not in again.get(DEPLOYMENTS, "shop", "web")

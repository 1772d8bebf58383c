"""What kubectl asks a lab's cluster: discovery with short names, rights in protobuf, manifests as `failover rbac` prints them."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
import yaml

from failover.kube.rbac import manifest
from failover.lab.kubeapi.access import EVERYTHING, Access, Rule
from failover.lab.kubeapi.kubelets import Kubelets
from failover.lab.kubeapi.objects import KINDS, ObjectStore
from failover.lab.kubeapi.protobuf import review_of
from failover.lab.kubeapi.server import ApiServer
from failover.lab.region import furnish
from tests.support.policies import policy

USERS = {"all": ("root", EVERYTHING), "few": ("viewer", (Rule(("list",), ("pods",), "shop"),))}


@asynccontextmanager
async def a_cluster(tmp_path: Path, token: str = "all") -> AsyncIterator[aiohttp.ClientSession]:
    import ssl

    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    store = ObjectStore()
    furnish(store, {"name": "c", "nodes": 2}, [{"namespace": "shop", "name": "web", "replicas": 2}])
    server = ApiServer(store, Access(USERS), Kubelets(store=store), host="127.0.0.1", port=0, tls=tls)
    await server.start()
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    client = aiohttp.ClientSession(
        f"https://127.0.0.1:{server.port}",
        connector=aiohttp.TCPConnector(ssl=trust),
        headers={"Authorization": f"Bearer {token}"},
    )
    try:
        yield client
    finally:
        await client.close()
        await server.stop()


async def read(client: aiohttp.ClientSession, path: str) -> Any:
    async with client.get(path) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def test_every_group_can_be_discovered_and_short_names_lead_to_their_resources(tmp_path: Path) -> None:
    async with a_cluster(tmp_path) as client:
        groups = [item["versions"][0]["groupVersion"] for item in (await read(client, "/apis"))["groups"]]
        rows = (await read(client, "/api/v1"))["resources"]
        for version in groups:
            found = (await read(client, f"/apis/{version}"))["resources"]
            assert found, f"{version}: kubectl takes an empty group for an error"
            rows += found
    short = {name: row["name"] for row in rows for name in row.get("shortNames", ())}
    assert (
        short.items()
        >= {
            "ns": "namespaces",
            "deploy": "deployments",
            "rs": "replicasets",
            "hpa": "horizontalpodautoscalers",
        }.items()
    )
    assert {row["name"] for row in rows} >= {plural for _, plural in KINDS}


def field(number: int, value: bytes) -> bytes:
    return bytes([number << 3 | 2, len(value)]) + value


def access_review(**attributes: str) -> bytes:
    """As kubectl writes it."""
    numbers = {
        "namespace": 1,
        "verb": 2,
        "group": 3,
        "version": 4,
        "resource": 5,
        "subresource": 6,
        "name": 7,
    }
    asked = b"".join(field(numbers[name], value.encode()) for name, value in attributes.items())
    type_meta = field(1, b"authorization.k8s.io/v1") + field(2, b"SelfSubjectAccessReview")
    return b"k8s\x00" + field(1, type_meta) + field(2, field(1, b"") + field(2, field(1, asked)))


@pytest.mark.parametrize(
    ("token", "attributes", "allowed"),
    [
        ("all", {"verb": "delete", "resource": "nodes"}, True),
        ("few", {"verb": "list", "resource": "pods", "namespace": "shop"}, True),
        ("few", {"verb": "list", "resource": "pods", "namespace": "ledger"}, False),
        (
            "few",
            {"verb": "patch", "resource": "deployments", "subresource": "scale", "namespace": "shop"},
            False,
        ),
    ],
)
async def test_can_i_is_answered_in_protobuf_and_in_json(
    tmp_path: Path, token: str, attributes: dict[str, str], allowed: bool
) -> None:
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    plain = json.dumps({"spec": {"resourceAttributes": attributes}}).encode()
    async with a_cluster(tmp_path, token) as client:
        for body, kind in (
            (access_review(**attributes), "application/vnd.kubernetes.protobuf"),
            (plain, "application/json"),
        ):
            async with client.post(path, data=body, headers={"Content-Type": kind}) as response:
                assert response.status == 201
                answer = await response.json()
            assert answer["kind"] == "SelfSubjectAccessReview"
            assert answer["status"]["allowed"] is allowed


@pytest.mark.parametrize(
    "body", [b"", b"k8s\x00\x12\x7f", b"k8s\x00\x0b", b"\xff" * 20, b"k8s\x00" + b"\xff" * 12]
)
def test_what_is_no_review_is_no_review(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"it is not|it ends|wire type"):
        review_of(body, "SelfSubjectAccessReview")


async def test_the_manifest_of_rbac_can_be_applied_again_and_again(tmp_path: Path) -> None:
    documents = list(yaml.safe_load_all(manifest(policy(), fence=True)))
    kinds = {(kind.api_version, kind.kind): kind for kind in KINDS.values()}
    async with a_cluster(tmp_path) as client:
        for manager in ("kubectl", "kubectl", "argocd"):
            for item in documents:
                kind, metadata = kinds[item["apiVersion"], item["kind"]], item["metadata"]
                inside = f"/namespaces/{metadata['namespace']}" if kind.namespaced else ""
                path = f"{kind.prefix}{inside}/{kind.plural}/{metadata['name']}?fieldManager={manager}"
                headers = {"Content-Type": "application/apply-patch+yaml"}
                async with client.patch(path, data=yaml.safe_dump(item), headers=headers) as response:
                    assert response.status in (200, 201), await response.text()
        fence = await read(client, "/api/v1/namespaces/failover/configmaps/failover-fence")
    assert fence["data"] == {"epoch": "0"}, "an applied manifest lowers no fence"

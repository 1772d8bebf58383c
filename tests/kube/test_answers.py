"""Whatever an API server answers, the adapter tells apart what it means, and never takes it for empty or for done."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from failover.kube import transport
from failover.kube.cluster import KubeCluster
from failover.model.errors import (
    Conflict,
    FencedOff,
    LocalFault,
    NotFound,
    OutcomeUnknown,
    Rejected,
    TargetError,
    Throttled,
    Unavailable,
)
from failover.model.ids import Epoch
from failover.model.journal import RaiseFence, ScaleChange
from failover.model.plan import ScaleField
from failover.model.resources import Resources
from tests.kube.servers import (
    BREAKS_OFF,
    HANGS,
    HANGS_UP,
    Answer,
    Script,
    api_server,
    client_certificate,
    failure,
    open_cluster,
    write_kubeconfig,
)
from tests.kube.test_contract import WEB, permit
from tests.probes.servers import HOST, Authority, closed_port, raw

UID = Answer(200, {"metadata": {"uid": "uid-1"}})
SCALED = Answer(
    200, {"kind": "Scale", "metadata": {"resourceVersion": "2"}, "spec": {"replicas": 3}, "status": {}}
)
CHANGE = ScaleChange(
    cluster="c",
    cluster_uid="uid-1",
    workload=WEB,
    field=ScaleField.REPLICAS,
    before=2,
    after=3,
    resource_version="1",
)


@pytest.fixture
async def script() -> AsyncIterator[Script]:
    async with api_server() as made:
        yield made


@pytest.fixture
async def cluster(script: Script, tmp_path: Path) -> AsyncIterator[KubeCluster]:
    made = open_cluster(write_kubeconfig(tmp_path, script, {"token": "secret-token"}))
    yield made
    await made.close()


# -- statuses ----------------------------------------------------------------------------------------------------------

READS: list[tuple[str, Answer, type[TargetError], str]] = [
    ("401", failure(401, "Unauthorized", "Unauthorized"), LocalFault, "401 Unauthorized"),
    ("403", failure(403, "Forbidden", 'cannot get resource "namespaces"'), LocalFault, "cannot get resource"),
    ("404", failure(404, "NotFound", "not found"), NotFound, "not found"),
    ("429", failure(429, "TooManyRequests", "slow down", Retry_After="7"), Throttled, "slow down"),
    ("500", failure(500, "InternalError", "etcdserver: no leader"), Unavailable, "no leader"),
    ("503 of a balancer", Answer(503, b"<html>upstream</html>"), Unavailable, "503.*upstream"),
    ("302", Answer(302, b"", {"Location": "https://elsewhere.example/"}), Unavailable, "no JSON object"),
    ("garbage", Answer(200, b"\x00\xffnot json"), Unavailable, "no JSON object"),
    ("an array", Answer(200, [1, 2]), Unavailable, "no JSON object"),
    ("very deep", Answer(200, b"[" * 100_000), Unavailable, "no JSON object"),
    ("an empty object", Answer(200, {}), Unavailable, "no UID"),
    ("metadata that is a list", Answer(200, {"metadata": []}), Unavailable, "no UID"),
    (
        "half a body",
        Answer(200, {"metadata": {"uid": "x"}}, how=BREAKS_OFF),
        Unavailable,
        "Payload|Connection|closed",
    ),
    ("hung up", Answer(how=HANGS_UP), Unavailable, "isconnected|reset"),
]


@pytest.mark.parametrize(
    ("answer", "error", "words"), [row[1:] for row in READS], ids=[row[0] for row in READS]
)
async def test_a_read_says_what_was_wrong_and_returns_nothing(
    script: Script, cluster: KubeCluster, answer: Answer, error: type[TargetError], words: str
) -> None:
    script.next = [answer] * 2  # the library asks once more where a connection was lost before the answer
    with pytest.raises(error, match=words) as caught:
        await cluster.inventory([WEB])
    assert type(caught.value) is error
    assert "secret-token" not in str(caught.value)


WRITES: list[tuple[str, Answer, type[TargetError]]] = [
    ("401", failure(401, "Unauthorized", "Unauthorized"), LocalFault),
    ("403", failure(403, "Forbidden", "no"), LocalFault),
    (
        "403 of the fence",
        failure(403, "Forbidden", "ValidatingAdmissionPolicy 'failover-fence' denied"),
        FencedOff,
    ),
    (
        "422 of the fence",
        failure(422, "Invalid", "ValidatingAdmissionPolicy 'failover-fence' denied"),
        FencedOff,
    ),
    ("404", failure(404, "NotFound", "not found"), NotFound),
    ("409", failure(409, "Conflict", "the object has been modified"), Conflict),
    ("422", failure(422, "Invalid", "must be less than 10"), Rejected),
    ("429", failure(429, "TooManyRequests", "slow down", Retry_After="3"), Throttled),
    ("500", failure(500, "InternalError", "timeout of etcd"), OutcomeUnknown),
    ("garbage", Answer(200, b"\xff"), OutcomeUnknown),
    ("an empty object", Answer(200, {}), OutcomeUnknown),
    ("another number", Answer(200, {"spec": {"replicas": 9}}), OutcomeUnknown),
    ("half a body", Answer(200, {"spec": {"replicas": 3}}, how=BREAKS_OFF), OutcomeUnknown),
    ("hung up after it was sent", Answer(how=HANGS_UP), OutcomeUnknown),
]


@pytest.mark.parametrize(("answer", "error"), [row[1:] for row in WRITES], ids=[row[0] for row in WRITES])
async def test_a_write_tells_refused_from_unknown(
    script: Script, cluster: KubeCluster, answer: Answer, error: type[TargetError]
) -> None:
    script.next = [UID, answer]
    with pytest.raises(TargetError) as caught:
        await cluster.scale(permit(), CHANGE)
    assert type(caught.value) is error
    assert [method for method, *_ in script.asked] == ["GET", "PATCH"], "a write is never repeated by itself"


async def test_retry_after_is_carried(script: Script, cluster: KubeCluster) -> None:
    script.next = [failure(429, "TooManyRequests", "slow down", Retry_After="7")]
    with pytest.raises(Throttled) as caught:
        await cluster.inventory([])
    assert caught.value.retry_after_s == 7


async def test_a_server_that_never_answers_ends_at_the_time_limit(
    script: Script, cluster: KubeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "WRITE_TIMEOUT_S", 0.2)
    script.next = [UID, Answer(how=HANGS)]
    with pytest.raises(OutcomeUnknown):
        await cluster.scale(permit(), CHANGE)


async def test_nobody_there_is_unavailable_also_for_a_write_since_nothing_was_sent(tmp_path: Path) -> None:
    made = open_cluster(write_kubeconfig(tmp_path, Script(port=closed_port()), {"token": "t"}))
    with pytest.raises(Unavailable):
        await made.scale(permit(), CHANGE)
    await made.close()


async def test_a_name_that_does_not_resolve_is_our_fault(script: Script, tmp_path: Path) -> None:
    path = write_kubeconfig(tmp_path, script, {"token": "t"}, server="https://no-such-host.invalid:6443")
    made = open_cluster(path)
    with pytest.raises(LocalFault, match="cannot be resolved"):
        await made.inventory([])
    await made.close()


async def test_an_answer_without_end_is_cut(
    script: Script, cluster: KubeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "BODY_MAX", 1000)
    script.next = [Answer(200, {"metadata": {"uid": "x" * 2000}})]
    with pytest.raises(Unavailable):
        await cluster.inventory([])


async def test_a_server_of_another_authority_is_refused(script: Script, tmp_path: Path) -> None:
    stranger = Script(authority=Authority(), port=script.port)
    made = open_cluster(write_kubeconfig(tmp_path, stranger, {"token": "secret-token"}))
    with pytest.raises(Unavailable, match="certificate is not the one"):
        await made.inventory([])
    assert script.asked == [], "no token is shown to a stranger"
    await made.close()


async def test_the_tls_server_name_of_the_kubeconfig_is_what_is_checked(tmp_path: Path) -> None:
    async with api_server(context=lambda authority: authority.server("kubernetes.default")) as script:
        script.route = healthy
        plain = open_cluster(write_kubeconfig(tmp_path, script, {"token": "t"}))
        with pytest.raises(Unavailable, match="certificate"):
            await plain.inventory([])
        named = open_cluster(
            write_kubeconfig(tmp_path, script, {"token": "t"}, **{"tls-server-name": "kubernetes.default"})
        )
        assert (await named.inventory([])).uid == "uid-1"
        await plain.close()
        await named.close()


async def test_something_that_is_no_tls_server_is_unavailable(tmp_path: Path) -> None:
    async def noise(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.net ESMTP\r\n")
        await writer.drain()
        await reader.read()

    async with raw(noise) as port:
        made = open_cluster(write_kubeconfig(tmp_path, Script(port=port), {"token": "t"}))
        with pytest.raises(Unavailable):
            await made.inventory([])
        await made.close()


# -- lists -------------------------------------------------------------------------------------------------------------

NODE = {
    "metadata": {"name": "n1"},
    "status": {
        "conditions": [{"type": "Ready", "status": "True"}],
        "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"},
    },
}


def node(name: str, **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "status": NODE["status"] | status}


def pod(cpu: Any, where: str = "n1") -> dict[str, Any]:
    return {"spec": {"nodeName": where, "containers": [{"resources": {"requests": {"cpu": cpu}}}]}}


def page(*items: Any, more: str = "") -> Answer:
    return Answer(200, {"items": list(items), "metadata": {"continue": more}})


def healthy(request: web.BaseRequest, nodes: Any = (NODE,), pods: Any = ()) -> Answer | None:
    if request.path.endswith("/kube-system"):
        return UID
    if request.path == "/api/v1/nodes":
        return page(*nodes)
    if request.path == "/api/v1/pods":
        return page(*pods)
    return None


async def test_pages_are_put_together(script: Script, cluster: KubeCluster) -> None:
    script.next = [UID, page(node("n1"), more="next one"), page(node("n2"))]
    script.route = healthy
    seen = await cluster.inventory([])
    assert [item.name for item in seen.nodes] == ["n1", "n2"]
    assert "continue=next%20one" in script.asked[2][1]


async def test_a_list_that_expires_between_two_pages_is_begun_again(
    script: Script, cluster: KubeCluster
) -> None:
    gone = failure(410, "Expired", "The provided continue parameter is too old")
    script.next = [UID, page(node("n1"), more="a"), gone, UID, page(node("n1"), more="b"), page(node("n2"))]
    script.route = healthy
    assert len((await cluster.inventory([])).nodes) == 2


async def test_a_list_that_always_expires_is_unknown_and_never_half(
    script: Script, cluster: KubeCluster
) -> None:
    gone = failure(410, "Expired", "The provided continue parameter is too old")
    script.next = [UID, page(node("n1"), more="a"), gone] * 3
    with pytest.raises(Unavailable, match="410 Expired"):
        await cluster.inventory([])
    assert len(script.asked) == 9


@pytest.mark.parametrize(
    "second",
    [
        Answer(200, {"items": None}),
        Answer(200, {"metadata": {}}),
        Answer(200, {"items": [1]}),
        Answer(200, {"items": [], "metadata": "x"}),
        Answer(200, {"items": [NODE]}, how=BREAKS_OFF),
        failure(500, "InternalError", "oops"),
    ],
    ids=["null", "no items", "items of another kind", "bad metadata", "broken off", "500"],
)
async def test_a_list_that_breaks_off_is_unknown(
    script: Script, cluster: KubeCluster, second: Answer
) -> None:
    script.next = [UID, page(node("n1"), more="a"), second]
    with pytest.raises(Unavailable):
        await cluster.inventory([])


@pytest.mark.parametrize("cpu", ["lots", "NaN", "Infinity", "-1", "9" * 50, {"a": 1}, "1e400"])
async def test_a_pod_that_makes_no_sense_fills_its_node_and_is_named(
    script: Script, cluster: KubeCluster, cpu: Any
) -> None:
    script.route = lambda request: healthy(request, [node("n1"), node("n2")], [pod(cpu), pod("1500m", "n2")])
    first, second = (seen := await cluster.inventory([])).nodes
    assert first.free.cpu_m == first.free.pods == 0
    assert second.free.cpu_m == 2500
    assert "a pod on n1 cannot be understood" in seen.odd[0]


async def test_whatever_nodes_give_and_pods_take_is_counted(script: Script, cluster: KubeCluster) -> None:
    gpus = {"cpu": "8", "memory": "8Gi", "pods": "10", "example.com/gpu": "4", "hugepages-2Mi": "0"}
    containers = [{"resources": {"requests": {"cpu": "1500m", "memory": "1Gi", "example.com/gpu": "1"}}}]
    first = [{"resources": {"requests": {"cpu": "3", "example.com/gpu": "3"}}}]
    pods = [
        {"spec": {"nodeName": "big", "containers": containers, "initContainers": first}},
        {"spec": {"nodeName": "big", "containers": containers, "overhead": {"cpu": "250m"}}},
        {"spec": {"containers": containers}},
    ]
    script.route = lambda request: healthy(request, [node("big", allocatable=gpus), node("n2")], pods)
    seen = await cluster.inventory([])
    assert seen.requested.by_name() == {"cpu": 4750, "memory": 2 << 30, "pods": 2, "example.com/gpu": 4}
    big = seen.nodes[0].free
    assert (big.cpu_m, big.memory, big.pods, dict(big.extended)["example.com/gpu"]) == (3250, 6 << 30, 8, 0)
    assert seen.places_for(Resources(cpu_m=100, extended=(("example.com/gpu", 1),))) == 0
    assert seen.allocatable.by_name()["example.com/gpu"] == 4


async def test_how_busy_the_nodes_are_is_a_hint(script: Script, cluster: KubeCluster) -> None:
    def measured(request: web.BaseRequest, *items: Any) -> Answer | None:
        return page(*items) if request.path.endswith("v1beta1/nodes") else healthy(request, [node("n1")])

    script.route = lambda request: measured(
        request, {"metadata": {"name": "n1"}, "usage": {"cpu": "3000000000n"}}
    )
    assert (await cluster.inventory([])).utilisation == 0.75
    script.route = lambda request: measured(request, {"metadata": {"name": "n1"}, "usage": {}})
    assert (await cluster.inventory([])).utilisation is None
    script.route = healthy
    assert (await cluster.inventory([])).utilisation is None


@pytest.mark.parametrize(
    "status",
    [
        {"conditions": [{}]},
        {"allocatable": {"cpu": "many", "memory": "1Gi"}},
        {"allocatable": {}},
        {"conditions": 3},
    ],
)
async def test_a_node_that_makes_no_sense_counts_for_nothing_and_is_named(
    script: Script, cluster: KubeCluster, status: dict[str, Any]
) -> None:
    script.route = lambda request: healthy(request, [node("n1", **status), node("n2")])
    seen = await cluster.inventory([])
    assert ([item.name for item in seen.nodes], seen.nodes_total) == (["n2"], 2)
    assert seen.odd[0].startswith("node n1 cannot be understood")


@pytest.mark.parametrize(
    "item", [{}, {"metadata": {"name": "web"}, "spec": {"replicas": "some"}}, {"metadata": [], "spec": {}}]
)
async def test_a_workload_that_makes_no_sense_is_unknown_and_not_absent(
    script: Script, cluster: KubeCluster, item: dict[str, Any]
) -> None:
    script.route = lambda request: Answer(200, item) if request.path.endswith("deployments/web") else page()
    with pytest.raises(Unavailable):
        await cluster.read_workloads([WEB])


# -- credentials -------------------------------------------------------------------------------------------------------


async def test_after_a_401_a_rotated_token_is_read_once_more(script: Script, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old\n")
    script.route = lambda request: (
        failure(401, "Unauthorized", "Unauthorized")
        if request.headers["Authorization"] != "Bearer new"
        else healthy(request)
    )
    made = open_cluster(write_kubeconfig(tmp_path, script, {"tokenFile": "token"}))
    with pytest.raises(LocalFault):
        await made.inventory([])
    assert len(script.asked) == 2, "tried once more, and then no longer"
    file.write_text("new\n")
    assert (await made.inventory([])).uid == "uid-1"
    await made.close()


async def test_an_expired_client_certificate_is_our_fault_and_is_not_shown(
    script: Script, tmp_path: Path
) -> None:
    made = open_cluster(
        write_kubeconfig(tmp_path, script, client_certificate(script.authority, expired=True))
    )
    with pytest.raises(LocalFault, match="client certificate of c in its kubeconfig expired"):
        await made.inventory([])
    assert script.asked == []
    await made.close()


def _asks_for_certificates(authority: Authority) -> ssl.SSLContext:
    context = authority.server(HOST)
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = (
        ssl.TLSVersion.TLSv1_2
    )  # from 1.3 on the refusal may look like a connection that was lost
    context.load_verify_locations(cadata=authority.pem)
    return context


async def test_a_client_certificate_is_shown_to_a_server_that_asks(
    tmp_path: Path,
) -> None:
    async with api_server(context=_asks_for_certificates) as script:
        script.route = healthy
        good = open_cluster(
            write_kubeconfig(tmp_path, script, client_certificate(script.authority, expired=False))
        )
        assert (await good.inventory([])).uid == "uid-1"
        await good.close()


# -- the fence ---------------------------------------------------------------------------------------------------------


def fence(epoch: str, **metadata: str) -> Answer:
    return Answer(200, {"metadata": {"resourceVersion": "5"} | metadata, "data": {"epoch": epoch}})


async def test_the_fence_is_raised_by_compare_and_swap(script: Script, cluster: KubeCluster) -> None:
    script.next = [UID, fence("6"), fence("7")]
    await cluster.raise_fence(permit(7), RaiseFence(cluster="c", cluster_uid="uid-1", epoch=Epoch(7)))
    sent = json.loads(script.asked[-1][3])
    assert sent == {"metadata": {"resourceVersion": "5"}, "data": {"epoch": "7"}}


async def test_a_fence_that_cannot_be_understood_is_not_overwritten_blindly(
    script: Script, cluster: KubeCluster
) -> None:
    script.next = [UID, Answer(200, {"data": {"epoch": "6"}})]
    with pytest.raises(Unavailable, match="fence cannot be understood"):
        await cluster.raise_fence(permit(7), RaiseFence(cluster="c", cluster_uid="uid-1", epoch=Epoch(7)))


async def test_an_epoch_that_cannot_be_understood_is_left_alone(script: Script, cluster: KubeCluster) -> None:
    script.next = [UID, fence("seven")]
    with pytest.raises(Rejected, match="epoch in its fence"):
        await cluster.raise_fence(permit(7), RaiseFence(cluster="c", cluster_uid="uid-1", epoch=Epoch(7)))


async def test_a_namespace_that_is_missing_names_the_command_that_makes_it(
    script: Script, cluster: KubeCluster
) -> None:
    script.next = [UID]
    with pytest.raises(Rejected, match="failover rbac --fence"):
        await cluster.raise_fence(permit(7), RaiseFence(cluster="c", cluster_uid="uid-1", epoch=Epoch(7)))

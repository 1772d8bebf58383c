"""An API server that answers what a test tells it, over TLS on loopback, and kubeconfigs that lead to it."""

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

from failover.controller.clock import SystemClock
from failover.kube.cluster import KubeCluster
from failover.kube.kubeconfig import read_config
from failover.model.ids import ClusterName
from failover.model.policy import ClusterAccess
from tests.probes.servers import HOST, Authority

HANGS = "hangs"
BREAKS_OFF = "breaks off"
HANGS_UP = "hangs up"


@dataclass(frozen=True)
class Answer:
    """One scripted answer. `body`: an object, or bytes as they are; `how`: HANGS, BREAKS_OFF (half a body) or HANGS_UP."""

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    how: str = ""


def failure(status: int, reason: str, message: str, **headers: str) -> Answer:
    """A Kubernetes Status object."""
    body = {"kind": "Status", "status": "Failure", "reason": reason, "message": message, "code": status}
    return Answer(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


Route = Callable[[web.BaseRequest], "Answer | None"]


@dataclass
class Script:
    """What the server says: `next` answers come first, one a request, then what `route` gives, else 404."""

    authority: Authority = field(default_factory=Authority)
    next: list[Answer] = field(default_factory=list)
    route: Route = lambda request: None
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    port: int = 0

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        self.asked.append((request.method, request.path_qs, dict(request.headers), body))
        said = (self.next.pop(0) if self.next else self.route(request)) or failure(
            404, "NotFound", "nothing here"
        )
        assert request.transport is not None
        if said.how == HANGS:
            await asyncio.sleep(3600)
        if said.how == HANGS_UP:
            request.transport.abort()
        text = said.body if isinstance(said.body, bytes) else json.dumps(said.body).encode()
        if said.how == BREAKS_OFF:
            response = web.StreamResponse(status=said.status, headers={"Content-Length": str(len(text) * 2)})
            await response.prepare(request)
            await response.write(text)
            request.transport.abort()
            return response
        return web.Response(status=said.status, body=text, headers=said.headers)


@asynccontextmanager
async def api_server(
    *, context: Callable[[Authority], ssl.SSLContext] | None = None
) -> AsyncIterator[Script]:
    """A running scripted server."""
    script = Script()
    tls = context(script.authority) if context else script.authority.server(HOST)
    runner = web.ServerRunner(web.Server(script.answer), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, HOST, 0, ssl_context=tls).start()
    script.port = runner.addresses[0][1]
    try:
        yield script
    finally:
        await runner.cleanup()


def write_kubeconfig(folder: Path, script: Script, user: dict[str, Any], **cluster: Any) -> Path:
    """One context `c` for that server."""
    ca = base64.b64encode(script.authority.pem.encode()).decode()
    server = {"server": f"https://{HOST}:{script.port}", "certificate-authority-data": ca} | cluster
    config = {
        "clusters": [{"name": "c", "cluster": server}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }
    path = folder / "kubeconfig.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def open_cluster(path: Path, *exec_allowed: str) -> KubeCluster:
    """The shipped adapter over a kubeconfig."""
    return KubeCluster(
        ClusterName("c"),
        read_config("c", ClusterAccess(kubeconfig=str(path), exec_allowed=exec_allowed)),
        SystemClock(),
    )


def client_certificate(authority: Authority, *, expired: bool) -> dict[str, str]:
    """`client-certificate-data` and `client-key-data` of a user, valid or ended yesterday."""
    ended = datetime.now(UTC) + timedelta(days=-1 if expired else 1)
    made = authority.ca.issue_cert("user@example.net", not_before=ended - timedelta(days=30), not_after=ended)
    return {
        "client-certificate-data": base64.b64encode(made.cert_chain_pems[0].bytes()).decode(),
        "client-key-data": base64.b64encode(made.private_key_pem.bytes()).decode(),
    }

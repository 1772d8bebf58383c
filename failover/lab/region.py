"""One simulated region as a process: API servers and client endpoints of its clusters. Killing it is losing the region.

Told what to serve by a JSON file; faults are switched over a Unix socket beside it. What its clusters hold is kept in
ledgers, so that a region that is started again comes back as the one that it was.
"""

import asyncio
import json
import random
import ssl
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aiohttp import web

from failover.lab.control import listen
from failover.lab.kubeapi.access import EVERYTHING, Access
from failover.lab.kubeapi.kubelets import Kubelets
from failover.lab.kubeapi.ledger import Ledger
from failover.lab.kubeapi.objects import KINDS, ObjectStore
from failover.lab.kubeapi.server import ApiServer
from failover.lab.topology import NODE


@dataclass(slots=True)
class EndpointFaults:
    """What clients meet. `down`: connections are refused; `errors`: share of 503s; `blocked`: silent for these sources."""

    down: bool = False
    hang: bool = False
    slow_s: float = 0.0
    errors: float = 0.0
    blocked: frozenset[str] = frozenset()


class Endpoint:
    """Where clients of one cluster are served."""

    def __init__(self, address: str, port: int, tls: ssl.SSLContext) -> None:
        self._address, self._port, self._tls = address, port, tls
        self.faults = EndpointFaults()
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Serve."""
        app = web.Application()
        app.router.add_get("/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._address, self._port, ssl_context=self._tls).start()

    async def stop(self) -> None:
        """Refuse connections."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _serve(self, request: web.Request) -> web.Response:
        faults = self.faults
        if faults.hang or (request.remote or "") in faults.blocked:
            await asyncio.sleep(3600)
        if faults.slow_s:
            await asyncio.sleep(faults.slow_s)
        if random.random() < faults.errors:  # noqa: S311 - a simulated fault
            return web.Response(status=503, text="overloaded")
        return web.Response(text="ok")

    async def apply(self, faults: EndpointFaults) -> None:
        """Switch faults; going down or coming back opens or closes the listener."""
        self.faults = faults
        if faults.down:
            await self.stop()
        elif self._runner is None:
            await self.start()


class Region:
    """Every cluster of one region."""

    def __init__(self, told: dict[str, Any]) -> None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(told["certificate"], told["key"])
        self.servers: dict[str, ApiServer] = {}
        self.endpoints: dict[str, Endpoint] = {}
        self._flapping: dict[tuple[str, str], asyncio.Task[None]] = {}
        for one in told["clusters"]:
            store = ObjectStore()
            if not Ledger(Path(one["ledger"])).restore(store):
                furnish(store, one, told["workloads"])
            kubelets = Kubelets(store=store, ready_s=float(told["ready_s"]))
            access = Access({told["token"]: ("failover-lab", EVERYTHING)})
            server = ApiServer(store, access, kubelets, host="127.0.0.1", port=one["api_port"], tls=tls)
            self.servers[one["name"]] = server
            self.endpoints[one["name"]] = Endpoint(one["address"], one["endpoint_port"], tls)

    async def start(self) -> None:
        """Serve everything."""
        for server in self.servers.values():
            await server.start()
        for endpoint in self.endpoints.values():
            await endpoint.start()

    async def switch(self, asked: dict[str, Any]) -> None:
        """Take one line of the control socket: `faults` of one cluster, or that it is `flapping` by this name."""
        if "flapping" not in asked:
            await self.fault(asked["cluster"], asked["faults"])
            return
        key = (asked["cluster"], asked["flapping"])
        running = self._flapping.pop(key, None)
        if running is not None:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        if asked["on"]:
            self._flapping[key] = asyncio.ensure_future(self._flap(asked))
        else:
            await self.fault(asked["cluster"], asked["light"])

    async def _flap(self, asked: dict[str, Any]) -> None:
        while True:
            for state in ("dark", "light"):
                await self.fault(asked["cluster"], asked[state])
                await asyncio.sleep(asked["down_s" if state == "dark" else "up_s"])

    async def fault(self, name: str, changes: dict[str, Any]) -> None:
        """Switch faults of one cluster: keys of EndpointFaults under `endpoint`, of ApiFaults under `api`; others stay.

        `block`, `unblock`: one source address.
        """
        endpoint, server = self.endpoints[name], self.servers[name]
        if "endpoint" in changes:
            wanted = dict(changes["endpoint"])
            blocked = endpoint.faults.blocked - {wanted.pop("unblock", "")} | {wanted.pop("block", "")}
            await endpoint.apply(replace(endpoint.faults, **wanted, blocked=blocked - {""}))
        if "api" in changes:
            wanted = dict(changes["api"])
            down = wanted.pop("down", not server.running)
            server.faults.blocked -= {wanted.pop("unblock", "")}
            server.faults.blocked |= {wanted["block"]} if "block" in wanted else set()
            wanted.pop("block", None)
            for key, value in wanted.items():
                setattr(server.faults, key, value)
            await (server.stop() if down else self._revive(server))
        for key, value in changes.get("kubelets", {}).items():
            setattr(server.kubelets, key, value)

    async def _revive(self, server: ApiServer) -> None:
        if not server.running:
            await server.start()


def furnish(store: ObjectStore, one: dict[str, Any], workloads: list[dict[str, Any]]) -> None:
    """Namespaces, nodes, the fence's ConfigMap and every workload with its replicas in this cluster."""
    namespaces = {"kube-system", "failover", *(item["namespace"] for item in workloads)}
    for name in sorted(namespaces):
        store.create(KINDS["", "namespaces"], "", {"metadata": {"name": name}})
    for number in range(one["nodes"]):
        ready = {"type": "Ready", "status": "True"}
        node = {
            "metadata": {"name": f"{one['name']}-node-{number}"},
            "status": {"allocatable": one.get("node", NODE), "conditions": [ready]},
        }
        store.create(KINDS["", "nodes"], "", node)
    fence = {"metadata": {"name": "failover-fence"}, "data": {"epoch": "0"}}
    store.create(KINDS["", "configmaps"], "failover", fence)
    for item in workloads:
        requests = {"cpu": "100m", "memory": "64Mi"}
        container = {"name": "main", "resources": {"requests": requests}}
        value = {
            "metadata": {"name": item["name"]},
            "spec": {"replicas": item["replicas"], "template": {"spec": {"containers": [container]}}},
        }
        store.create(KINDS["apps", "deployments"], item["namespace"], value)


async def serve(told: dict[str, Any], control: Path) -> None:
    """Serve until killed; each line on the control socket is what `Region.switch` takes."""
    region = Region(told)
    await region.start()
    await listen(control, region.switch)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    file = Path(sys.argv[1])
    asyncio.run(serve(json.loads(file.read_text()), file.with_suffix(".sock")))

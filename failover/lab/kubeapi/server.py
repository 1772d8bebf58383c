"""One lab cluster's API server: an ObjectStore with its kubelets behind HTTPS, with faults that can be switched."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

from failover.lab.kubeapi.access import Access
from failover.lab.kubeapi.kubelets import Kubelets
from failover.lab.kubeapi.objects import KINDS, ApiError, Kind, Object, ObjectStore
from failover.lab.kubeapi.rest import Rest

BODY_MAX = 2 * 1024 * 1024
FENCE_KIND = KINDS["", "configmaps"]
FENCED = ("deployments/scale", "statefulsets/scale", "replicasets/scale", "horizontalpodautoscalers/")


@dataclass(slots=True)
class ApiFaults:
    """What goes wrong at an API server. `hang`: accepts and never answers; `error`: HTTP status for everything (0: none).

    `slow_s`: before every answer; `throttle`: 429s still to come; `blocked`: source addresses that get no answer.
    """

    hang: bool = False
    error: int = 0
    slow_s: float = 0.0
    throttle: int = 0
    blocked: set[str] = field(default_factory=set)


class ApiServer:
    """One cluster. Start and stop inside an event loop."""

    def __init__(
        self,
        store: ObjectStore,
        access: Access,
        kubelets: Kubelets,
        *,
        host: str,
        port: int,
        tls: ssl.SSLContext,
    ) -> None:
        self.store, self.kubelets = store, kubelets
        self.faults = ApiFaults()
        self._host, self._port, self._tls = host, port, tls
        self._rest = Rest(store, access, self.admit)
        self._runner: web.AppRunner | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._port

    @property
    def running(self) -> bool:
        """Whether it serves."""
        return self._runner is not None

    async def start(self) -> None:
        """Serve. Port 0 takes a free one."""
        app = web.Application(client_max_size=BODY_MAX, middlewares=[self._faulty, _statuses])
        self._rest.routes(app)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port, ssl_context=self._tls)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self.kubelets.start()
        self._task = asyncio.ensure_future(self.kubelets.run())

    async def stop(self) -> None:
        """Stop serving; the objects stay."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def admit(self, user: str, kind: Kind, subresource: str, manager: str, value: Object) -> None:
        """What the admission policy of `failover rbac --fence` does in a real cluster, once its ConfigMap is there."""
        del user, value
        if f"{kind.plural}/{subresource}" not in FENCED or not manager.startswith("failover-e"):
            return
        fence = self.store.peek(FENCE_KIND, "failover", "failover-fence")
        epoch = (fence or {}).get("data", {}).get("epoch", "")
        ours = manager.removeprefix("failover-e")
        if epoch.isdigit() and ours.isdigit() and int(ours) < int(epoch):
            message = f"ValidatingAdmissionPolicy 'failover-fence' denied request: a newer epoch ({epoch}) has acted here"
            raise ApiError(403, "Forbidden", message)

    @web.middleware
    async def _faulty(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        faults = self.faults
        if faults.hang or (request.remote or "") in faults.blocked:
            await asyncio.sleep(3600)
        if faults.slow_s:
            await asyncio.sleep(faults.slow_s)
        if faults.throttle > 0:
            faults.throttle -= 1
            error = ApiError(
                429, "TooManyRequests", "the server has received too many requests", retry_after=1
            )
            return _answer(error)
        if faults.error:
            return _answer(ApiError(faults.error, "InternalError", "a fault of the lab"))
        return await handler(request)


@web.middleware
async def _statuses(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Errors as Kubernetes Status objects."""
    try:
        return await handler(request)
    except ApiError as error:
        return _answer(error)
    except web.HTTPNotFound:
        return _answer(ApiError(404, "NotFound", "the server could not find the requested resource"))


def _answer(error: ApiError) -> web.Response:
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after is not None else {}
    return web.json_response(error.status(), status=error.code, headers=headers)

"""What every stand-in of a provider is: an HTTP API on loopback with a rate, and name servers that follow it after a time."""

import asyncio
import math
from abc import ABC, abstractmethod
from collections.abc import Callable

from aiohttp import web

from failover.lab.providers.behind import Bucket, ProviderFaults, ServedBy
from failover.lab.refusals import OnRefused, nobody

BODY_MAX = 2**24


class StandIn(ABC):
    """`port`: of the API, once it is started; `requests`: how many came in; `faults`: what is wrong with it."""

    def __init__(self, behind: ServedBy, bucket: Bucket, mono: Callable[[], float]) -> None:
        self.behind = behind
        self.faults = ProviderFaults()
        self.requests = 0
        self.on_refused: OnRefused = nobody
        self.port = 0
        self._bucket = bucket
        self._mono = mono
        self._runner: web.AppRunner | None = None

    @property
    def endpoint(self) -> str:
        """The URL that the vendor's client is pointed at."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self, port: int = 0) -> None:
        """Open the API and the name servers. Raises OSError."""
        await self.behind.start()
        application = web.Application(client_max_size=BODY_MAX)
        application.router.add_route("*", "/{tail:.*}", self._serve)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.port = self._runner.addresses[0][1]
        self.publish()

    async def stop(self) -> None:
        """Close everything."""
        if self._runner is not None:
            await self._runner.cleanup()
        await self.behind.stop()

    @abstractmethod
    def publish(self) -> None:
        """Serve what is there now."""

    def publish_after(self, seconds: float) -> None:
        """Serve what is there, after so long; inf: until something else is published it never gets there."""
        if seconds <= 0:
            self.publish()
        elif seconds < math.inf:
            asyncio.get_running_loop().call_later(seconds, self.publish)

    @abstractmethod
    def broken(self) -> web.Response:
        """How this provider says that the fault is its own."""

    @abstractmethod
    async def answer(self, request: web.Request, body: bytes) -> web.StreamResponse:
        """What it says to a request while it works."""

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.requests += 1
        faults = self.faults
        if faults.down:
            assert request.transport is not None
            request.transport.close()
        if faults.down or faults.hang:
            await asyncio.sleep(3600)
        if faults.garbage:
            return web.Response(text="<html>welcome to the hotel's network</html>", content_type="text/html")
        return self.broken() if faults.errors else await self.answer(request, body)

    def throttled(self) -> bool:
        """Whether this request is one too many, or a fault says so."""
        if self.faults.throttle > 0:
            self.faults.throttle -= 1
            return True
        return not self._bucket.take(self._mono())

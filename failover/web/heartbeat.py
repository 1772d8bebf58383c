"""A cluster's heartbeats, pushed out: it lives, and its way out works, whatever probes from outside meet (H).

Run it inside the cluster. A cluster whose heartbeats still come while nobody reaches it is ISOLATED, and not DOWN: its
clients are steered away, and its single writers are never started a second time.
"""

import asyncio
import secrets
import ssl
from collections.abc import Callable

import aiohttp

from failover.model.codec import canonical_json
from failover.model.ids import ClusterName
from failover.model.ports import Clock
from failover.web.protocol import CLUSTER_HEADER, HEARTBEAT_PATH, Heartbeat

REQUEST_TIMEOUT_S = 3.0


class Heart:
    """Beats to every controller, each by itself: one that is away delays no other. `run()` ends only by cancellation."""

    def __init__(
        self,
        *,
        cluster: str,
        controllers: list[str],
        token: str,
        clock: Clock,
        every_s: float,
        tls: ssl.SSLContext | bool = True,
        on_event: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self._cluster = ClusterName(cluster)
        self._controllers = [url.rstrip("/") for url in controllers]
        self._token = token
        self._clock = clock
        self._every_s = every_s
        self._tls = tls
        self._tell = on_event
        self._boot_id = secrets.token_hex(8)
        self._trouble: dict[str, str] = {}

    async def run(self) -> None:
        """Beat until cancelled."""
        headers = {
            "Authorization": f"Bearer {self._token}",
            CLUSTER_HEADER: self._cluster,
            "Content-Type": "application/json",
        }
        session = aiohttp.ClientSession(
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S),
            connector=aiohttp.TCPConnector(ssl=self._tls),
            trust_env=False,
        )
        async with session, asyncio.TaskGroup() as group:
            for url in self._controllers:
                group.create_task(self._beat_forever(session, url))

    async def _beat_forever(self, session: aiohttp.ClientSession, url: str) -> None:
        sequence = 0
        while True:
            sequence += 1
            self._note(url, await self._beat(session, url, sequence))
            await self._clock.sleep(self._every_s)

    async def _beat(self, session: aiohttp.ClientSession, url: str, sequence: int) -> str:
        """One heartbeat; a sentence where it was not taken."""
        body = canonical_json(Heartbeat(boot_id=self._boot_id, sequence=sequence)).encode()
        try:
            async with session.post(url + HEARTBEAT_PATH, data=body) as response:
                if response.status == 200:
                    return ""
                return f"{url} answers {response.status}: {(await response.text())[:200]}"
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return f"cannot reach {url}: {type(error).__name__} {error}".rstrip()

    def _note(self, url: str, sentence: str) -> None:
        if sentence != self._trouble.get(url, ""):
            self._trouble[url] = sentence
            self._tell(sentence or f"heartbeats reach {url}")

"""Heartbeats over real TLS: a cluster beats at every controller, and one that is away delays no other."""

import asyncio
from collections.abc import Callable

from failover.controller.clock import SystemClock
from failover.web.heartbeat import Heart
from tests.probes.servers import closed_port
from tests.web.controllers import SmallController, served


async def until(what: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not what():  # noqa: ASYNC110 - what is waited for is somebody else's state
            await asyncio.sleep(0.01)


async def test_a_cluster_beats_at_every_controller_and_tells_which_it_cannot_reach() -> None:
    said: list[str] = []
    async with served(SmallController()) as there:
        heart = Heart(
            cluster="north-1",
            controllers=[there.url, f"https://127.0.0.1:{closed_port()}"],
            token="token-of-north-1",
            clock=SystemClock(),
            every_s=0.02,
            tls=there.certificates.client(),
            on_event=said.append,
        )
        running = asyncio.ensure_future(heart.run())
        await until(lambda: there.controller.inbox.heartbeats.get("north-1"))  # type: ignore[call-overload]
        await until(lambda: any("cannot reach" in sentence for sentence in said))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert len(said) == 1, "said once, not at every beat"


async def test_a_wrong_token_is_told() -> None:
    said: list[str] = []
    async with served(SmallController()) as there:
        heart = Heart(
            cluster="north-1",
            controllers=[there.url],
            token="wrong",
            clock=SystemClock(),
            every_s=0.02,
            tls=there.certificates.client(),
            on_event=said.append,
        )
        running = asyncio.ensure_future(heart.run())
        await until(lambda: said)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert "401" in said[0]
    assert there.controller.inbox.heartbeats == {}

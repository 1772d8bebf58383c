"""The sockets of a lab name server, its zones' current versions, and its secondaries."""

import asyncio
import os
import time
from collections.abc import Iterable

import dns.message
import dns.name
import dns.rcode
import dns.tsig

from failover.lab.nameserver.content import Content, with_records
from failover.lab.nameserver.faults import Faults
from failover.lab.nameserver.messages import Responder
from failover.lab.refusals import OnRefused, nobody

TCP_IDLE_S = 120.0
"""Longer than a scenario lets a controller sleep: what it sends when it wakes is to be answered."""

UDP_PAYLOAD_MAX = 1232


def new_key(name: str = "failover-lab", algorithm: str = "hmac-sha256") -> dns.tsig.Key:
    """A TSIG key with a fresh secret of 256 bits."""
    return dns.tsig.Key(dns.name.from_text(name), os.urandom(32), dns.name.from_text(algorithm))


class NameServer:
    """An authoritative name server on one address, UDP and TCP on the same port.

    A primary takes signed updates and hands every new version to its secondaries after each one's lag. All zones are
    in memory. Use: `await start()`, `port`, switch `faults`, `set_records(…)` as an outside hand, `await stop()`.
    """

    def __init__(
        self,
        zones: Iterable[Content],
        *,
        keys: Iterable[dns.tsig.Key] = (),
        address: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.address = address
        self.port = port
        self.faults = Faults()
        self.is_primary = True
        self.updates = 0
        self.on_refused: OnRefused = nobody
        self._zones = {content.apex: content for content in zones}
        self._responder = Responder({key.name: key for key in keys})
        self._secondaries: list[tuple[NameServer, float]] = []
        self._tcp: asyncio.Server | None = None
        self._udp: asyncio.DatagramTransport | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._update_times: list[float] = []

    def add_secondary(self, secondary: "NameServer", *, lag_s: float = 0.0) -> None:
        """Feed another server: at once with what there is, later with every new version after `lag_s` seconds."""
        secondary.is_primary = False
        self._secondaries.append((secondary, lag_s))
        for content in self._zones.values():
            secondary.take(content)

    def set_lag(self, lag_s: float) -> None:
        """Change the lag of all secondaries, for versions to come."""
        self._secondaries = [(secondary, lag_s) for secondary, _ in self._secondaries]

    def content(self, apex: str) -> Content:
        """The version that it serves now. Raises KeyError."""
        return self._zones[dns.name.from_text(apex).canonicalize()]

    def take(self, content: Content) -> None:
        """Serve this version from now on, unless the content is frozen by a fault."""
        if not self.faults.frozen_content:
            self._zones[content.apex] = content

    def set_records(self, apex: str, name: str, kind: str, ttl: int, *values: str) -> None:
        """Change a record set as somebody else would, without protocol or fence; no values remove it."""
        self._publish(with_records(self.content(apex), name, kind, ttl, *values))

    async def start(self) -> None:
        """Open both sockets on one port (a free one where `port` is 0). Raises OSError."""
        loop = asyncio.get_running_loop()
        for attempt in range(20):
            tcp = await asyncio.start_server(self._serve_connection, self.address, self.port, limit=2**17)
            port = tcp.sockets[0].getsockname()[1]
            try:
                self._udp, _ = await loop.create_datagram_endpoint(
                    lambda: _Datagrams(self), local_addr=(self.address, port)
                )
            except OSError:
                tcp.close()
                if self.port or attempt == 19:
                    raise
                continue  # somebody has the UDP port of this number
            self._tcp, self.port = tcp, port
            return

    async def stop(self) -> None:
        """Close everything; a client sees a refused connection afterwards."""
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            self._tcp.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        self._udp = self._tcp = None

    def _publish(self, content: Content) -> None:
        self._zones[content.apex] = content
        loop = asyncio.get_running_loop()
        for secondary, lag_s in self._secondaries:
            if lag_s > 0:
                loop.call_later(lag_s, secondary.take, content)
            else:
                secondary.take(content)

    def answer(self, wire: bytes, *, max_size: int) -> bytes | None:
        """The answer to one message, None for none. One message is one step: updates never interleave."""
        if self.faults.silent:
            return None
        before = self._zones
        outcome = self._responder.respond(
            wire,
            before,
            self.faults,
            accepts_updates=self.is_primary,
            throttled=self._throttled,
            max_size=max_size,
        )
        if outcome.refused is not None:
            self.on_refused(*outcome.refused)
        if outcome.content is not None and outcome.content is not before.get(outcome.content.apex):
            self.updates += 1
            self._publish(outcome.content)
        return outcome.wire

    def _throttled(self) -> bool:
        """Whether one more update now would exceed what the fault allows; counts it if not."""
        if self.faults.updates_per_s <= 0:
            return False
        now = time.monotonic()
        self._update_times = [at for at in self._update_times if now - at < 1.0]
        if len(self._update_times) >= self.faults.updates_per_s:
            return True
        self._update_times.append(now)
        return False

    async def _serve_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            while True:
                async with asyncio.timeout(TCP_IDLE_S):
                    size = int.from_bytes(await reader.readexactly(2), "big")
                    wire = await reader.readexactly(size)
                answer = self.answer(wire, max_size=65535)
                if self.faults.delay_s:
                    await asyncio.sleep(self.faults.delay_s)
                if answer is not None:
                    writer.write(len(answer).to_bytes(2, "big") + answer)
                    await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
            pass  # idle, gone, or we stop: a connection's end is no event
        finally:
            self._connections.discard(task)
            writer.close()

    def serve_datagram(self, wire: bytes, client: tuple[str, int]) -> None:
        """Answer one datagram, later where the fault says so."""
        answer = self.answer(wire, max_size=UDP_PAYLOAD_MAX)
        if answer is not None:
            asyncio.get_running_loop().call_later(self.faults.delay_s, self._send_datagram, answer, client)

    def _send_datagram(self, answer: bytes, client: tuple[str, int]) -> None:
        if self._udp is not None and not self._udp.is_closing():
            self._udp.sendto(answer, client)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer) -> None:
        self._server = server

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._server.serve_datagram(data, addr)

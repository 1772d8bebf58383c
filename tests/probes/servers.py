"""Real servers on loopback for the probers: one that answers what it is told, and raw ones that misbehave."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import trustme
from aiohttp import web

from failover.model.ids import ClusterName, Subject
from failover.model.observation import ProbeDefinition, ProbeKind, Signal

HOST = "127.0.0.1"
NAME = "north-1.example.net"
LOOPBACK = ("127.0.0.0/8",)
DATA = Subject(cluster=ClusterName("north-1"))
LONG_S = 20.0
"""A timeout that no test waits for."""


def definition(port: int, probe: ProbeKind = ProbeKind.HTTP, **changes: object) -> ProbeDefinition:
    """A probe of a loopback server; `changes` as of ProbeDefinition."""
    signal = Signal.CONTROL_PLANE if probe is ProbeKind.READYZ else Signal.DATA_PLANE
    values: dict[str, object] = {
        "subject": DATA,
        "signal": signal,
        "probe": probe,
        "address": HOST,
        "port": port,
        "server_name": NAME,
        "host": NAME,
        "interval_s": LONG_S,
        "timeout_s": LONG_S,
    }
    return ProbeDefinition(**(values | changes))  # type: ignore[arg-type]


@dataclass(slots=True)
class Site:
    """An HTTP server. `asked`: what came in; `peers`: client ports, one a connection; `names`: SNI of each handshake."""

    port: int = 0
    status: int = 200
    body: bytes = b"hello"
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[web.BaseRequest] = field(default_factory=list)
    peers: list[int] = field(default_factory=list)
    names: list[str | None] = field(default_factory=list)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append(request)
        assert request.transport is not None
        self.peers.append(request.transport.get_extra_info("peername")[1])
        return web.Response(status=self.status, body=self.body, headers=self.headers)


@asynccontextmanager
async def site(context: ssl.SSLContext | None = None, **changes: object) -> AsyncIterator[Site]:
    """A running site, plain or with TLS."""
    made = Site(**changes)  # type: ignore[arg-type]
    if context is not None:

        def note(_: object, name: str | None, __: object) -> None:
            made.names.append(name)

        context.sni_callback = note
    runner = web.ServerRunner(web.Server(made.answer))
    await runner.setup()
    listener = web.TCPSite(runner, HOST, 0, ssl_context=context)
    await listener.start()
    made.port = runner.addresses[0][1]
    try:
        yield made
    finally:
        await runner.cleanup()


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def raw(handler: Handler) -> AsyncIterator[int]:
    """A TCP server that does whatever `handler` does; yields its port."""
    writers: list[asyncio.StreamWriter] = []

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        try:
            await handler(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass

    server = await asyncio.start_server(accepted, HOST, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        for writer in writers:
            writer.transport.abort()
        server.close()
        await server.wait_closed()


def closed_port() -> int:
    """A port that nobody listens on."""
    import socket

    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(slots=True)
class Authority:
    """A certificate authority of our own and what it issues."""

    ca: trustme.CA = field(default_factory=trustme.CA)

    @property
    def pem(self) -> str:
        return self.ca.cert_pem.bytes().decode()

    def server(self, *names: str, expired: bool = False) -> ssl.SSLContext:
        """A server's context with a certificate for these names, or one that ended yesterday."""
        ended = datetime.now(UTC) - timedelta(days=1)
        begun = ended - timedelta(days=30)
        certificate = (
            self.ca.issue_cert(*(names or (NAME,)), not_before=begun, not_after=ended)
            if expired
            else self.ca.issue_cert(*(names or (NAME,)))
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        return context

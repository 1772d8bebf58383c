"""A tiny controller for the listeners, and the listeners on loopback with a certificate of our own."""

import hashlib
import itertools
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import aiohttp
import trustme
from aiohttp import web

from failover.controller.inbox import Inbox
from failover.model.ids import ClusterName, Subject, VantageName
from failover.model.observation import (
    Observation,
    Outcome,
    ProbeDefinition,
    ProbeKind,
    Received,
    Signal,
    VantageReport,
)
from failover.model.policy import Policy, Timing, VantageEntry
from failover.model.time import Now
from failover.web.server import vantage_app
from tests.support.policies import policy

HOST = "127.0.0.1"
_WALL = datetime(2026, 3, 1, 12, tzinfo=UTC)
TOKENS = {"elsewhere": "token-of-elsewhere", "v-south": "token-of-v-south"}
QUICK = Timing(interval_s=0.05, timeout_s=0.5)


def policy_with_tokens() -> Policy:
    """The policy of the other tests, with tokens that we know and probes of loopback allowed."""
    made = policy(timing=QUICK)

    def with_token(entry: VantageEntry) -> VantageEntry:
        token = TOKENS.get(entry.name)
        return replace(entry, token_sha256=hashlib.sha256(token.encode()).hexdigest()) if token else entry

    vantages = tuple(with_token(entry) for entry in made.fleet.vantages)
    first, *rest = made.fleet.clusters
    beating = replace(first, heartbeat_sha256=hashlib.sha256(b"token-of-north-1").hexdigest())
    fleet = replace(
        made.fleet, clusters=(beating, *rest), vantages=vantages, probe_allow_cidrs=("127.0.0.0/8",)
    )
    return replace(made, fleet=fleet)


def probing(port: int) -> ProbeDefinition:
    return ProbeDefinition(
        subject=Subject(cluster=ClusterName("north-1")),
        signal=Signal.DATA_PLANE,
        probe=ProbeKind.TCP,
        address=HOST,
        port=port,
        interval_s=QUICK.interval_s,
        timeout_s=QUICK.timeout_s,
    )


@dataclass(slots=True)
class SmallController:
    """ControllerLike with the real inbox. `answer`: what a command returns, or raises."""

    policy: Policy = field(default_factory=policy_with_tokens)
    definitions: tuple[ProbeDefinition, ...] = ()
    acting: bool = True
    journal_head: int = 7
    journal_mark: str = "a mark"
    answer: dict[str, Any] | Exception = field(default_factory=dict)
    commands: list[dict[str, Any]] = field(default_factory=list)
    reports: list[VantageReport] = field(default_factory=list)
    inbox: Inbox = field(default_factory=Inbox)
    clock: Any = None

    def receive(self, report: VantageReport) -> int:
        self.reports.append(report)
        now: Now = self.clock.now() if self.clock is not None else Now(mono=1000.0, wall=_WALL)
        return self.inbox.receive(report, now)

    def beat(self, cluster: ClusterName, boot_id: str, sequence: int) -> bool:
        now: Now = self.clock.now() if self.clock is not None else Now(mono=1000.0, wall=_WALL)
        return self.inbox.beat(cluster, boot_id, sequence, now)

    async def command(self, request: dict[str, Any]) -> dict[str, Any]:
        self.commands.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def received(self) -> tuple[Received, ...]:
        return self.inbox.drain()[0]


@dataclass(slots=True)
class Certificates:
    """A certificate for loopback and the two contexts that go with it."""

    ca: trustme.CA = field(default_factory=trustme.CA)

    def server(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(HOST).configure_cert(context)
        return context

    def client(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        return context


@dataclass(slots=True)
class Served:
    """Where a controller listens for vantages. `stop` and `start` make it go away and come back on the same port."""

    controller: SmallController
    certificates: Certificates = field(default_factory=Certificates)
    port: int = 0
    runner: Any = None

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.port}"

    async def start(self) -> None:
        self.runner = web.AppRunner(vantage_app(self.controller), access_log=None, shutdown_timeout=0.1)
        await self.runner.setup()
        tls = self.certificates.server()
        await web.TCPSite(self.runner, HOST, self.port, ssl_context=tls, reuse_address=True).start()
        self.port = self.runner.addresses[0][1]

    async def stop(self) -> None:
        if self.runner is not None:
            await self.runner.cleanup()
            self.runner = None


@asynccontextmanager
async def served(controller: SmallController | None = None) -> AsyncIterator[Served]:
    made = Served(controller or SmallController())
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


@asynccontextmanager
async def session(there: Served, name: str = "elsewhere", token: str | None = None) -> AsyncIterator[Any]:
    """A client that speaks as a vantage."""
    headers = {
        "X-Failover-Vantage": name,
        "Authorization": f"Bearer {TOKENS.get(name, '') if token is None else token}",
    }
    connector = aiohttp.TCPConnector(ssl=there.certificates.client())
    async with aiohttp.ClientSession(there.url, headers=headers, connector=connector) as made:
        yield made


def observation(sequence: int, vantage: str = "elsewhere", **changes: object) -> Observation:
    made = Observation(
        vantage=VantageName(vantage),
        boot_id="boot-1",
        sequence=sequence,
        subject=Subject(cluster=ClusterName("north-1")),
        signal=Signal.DATA_PLANE,
        outcome=Outcome.OK,
        age_s=0.0,
        definition="hash",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


_REPORTS = itertools.count(1)


def report(*observations: Observation, vantage: str = "elsewhere", suspect: str = "") -> VantageReport:
    return VantageReport(
        vantage=VantageName(vantage),
        boot_id="boot-1",
        sequence=next(_REPORTS),
        generation="g",
        suspect=suspect,
        observations=observations,
    )

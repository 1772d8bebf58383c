"""Probers of the client's path (https, http, tcp) and of the control plane (`/readyz`), behind the Prober port.

Data-plane probes open a fresh connection each time, as a new client would; control-plane probes keep theirs.
No redirects, no proxies, no cookies, at most 64 KiB of body, one deadline over name, connect, TLS and body.
"""

import asyncio
import time

import aiohttp

from failover.model.observation import Outcome, ProbeDefinition, ProbeKind, ProbeResult
from failover.probes.addresses import refusal_of
from failover.probes.classify import outcome_of_error, outcome_of_status, printable
from failover.probes.tls import context_for

BODY_MAX = 64 * 1024
HEADER_MAX = 16 * 1024
USER_AGENT = "failover-probe/1"


class ProberSet:
    """Runs every kind of probe. `source`: local address to send from (several uplinks); "" leaves it to the system."""

    def __init__(self, *, allow_cidrs: tuple[str, ...] = (), source: str = "") -> None:
        self._allow_cidrs = allow_cidrs
        self._local_addr = (source, 0) if source else None
        self._session: aiohttp.ClientSession | None = None

    async def probe(self, definition: ProbeDefinition) -> ProbeResult:
        """One probe within its timeout. Never raises for what the target does."""
        if definition.probe is not ProbeKind.READYZ:
            refusal = refusal_of(definition.address, self._allow_cidrs)
            if refusal:
                return ProbeResult(outcome=Outcome.LOCAL, detail=refusal)
        started = time.monotonic()
        try:
            async with asyncio.timeout(definition.timeout_s):
                result = await self._probe_kind(definition)
        except (TimeoutError, aiohttp.ClientError, OSError, EOFError, ValueError) as error:
            result = outcome_of_error(error)
        latency_ms = (time.monotonic() - started) * 1000
        return ProbeResult(outcome=result.outcome, latency_ms=round(latency_ms, 2), detail=result.detail)

    async def _probe_kind(self, definition: ProbeDefinition) -> ProbeResult:
        if definition.probe is ProbeKind.TCP:
            return await self._probe_tcp(definition)
        if definition.probe in (ProbeKind.HTTP, ProbeKind.HTTPS, ProbeKind.READYZ):
            return await self._probe_http(definition)
        return ProbeResult(outcome=Outcome.LOCAL, detail=f"no prober here for kind {definition.probe}")

    async def _probe_tcp(self, definition: ProbeDefinition) -> ProbeResult:
        _, writer = await asyncio.open_connection(
            definition.address, definition.port, local_addr=self._local_addr
        )
        writer.transport.abort()
        return ProbeResult(outcome=Outcome.OK)

    async def _probe_http(self, definition: ProbeDefinition) -> ProbeResult:
        secure = definition.probe is not ProbeKind.HTTP
        host = f"[{definition.address}]" if ":" in definition.address else definition.address
        url = f"{'https' if secure else 'http'}://{host}:{definition.port}{definition.path}"
        headers = {"User-Agent": USER_AGENT, "Accept": "*/*"}
        if definition.host:
            headers["Host"] = definition.host
        async with self._open().get(
            url,
            headers=headers,
            allow_redirects=False,
            ssl=context_for(definition.ca_pem) if secure else True,
            server_hostname=(definition.server_name or None) if secure else None,
        ) as response:
            outcome = outcome_of_status(response.status, definition.statuses)
            body = await _read_bounded(response)
        if (
            outcome is Outcome.OK
            and definition.body_contains
            and definition.body_contains.encode() not in body
        ):
            return ProbeResult(
                outcome=Outcome.WRONG_ANSWER,
                detail=printable(f"the first 64 KiB do not contain {definition.body_contains!r}"),
            )
        detail = "" if outcome is Outcome.OK else f"HTTP {response.status}"
        return ProbeResult(outcome=outcome, detail=detail)

    def _open(self) -> aiohttp.ClientSession:
        """The session, opened inside the event loop.

        Every probe takes a fresh connection: a kept one proves that an old path works, sticks to one API server behind
        a balancer, and holds a TLS buffer of 256 KiB, times a hundred clusters.
        """
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, force_close=True, local_addr=self._local_addr),
                timeout=aiohttp.ClientTimeout(total=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
                max_line_size=HEADER_MAX,
                max_field_size=HEADER_MAX,
            )
        return self._session

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None


async def _read_bounded(response: aiohttp.ClientResponse) -> bytes:
    chunks = bytearray()
    async for chunk in response.content.iter_chunked(8192):
        chunks += chunk
        if len(chunks) >= BODY_MAX:
            response.close()
            break
    return bytes(chunks[:BODY_MAX])

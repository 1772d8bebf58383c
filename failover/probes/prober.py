"""Probers of the client's path (https, http, tcp) and of the control plane (`/readyz`), behind the Prober port.

Data-plane probes open a fresh connection each time, as a new client would; control-plane probes keep theirs.
No redirects, no proxies, no cookies, at most 64 KiB of body, one deadline over name, connect, TLS and body.
"""

import asyncio
import time
from collections.abc import Sequence

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
        """One probe within its timeout, of every address at the same time. Never raises for what the target does."""
        if not definition.more_addresses:
            return await self._probe_address(definition)
        each = definition.by_address()
        results = await asyncio.gather(*(self._probe_address(item) for item in each))
        return merge([item.address for item in each], results)

    async def _probe_address(self, definition: ProbeDefinition) -> ProbeResult:
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
        # What is not asked for compressed can be searched as it comes, and cannot be a bomb.
        headers = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"}
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


def merge(addresses: Sequence[str], results: Sequence[ProbeResult]) -> ProbeResult:
    """What several addresses of one endpoint say together: it answers while one of them does, as clients try the next.

    An address that we cannot reach by our own fault (no IPv6 here) speaks neither for nor against the endpoint.
    """
    pairs = list(zip(addresses, results, strict=True))
    failed = [(address, item) for address, item in pairs if item.outcome.counts_as_failure]
    well = [item for item in results if item.outcome.is_success]
    if not well:
        return failed[0][1] if failed else results[0]
    if not failed:
        return min(well, key=lambda item: item.latency_ms)
    said = ", ".join(f"{address} {item.outcome}" for address, item in failed)
    detail = printable(f"{len(failed)} of {len(results)} addresses fail: {said}")
    return ProbeResult(
        outcome=Outcome.OK, latency_ms=min(item.latency_ms for item in well), detail=detail, partly=True
    )


async def _read_bounded(response: aiohttp.ClientResponse) -> bytes:
    chunks = bytearray()
    async for chunk in response.content.iter_chunked(8192):
        chunks += chunk
        if len(chunks) >= BODY_MAX:
            response.close()
            break
    return bytes(chunks[:BODY_MAX])

"""Route 53's health checkers, as documented: each check is asked again and again, by nobody's word but the endpoint's.

TCP: a connection within 4 s. HTTP and HTTPS: and a status of 2xx or 3xx within 2 s of it; certificates are not looked at.
`FailureThreshold` answers of one kind in a row turn a check. The real interval is 10 or 30 s; a rehearsal may shorten it.
"""

import asyncio
import contextlib
import ssl
from dataclasses import replace

from failover.lab.providers.route53 import Route53Fake
from failover.lab.providers.route53_checks import HealthCheck

CONNECT_S, ANSWER_S = 4.0, 2.0


class Checkers:
    """Asks every check of a stand-in each `interval_s`, and lets its name servers answer by what they found."""

    def __init__(self, fake: Route53Fake, *, interval_s: float = 10.0) -> None:
        self._fake = fake
        self._interval_s = interval_s
        self._in_a_row: dict[str, int] = {}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.round()
            await asyncio.sleep(self._interval_s)

    async def round(self) -> None:
        """Ask each check once."""
        checks = list(self._fake.checks.values())
        found = await asyncio.gather(*(passes(check) for check in checks))
        turned = [check.id for check, well in zip(checks, found, strict=True) if self._turns(check, well)]
        for number in turned:
            if (check := self._fake.checks.get(number)) is not None:  # it may have been deleted meanwhile
                self._fake.checks[number] = replace(check, healthy=not check.healthy)
        if turned:
            self._fake.publish()

    def _turns(self, check: HealthCheck, well: bool) -> bool:
        count = 0 if well == check.healthy else self._in_a_row.get(check.id, 0) + 1
        turns = count >= int(dict(check.config).get("FailureThreshold", 3))
        self._in_a_row[check.id] = 0 if turns else count
        return turns


async def passes(check: HealthCheck) -> bool:
    """What one look at the endpoint says. Never raises for what an endpoint does."""
    told = dict(check.config)
    name = told.get("FullyQualifiedDomainName", "")
    kind, address, port = told["Type"], told.get("IPAddress") or name, int(told["Port"])
    context = None
    if kind == "HTTPS":
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        async with asyncio.timeout(CONNECT_S):
            reader, writer = await asyncio.open_connection(
                address, port, ssl=context, server_hostname=(name or address) if context else None
            )
    except (OSError, TimeoutError):
        return False
    try:
        if kind == "TCP":
            return True
        path = told.get("ResourcePath") or "/"
        request = f"GET {path} HTTP/1.1\r\nHost: {name or address}\r\nConnection: close\r\n\r\n"
        async with asyncio.timeout(ANSWER_S):
            writer.write(request.encode())
            words = (await reader.readline()).split()
        return len(words) > 1 and words[1][:1] in (b"2", b"3")
    except (OSError, TimeoutError, ValueError):
        return False
    finally:
        writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(ANSWER_S):
                await writer.wait_closed()

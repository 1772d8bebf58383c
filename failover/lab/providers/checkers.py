"""Route 53's health checkers, as documented: each check is asked again and again, by nobody's word but the endpoint's.

TCP: a connection within 4 s. HTTP and HTTPS: and a status of 2xx or 3xx within 2 s of it; certificates are not looked at.
`FailureThreshold` answers of one kind in a row turn a check. The real interval is 10 or 30 s; a rehearsal may shorten it.
"""

import asyncio
from dataclasses import replace

import aiohttp

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
    address, port = told.get("IPAddress") or name, int(told["Port"])
    try:
        if told["Type"] == "TCP":
            return await _connects(address, port)
        return await _answers(check, address, port, name)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
        return False


async def _connects(address: str, port: int) -> bool:
    async with asyncio.timeout(CONNECT_S):
        _, writer = await asyncio.open_connection(address, port)
    writer.close()
    return True


async def _answers(check: HealthCheck, address: str, port: int, name: str) -> bool:
    told = dict(check.config)
    place = f"[{address}]" if ":" in address else address
    url = f"{told['Type'].lower()}://{place}:{port}{told.get('ResourcePath') or '/'}"
    timeout = aiohttp.ClientTimeout(total=CONNECT_S + ANSWER_S, sock_connect=CONNECT_S, sock_read=ANSWER_S)
    connector = aiohttp.TCPConnector(ssl=False, force_close=True)
    async with (
        aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
        session.get(
            url, headers={"Host": name or address}, server_hostname=name or None, allow_redirects=False
        ) as response,
    ):
        return 200 <= response.status < 400

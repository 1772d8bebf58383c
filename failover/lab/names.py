"""The lab's DNS as a process: each provider's API and name servers, and the faults that are switched on them.

`rfc2136` is a primary that takes updates and a secondary that follows it; `route53` and `clouddns` are the stand-ins of
`lab.providers`, spoken to by the vendors' own clients. Several at once serve the same zone, as two providers do.
"""

import asyncio
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import dns.name
import dns.tsig

from failover.lab.control import listen
from failover.lab.nameserver import Faults, NameServer, empty_zone
from failover.lab.providers import CloudDNSFake, ProviderFaults, Route53Fake
from failover.lab.providers.checkers import Checkers
from failover.lab.refusals import refusal_line

CHECKED_EVERY_S = 1.0
"""Route 53's own checkers look every 10 s at best: a rehearsal need not wait for three of those."""

CHECKING: set[asyncio.Task[None]] = set()
Provider = list[NameServer] | Route53Fake | CloudDNSFake


async def serve(told: dict[str, Any], control: Path) -> None:
    """Serve until killed. Each line on the control socket is `{"server": 0, "faults": {…}}`, servers of all providers
    counted in order, or `{"provider": 1, "faults": {…}}`, or `{"provider": 1, "dead": true}`.
    """
    providers = [await _start(told, one) for one in told["providers"]]
    for one, provider in zip(told["providers"], providers, strict=True):
        changed = provider[0] if isinstance(provider, list) else provider
        changed.on_refused = partial(_tell_refused, one["provider"])
    servers = [server for provider in providers for server in _servers(provider)]

    async def switch(asked: dict[str, Any]) -> None:
        if "server" in asked:
            servers[asked["server"]].faults = Faults(**asked["faults"])
            return
        provider = providers[asked["provider"]]
        dead = bool(asked.get("dead"))
        for server in _servers(provider):
            server.faults = Faults(silent=dead)
        if not isinstance(provider, list):
            provider.faults = ProviderFaults(**{"down": dead, **asked.get("faults", {})})

    await listen(control, switch)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


def _tell_refused(provider: str, said: str, sent: str, stands: str) -> None:
    sys.stdout.write(refusal_line(provider, said, sent, stands) + "\n")
    sys.stdout.flush()


def _servers(provider: Provider) -> list[NameServer]:
    return provider if isinstance(provider, list) else provider.behind.servers


async def _start(told: dict[str, Any], one: dict[str, Any]) -> Provider:
    """One provider with the lab's records, and the credentials file of one that needs it."""
    if one["provider"] == "rfc2136":
        return await _start_servers(told, one["ports"])
    credentials = Path(one["credentials"])
    fake: Route53Fake | CloudDNSFake
    if one["provider"] == "route53":
        fake = Route53Fake(told["apex"], ports=one["ports"], settle_s=0.1, insync_s=0.5)
    else:
        fake = CloudDNSFake(told["apex"], ports=one["ports"], settle_s=0.3)
    await fake.start(one["api_port"])
    for record in told["records"]:
        if isinstance(fake, Route53Fake) and told.get("prepare"):
            fake.set_weighted(record["name"], "A", record["ttl"], dict.fromkeys(record["values"], 100))
        else:
            fake.set_records(record["name"], "A", record["ttl"], *record["values"])
    if isinstance(fake, Route53Fake):
        checking = asyncio.create_task(Checkers(fake, interval_s=CHECKED_EVERY_S).run())
        CHECKING.add(checking)  # else nobody holds the task
    if isinstance(fake, CloudDNSFake):
        fake.behind.lag_s = 0.3  # from now on: what was there at first is served from the start
    credentials.unlink(missing_ok=True)
    fake.write_credentials(credentials)
    return fake


async def _start_servers(told: dict[str, Any], ports: Sequence[int]) -> list[NameServer]:
    key = dns.tsig.Key(dns.name.from_text(told["key_name"]), told["secret"], "hmac-sha256")
    zone = empty_zone(told["apex"], name_servers=("ns1", "ns2"), address="127.0.0.1")
    primary, secondary = (NameServer([zone], keys=[key], address="127.0.0.1", port=port) for port in ports)
    primary.add_secondary(secondary, lag_s=told.get("lag_s", 0.0))
    await primary.start()
    await secondary.start()
    for record in told["records"]:
        primary.set_records(told["apex"], record["name"], "A", record["ttl"], *record["values"])
    return [primary, secondary]


if __name__ == "__main__":
    file = Path(sys.argv[1])
    asyncio.run(serve(json.loads(file.read_text()), file.with_suffix(".sock")))

"""The lab's name servers as a process: a primary that takes updates, and a secondary that follows it."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import dns.name
import dns.tsig

from failover.lab.control import listen
from failover.lab.nameserver import Faults, NameServer, empty_zone


async def serve(told: dict[str, Any], control: Path) -> None:
    """Serve until killed; each line on the control socket is `{"server": 0, "faults": {…}}`."""
    key = dns.tsig.Key(dns.name.from_text(told["key_name"]), told["secret"], "hmac-sha256")
    zones = [empty_zone(told["apex"])]
    primary = NameServer(zones, keys=[key], address="127.0.0.1", port=told["ports"][0])
    secondary = NameServer([empty_zone(told["apex"])], keys=[key], address="127.0.0.1", port=told["ports"][1])
    primary.add_secondary(secondary, lag_s=told.get("lag_s", 0.0))
    await primary.start()
    await secondary.start()
    for record in told["records"]:
        primary.set_records(told["apex"], record["name"], "A", record["ttl"], *record["values"])
    servers = [primary, secondary]

    async def switch(asked: dict[str, Any]) -> None:
        servers[asked["server"]].faults = Faults(**asked["faults"])

    await listen(control, switch)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    file = Path(sys.argv[1])
    asyncio.run(serve(json.loads(file.read_text()), file.with_suffix(".sock")))

"""ministack, a Route 53 that we did not write: its process, and a zone there for the contract suite.

It has an API and no name servers: two of the lab's serve what it lists, read over and over by boto3, as a customer's own
mirror would. What it does not check is named in `LACKS`, test by test; one that passes all the same fails, so that the list stays true.
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3

from failover.dnszones import open_zone
from failover.lab.providers.behind import ServedBy
from failover.lab.providers.route53_records import RRSet, served
from failover.model.policy import NameServer as Server
from failover.model.policy import Zone
from failover.model.ports import DNSZone

from ..servers.observers import program
from ..servers.process import Process, free_ports
from .worlds import APEX, ZONE

STARTS_WITHIN_S = 60.0
MIRROR_EVERY_S = 0.05

LACKS = {
    "test_an_address_where_a_cname_shall_be_is_a_conflict": "a CNAME may stand beside an address there",
    "test_a_cname_where_an_address_shall_be_is_seen_and_never_passed_over": "a CNAME may stand beside an address there",
    "test_a_sound_zone_passes_the_check_and_is_unchanged_by_it": "it tells no quota, and four name servers that do not exist",
}
"""By test of the contract, what ministack lacks (facts/dns.md section 5)."""


def run_ministack(folder: Path) -> Iterator[str]:
    """The URL of a ministack on loopback, until the caller is done with it."""
    (port,) = free_ports(1)
    environment = {
        "GATEWAY_PORT": str(port),
        "EDGE_PORT": str(port),
        "MINISTACK_HOST": "127.0.0.1",
        "GATEWAY_HOST": "127.0.0.1",
        "MINISTACK_PORT": str(port),
        "SERVICES": "route53",
        "IOT_MTLS_PORT": "0",
    }
    process = Process("ministack", [program("ministack")], folder=folder, environment=environment)
    process.start()
    try:
        deadline = time.monotonic() + STARTS_WITHIN_S
        while not _listens(port):
            assert time.monotonic() < deadline, f"ministack does not listen:\n{process.log_tail()}"
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class MinistackWorld:
    """One hosted zone at ministack, and its mirror."""

    zone: Zone

    def __init__(self, url: str, directory: Path) -> None:
        self._url = url
        self._directory = directory
        self._behind = ServedBy(f"{APEX}.")
        self._opened: list[DNSZone] = []
        self._mirroring: asyncio.Task[None] | None = None
        self._client: Any = boto3.client(
            "route53",
            region_name="us-east-1",
            endpoint_url=url,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    async def start(self) -> None:
        made = await asyncio.to_thread(
            self._client.create_hosted_zone, Name=APEX, CallerReference=str(time.monotonic_ns())
        )
        await self._behind.start()
        credentials = self._directory / "credentials"
        credentials.touch(mode=0o600)
        credentials.write_text("[default]\naws_access_key_id = test\naws_secret_access_key = test\n")
        self.zone = Zone(
            name=ZONE,
            apex=APEX,
            provider="route53",
            authoritative=tuple(
                Server(address=item.address, port=item.port) for item in self._behind.servers
            ),
            hosted_zone=str(made["HostedZone"]["Id"]).rpartition("/")[2],
            credentials_file=str(credentials),
            endpoint=self._url,
            requests_per_s=1000.0,
            timeout_s=10.0,
        )
        await self._copy()
        self._mirroring = asyncio.create_task(self._mirror())

    async def _mirror(self) -> None:
        while True:
            await asyncio.sleep(MIRROR_EVERY_S)
            await self._copy()

    async def _copy(self) -> None:
        self._behind.publish(served(await asyncio.to_thread(self._list), {}, apex=f"{APEX}."))

    def _list(self) -> list[RRSet]:
        pages = self._client.get_paginator("list_resource_record_sets")
        return [
            RRSet(
                name=item["Name"],
                kind=item["Type"],
                ttl=item["TTL"],
                values=tuple(record["Value"] for record in item["ResourceRecords"]),
                identifier=item.get("SetIdentifier", ""),
                weight=item.get("Weight"),
            )
            for page in pages.paginate(HostedZoneId=self.zone.hosted_zone)
            for item in page["ResourceRecordSets"]
        ]

    def open(self, **changed: Any) -> DNSZone:
        zone = open_zone(replace(self.zone, **changed), mono=time.monotonic)
        self._opened.append(zone)
        return zone

    async def outside(self, name: str, kind: str, ttl: int, *values: str) -> None:
        """Change a record set as somebody in the console would."""
        owner = f"{name}.{APEX}."
        held = [
            item for item in await asyncio.to_thread(self._list) if (item.name, item.kind) == (owner, kind)
        ]
        wanted = [RRSet(name=owner, kind=kind, ttl=ttl, values=values)] if values else []
        changes = [
            {
                "Action": action,
                "ResourceRecordSet": {
                    "Name": item.name,
                    "Type": item.kind,
                    "TTL": item.ttl,
                    "ResourceRecords": [{"Value": value} for value in item.values],
                },
            }
            for action, items in (("DELETE", held), ("CREATE", wanted))
            for item in items
        ]
        await asyncio.to_thread(
            self._client.change_resource_record_sets,
            HostedZoneId=self.zone.hosted_zone,
            ChangeBatch={"Changes": changes},
        )

    async def close(self) -> None:
        if self._mirroring is not None:
            self._mirroring.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._mirroring
        for zone in self._opened:
            await zone.close()
        await self._behind.stop()

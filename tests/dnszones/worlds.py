"""The places that the contract of DNSZone is kept in: the twin, the lab's name servers, BIND, Knot and PowerDNS."""

import asyncio
import base64
import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import dns.asyncquery
import dns.exception
import dns.message
import dns.name
import dns.rcode
import dns.tsig
import dns.update
import dns.xfr
import dns.zone

from failover.dnszones import open_zone
from failover.dnszones.rfc2136 import RFC2136Zone
from failover.lab.nameserver import Faults, NameServer, empty_zone, new_key
from failover.lab.providers import CloudDNSFake, Route53Fake
from failover.lab.simulation.lives import Life
from failover.lab.simulation.places import SimZone
from failover.lab.simulation.twins import LifeClock, SimZonePort
from failover.lab.simulation.world import World as SimulationWorld
from failover.lab.twins.zone import TwinZone, ZoneWorld
from failover.model.ids import ApplicationName, Epoch, IntentId, ZoneName
from failover.model.permit import Permit
from failover.model.policy import NameServer as Server
from failover.model.policy import Zone
from failover.model.ports import DNSZone
from failover.model.records import FenceRecord, RecordChange, RecordSet, RecordType, ZoneChange
from failover.model.time import Now

from ..servers.bind import BindPair
from ..servers.pairs import Pair

APEX = "example.test"
ZONE = ZoneName("example-test")
SHOP = ApplicationName("shop")
OWNER = "fleet-1"


class LoopClock:
    """The running loop's clock as the Clock port."""

    def now(self) -> Now:
        return Now(mono=time.monotonic(), wall=datetime.now(UTC))

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class World(Protocol):
    """One zone on two authoritative servers, however it is made."""

    zone: Zone

    def open(self, **changed: Any) -> DNSZone: ...

    async def outside(self, name: str, kind: str, ttl: int, *values: str) -> None: ...


class LaggingWorld(World, Protocol):
    """A world in which a server may serve a change later than it was accepted."""

    def set_lag(self, lag_s: float) -> None: ...


class FaultyWorld(LaggingWorld, Protocol):
    """A world whose servers can be made to fail."""

    def faults(self, server: int) -> Faults: ...

    async def stop_server(self, server: int) -> None: ...


def write_key(path: Path, key: dns.tsig.Key) -> Path:
    """A key file as tsig-keygen writes it, private."""
    secret = base64.b64encode(key.secret).decode()
    algorithm = key.algorithm.to_text(omit_final_dot=True)
    name = key.name.to_text(omit_final_dot=True)
    path.touch(mode=0o600)
    path.write_text(f'key "{name}" {{\n\talgorithm {algorithm};\n\tsecret "{secret}";\n}};\n')
    return path


class _OnTheWire:
    """Shared by the worlds that RFC2136Zone talks to."""

    zone: Zone

    def __init__(self) -> None:
        self._opened: list[RFC2136Zone] = []

    def open(self, **changed: Any) -> RFC2136Zone:
        zone = RFC2136Zone(replace(self.zone, **changed), mono=time.monotonic)
        self._opened.append(zone)
        return zone

    async def close(self) -> None:
        for zone in self._opened:
            await zone.close()


class LabWorld(_OnTheWire):
    def __init__(self, directory: Path) -> None:
        super().__init__()
        self._directory = directory
        self.key = new_key()
        contents = [empty_zone(APEX, name_servers=("ns1", "ns2"), address="127.0.0.1")]
        self.servers = [NameServer(contents, keys=[self.key]) for _ in range(2)]

    async def start(self) -> None:
        for server in self.servers:
            await server.start()
        self.servers[0].add_secondary(self.servers[1])
        addresses = tuple(Server(address=item.address, port=item.port) for item in self.servers)
        self.zone = Zone(
            name=ZONE,
            apex=APEX,
            primary=addresses[0],
            authoritative=addresses,
            tsig_key_file=str(write_key(self._directory / "tsig.key", self.key)),
            timeout_s=0.5,
        )

    async def close(self) -> None:
        await super().close()
        for server in self.servers:
            await server.stop()

    async def outside(self, name: str, kind: str, ttl: int, *values: str) -> None:
        self.servers[0].set_records(APEX, name, kind, ttl, *values)

    def faults(self, server: int) -> Faults:
        return self.servers[server].faults

    def set_lag(self, lag_s: float) -> None:
        self.servers[0].set_lag(lag_s)

    async def stop_server(self, server: int) -> None:
        await self.servers[server].stop()


class TwinWorld:
    def __init__(self) -> None:
        servers = (Server(address="192.0.2.53"), Server(address="198.51.100.53"))
        self.zone = Zone(name=ZONE, apex=APEX, primary=servers[0], authoritative=servers, timeout_s=0.05)
        self.world = ZoneWorld(self.zone, LoopClock())

    async def start(self) -> None:
        pass

    async def close(self) -> None:
        pass

    def open(self, **changed: Any) -> DNSZone:
        if changed:
            self.world.zone = replace(self.zone, **changed)
        return TwinZone(self.world, delay_s=0.0005)

    async def outside(self, name: str, kind: str, ttl: int, *values: str) -> None:
        if kind == "TXT":
            self.world.set_fence(FenceRecord.parse(values[0].strip('"')))
        elif values:
            self.world.set_records(record(name, *values, kind=RecordType(kind), ttl=ttl))
        else:
            self.world.set_records(remove=[(f"{name}.{APEX}.", kind)])

    def faults(self, server: int) -> Faults:
        return self.world.servers[server].faults

    def set_lag(self, lag_s: float) -> None:
        self.world.servers[1].lag_s = lag_s

    async def stop_server(self, server: int) -> None:
        self.world.servers[server].stopped = True


class SimulatedWorld(TwinWorld):
    """The port that simulated controllers use, each writer a life of its own, in a world without faults; its clock is the test's loop."""

    def __init__(self) -> None:
        super().__init__()
        self.around = SimulationWorld(1)
        self.place = SimZone(self.around, self.zone)
        self.world = self.place

    def open(self, **changed: Any) -> DNSZone:
        if changed:
            self.world.zone = replace(self.zone, **changed)
        clock, paths = LifeClock(self.around.clock), self.around.paths
        return SimZonePort(self.around, self.place, Life(holder="controller-1", clock=clock, paths=paths))


class PairWorld(_OnTheWire):
    """A zone of two real servers that the tests start: a primary that takes updates, and its secondary."""

    def __init__(self, pair: Pair) -> None:
        super().__init__()
        self.pair = pair
        self.key = pair.key.keyring()
        if APEX not in pair.zones:
            pair.add_zone(APEX)
        servers = tuple(Server(address=item.address, port=item.port) for item in pair.servers)
        self.zone = Zone(
            name=ZONE,
            apex=APEX,
            primary=servers[0],
            authoritative=servers,
            tsig_key_file=str(pair.key_file),
            timeout_s=5.0,
        )

    async def start(self) -> None:
        """Remove what an earlier test left: everything but the apex and the name servers' own addresses."""
        primary, content = self.zone.primary, dns.zone.Zone(self.zone.apex)
        transfer, _ = dns.xfr.make_query(content, keyring=self.key)
        await dns.asyncquery.inbound_xfr(primary.address, content, transfer, port=primary.port, timeout=30)
        keep = {dns.name.empty} | {item.target for item in content.find_rdataset("@", "NS")}
        for names in batched(sorted(set(content.nodes) - keep), 500):
            message = dns.update.UpdateMessage(self.zone.apex, keyring=self.key)
            for name in names:
                for held in content.nodes[
                    name
                ]:  # each by its type: PowerDNS on LMDB passes over "all of a name"
                    message.delete(name, held.rdtype)
            await self._send(message)

    async def outside(self, name: str, kind: str, ttl: int, *values: str) -> None:
        """Change records as somebody else with the key would."""
        message = dns.update.UpdateMessage(self.zone.apex, keyring=self.key)
        message.delete(name, kind)
        for value in values:
            message.add(name, ttl, kind, value)
        await self._send(message)

    async def _send(self, message: dns.update.UpdateMessage) -> None:
        primary = self.zone.primary
        answer = await dns.asyncquery.tcp(message, primary.address, port=primary.port, timeout=30)
        assert answer.rcode() == dns.rcode.NOERROR, dns.rcode.to_text(answer.rcode())


class BindWorld(PairWorld):
    """A zone of two BIND servers, notify-delay 0."""

    def __init__(self, pair: BindPair) -> None:
        super().__init__(pair)
        self.pair: BindPair = pair


class ProviderWorld:
    """A zone at a strict stand-in of a provider with an HTTP API, spoken to by the vendor's own client."""

    zone: Zone

    def __init__(self, fake: Route53Fake | CloudDNSFake) -> None:
        self.fake = fake
        self._opened: list[DNSZone] = []

    async def start(self) -> None:
        await self.fake.start()
        self.zone = self._entry(
            tuple(Server(address=item.address, port=item.port) for item in self.fake.behind.servers)
        )

    def _entry(self, servers: tuple[Server, ...]) -> Zone:
        raise NotImplementedError

    def open(self, **changed: Any) -> DNSZone:
        zone = open_zone(replace(self.zone, **changed), mono=time.monotonic)
        self._opened.append(zone)
        return zone

    async def close(self) -> None:
        for zone in self._opened:
            await zone.close()
        await self.fake.stop()

    async def outside(self, name: str, kind: str, ttl: int, *values: str) -> None:
        self.fake.set_records(name, kind, ttl, *values)

    def set_lag(self, lag_s: float) -> None:
        self.fake.behind.lag_s = lag_s


class Route53World(ProviderWorld):
    fake: Route53Fake

    def __init__(self, directory: Path, **told: Any) -> None:
        super().__init__(Route53Fake(APEX, **{"rate": 2000.0, "burst": 2000.0, **told}))
        self._directory = directory

    def _entry(self, servers: tuple[Server, ...]) -> Zone:
        path = self.fake.write_credentials(self._directory / "aws-credentials")
        return Zone(
            name=ZONE,
            apex=APEX,
            provider="route53",
            authoritative=servers,
            hosted_zone=self.fake.hosted_zone,
            credentials_file=str(path),
            endpoint=self.fake.endpoint,
            requests_per_s=1000.0,
            timeout_s=5.0,
        )


class CloudDNSWorld(ProviderWorld):
    fake: CloudDNSFake

    def __init__(self, directory: Path, **told: Any) -> None:
        super().__init__(CloudDNSFake(APEX, **{"rate": 2000.0, "burst": 2000.0, **told}))
        self._directory = directory

    def _entry(self, servers: tuple[Server, ...]) -> Zone:
        return Zone(
            name=ZONE,
            apex=APEX,
            provider="clouddns",
            authoritative=servers,
            hosted_zone=self.fake.managed_zone,
            project=self.fake.project,
            credentials_file=str(self.fake.write_credentials(self._directory / "account.json")),
            endpoint=self.fake.endpoint,
            requests_per_s=1000.0,
            timeout_s=5.0,
        )


def batched(names: Sequence[dns.name.Name], size: int) -> Iterator[Sequence[dns.name.Name]]:
    """The names in portions of one update message."""
    for start in range(0, len(names), size):
        yield names[start : start + size]


def record(
    name: str, *values: str, kind: RecordType = RecordType.A, ttl: int = 60, apex: str = APEX
) -> RecordSet:
    """A record set of the zone by its short name."""
    return RecordSet(name=f"{name}.{apex}.", record_type=kind, ttl=ttl, values=tuple(sorted(values)))


@dataclass(frozen=True, kw_only=True)
class Writer:
    """Somebody who changes records: an epoch and a holder of it."""

    epoch: int = 1
    holder: str = "controller-a"
    owner: str = OWNER

    def fence(self, plan: str, application: ApplicationName = SHOP) -> FenceRecord:
        return FenceRecord(
            owner=self.owner,
            application=application,
            plan=plan,
            generation="00112233",
            epoch=Epoch(self.epoch),
            holder=self.holder,
        )

    def permit(self, seconds: float = 30.0) -> Permit:
        return Permit(
            intent=IntentId("run-1/step-1/1"),
            epoch=Epoch(self.epoch),
            target=ZONE,
            rules=("lease",),
            expires_mono=time.monotonic() + seconds,
        )

    def change(
        self,
        plan: str,
        *moves: tuple[RecordSet | None, RecordSet],
        fence_before: FenceRecord | None = None,
        application: ApplicationName = SHOP,
    ) -> ZoneChange:
        return ZoneChange(
            zone=ZONE,
            application=application,
            changes=tuple(RecordChange(before=before, after=after) for before, after in moves),
            fence_before=fence_before,
            fence_after=self.fence(plan, application),
        )


async def create(zone: DNSZone, *record_sets: RecordSet, writer: Writer | None = None) -> FenceRecord:
    """Create record sets by a first change of `shop`; returns the fence that it left."""
    who = writer or Writer()
    change = who.change("plan-0", *((None, item) for item in record_sets))
    await zone.change(who.permit(), change)
    return change.fence_after


async def values_at(zone: DNSZone, names: Sequence[RecordSet]) -> dict[str, tuple[str, ...]]:
    """What the primary holds now, by name."""
    state = await zone.read(names, [SHOP])
    return {item.name: item.values for item in state.record_sets}


async def ask_on(
    server: Server, name: str, allowed: set[tuple[str, ...]], stop: asyncio.Event, seen: list[int]
) -> None:
    """Ask one server by DNS for a name's addresses, again and again. `seen`: (answers, of them none of the `allowed` sets).

    No answer in time is none: it is neither empty nor mixed.
    """
    while not stop.is_set():
        question = dns.message.make_query(name, "A")
        with contextlib.suppress(dns.exception.Timeout):
            answer = await dns.asyncquery.udp(question, server.address, port=server.port, timeout=3)
            given = tuple(sorted(item.to_text() for rrset in answer.answer for item in rrset))
            seen[0] += 1
            seen[1] += given not in allowed
        await asyncio.sleep(0)


async def until_effective(zone: DNSZone, *record_sets: RecordSet, every_s: float = 0.02) -> None:
    """Ask all servers until they answer as wanted: BIND's secondary takes a moment. One that is not the policy's, and gives
    no answer, holds nothing up: ministack names four that do not exist.
    """
    async with asyncio.timeout(120):
        while True:
            answers = await zone.verify(record_sets)
            if all(item.matches or (item.delegated and not item.answered) for item in answers):
                return
            await asyncio.sleep(every_s)

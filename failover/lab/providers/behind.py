"""What the stand-ins share: faults, token buckets, and the name servers that serve what their APIs accepted."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype

from failover.lab.nameserver.content import Content, Records, empty_zone
from failover.lab.nameserver.server import NameServer

Key = tuple[str, str]
"""(absolute name, type)."""


@dataclass(slots=True, kw_only=True)
class ProviderFaults:
    """Switches of a stand-in, all off at first.

    `down`: connections are closed unanswered; `hang`: requests get no answer; `garbage`: 200 and nonsense; `errors`: 500;
    `untyped`, `empty`: record sets are listed without their types, or without values.
    `denied`: the credentials may not change the zone; `checks_denied`: nor list or make health checks; `expired`: they
    were good once. `throttle`: the next N requests are
    refused; `busy`: the next N changes meet one that is not complete. `lose_answers`: the next N changes are applied and
    not answered; `drop_changes`: the next N are neither. `frozen`: what is accepted never reaches the name servers;
    `strand`: of the next N, until somebody changes the zone again.
    """

    down: bool = False
    hang: bool = False
    garbage: bool = False
    untyped: bool = False
    empty: bool = False
    errors: bool = False
    denied: bool = False
    checks_denied: bool = False
    expired: bool = False
    throttle: int = 0
    busy: int = 0
    lose_answers: int = 0
    drop_changes: int = 0
    frozen: bool = False
    strand: int = 0

    def strands(self) -> bool:
        """Whether the change that is made now is one of those that never get there; it then counts."""
        stranded = self.strand > 0
        self.strand -= stranded
        return stranded


class Bucket:
    """A token bucket: `burst` at once, `rate` a second."""

    def __init__(self, *, rate: float, burst: float) -> None:
        self.rate, self.burst = rate, burst
        self._level, self._at = burst, 0.0

    def take(self, now: float, amount: float = 1.0) -> bool:
        """Whether this much may be done now; it then counts."""
        self._level = min(self.burst, self._level + (now - self._at) * self.rate)
        self._at = now
        if self._level < amount:
            return False
        self._level -= amount
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One name and type as it is to be answered. `choices`: (weight, values), of which each answer gives one; a plain
    set has one choice.
    """

    ttl: int
    choices: tuple[tuple[int, tuple[str, ...]], ...]


class ServedBy:
    """The authoritative servers of a stand-in's zone. A version reaches each `lag_s` after it is published."""

    def __init__(
        self,
        apex: str,
        *,
        ports: Iterable[int] = (0, 0),
        lag_s: float = 0.0,
        address: str = "127.0.0.1",
    ) -> None:
        self.apex = apex
        self.lag_s = lag_s
        ports = tuple(ports)
        names = tuple(f"ns{number + 1}" for number in range(len(ports)))
        self._base = empty_zone(apex, name_servers=names, address=address)
        self.servers = [NameServer([self._base], address=address, port=port) for port in ports]
        self._serial = 1

    @property
    def names(self) -> tuple[str, ...]:
        """The zone's name servers by name, with the final dot."""
        return tuple(f"ns{number + 1}.{self.apex.rstrip('.')}." for number in range(len(self.servers)))

    async def start(self) -> None:
        """Open the sockets of all. Raises OSError."""
        for server in self.servers:
            await server.start()

    async def stop(self) -> None:
        """Close them."""
        for server in self.servers:
            await server.stop()

    def publish(self, served: Mapping[Key, Served]) -> None:
        """Serve this from now on, at each server after the lag."""
        self._serial += 1
        content = _content(self._base, served, self._serial)
        loop = asyncio.get_running_loop()
        for server in self.servers:
            if self.lag_s > 0:
                loop.call_later(self.lag_s, server.take, content)
            else:
                server.take(content)


@lru_cache(maxsize=8192)
def _owner(name: str) -> dns.name.Name:
    return dns.name.from_text(name).canonicalize()


@lru_cache(maxsize=8192)
def _rdata(kind: dns.rdatatype.RdataType, value: str) -> dns.rdata.Rdata:
    return dns.rdata.from_text(dns.rdataclass.IN, kind, value)


def _content(base: Content, served: Mapping[Key, Served], serial: int) -> Content:
    records = dict(base.records)
    soa_key = (base.apex, dns.rdatatype.SOA)
    soa = next(iter(records[soa_key].rdatas))
    records[soa_key] = replace(records[soa_key], rdatas=frozenset({soa.replace(serial=serial)}))
    for (name, kind), item in served.items():
        owner, number = _owner(name), dns.rdatatype.from_text(kind)
        choices = tuple(
            (weight, frozenset(_rdata(number, value) for value in values)) for weight, values in item.choices
        )
        everything = frozenset(rdata for _, rdatas in choices for rdata in rdatas)
        records[(owner, number)] = Records(
            ttl=item.ttl, rdatas=everything, choices=choices if len(choices) > 1 else ()
        )
    return replace(base, records=records)

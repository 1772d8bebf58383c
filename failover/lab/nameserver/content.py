"""A zone's content as a value: questions (RFC 1034 section 4.3.2) and updates (RFC 2136 section 3), pure."""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import dns.rdtypes.ANY.SOA
import dns.rrset
import dns.update

Key = tuple[dns.name.Name, dns.rdatatype.RdataType]
CNAME_CHAIN_MAX = 8
_APEX_KEPT = (dns.rdatatype.SOA, dns.rdatatype.NS)


@dataclass(frozen=True, kw_only=True)
class Records:
    """One RRset's content. `ttl` in seconds; `rdatas` never empty.

    `choices`: (weight, records) of a weighted set, of which each answer gives one; all weights 0 is an equal split.
    """

    ttl: int
    rdatas: frozenset[dns.rdata.Rdata]
    choices: tuple[tuple[int, frozenset[dns.rdata.Rdata]], ...] = ()

    @property
    def given(self) -> frozenset[dns.rdata.Rdata]:
        """What one answer gives."""
        if not self.choices:
            return self.rdatas
        weights = [weight for weight, _ in self.choices]
        if not any(weights):
            weights = [1] * len(weights)
        return random.choices([rdatas for _, rdatas in self.choices], weights)[0]  # noqa: S311 - a share, no secret


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a question gets. `authoritative` False only for a referral."""

    rcode: dns.rcode.Rcode
    answer: tuple[dns.rrset.RRset, ...] = ()
    authority: tuple[dns.rrset.RRset, ...] = ()
    authoritative: bool = True


@dataclass(frozen=True, kw_only=True)
class Content:
    """One version of a zone. Never changed: an update makes the next version."""

    apex: dns.name.Name
    records: Mapping[Key, Records] = field(repr=False)

    @property
    def serial(self) -> int:
        return int(self._soa.serial)

    @property
    def _soa(self) -> dns.rdtypes.ANY.SOA.SOA:
        soa = next(iter(self.records[(self.apex, dns.rdatatype.SOA)].rdatas))
        assert isinstance(soa, dns.rdtypes.ANY.SOA.SOA)
        return soa

    @cached_property
    def names(self) -> frozenset[dns.name.Name]:
        """Every name that exists: owners of records and the empty names above them."""
        found = {self.apex}
        for owner, _ in self.records:
            while owner not in found:
                found.add(owner)
                owner = owner.parent()
        return frozenset(found)

    def rrset(self, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> dns.rrset.RRset | None:
        """A copy of an RRset for a message."""
        records = self.records.get((name, kind))
        if records is None:
            return None
        return dns.rrset.from_rdata_list(name, records.ttl, sorted(records.given))

    def query(self, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> Answer:
        """Answer a question about a name of this zone."""
        answer: list[dns.rrset.RRset] = []
        for _ in range(CNAME_CHAIN_MAX):
            cut = self._delegation(name)
            if cut is not None:
                referral = () if answer else (cut,)
                return Answer(
                    rcode=dns.rcode.NOERROR,
                    answer=tuple(answer),
                    authority=referral,
                    authoritative=bool(answer),
                )
            found = self._at(name, kind)
            if found:
                return Answer(rcode=dns.rcode.NOERROR, answer=(*answer, *found))
            alias = self.rrset(name, dns.rdatatype.CNAME)
            if alias is None:
                rcode = dns.rcode.NOERROR if name in self.names else dns.rcode.NXDOMAIN
                return Answer(rcode=rcode, answer=tuple(answer), authority=(self._negative(),))
            answer.append(alias)
            name = alias[0].target.canonicalize()
            if not name.is_subdomain(self.apex):
                break
        return Answer(rcode=dns.rcode.NOERROR, answer=tuple(answer))

    def _at(self, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> list[dns.rrset.RRset]:
        kinds = (
            [item for owner, item in self.records if owner == name] if kind == dns.rdatatype.ANY else [kind]
        )
        return [rrset for item in sorted(kinds) if (rrset := self.rrset(name, item)) is not None]

    def _delegation(self, name: dns.name.Name) -> dns.rrset.RRset | None:
        while name != self.apex:
            if (name, dns.rdatatype.NS) in self.records:
                return self.rrset(name, dns.rdatatype.NS)
            name = name.parent()
        return None

    def delegates(self, name: dns.name.Name) -> bool:
        """Whether a name lies at or below a delegation."""
        return self._delegation(name) is not None

    def _negative(self) -> dns.rrset.RRset:
        soa = self.rrset(self.apex, dns.rdatatype.SOA)
        assert soa is not None
        soa.update_ttl(min(soa.ttl, int(soa[0].minimum)))
        return soa

    def updated(self, message: dns.update.UpdateMessage) -> tuple[dns.rcode.Rcode, "Content"]:
        """Apply a whole update, or nothing: the answer code, and the next version (this one where nothing changed)."""
        rcode = self._prerequisites(message.prerequisite)
        if rcode != dns.rcode.NOERROR:
            return rcode, self
        records = dict(self.records)
        for rrset in message.update:
            if not rrset.name.is_subdomain(self.apex):
                return dns.rcode.NOTZONE, self
            name = rrset.name.canonicalize()
            if dns.rdatatype.is_metatype(rrset.rdtype) and rrset.deleting != dns.rdataclass.ANY:
                return dns.rcode.FORMERR, self
            self._apply(records, name, rrset)
        if records == self.records:
            return dns.rcode.NOERROR, self
        return dns.rcode.NOERROR, replace(self, records=records)._next_serial()

    def _prerequisites(self, prerequisites: Iterable[dns.rrset.RRset]) -> dns.rcode.Rcode:
        """RFC 2136 section 3.2, in the order of the message; values are compared as whole RRsets at the end."""
        owners = {owner for owner, _ in self.records}
        values: dict[Key, set[dns.rdata.Rdata]] = {}
        for rrset in prerequisites:
            if not rrset.name.is_subdomain(self.apex):
                return dns.rcode.NOTZONE
            name, kind = rrset.name.canonicalize(), rrset.rdtype
            exists = name in owners if kind == dns.rdatatype.ANY else (name, kind) in self.records
            if rrset.deleting == dns.rdataclass.ANY and not exists:
                return dns.rcode.NXDOMAIN if kind == dns.rdatatype.ANY else dns.rcode.NXRRSET
            if rrset.deleting == dns.rdataclass.NONE and exists:
                return dns.rcode.YXDOMAIN if kind == dns.rdatatype.ANY else dns.rcode.YXRRSET
            if rrset.deleting is None:
                if rrset.ttl != 0:
                    return dns.rcode.FORMERR
                values.setdefault((name, kind), set()).update(rrset)
        for key, wanted in values.items():
            records = self.records.get(key)
            if records is None or records.rdatas != wanted:
                return dns.rcode.NXRRSET
        return dns.rcode.NOERROR

    def _apply(self, records: dict[Key, Records], name: dns.name.Name, rrset: dns.rrset.RRset) -> None:
        kind, at_apex = rrset.rdtype, name == self.apex
        if rrset.deleting == dns.rdataclass.ANY:
            for key in [key for key in records if key[0] == name and kind in (key[1], dns.rdatatype.ANY)]:
                if not (at_apex and key[1] in _APEX_KEPT):
                    del records[key]
        elif rrset.deleting == dns.rdataclass.NONE:
            old = records.get((name, kind))
            if old is None or kind == dns.rdatatype.SOA:
                return
            rest = old.rdatas - set(rrset)
            if rest:
                records[(name, kind)] = replace(old, rdatas=rest)
            elif not (at_apex and kind == dns.rdatatype.NS):
                del records[(name, kind)]
        else:
            self._add(records, name, rrset)

    def _add(self, records: dict[Key, Records], name: dns.name.Name, rrset: dns.rrset.RRset) -> None:
        """RFC 2136 section 3.4.2.2: a CNAME beside other data, and other data beside a CNAME, are ignored."""
        kind = rrset.rdtype
        if kind == dns.rdatatype.CNAME:
            blocked = any(owner == name and other != kind for owner, other in records)
        else:
            blocked = (name, dns.rdatatype.CNAME) in records
        if blocked or kind == dns.rdatatype.SOA:
            return
        old = records.get((name, kind))
        kept = old.rdatas if old is not None and kind != dns.rdatatype.CNAME else frozenset()
        records[(name, kind)] = Records(ttl=rrset.ttl, rdatas=kept | set(rrset))

    def _next_serial(self) -> "Content":
        key = (self.apex, dns.rdatatype.SOA)
        serial = self.serial % 0xFFFFFFFF + 1  # RFC 1982: never 0
        soa = replace(self.records[key], rdatas=frozenset({self._soa.replace(serial=serial)}))
        return replace(self, records={**self.records, key: soa})


def empty_zone(
    apex: str,
    *,
    name_servers: Iterable[str] = ("ns1",),
    address: str = "",
    soa_ttl: int = 60,
    negative_ttl: int = 5,
) -> Content:
    """A zone with its SOA and NS records, serial 1. `name_servers`: names, relative ones to the apex, and the IPv4 `address`
    of all of them where one is given.
    """
    origin = dns.name.from_text(apex).canonicalize()
    servers = [dns.name.from_text(name, origin).canonicalize() for name in name_servers]
    soa = dns.rdata.from_text(
        dns.rdataclass.IN,
        dns.rdatatype.SOA,
        f"{servers[0]} hostmaster.{origin} 1 3600 600 604800 {negative_ttl}",
    )
    ns = frozenset(
        dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.NS, server.to_text()) for server in servers
    )
    records = {
        (origin, dns.rdatatype.SOA): Records(ttl=soa_ttl, rdatas=frozenset({soa})),
        (origin, dns.rdatatype.NS): Records(ttl=soa_ttl, rdatas=ns),
    }
    if address:
        own = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.A, address)
        records |= {
            (name, dns.rdatatype.A): Records(ttl=soa_ttl, rdatas=frozenset({own})) for name in servers
        }
    return Content(apex=origin, records=records)


def with_records(content: Content, name: str, kind: str, ttl: int, *values: str) -> Content:
    """The next version with one RRset set as given, from outside of any protocol. `name`: relative to the apex, or absolute."""
    owner = dns.name.from_text(name, content.apex).canonicalize()
    number = dns.rdatatype.from_text(kind)
    rdatas = frozenset(
        dns.rdata.from_text(dns.rdataclass.IN, number, value, content.apex, relativize=False)
        for value in values
    )
    records = {**content.records, (owner, number): Records(ttl=ttl, rdatas=rdatas)}
    if not rdatas:
        del records[(owner, number)]
    return replace(content, records=records)._next_serial()

"""Who answers for a zone: the NS of its parent and its own, and every address of each, against `authoritative`."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import dns.asyncquery
import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rdatatype
import dns.resolver

from failover.dnszones.names import absolute_name
from failover.model.policy import Zone

TYPES = (dns.rdatatype.A, dns.rdatatype.AAAA)
DNS_PORT = 53
"""Where clients ask: a delegation names no other."""


PARENTS_MAX = 4
"""Of the parent's servers, asked at once: a dead one holds up no other, and they agree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegation:
    """`addresses`: of every name server that clients may be sent to, by its name, none where nobody knows one.

    `problems`: what does not fit, in sentences. `unknown`: why it could not be found out, "" where it was.
    """

    addresses: Mapping[str, frozenset[str]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    unknown: str = ""

    @property
    def servers(self) -> frozenset[str]:
        """Every address."""
        return frozenset[str]().union(*self.addresses.values())


async def servers_of(zone: Zone, *, also: Iterable[str] = (), port: int = DNS_PORT) -> Delegation:
    """Ask through the policy's resolvers, parent and child. Without resolvers nobody can be asked, and nothing is said.

    `also`: names of servers that the zone's provider publishes. `port`: of the parent's servers.
    """
    if not zone.resolvers:
        return Delegation()
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers = [item.address for item in zone.resolvers]
    resolver.nameserver_ports = {item.address: item.port for item in zone.resolvers}
    resolver.lifetime = zone.timeout_s
    apex = absolute_name(zone.apex)
    try:
        child, parent = await asyncio.gather(
            _names(resolver, apex), _from_parent(resolver, apex, timeout_s=zone.timeout_s, port=port)
        )
        names = sorted(child | set(parent) | {absolute_name(name) for name in also})
        found = await asyncio.gather(*(_addresses(resolver, name) for name in names))
    except (dns.exception.DNSException, OSError) as error:
        sentence = f"who answers for {zone.apex} could not be found out: {str(error)[:200]}"
        return Delegation(problems=(sentence,), unknown=sentence)
    addresses = {
        str(name): frozenset(known | parent.get(name, set()))
        for name, known in zip(names, found, strict=True)
    }
    problems = []
    if parent and set(parent) != child:
        problems.append(
            f"the parent delegates {zone.apex} to {_listed(parent)}, and the zone names {_listed(child)}"
        )
    problems += [f"the name server {name} has no address" for name, known in addresses.items() if not known]
    problems += compared(zone, addresses)
    return Delegation(addresses=addresses, problems=tuple(problems))


async def named_servers(
    zone: Zone, published: Sequence[str], address_of: Callable[[str], Awaitable[set[str]]]
) -> list[str]:
    """What `authoritative` lacks of the servers that clients may be sent to, and what it has besides, each by name.

    By the policy's resolvers where it names some, parent and child; else by the zone's own `published` names, and what it
    holds itself of their addresses (`address_of`, empty where it holds none). What cannot be compared is counted.
    """
    if zone.resolvers:
        return list((await servers_of(zone)).problems)
    published = sorted(absolute_name(name).to_text() for name in published)
    known = {name: await address_of(name) for name in published}
    if all(known.values()):
        return compared(zone, known)
    if len(published) <= len(zone.authoritative):
        return []
    listed = ", ".join(item.address for item in zone.authoritative)
    sentence = (
        f"{zone.apex} has {len(published)} name servers ({', '.join(published)}), and only {len(zone.authoritative)} "
        f"addresses are under `authoritative` ({listed}): a change is effective when all that clients may ask are read "
        "back. Name `resolvers`, and they are found out and asked too"
    )
    return [sentence]


def compared(zone: Zone, addresses: Mapping[str, set[str] | frozenset[str]]) -> list[str]:
    """Differences between name servers, by their addresses, and `authoritative`. What has no known address could be any."""
    listed = {item.address for item in zone.authoritative}
    lacking = [
        f"{name} is {address}, which is not under `authoritative`: clients are sent there, so it is read back at port "
        f"{DNS_PORT} as well"
        for name, found in sorted(addresses.items())
        for address in sorted(found - listed)
    ]
    if not addresses or not all(addresses.values()):
        return lacking
    besides = sorted(listed.difference(*addresses.values()))
    return lacking + [
        f"{address} is under `authoritative`, and is no name server of {zone.apex}: clients are not sent there, and what it "
        "answers proves nothing"
        for address in besides
    ]


async def _names(resolver: dns.asyncresolver.Resolver, name: dns.name.Name) -> set[dns.name.Name]:
    answer = await resolver.resolve(name, dns.rdatatype.NS)
    return {item.target.canonicalize() for item in answer}


async def _from_parent(
    resolver: dns.asyncresolver.Resolver, apex: dns.name.Name, *, timeout_s: float, port: int
) -> dict[dns.name.Name, set[str]]:
    """The NS that the parent's own servers refer to, each with the glue beside it; empty where they cannot be reached from
    here. The parent is the zone that holds the cut, however many labels above.
    """
    if apex.parent() == dns.name.root:
        return {}
    try:
        cut = await dns.asyncresolver.zone_for_name(apex.parent(), resolver=resolver)
        if cut == dns.name.root:
            return {}  # no delegation that our resolvers know: a private zone, and the root's servers are none of its own
        names = sorted(await _names(resolver, cut))
        found = await asyncio.gather(*(_addresses(resolver, name) for name in names))
    except (dns.exception.DNSException, OSError):
        return {}  # a parent that our resolvers do not know says nothing either way
    addresses = sorted(set[str]().union(*found), key=lambda address: (":" in address, address))[:PARENTS_MAX]
    asked = (_referral(apex, address, timeout_s=timeout_s, port=port) for address in addresses)
    return next((referral for referral in await asyncio.gather(*asked) if referral), {})


async def _referral(
    apex: dns.name.Name, address: str, *, timeout_s: float, port: int
) -> dict[dns.name.Name, set[str]]:
    """The NS, each with its glue, that one of the parent's servers refers to; empty where it gives no answer."""
    question = dns.message.make_query(apex, dns.rdatatype.NS, flags=dns.flags.Flag(0))
    try:
        answer, _ = await dns.asyncquery.udp_with_fallback(
            question, address, port=port, timeout=timeout_s, ignore_unexpected=True
        )
    except (dns.exception.DNSException, OSError):
        return {}
    for rrset in (*answer.authority, *answer.answer):
        if rrset.name == apex and rrset.rdtype == dns.rdatatype.NS:
            return {target: _glue(answer, target) for target in (i.target.canonicalize() for i in rrset)}
    return {}


def _glue(answer: dns.message.Message, name: dns.name.Name) -> set[str]:
    """The addresses of a name server that its parent gives beside the referral."""
    return {
        item.address
        for rrset in answer.additional
        if rrset.name.canonicalize() == name and rrset.rdtype in TYPES
        for item in rrset
    }


async def _addresses(resolver: dns.asyncresolver.Resolver, name: dns.name.Name) -> set[str]:
    found: set[str] = set()
    for kind in TYPES:
        try:
            answer = await resolver.resolve(name, kind, raise_on_no_answer=False)
        except dns.resolver.NXDOMAIN:
            return set()
        if answer.rrset is not None:
            found.update(item.address for item in answer.rrset)
    return found


def _listed(names: Iterable[dns.name.Name]) -> str:
    return ", ".join(sorted(str(name) for name in names)) or "nobody"

"""Who answers for a zone: the NS of its parent and its own, and every address of each, against `authoritative`."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegation:
    """`servers`: every address that clients may be sent to; `problems`: what does not fit, in sentences."""

    servers: frozenset[str] = frozenset()
    problems: tuple[str, ...] = ()


async def servers_of(zone: Zone) -> Delegation:
    """Ask through the policy's resolvers, parent and child. Without resolvers nobody can be asked, and nothing is said."""
    if not zone.resolvers:
        return Delegation()
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers = [item.address for item in zone.resolvers]
    resolver.nameserver_ports = {item.address: item.port for item in zone.resolvers}
    resolver.lifetime = zone.timeout_s
    apex = absolute_name(zone.apex)
    try:
        child = await _names(resolver, apex)
        parent = await _from_parent(resolver, apex, zone.timeout_s)
        addresses = {name: await _addresses(resolver, name) for name in child | parent}
    except (dns.exception.DNSException, OSError) as error:
        return Delegation(
            problems=(f"who answers for {zone.apex} could not be found out: {str(error)[:200]}",)
        )
    problems = []
    if parent and parent != child:
        problems.append(
            f"the parent delegates {zone.apex} to {_listed(parent)}, and the zone names {_listed(child)}"
        )
    problems += [f"the name server {name} has no address" for name, found in addresses.items() if not found]
    problems += compared(zone, {str(name): found for name, found in addresses.items()})
    return Delegation(
        servers=frozenset(address for found in addresses.values() for address in found),
        problems=tuple(problems),
    )


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
        "back. Name `resolvers`, and they are compared one by one"
    )
    return [sentence]


def compared(zone: Zone, addresses: Mapping[str, set[str]]) -> list[str]:
    """Differences between name servers, by their addresses, and `authoritative`. What has no known address could be any."""
    listed = {item.address for item in zone.authoritative}
    lacking = [
        f"{name} is {address}, which is not under `authoritative`: clients may ask it, and nobody reads it back"
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


async def _names(resolver: dns.asyncresolver.Resolver, apex: dns.name.Name) -> set[dns.name.Name]:
    answer = await resolver.resolve(apex, dns.rdatatype.NS)
    return {item.target.canonicalize() for item in answer}


async def _from_parent(
    resolver: dns.asyncresolver.Resolver, apex: dns.name.Name, timeout_s: float
) -> set[dns.name.Name]:
    """The NS that the parent's own servers refer to; empty where the parent's servers cannot be reached from here."""
    if apex.parent() == dns.name.root:
        return set()
    try:
        parents = await _names(resolver, apex.parent())
    except dns.exception.DNSException:
        return set()  # a parent that our resolvers do not know says nothing either way
    for name in sorted(parents):
        for address in sorted(await _addresses(resolver, name)):
            question = dns.message.make_query(apex, dns.rdatatype.NS, flags=dns.flags.Flag(0))
            try:
                answer = await dns.asyncquery.udp(question, address, timeout=timeout_s)
            except (dns.exception.DNSException, OSError):
                continue
            for rrset in (*answer.authority, *answer.answer):
                if rrset.name == apex and rrset.rdtype == dns.rdatatype.NS:
                    return {item.target.canonicalize() for item in rrset}
    return set()


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


def _listed(names: set[dns.name.Name]) -> str:
    return ", ".join(sorted(str(name) for name in names)) or "nobody"

"""Who answers for a zone: the NS of its parent and its own, and every address of each, against `authoritative`."""

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
    listed = {item.address for item in zone.authoritative}
    for name, found in sorted(addresses.items()):
        if not found:
            problems.append(f"the name server {name} has no address")
        problems += [
            f"{name} is {address}, which is not under `authoritative`: clients may ask it, and nobody reads it back"
            for address in sorted(found - listed)
        ]
    return Delegation(
        servers=frozenset(address for found in addresses.values() for address in found),
        problems=tuple(problems),
    )


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

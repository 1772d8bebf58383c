"""What recursive servers give clients: looked at once the old TTL is over, for they may hold it until then."""

import asyncio
from collections.abc import Sequence

import dns.asyncquery
import dns.exception
import dns.message
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from failover.dnszones.names import absolute_name, canonical_record_set, rdata_type, record_set_of
from failover.model.policy import NameServer, Zone
from failover.model.records import RecordSet, ServerAnswer


async def resolver_answers(zone: Zone, record_sets: Sequence[RecordSet]) -> tuple[ServerAnswer, ...]:
    """What each resolver that the policy names answers. A cached TTL may be lower, never higher; never raises."""
    wanted = [canonical_record_set(item) for item in record_sets]
    return tuple(
        await asyncio.gather(*(_ask_all(resolver, wanted, zone.timeout_s) for resolver in zone.resolvers))
    )


async def _ask_all(resolver: NameServer, wanted: Sequence[RecordSet], timeout_s: float) -> ServerAnswer:
    server = f"resolver {resolver.address} port {resolver.port}"
    try:
        found = await asyncio.gather(*(_ask(resolver, item, timeout_s) for item in wanted))
    except (dns.exception.DNSException, OSError) as error:
        return ServerAnswer(server=server, answered=False, matches=False, detail=str(error)[:200])
    differences = [text for text in found if text]
    detail = (
        f"{len(differences)} of {len(wanted)} record sets differ: {differences[0]}" if differences else ""
    )
    return ServerAnswer(server=server, answered=True, matches=not differences, detail=detail)


async def _ask(resolver: NameServer, wanted: RecordSet, timeout_s: float) -> str:
    name, kind = absolute_name(wanted.name), rdata_type(wanted.record_type)
    question = dns.message.make_query(name, kind)
    answer, _ = await dns.asyncquery.udp_with_fallback(
        question, resolver.address, port=resolver.port, timeout=timeout_s
    )
    rrset = answer.get_rrset(answer.answer, name, dns.rdataclass.IN, kind)
    if rrset is None:
        return f"{wanted.name} {wanted.record_type}: nothing"
    held = record_set_of(rrset)
    fine = set(held.values) <= set(wanted.answered) if wanted.weights else held.values == wanted.values
    if not fine:
        return f"{wanted.name} {wanted.record_type}: {', '.join(held.values)}"
    return (
        ""
        if held.ttl <= wanted.ttl
        else f"{wanted.name} {wanted.record_type}: a TTL of {held.ttl} s, not {wanted.ttl} s"
    )

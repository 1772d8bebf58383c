"""What a failover would need of a zone, asked of the real servers without changing anything (`validate --live`)."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.update

from failover.dnszones.answers import Found, refused_update
from failover.dnszones.delegated import DelegatedServers
from failover.dnszones.delegation import named_servers
from failover.dnszones.expiring import expiry
from failover.dnszones.names import FENCE_LABEL, absolute_name, rdata_type
from failover.dnszones.verify import Asker, Silent, read_serial, serial_before
from failover.model.errors import TargetError
from failover.model.inventory import RightProblem
from failover.model.policy import NameServer, Zone
from failover.model.records import RecordType, ServerAnswer

Ask = Callable[[dns.name.Name, dns.rdatatype.RdataType], Awaitable[Found]]
Exchange = Callable[[dns.message.Message], Awaitable[dns.message.Message]]

NAMED_MAX = 20
"""Refused names that are asked and named one by one."""

_NOBODY = {
    RecordType.A: "192.0.2.0",
    RecordType.AAAA: "2001:db8::",
    RecordType.CNAME: "failover-rehearsal.invalid.",
}


async def rehearse(
    zone: Zone,
    names: Sequence[tuple[str, str]],
    *,
    ask: Ask,
    exchange: Exchange,
    delegated: DelegatedServers,
) -> tuple[RightProblem, ...]:
    """Every problem that can be found now. `ask` and `exchange` talk to the primary, signed; never raises TargetError."""
    apex = absolute_name(zone.apex)
    try:
        found = await ask(apex, dns.rdatatype.SOA)
    except TargetError as error:
        return (RightProblem(target=zone.name, sentence=str(error)),)
    if found.rrset is None:
        return (RightProblem(target=zone.name, sentence=f"the primary has no zone {zone.apex}"),)
    serial = int(found.rrset[0].serial)
    problems: list[str] = []
    good: list[tuple[dns.name.Name, dns.rdatatype.RdataType]] = []
    for name, kind in dict.fromkeys(names):
        try:
            item = (absolute_name(name), rdata_type(kind))
        except TargetError as error:
            problems.append(str(error))
        else:
            if item[0].is_subdomain(apex):
                good.append(item)
            else:
                problems.append(f"{name} lies outside the zone {zone.apex}")
    problems += await _check_names(good, ask)
    problems += await _check_updates(zone, apex, good, exchange)
    warnings = await _check_name_servers(zone, apex, ask)
    warnings += await _check_wildcard(apex, ask)
    warnings += expiry(zone.credentials_expire, datetime.now(UTC).date())
    servers = await asyncio.gather(
        *(check_server(zone, server, apex, serial) for server in zone.authoritative)
    )
    warnings += [sentence for sentences in servers for sentence in sentences]
    warnings += await check_delegated(zone, delegated, apex, serial)
    return tuple(RightProblem(target=zone.name, sentence=item) for item in problems) + tuple(
        RightProblem(target=zone.name, sentence=item, warning=True) for item in warnings
    )


async def _check_names(names: Sequence[tuple[dns.name.Name, dns.rdatatype.RdataType]], ask: Ask) -> list[str]:
    """Names that are not ours to change, or hold another type in the way."""
    problems = []
    looks = await asyncio.gather(*(ask(*item) for item in names), return_exceptions=True)
    for (name, kind), result in zip(names, looks, strict=True):
        if isinstance(result, TargetError):
            problems.append(str(result))
        elif isinstance(result, BaseException):
            raise result
        elif result.alias is not None:
            problems.append(
                f"{name}: a CNAME to {result.alias[0]} stands where {dns.rdatatype.to_text(kind)} records shall be; "
                "remove it first, servers ignore additions beside it"
            )
    return problems


async def _check_updates(
    zone: Zone,
    apex: dns.name.Name,
    names: Sequence[tuple[dns.name.Name, dns.rdatatype.RdataType]],
    exchange: Exchange,
) -> list[str]:
    """Whether the key may update, then whether it may update these names and the fence."""
    general = dns.update.UpdateMessage(apex)
    general.present(apex, dns.rdatatype.SOA)
    try:
        answer = await exchange(general)
        if answer.rcode() != dns.rcode.NOERROR:
            key = general.keyname.to_text(omit_final_dot=True) if general.keyname is not None else ""
            return [str(refused_update(answer.rcode(), zone=zone.name, apex=zone.apex, key=key))]
        fence = absolute_name(f"{FENCE_LABEL}.rehearsal.{zone.apex}")
        wanted = [*names, (fence, dns.rdatatype.TXT)]
        if await _impossible(apex, wanted, exchange):
            return []
        problems = []
        for item in wanted[-NAMED_MAX:]:
            if not await _impossible(apex, [item], exchange):
                kind = dns.rdatatype.to_text(item[1])
                problems.append(
                    f"the primary refuses updates of {item[0]} {kind}; grant them to the key in its policy"
                )
    except TargetError as error:
        return [str(error)]
    return problems or ["the primary refuses an update of all names together"]


async def _impossible(
    apex: dns.name.Name, names: Sequence[tuple[dns.name.Name, dns.rdatatype.RdataType]], exchange: Exchange
) -> bool:
    """Send an update that cannot happen: it requires that the zone has no SOA. True unless the server forbids it.

    Servers that check permissions first answer REFUSED, the others tell nothing by it. Were the requirement ignored,
    each deletion still names a record that does not exist.
    """
    message = dns.update.UpdateMessage(apex)
    message.absent(apex, dns.rdatatype.SOA)
    for name, kind in names:
        text = '"failover rehearsal"' if kind == dns.rdatatype.TXT else _NOBODY[RecordType(kind.name)]
        message.delete(name, dns.rdata.from_text(dns.rdataclass.IN, kind, text))
    answer = await exchange(message)
    return answer.rcode() not in (dns.rcode.REFUSED, dns.rcode.NOTAUTH, dns.rcode.NOTZONE)


async def _check_name_servers(zone: Zone, apex: dns.name.Name, ask: Ask) -> list[str]:
    """Whether clients may be sent to servers that nobody reads back."""
    try:
        found = await ask(apex, dns.rdatatype.NS)
    except TargetError as error:
        return [str(error)]
    published = [] if found.rrset is None else sorted(str(item.target) for item in found.rrset)

    async def address_of(name: str) -> set[str]:
        server = absolute_name(name)
        held: set[str] = set()
        for kind in (dns.rdatatype.A, dns.rdatatype.AAAA) if server.is_subdomain(apex) else ():
            try:
                answer = await ask(server, kind)
            except TargetError:
                return set()
            held.update(item.address for item in answer.rrset or ())
        return held

    return await named_servers(zone, published, address_of)


async def _check_wildcard(apex: dns.name.Name, ask: Ask) -> list[str]:
    """A wildcard answers for names that do not exist: what is read there can never be what a prerequisite compares."""
    nowhere = absolute_name(f"_failover-rehearsal.{apex.to_text()}")
    for kind in (dns.rdatatype.A, dns.rdatatype.AAAA, dns.rdatatype.TXT):
        try:
            found = await ask(nowhere, kind)
        except TargetError:
            continue  # the names themselves are asked, and reported, elsewhere
        if found.rrset is not None or found.alias is not None:
            return [
                f"a wildcard answers for missing names in {apex}: names that do not exist yet cannot be created"
            ]
    return []


async def check_server(zone: Zone, server: NameServer, apex: dns.name.Name, serial: int | None) -> list[str]:
    """What is wrong with one authoritative server. `serial`: the primary's, None where serials mean nothing."""
    where = f"name server {server.address} port {server.port}"
    asker = Asker(server, timeout_s=zone.timeout_s)
    try:
        theirs = await read_serial(asker, apex)
    except Silent as error:
        return [f"{where} does not answer for {zone.apex}: {error}"]
    except TargetError as error:
        return [str(error)]
    finally:
        await asker.close()
    if serial is not None and serial_before(theirs, serial):
        return [f"{where} lags: it has serial {theirs}, the primary {serial}"]
    return []


async def check_delegated(
    zone: Zone, delegated: DelegatedServers, apex: dns.name.Name, serial: int | None
) -> list[str]:
    """What is wrong with the servers that clients are sent to and the policy does not list."""

    async def ask(server: NameServer, whole: bool) -> ServerAnswer:
        said = await check_server(zone, server, apex, serial if whole else None)
        name = f"{server.address} port {server.port}"
        return ServerAnswer(
            server=name, answered=not said, matches=not said, serial=serial or 0, detail="; ".join(said)
        )

    return [f"{item.server}: {item.detail}" for item in await delegated.answers(ask) if not item.matches]

"""What a failover would need of a zone at a provider with an API, asked without changing anything."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from ipaddress import ip_address

from failover.dnszones.delegated import DelegatedServers
from failover.dnszones.delegation import named_servers
from failover.dnszones.expiring import expiry
from failover.dnszones.names import absolute_name, rdata_type
from failover.dnszones.rehearsal import check_delegated, check_server
from failover.model.errors import TargetError
from failover.model.ids import ApplicationName
from failover.model.inventory import RightProblem
from failover.model.policy import Zone
from failover.model.records import Quota, RecordSet, RecordType, ZoneState

Read = Callable[[Sequence[RecordSet | tuple[str, str]], Sequence[ApplicationName]], Awaitable[ZoneState]]
Describe = Callable[[], Awaitable[tuple[tuple[str, ...], tuple[str, ...]]]]


QUOTA_WARNING = 0.8
"""Share of a limit from which on it is told."""

ADDRESSES = (RecordType.A, RecordType.AAAA)


async def survey(
    zone: Zone,
    names: Sequence[tuple[str, str]],
    *,
    read: Read,
    describe: Describe,
    quotas: Callable[[], Awaitable[tuple[Quota, ...]]],
    delegated: DelegatedServers,
) -> tuple[RightProblem, ...]:
    """Every problem that can be found now; never raises TargetError."""
    apex = absolute_name(zone.apex)
    problems: list[str] = []
    good: list[tuple[str, str]] = []
    for name, kind in dict.fromkeys(names):
        try:
            rdata_type(kind)
            inside = absolute_name(name).is_subdomain(apex)
        except TargetError as error:
            problems.append(str(error))
            continue
        if inside:
            good.append((absolute_name(name).to_text(), kind))
        else:
            problems.append(f"{name} lies outside the zone {zone.apex}")
    warnings: list[str] = [*expiry(zone.credentials_expire, datetime.now(UTC).date())]
    try:
        servers, said = await describe()
        state = await read(good, ())
    except TargetError as error:
        problems.append(str(error))
        return _found(zone, problems, warnings)
    warnings += said
    try:
        warnings += [
            f"{item.used} of {item.limit} {item.what} are used"
            for item in await quotas()
            if item.lasting and item.used > QUOTA_WARNING * item.limit
        ]
    except TargetError as error:
        warnings.append(f"the zone's quota could not be read: {error}")
    warnings += await named_servers(zone, servers, partial(_addresses_in, zone, read))
    asked = set(good)
    for item in state.record_sets:
        if item.record_type is RecordType.CNAME and item.key not in asked:
            problems.append(
                f"{item.name}: a CNAME to {item.values[0]} stands where other records shall be; remove it first"
            )
    looks = await asyncio.gather(*(check_server(zone, server, apex, None) for server in zone.authoritative))
    warnings += [sentence for sentences in looks for sentence in sentences]
    warnings += await check_delegated(zone, delegated, apex, None)
    return _found(zone, problems, warnings)


async def _addresses_in(zone: Zone, read: Read, name: str) -> set[str]:
    """What the zone itself holds of a name server's addresses; nothing for one that lies elsewhere."""
    if not absolute_name(name).is_subdomain(absolute_name(zone.apex)):
        return set()
    try:
        state = await read([(name, kind) for kind in ADDRESSES], ())
    except TargetError:
        return set()
    return {value for item in state.record_sets if item.record_type in ADDRESSES for value in item.values}


def is_address(value: str) -> bool:
    """And not the words that an alias, or a policy of the provider's, is read as."""
    try:
        ip_address(value)
    except ValueError:
        return False
    return True


def _found(zone: Zone, problems: Sequence[str], warnings: Sequence[str]) -> tuple[RightProblem, ...]:
    return tuple(RightProblem(target=zone.name, sentence=item) for item in problems) + tuple(
        RightProblem(target=zone.name, sentence=item, warning=True) for item in warnings
    )

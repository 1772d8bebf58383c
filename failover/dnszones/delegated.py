"""Name servers that clients are sent to and `authoritative` lacks: found out now and then, and read back like the others.

What they answer counts as a listed server's does: one that has the zone and gives something else holds a change up, for
clients get that; one that is silent, or that nobody knows an address of, is unknown and named. Two are named and hold nothing
up. One without authority over the zone is lame: resolvers throw its answers away and turn to the next. And where several
providers hold the zone, whose server one is that no zone lists cannot be told, nor what it should have by now.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from failover.dnszones.delegation import DNS_PORT, Delegation, servers_of
from failover.dnszones.limits import is_urgent
from failover.dnszones.names import absolute_name
from failover.model.errors import TargetError
from failover.model.policy import NameServer, Zone
from failover.model.records import ServerAnswer

FOUND_FOR_S = 300.0
"""A delegation changes seldom, and by somebody's hand."""

NOT_FOUND_FOR_S = 60.0
TIMES = 3
"""The whole search may take so many times the zone's timeout: it asks through resolvers, parents and addresses in turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The zone's own name servers: the addresses that it holds itself of each, none for one that lies elsewhere.

    `own`: they are this provider's and nobody else's, as an API tells; an NS record set may name several providers'.
    """

    addresses: Mapping[str, frozenset[str]]
    own: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    name: str
    address: str
    strange: bool


class DelegatedServers:
    """Of one zone. `port`: where they and the parent's servers are asked."""

    def __init__(
        self, zone: Zone, *, mono: Callable[[], float], published: Callable[[], Awaitable[Published]]
    ) -> None:
        self.port = DNS_PORT
        self._zone = zone
        self._mono = mono
        self._published = published
        self._elsewhere: frozenset[str] = frozenset()
        self._several = False
        self._found = Delegation()
        self._complete = False
        self._own: frozenset[str] = frozenset()
        self._unknown = ""
        self._next = float("-inf")
        self._searching = asyncio.Lock()

    def beside(self, zones: tuple[Zone, ...]) -> None:
        """The policy's other zones of the same apex: what is under their `authoritative` is theirs."""
        self._several = bool(zones)
        self._elsewhere = frozenset(item.address for zone in zones for item in zone.authoritative)

    async def answers(
        self, ask: Callable[[NameServer, bool], Awaitable[ServerAnswer]]
    ) -> tuple[ServerAnswer, ...]:
        """What each says, in the order of their names. `ask(server, whole)`: without serial and fence where `whole` is False."""
        await self._search()
        answers = await asyncio.gather(*(self._answer(target, ask) for target in self._targets()))
        if self._complete or not self._zone.resolvers:
            return tuple(answers)
        return (_unknown(f"name servers of {self._zone.apex}", self._unknown), *answers)

    async def _search(self) -> None:
        """Keep what is known until a new search has found more: in a failover what was found before is good enough."""
        if self._is_known():
            return  # before the lock: a failover waits for no search that somebody else began
        async with self._searching:
            if self._is_known():
                return
            try:
                async with asyncio.timeout(TIMES * self._zone.timeout_s):
                    found = await self._found_now()
            except TimeoutError:
                found = Delegation(unknown=f"who answers for {self._zone.apex} was not found out in time")
            self._unknown = found.unknown
            if not found.unknown or not self._complete:
                self._found, self._complete = found, not found.unknown
            self._next = self._mono() + (NOT_FOUND_FOR_S if found.unknown else FOUND_FOR_S)

    def _is_known(self) -> bool:
        return self._mono() < self._next or (self._complete and is_urgent())

    async def _found_now(self) -> Delegation:
        """By the zone itself, and by the policy's resolvers where it names some."""
        held: dict[str, frozenset[str]] = {}
        unread = ""
        try:
            published = await self._published()
        except TargetError as error:
            unread = str(error)
        else:
            held = {absolute_name(name).to_text(): known for name, known in published.addresses.items()}
            self._own = frozenset(held) if published.own else frozenset()
        found = await servers_of(self._zone, also=held, port=self.port)
        if found.unknown or (unread and not self._zone.resolvers):
            return replace(found, addresses=held, unknown=found.unknown or unread)
        names = {*held, *found.addresses}
        addresses = {
            name: held.get(name, frozenset()) | found.addresses.get(name, frozenset()) for name in names
        }
        return replace(found, addresses=addresses)

    def _targets(self) -> tuple[_Target, ...]:
        """Each address once. Names that only a resolver could tell the addresses of are left out where the policy has none."""
        listed = {item.address for item in self._zone.authoritative}
        targets: dict[tuple[str, str], _Target] = {}
        for name, addresses in sorted(self._found.addresses.items()):
            strange = self._several and name not in self._own
            for address in sorted(addresses - listed - self._elsewhere):
                targets.setdefault(("", address), _Target(name=name, address=address, strange=strange))
            if not addresses and self._zone.resolvers and self._complete:
                targets[name, ""] = _Target(name=name, address="", strange=strange)
        return tuple(targets.values())

    async def _answer(
        self, target: _Target, ask: Callable[[NameServer, bool], Awaitable[ServerAnswer]]
    ) -> ServerAnswer:
        if not target.address:
            return _unknown(
                target.name, "clients are sent there, and the policy's resolvers know no address of it"
            )
        answer = await ask(NameServer(address=target.address, port=self.port), not target.strange)
        answer = replace(answer, server=f"{answer.server}, {target.name}", delegated=True)
        if answer.answered and answer.serial is None:
            return replace(answer, answered=False, detail=f"lame: {answer.detail}")
        if target.strange and not answer.matches:
            said = f"whose server it is cannot be told: put it under `authoritative` of its provider's zone; {answer.detail}"
            return replace(answer, answered=False, detail=said)
        return answer


def _unknown(server: str, detail: str) -> ServerAnswer:
    return ServerAnswer(server=server, answered=False, matches=False, detail=detail, delegated=True)

"""What the adapters over a provider's HTTP API share: reading whole or not at all, one writer, budgets, read-back.

The vendors' SDKs are synchronous: they run in a small pool of threads of the zone's own, with deadlines of their own, so
that a provider that hangs holds up nothing else.
"""

import asyncio
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from failover.dnszones.conflicts import explain_conflict
from failover.dnszones.delegated import DelegatedServers, Published
from failover.dnszones.fences import UNREADABLE_OWNER, fence_text
from failover.dnszones.held import Held, Key, fence_key, fences_of, record_sets_of
from failover.dnszones.limits import AccountBudget, is_urgent
from failover.dnszones.names import absolute_name, canonical_record_set, fence_rdata, rdata_type
from failover.dnszones.resolving import resolver_answers
from failover.dnszones.surveying import ADDRESSES, is_address, survey
from failover.dnszones.update import FENCE_TTL_S, refuse_unsound
from failover.dnszones.verify import verify_server
from failover.model.errors import (
    Conflict,
    OutcomeUnknown,
    Rejected,
    TargetError,
    Throttled,
    Unavailable,
)
from failover.model.ids import ApplicationName
from failover.model.inventory import RightProblem
from failover.model.permit import Permit
from failover.model.policy import NameServer, Zone
from failover.model.records import (
    CAPABILITIES,
    FenceRecord,
    Quota,
    RecordSet,
    ServerAnswer,
    ZoneCapabilities,
    ZoneChange,
    ZoneState,
)

MALFORMED = (KeyError, IndexError, TypeError, ValueError, AttributeError)
"""What taking an answer apart raises that is JSON or XML and still not what the API says."""
RECORD_SETS = "record sets of the zone"
THREADS = 4
PATIENCE_S = 30.0
"""How long a change that is refused as too many, or as one too early, is offered again. Nothing was changed by it."""

OFFER_FIRST_S, OFFER_MAX_S = 0.05, 0.25
SETTLED_SHARE, SETTLED_FIRST_S, SETTLED_EVERY_S = 0.1, 0.25, 2.0
"""Between two questions whether a change is settled: a tenth of the time that it has taken so far, within these bounds.
One provider takes a second and another a minute, and many zones wait at once out of one budget.
"""

TOLD_MAX = 64
"""Answers of the provider itself that are kept between two questions, one for each set of names that somebody waits for."""

URGENT_AFTER_CHANGE_S = 60.0
"""After a change, what is read belongs to it, and may use what is kept for failovers."""

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """One atomic change in the provider's own objects: what is deleted exactly as it is, and what is created."""

    deletions: tuple[Any, ...]
    additions: tuple[Any, ...]


class ProviderZone(ABC):
    """The DNSZone port over an HTTP API. Subclasses speak to it, synchronously, in the pool's threads."""

    def __init__(self, zone: Zone, *, mono: Callable[[], float]) -> None:
        self.name = zone.name
        self.entry = zone
        self.apex = absolute_name(zone.apex).to_text()
        self.where = f"zone {zone.name}"
        self._mono = mono
        self._pool: ThreadPoolExecutor | None = None
        self._kept: AccountBudget | None = None
        self._writing = asyncio.Lock()
        self._seen: dict[Key, Held] = {}
        self._changed_at = float("-inf")
        self._last_change = ""
        self._changes = 0
        self._whose: dict[Key, ApplicationName] = {}
        self._fences: dict[ApplicationName, FenceRecord] = {}
        self._told: dict[tuple[str, tuple[RecordSet, ...]], tuple[float, tuple[ServerAnswer, ...]]] = {}
        self.delegated = DelegatedServers(zone, mono=mono, published=self._published)

    @property
    def capabilities(self) -> ZoneCapabilities:
        """As the provider documents it."""
        return CAPABILITIES[self.entry.provider]

    # -- what a provider says, in its own words: synchronous, raising our errors ---------------------------------------

    @abstractmethod
    def _budget(self) -> AccountBudget: ...

    @abstractmethod
    async def _fetch(self, keys: Sequence[Key], *, urgent: bool) -> dict[Key, Held]:
        """What stands at these names (any type of ours, and TXT), complete. Raises Unavailable and the like."""

    @abstractmethod
    def _objects_of(self, record_set: RecordSet) -> tuple[Any, ...]:
        """The provider's objects of a record set as we write it."""

    @abstractmethod
    def _fence_object(self, name: str, text: str, ttl: int) -> Any: ...

    @abstractmethod
    async def _learn_for(self, change: ZoneChange) -> None:
        """Ask for what the provider's own objects of this change need besides. Never raises TargetError."""

    @abstractmethod
    async def _learn_limits(self) -> None:
        """Ask for what `_refuse_oversize` needs to know, once. Never raises TargetError: what is documented holds then."""

    @abstractmethod
    def _refuse_oversize(self, change: ZoneChange, delta: Delta) -> None:
        """Raise Rejected where one atomic change cannot hold it."""

    @abstractmethod
    def _submit(self, delta: Delta, permitted: Callable[[], None]) -> str:
        """Send it once, after `permitted()`; the provider's id of the change. Conflict: nothing was changed."""

    @abstractmethod
    def _is_settled(self, change: str) -> bool:
        """Whether the provider says that its name servers have it, which is no proof yet."""

    @abstractmethod
    async def _record_sets_used(self) -> Quota:
        """How many record sets the zone has of how many it may have. Raises TargetError."""

    @abstractmethod
    def _describe(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """(names of the zone's name servers, sentences about quota and credentials). Raises for a zone not there."""

    # -- the port ------------------------------------------------------------------------------------------------------

    async def read(
        self, names: Sequence[RecordSet | tuple[str, str]], applications: Sequence[ApplicationName]
    ) -> ZoneState:
        """The asked record sets and fences, each whole; a CNAME or a foreign kind of record in their place as well."""
        pairs = [item.key if isinstance(item, RecordSet) else item for item in names]
        asked = list(dict.fromkeys((self._own(name), kind) for name, kind in pairs if rdata_type(kind)))
        fences = [fence_key(item, self.apex) for item in applications]
        changes = self._changes
        held = await self._held([*asked, *fences], urgent=self._is_urgent())
        for key in [*asked, *fences]:
            self._seen.pop(key, None)
        self._seen.update(held)
        standing = fences_of(held, applications, self.apex)
        if (
            changes == self._changes and not self._writing.locked()
        ):  # else it may be from before a change of ours
            self._stand(asked if len(applications) == 1 else (), applications, standing)
        return ZoneState(
            zone=self.name,
            record_sets=record_sets_of(held, asked),
            fences=standing,
            serial=0,
            read_mono=self._mono(),
        )

    async def _held(self, keys: Sequence[Key], *, urgent: bool) -> dict[Key, Held]:
        """What stands there. An answer that is not what this API says is no answer, and a record set without values is none
        that a zone can hold: Unavailable, never an empty set.
        """
        try:
            held = await self._fetch(keys, urgent=urgent)
        except MALFORMED as error:
            raise self._nonsense(repr(error)[:80]) from None
        if empty := next((item for item in held.values() if not item.values), None):
            raise self._nonsense(f"{empty.name} {empty.kind} without any value")
        return held

    def _nonsense(self, what: str) -> Unavailable:
        return Unavailable(
            f"{self.where}: the answer is no listing of record sets ({what})", target=self.name
        )

    async def change(self, permit: Permit, change: ZoneChange) -> None:
        """One atomic change, fence included: the old ones deleted exactly as they are, the new ones created.

        Raises Conflict or FencedOff (nothing changed), Rejected, LocalFault, Throttled, Unavailable, OutcomeUnknown.
        """
        refuse_unsound(self.entry, permit, change)
        await self._learn_for(change)
        delta = self._delta(change)
        await self._learn_limits()
        self._refuse_oversize(change, delta)

        def permitted() -> None:
            if not permit.still_good(self._mono()):
                raise Unavailable(
                    f"{self.where}: the permit for {permit.intent} has expired (the lease ends soon or ended); "
                    "nothing was sent",
                    target=self.name,
                )

        async with self._writing:
            self._changed_at = self._mono()
            self._fences.pop(change.application, None)  # which one stands is not known until this has ended
            try:
                self._last_change = await self._offer(delta, permitted)
                keys = [canonical_record_set(item.after).key for item in change.changes]
                self._stand(keys, (change.application,), (FenceRecord.parse(change.fence_after.text),))
            except Conflict as error:
                raise await self._why_not(change, str(error)) from None
            finally:
                self._changes += 1
                for item in change.changes:
                    self._seen.pop(item.after.key, None)
                self._seen.pop(fence_key(change.application, self.apex), None)

    async def verify(self, record_sets: Sequence[RecordSet]) -> tuple[ServerAnswer, ...]:
        """Ask every authoritative address, those that clients are sent to besides, and the provider where it alone can tell:
        weights, and what is under way.

        Serials say nothing here, so each must have the fence too that travelled with the last change of these record sets,
        ours or the one that was read since. Of a record set that neither told us whose it is, only the data is asked for.
        """
        wanted = tuple(canonical_record_set(item) for item in record_sets)
        apex = absolute_name(self.entry.apex)
        whose = dict.fromkeys(self._whose[item.key] for item in wanted if item.key in self._whose)
        fences = tuple(self._fences[item] for item in whose if item in self._fences)

        async def ask(server: NameServer, whole: bool = True) -> ServerAnswer:
            return await verify_server(
                server,
                wanted,
                apex,
                timeout_s=self.entry.timeout_s,
                expected_serial=None,
                expected_fences=fences if whole else (),
            )

        listed = asyncio.gather(*(ask(server) for server in self.entry.authoritative))
        answers, delegated = await asyncio.gather(listed, self.delegated.answers(ask))
        return (*answers, *delegated, *await self._its_own_word(wanted))

    async def ask_resolvers(self, record_sets: Sequence[RecordSet]) -> tuple[ServerAnswer, ...]:
        """What the recursive servers that the policy names give."""
        return await resolver_answers(self.entry, record_sets)

    async def check(self, names: Sequence[tuple[str, str]]) -> tuple[RightProblem, ...]:
        """Everything that a failover would need of this zone, asked without changing anything."""
        describe = partial(self._call, self._describe)
        return await survey(
            self.entry,
            names,
            read=self.read,
            describe=describe,
            quotas=self.quotas,
            delegated=self.delegated,
        )

    async def quotas(self) -> tuple[Quota, ...]:
        """The zone's record sets, and the requests that the account has left by our own count (others may use it too)."""
        found = await self._record_sets_used()
        budget = self._budget()
        taken = min(max(math.ceil(budget.burst - budget.left), 0), int(budget.burst))
        requests = Quota(what="requests at once", used=taken, limit=int(budget.burst), lasting=False)
        return (found, requests)

    def forget(self) -> None:
        """Which change of ours was the last: another leader's may be under way by now."""
        self._last_change = ""
        self._told.clear()
        self._seen.clear()
        self._fences.clear()

    async def close(self) -> None:
        """End the threads; the zone may be used again afterwards."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)

    # -- how it is done ------------------------------------------------------------------------------------------------

    def _stand(
        self, keys: Iterable[Key], applications: Iterable[ApplicationName], fences: Iterable[FenceRecord]
    ) -> None:
        """Keep what the API holds now of these applications' fences, and whose these record sets are."""
        applications = tuple(applications)
        self._whose.update((key, applications[0]) for key in keys)
        found = {item.application: item for item in fences if item.owner != UNREADABLE_OWNER}
        for application in applications:
            self._fences.pop(application, None)
        self._fences.update(found)

    async def _published(self) -> Published:
        """The name servers that the provider gave the zone, and what the zone holds of their addresses."""
        urgent = self._is_urgent()
        try:
            said, _ = await self._call(self._describe, urgent=urgent)
            names = [absolute_name(name) for name in said]
        except MALFORMED as error:
            raise self._nonsense(repr(error)[:80]) from None
        apex = absolute_name(self.entry.apex)
        keys = [
            (name.to_text(), kind.value) for name in names if name.is_subdomain(apex) for kind in ADDRESSES
        ]
        addresses = {name.to_text(): frozenset[str]() for name in names}
        for item in (await self._held(keys, urgent=urgent) if keys else {}).values():
            if item.kind in ADDRESSES:
                addresses[item.name] |= {value for value in item.values if is_address(value)}
        return Published(addresses=addresses, own=True)

    def _own(self, name: str) -> str:
        absolute = absolute_name(name)
        if not absolute.is_subdomain(absolute_name(self.entry.apex)):
            raise Rejected(f"{self.where}: {name} lies outside {self.entry.apex}", target=self.name)
        return absolute.to_text()

    def _is_urgent(self) -> bool:
        return is_urgent() or self._mono() - self._changed_at < URGENT_AFTER_CHANGE_S

    async def _call(self, function: Callable[..., Answer], *arguments: Any, urgent: bool = False) -> Answer:
        """Run one request in the pool, within the account's budget."""
        self._kept = budget = self._budget()  # it lives for as long as a zone of its account holds it
        await budget.take(urgent=urgent)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix=f"dns-{self.name}")
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._pool, partial(function, *arguments))
        except Throttled as error:
            if error.account:
                budget.drained()
            raise

    async def _offer(self, delta: Delta, permitted: Callable[[], None]) -> str:
        """Send it, again where the provider took nothing of it because of its limits."""
        deadline, wait_s = time.monotonic() + PATIENCE_S, OFFER_FIRST_S
        while True:
            try:
                return await self._call(self._submit, delta, permitted, urgent=True)
            except Throttled:
                if time.monotonic() + wait_s > deadline:
                    raise
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, OFFER_MAX_S)

    def _delta(self, change: ZoneChange) -> Delta:
        """What was read is deleted as it stands in the provider's own objects; what was not read, as we would write it."""
        deletions: list[Any] = []
        additions: list[Any] = []
        for item in change.changes:
            if item.before is not None:
                deletions += self._raw_of(item.before)
            additions += self._objects_of(canonical_record_set(item.after))
        name, _ = fence_key(change.application, self.apex)
        if change.fence_before is not None:
            seen = self._seen.get((name, "TXT"))
            if seen is not None and fence_text(seen.fence(change.application)) == fence_text(
                change.fence_before
            ):
                deletions += seen.raw
            else:
                deletions.append(
                    self._fence_object(name, fence_rdata(change.fence_before).to_text(), FENCE_TTL_S)
                )
        additions.append(self._fence_object(name, fence_rdata(change.fence_after).to_text(), FENCE_TTL_S))
        return Delta(deletions=tuple(deletions), additions=tuple(additions))

    def _refuse_wide(self, change: ZoneChange, *, plain: int, weighted: int) -> None:
        """Raise Rejected for a record set of more values than the provider holds under one name and type."""
        for item in (one.after for one in change.changes):
            most, what = (weighted, "weighted records") if item.weights else (plain, "values")
            if len(item.values) > most:
                raise Rejected(
                    f"{self.where}, application {change.application}: {item.name} {item.record_type} would have "
                    f"{len(item.values)} {what}, and {self.entry.provider} holds {most} under one name and type; publish fewer "
                    "clusters under it, or several names; nothing was sent",
                    target=self.name,
                )

    def _raw_of(self, before: RecordSet) -> Iterable[Any]:
        wanted = canonical_record_set(before)
        seen = self._seen.get(wanted.key)
        if seen is not None and wanted.same_data(seen.record_set()):
            return seen.raw
        return self._objects_of(wanted)

    async def _why_not(self, change: ZoneChange, said: str) -> TargetError:
        """After a precondition failed: a newer or foreign fence means stop, everything else means decide again."""
        keys = [item.after.key for item in change.changes]
        try:
            state = await self.read(keys, [change.application])
        except TargetError as error:
            return Conflict(
                f"{self.where}: changed by somebody else ({said}); a look failed: {error}", target=self.name
            )
        return explain_conflict(state, change, said)

    async def _its_own_word(self, wanted: tuple[RecordSet, ...]) -> tuple[ServerAnswer, ...]:
        """What `_asked_itself` said, or says now: while a change is under way it is asked now and then, no more."""
        about, now = (self._last_change, wanted), self._mono()
        at, known = self._told.get(about, (now, ()))
        pause = min(max((now - self._changed_at) * SETTLED_SHARE, SETTLED_FIRST_S), SETTLED_EVERY_S)
        if known and now - at < pause:
            return known
        found = await self._asked_itself(wanted)
        if self._last_change != about[0] or len(self._told) >= TOLD_MAX:
            self._told.clear()
        self._told[self._last_change, wanted] = (now, found)
        return found

    async def _asked_itself(self, wanted: Sequence[RecordSet]) -> tuple[ServerAnswer, ...]:
        """The provider's own word, where it stands against: a change under way, or other weights than intended.

        One answer gives one value of a weighted set, so that only the API can tell the weights (facts/dns.md 2.3).
        """
        server, found, pending = f"{self.entry.provider} API", [], False
        weighted = [item for item in wanted if item.weights]
        try:
            change = self._last_change
            if change and not await self._call(self._is_settled, change, urgent=True):
                pending = True
                found.append(f"change {change} is under way")
            elif self._last_change == change:  # and not one that was made meanwhile
                self._last_change = ""
            held = await self._held([item.key for item in weighted], urgent=True) if weighted else {}
            found += [
                f"{item.name} {item.record_type} has other weights"
                for item in weighted
                if (seen := held.get(item.key)) is None or not item.same_data(seen.record_set())
            ]
        except TargetError as error:
            # Silence proves nothing about weights, which the name servers cannot tell: they are not as intended until it speaks.
            said = f"the weights are not known: {error}" if weighted else str(error)
            return (ServerAnswer(server=server, answered=bool(weighted), matches=False, detail=said),)
        return (
            (
                ServerAnswer(
                    server=server, answered=True, matches=False, detail="; ".join(found), pending=pending
                ),
            )
            if found
            else ()
        )


def unknown_outcome(error: Exception, *, where: str, target: str) -> OutcomeUnknown:
    """A change was sent and no trustworthy answer came."""
    return OutcomeUnknown(
        f"{where}: a change was sent and no trustworthy answer came: {error}", target=target
    )

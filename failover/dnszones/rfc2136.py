"""A zone on any name server that takes RFC 2136 updates with TSIG: BIND, Knot, PowerDNS."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.tsig

from failover.dnszones.answers import (
    PRECONDITION_RCODES,
    WIRE_ERRORS,
    Found,
    WireError,
    read_found,
    refused_update,
    translate,
)
from failover.dnszones.conflicts import explain_conflict
from failover.dnszones.connection import BadAnswer, Connection, NoAnswer, NotSent, open_connection
from failover.dnszones.delegated import DelegatedServers, Published
from failover.dnszones.delegation import TYPES
from failover.dnszones.fences import fence_text, foreign_fence
from failover.dnszones.keyfile import load_key
from failover.dnszones.names import (
    absolute_name,
    canonical_record_set,
    fence_name,
    fence_of,
    rdata_type,
    record_set_of,
)
from failover.dnszones.rehearsal import rehearse
from failover.dnszones.resolving import resolver_answers
from failover.dnszones.update import build_assertion, build_update, refuse_unsound, too_large
from failover.dnszones.verify import verify_server
from failover.model.errors import (
    Conflict,
    FencedOff,
    LocalFault,
    OutcomeUnknown,
    Rejected,
    TargetError,
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

READS_MAX = 3


class RFC2136Zone:
    """The DNSZone port over one zone: reads and changes at its primary, read-back at every authoritative address.

    One TCP connection to the primary is kept and shared. One update is under way per zone, and one change (update
    and its read-back) per application. A change is sent once: what is ambiguous is the caller's to read back.
    """

    def __init__(self, zone: Zone, *, mono: Callable[[], float]) -> None:
        self.name = zone.name
        self.entry = zone
        self._apex = absolute_name(zone.apex)
        self._mono = mono
        if zone.primary is None:
            raise LocalFault(f"zone {zone.name}: no `primary` that takes its updates", target=zone.name)
        self._primary = zone.primary
        self._target = f"zone {zone.name}: primary {zone.primary.address} port {zone.primary.port}"
        self._key: dns.tsig.Key | None = None
        self._connection: Connection | None = None
        self._connecting = asyncio.Lock()
        self._writing = asyncio.Lock()
        self._applications: defaultdict[ApplicationName, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._serial: int | None = None
        self.delegated = DelegatedServers(zone, mono=mono, published=self._published)

    @property
    def capabilities(self) -> ZoneCapabilities:
        """Plain record sets: no weights (duplicate records collapse), one message of 64 KiB is atomic."""
        return CAPABILITIES["rfc2136"]

    async def read(
        self, names: Sequence[RecordSet | tuple[str, str]], applications: Sequence[ApplicationName]
    ) -> ZoneState:
        """The asked record sets and fences at the primary, each whole; a CNAME that stands in their place as well.

        Asked again while the serial moves meanwhile. In a zone that never rests the fences are the older part: a
        compare-and-swap built on that fails. Raises Unavailable, Rejected, LocalFault; never a partial state.
        """
        for _ in range(READS_MAX):
            state = await self._read_once(names, applications)
            if await self._read_serial() == state.serial:
                break
        return state

    async def _read_once(
        self, names: Sequence[RecordSet | tuple[str, str]], applications: Sequence[ApplicationName]
    ) -> ZoneState:
        pairs = dict.fromkeys(item.key if isinstance(item, RecordSet) else item for item in names)
        questions = [(absolute_name(name), rdata_type(kind)) for name, kind in pairs]
        serial, fences = await asyncio.gather(
            self._read_serial(), self._read_fences(tuple(dict.fromkeys(applications)))
        )
        record_sets: dict[tuple[str, str], RecordSet] = {}
        for found in await self._ask_all(questions):
            for rrset in (found.rrset, found.alias):
                if rrset is not None:
                    record_set = record_set_of(rrset)
                    record_sets[record_set.key] = record_set
        return ZoneState(
            zone=self.name,
            record_sets=tuple(record_sets[key] for key in sorted(record_sets)),
            fences=fences,
            serial=serial,
            read_mono=self._mono(),
        )

    async def change(self, permit: Permit, change: ZoneChange) -> None:
        """One atomic update, fence included, then a look at the primary whether it took effect.

        Raises Conflict or FencedOff (nothing changed), Rejected, LocalFault, Unavailable (not sent), OutcomeUnknown.
        """
        refuse_unsound(self.entry, permit, change)
        async with self._applications[change.application]:
            rcode = await self._send_update(permit, change)
            if rcode in PRECONDITION_RCODES:
                raise await self._why_not(change, dns.rcode.to_text(rcode))
            if rcode != dns.rcode.NOERROR:
                raise refused_update(rcode, zone=self.name, apex=self.entry.apex, key=self._key_name())
            await self._read_back(change)

    async def verify(self, record_sets: Sequence[RecordSet]) -> tuple[ServerAnswer, ...]:
        """Ask every authoritative address at once, in the policy's order, then those that clients are sent to besides.

        Each must have the serial that the primary had after our last change; where none is known, after a restart or in a
        standby, or since we lead anew, the one that it has now. A dead primary does not keep its secondaries from being asked.
        """
        wanted = tuple(canonical_record_set(item) for item in record_sets)
        serial = self._serial
        if serial is None:
            with contextlib.suppress(TargetError):
                serial = await self._read_serial()

        async def ask(server: NameServer, whole: bool = True) -> ServerAnswer:
            timeout_s = self.entry.timeout_s
            least = serial if whole else None
            return await verify_server(server, wanted, self._apex, timeout_s=timeout_s, expected_serial=least)

        listed = asyncio.gather(*(ask(server) for server in self.entry.authoritative))
        answers, delegated = await asyncio.gather(listed, self.delegated.answers(ask))
        return (*answers, *delegated)

    async def ask_resolvers(self, record_sets: Sequence[RecordSet]) -> tuple[ServerAnswer, ...]:
        """What the recursive servers that the policy names give."""
        return await resolver_answers(self.entry, record_sets)

    async def check(self, names: Sequence[tuple[str, str]]) -> tuple[RightProblem, ...]:
        """Everything that a failover would need of this zone, asked without changing anything."""
        return await rehearse(
            self.entry, names, ask=self._ask, exchange=self._exchange_signed, delegated=self.delegated
        )

    async def quotas(self) -> tuple[Quota, ...]:
        """A name server counts nothing."""
        return ()

    def forget(self) -> None:
        """The serial of our last change: a server that has it may lack what another leader changed since."""
        self._serial = None

    async def close(self) -> None:
        """Close the connection; the zone may be used again afterwards."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    # The wire.

    async def _connect(self) -> Connection:
        async with self._connecting:
            if self._connection is None or not self._connection.usable:
                await self.close()
                if not self.entry.tsig_key_file:
                    raise LocalFault(
                        f"zone {self.name}: no `tsigKeyFile`: updates are always signed", target=self.name
                    )
                self._key = load_key(Path(self.entry.tsig_key_file))
                primary = self._primary
                self._connection = await open_connection(
                    primary.address, primary.port, timeout_s=self.entry.timeout_s
                )
            return self._connection

    def _key_name(self) -> str:
        return self._key.name.to_text(omit_final_dot=True) if self._key is not None else "(none)"

    def _translate(self, error: WireError, *, sent_changes: bool) -> TargetError:
        ours = translate(error, target=self._target, key=self._key_name(), sent_changes=sent_changes)
        if isinstance(ours, LocalFault) and self._connection is not None:
            # The key is read with every new connection, so that one put right on disk is used at once.
            self._connection.abort(NoAnswer("the primary does not accept the key"))
        return ours

    async def _exchange_signed(self, message: dns.message.Message) -> dns.message.Message:
        """Ask the primary something that changes nothing; once more where a kept connection has broken off."""
        for attempt in (1, 2):
            try:
                connection = await self._connect()
            except NotSent as error:
                raise self._translate(error, sent_changes=False) from None
            message.use_tsig(self._key)
            try:
                return await connection.exchange(message, timeout_s=self.entry.timeout_s)
            except (NotSent, NoAnswer) as error:
                if attempt == 2 or error.timed_out:
                    raise self._translate(error, sent_changes=False) from None
            except (BadAnswer, dns.tsig.PeerError) as error:
                raise self._translate(error, sent_changes=False) from None
        raise AssertionError("the second attempt returns or raises")

    async def _ask(self, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> Found:
        question = dns.message.make_query(name, kind, flags=dns.flags.Flag(0))
        answer = await self._exchange_signed(question)
        return read_found(answer, name, kind, self._apex, target=self._target)

    async def _ask_all(
        self, questions: Sequence[tuple[dns.name.Name, dns.rdatatype.RdataType]]
    ) -> list[Found]:
        results = await asyncio.gather(*(self._ask(*item) for item in questions), return_exceptions=True)
        found = []
        for result in results:
            if isinstance(result, BaseException):
                raise result  # one unread name is an unread zone
            found.append(result)
        return found

    async def _read_serial(self) -> int:
        found = await self._ask(self._apex, dns.rdatatype.SOA)
        if found.rrset is None:
            raise Rejected(f"{self._target} has no zone {self.entry.apex}", target=self.name)
        return int(found.rrset[0].serial)

    async def _published(self) -> Published:
        """The zone's own NS, and what it holds of their addresses."""
        found = await self._ask(self._apex, dns.rdatatype.NS)
        names = sorted(item.target.canonicalize() for item in found.rrset or ())
        inside = [(name, kind) for name in names if name.is_subdomain(self._apex) for kind in TYPES]
        held = {name.to_text(): frozenset[str]() for name in names}
        for (name, _), answer in zip(inside, await self._ask_all(inside), strict=True):
            held[name.to_text()] |= {item.address for item in answer.rrset or ()}
        return Published(addresses=held)

    async def _read_fences(self, applications: Sequence[ApplicationName]) -> tuple[FenceRecord, ...]:
        questions = [(fence_name(item, self._apex), dns.rdatatype.TXT) for item in applications]
        fences = []
        for application, found in zip(applications, await self._ask_all(questions), strict=True):
            rrset = found.rrset or found.alias
            if rrset is not None:
                fences.append(fence_of(rrset, application))
        return tuple(fences)

    # Changing.

    async def _send_update(self, permit: Permit, change: ZoneChange) -> dns.rcode.Rcode:
        def permitted() -> None:
            if not permit.still_good(self._mono()):
                raise Unavailable(
                    f"zone {self.name}: the permit for {permit.intent} has expired (the lease ends soon or ended); "
                    "nothing was sent",
                    target=self.name,
                )

        message = build_update(self.entry, change)  # before the lock: while another's is under way
        async with self._writing:
            for attempt in (1, 2):
                try:
                    connection = await self._connect()
                    message.use_tsig(self._key)
                    timeout_s = self.entry.timeout_s
                    answer = await connection.exchange(message, timeout_s=timeout_s, before_send=permitted)
                    return answer.rcode()
                except NotSent as error:  # the server closed the kept connection: not a byte has left
                    if attempt == 2 or error.timed_out:
                        raise self._translate(error, sent_changes=False) from None
                except WIRE_ERRORS as error:
                    raise self._translate(error, sent_changes=True) from None
                except dns.exception.TooBig:
                    raise too_large(self.entry, change) from None
        raise AssertionError("the second attempt returns or raises")

    async def _why_not(self, change: ZoneChange, rcode: str) -> TargetError:
        """After a prerequisite failed: a newer or foreign fence means stop, everything else means decide again."""
        where = f"zone {self.name}, application {change.application}"
        try:
            state = await self.read([item.after for item in change.changes], [change.application])
        except TargetError as error:
            return Conflict(
                f"{where}: changed by somebody else ({rcode}); a look failed: {error}", target=self.name
            )
        return explain_conflict(state, change, rcode)

    async def _holds(self, change: ZoneChange) -> bool:
        """Ask in one message whether everything stands as intended: prerequisites alone change nothing (RFC 2136 2.4).

        They compare no TTLs: those are read back at every server, this one among them.
        """
        answer = await self._exchange_signed(build_assertion(self.entry, change))
        if answer.rcode() != dns.rcode.NOERROR:
            return False
        self._serial = await self._read_serial()
        return True

    async def _read_back(self, change: ZoneChange) -> None:
        """NOERROR is not proof: servers answer it and ignore what their rules forbid (facts/dns.md 2.3)."""
        where = f"zone {self.name}, application {change.application}"
        try:
            if await self._holds(change):
                return
            state = await self.read([item.after for item in change.changes], [change.application])
        except TargetError as error:
            raise OutcomeUnknown(
                f"{where}: accepted, but it cannot be read back: {error}", target=self.name
            ) from None
        fence = state.fence(change.application)
        if fence_text(fence) != change.fence_after.text:
            foreign = foreign_fence(fence, change.fence_after) if fence is not None else ""
            kind = FencedOff if foreign else OutcomeUnknown
            raise kind(
                f"{where}: accepted, and then the fence was {fence_text(fence) or 'gone'}", target=self.name
            )
        self._serial = state.serial
        actual = {item.key: item for item in state.record_sets}
        wanted = [canonical_record_set(item.after) for item in change.changes]
        ignored = [item.name for item in wanted if not item.same_data(actual.get(item.key))]
        if ignored:
            raise Rejected(
                f"{where}: the primary accepted the update and did not apply it to {', '.join(ignored[:5])} "
                f"({len(ignored)} of {len(wanted)} names); look for records of other types at these names",
                target=self.name,
            )

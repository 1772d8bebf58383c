"""Read-back at one authoritative server, as a resolver would ask: UDP, then TCP, no recursion, no key (I15)."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.tsig

from failover.dnszones.answers import WIRE_ERRORS, read_found
from failover.dnszones.connection import Connection, open_connection
from failover.dnszones.datagrams import Datagrams, open_datagrams
from failover.dnszones.fences import fence_text
from failover.dnszones.names import absolute_name, fence_name, fence_of, rdata_type, record_set_of
from failover.dnszones.quick import QuickQuestion
from failover.model.errors import TargetError
from failover.model.policy import NameServer
from failover.model.records import FenceRecord, RecordSet, ServerAnswer

PARALLEL_PER_SERVER = 64
WEIGHTED_LOOKS = 6
SAMPLE = 4
"""Record sets at each end of a change that are asked first: until a server has it, asking for all would only load it."""

UDP_SHARE = 0.3
"""Share of the deadline that the answer over UDP may take: one lost datagram must leave time for TCP."""


OVERALL_TIMES = 10
"""All questions of one look together may take this many times what one may: a slow server is not a silent one."""


class Silent(Exception):
    """No answer that says anything about the zone's content: silence, SERVFAIL, REFUSED. `timed_out`: nothing came at all."""

    def __init__(self, sentence: str, *, timed_out: bool = False) -> None:
        self.timed_out = timed_out
        super().__init__(sentence)


async def verify_server(
    server: NameServer,
    wanted: Sequence[RecordSet],
    apex: dns.name.Name,
    *,
    timeout_s: float,
    expected_serial: int | None,
    expected_fences: Sequence[FenceRecord] = (),
) -> ServerAnswer:
    """Whether a server answers every wanted (canonical) record set with AA, exact values and TTL. Never raises.

    One whose serial is older than `expected_serial` does not serve the change, whatever it answers: it may hold the same
    values from before two changes, of which it has yet to pass through the first. Where serials say nothing, neither does
    one that has not each of `expected_fences`, or one of a newer epoch in its place.
    It is silent unless it answers for all of them; one that answers something else is wrong even if half silent.
    `timeout_s`: of each question; once one got no answer in its time, no further ones are asked.
    """
    name = f"{server.address} port {server.port}"
    asker = Asker(server, timeout_s=timeout_s)
    try:
        return await _verify(asker, name, wanted, apex, expected_serial, expected_fences)
    except Silent as error:
        return ServerAnswer(server=name, answered=False, matches=False, detail=str(error))
    except TargetError as error:
        return ServerAnswer(server=name, answered=True, matches=False, detail=str(error))
    finally:
        await asker.close()


async def _verify(
    asker: "Asker",
    name: str,
    wanted: Sequence[RecordSet],
    apex: dns.name.Name,
    expected_serial: int | None,
    expected_fences: Sequence[FenceRecord],
) -> ServerAnswer:
    serial = await read_serial(asker, apex)
    if expected_serial is not None and serial_before(serial, expected_serial):
        lags = f"it lags: serial {serial}, the primary had {expected_serial}"
        return ServerAnswer(server=name, answered=True, matches=False, serial=serial, detail=lags)
    for fence in expected_fences:
        if lags := await _lags_behind(asker, fence, apex):
            return ServerAnswer(server=name, answered=True, matches=False, serial=serial, detail=lags)
    at_least, sample = "", (*wanted[:SAMPLE], *wanted[-SAMPLE:])
    differences, unanswered = await _looked(asker, sample if len(wanted) > len(sample) else (), apex)
    if differences or unanswered:
        at_least = "at least "  # it does not serve the change yet: the rest need not be asked to say so
    else:
        differences, unanswered = await _looked(asker, wanted, apex)
    if not differences and not unanswered:
        return ServerAnswer(server=name, answered=True, matches=True, serial=serial)
    problems = differences or unanswered
    detail = f"{at_least}{len(problems)} of {len(wanted)} record sets {'differ' if differences else 'unanswered'}: {problems[0]}"
    return ServerAnswer(server=name, answered=bool(differences), matches=False, serial=serial, detail=detail)


async def _lags_behind(asker: "Asker", expected: FenceRecord, apex: dns.name.Name) -> str:
    """How the server lags behind the change that left this fence, "" if it does not. Raises Silent, TargetError."""
    name, kind = fence_name(expected.application, apex), dns.rdatatype.TXT
    answer = await asker.ask(name, kind)
    rrset = read_found(answer, name, kind, apex, target=asker.target).rrset
    found = fence_of(rrset, expected.application) if rrset is not None else None
    if found is not None and (found.text == expected.text or found.epoch > expected.epoch):
        return ""
    return f"it lags: its fence is {fence_text(found) or 'absent'}, and the last change left {expected.text}"


async def _looked(
    asker: "Asker", wanted: Sequence[RecordSet], apex: dns.name.Name
) -> tuple[list[str], list[str]]:
    """(what differs, what was not answered) of these record sets, in sentences."""
    bound = asyncio.Semaphore(PARALLEL_PER_SERVER)
    gone: list[Silent] = []

    async def look(record_set: RecordSet) -> str:
        async with bound:
            if gone:  # it answered nothing in a question's whole time: it is not waited for name by name
                raise gone[0]
            try:
                return await _look(asker, record_set, apex)
            except Silent as error:
                gone.extend([error] if error.timed_out else [])
                raise

    looks = await asyncio.gather(*(look(item) for item in wanted), return_exceptions=True)
    differences, unanswered = [], []
    for item, result in zip(wanted, looks, strict=True):
        if isinstance(result, str):
            if result:
                differences.append(f"{item.name} {item.record_type}: {result}")
        elif isinstance(result, Silent):
            unanswered.append(f"{item.name} {item.record_type}: {result}")
        elif isinstance(result, TargetError):
            differences.append(str(result))
        else:
            raise result
    return differences, unanswered


async def _look(asker: "Asker", record_set: RecordSet, apex: dns.name.Name) -> str:
    """How the server's answer differs from a wanted record set, "" if it does not."""
    if QuickQuestion.fits(record_set):
        plain = await asker.gives(QuickQuestion(absolute_name(record_set.name), record_set))
        return "" if plain else await _look_once(asker, record_set, apex, by_udp=plain is not None)
    for _ in range(WEIGHTED_LOOKS):  # one answer gives one value: none of them may be a wrong one
        if difference := await _look_once(asker, record_set, apex):
            return difference
    return ""


async def _look_once(
    asker: "Asker", record_set: RecordSet, apex: dns.name.Name, *, by_udp: bool = True
) -> str:
    name, kind = absolute_name(record_set.name), rdata_type(record_set.record_type)
    answer = await asker.ask(name, kind, by_udp=by_udp)
    found = read_found(answer, name, kind, apex, target=asker.target)
    if found.rrset is None:
        return f"a CNAME to {found.alias[0]}" if found.alias is not None else "no such record set"
    actual = record_set_of(found.rrset)
    if record_set.weights and actual.values and set(actual.values) <= set(record_set.answered):
        actual = replace(actual, values=record_set.values)
    if actual.values != record_set.values:
        return f"{', '.join(actual.values)} instead of {', '.join(record_set.values)}"
    if actual.ttl != record_set.ttl:
        return f"TTL {actual.ttl} instead of {record_set.ttl}"
    return ""


async def read_serial(asker: "Asker", apex: dns.name.Name) -> int:
    """The zone's serial at a server. Raises Silent, or TargetError where it answers but not for the zone."""
    found = read_found(
        await asker.ask(apex, dns.rdatatype.SOA), apex, dns.rdatatype.SOA, apex, target=asker.target
    )
    if found.rrset is None:
        raise Silent("it has no SOA of the zone")
    return int(found.rrset[0].serial)


def serial_before(serial: int, other: int) -> bool:
    """Whether a serial is older than another (RFC 1982 arithmetic)."""
    return serial != other and (other - serial) % 2**32 < 2**31


class Asker:
    """Asks one server: each question for at most `timeout_s`, all of them together for `OVERALL_TIMES` as long."""

    def __init__(self, server: NameServer, *, timeout_s: float) -> None:
        self.target = f"name server {server.address} port {server.port}"
        self._server = server
        self._timeout_s = timeout_s
        self._deadline = asyncio.get_running_loop().time() + timeout_s * OVERALL_TIMES
        self._udp: Datagrams | None = None
        self._tcp: Connection | None = None
        self._opening = asyncio.Lock()

    async def ask(
        self, name: dns.name.Name, kind: dns.rdatatype.RdataType, *, by_udp: bool = True
    ) -> dns.message.Message:
        """One answer over UDP, or over TCP where UDP is cut short or silent. Raises Silent."""
        question = dns.message.make_query(name, kind, flags=dns.flags.Flag(0), use_edns=0, payload=1232)
        until = self._until()
        answer = await self._by_udp(question) if by_udp else None
        if answer is None:
            answer = await self._by_tcp(question, until)
        if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            raise Silent(f"it answers {dns.rcode.to_text(answer.rcode())}")
        return answer

    async def _by_udp(self, question: dns.message.Message) -> dns.message.Message | None:
        udp = await self._datagrams()
        return None if udp is None else await udp.ask(question, timeout_s=self._udp_share())

    async def gives(self, question: QuickQuestion) -> bool | None:
        """Whether it plainly gives what is wanted; False says only that it must be asked in full, None that UDP is no way."""
        udp = await self._datagrams()
        if udp is None:
            return None
        answer = await udp.exchange(question.wire, question.is_answer, timeout_s=self._udp_share())
        return None if answer is None else question.is_as_wanted(answer)

    async def _datagrams(self) -> Datagrams | None:
        async with self._opening:
            if self._udp is None:
                self._udp = await open_datagrams(self._server.address, self._server.port)
            return self._udp

    def _udp_share(self) -> float:
        return min(_left(self._deadline), self._timeout_s * UDP_SHARE)

    async def _by_tcp(self, question: dns.message.Message, until: float) -> dns.message.Message:
        try:
            async with self._opening:
                if self._tcp is None or not self._tcp.usable:
                    await self._close_tcp()
                    self._tcp = await open_connection(
                        self._server.address, self._server.port, timeout_s=_left(until)
                    )
            return await self._tcp.exchange(question, timeout_s=_left(until))
        except WIRE_ERRORS as error:
            raise Silent(str(error), timed_out=getattr(error, "timed_out", False)) from None

    def _until(self) -> float:
        """When a question that is asked now has had its time."""
        return min(asyncio.get_running_loop().time() + self._timeout_s, self._deadline)

    async def close(self) -> None:
        """Close both ways."""
        if self._udp is not None:
            self._udp.close()
        await self._close_tcp()

    async def _close_tcp(self) -> None:
        connection, self._tcp = self._tcp, None
        if connection is not None:
            await connection.close()


def _left(until: float) -> float:
    return max(0.0, until - asyncio.get_running_loop().time())

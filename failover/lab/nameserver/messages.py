"""From one message on the wire to its answer: parsing, TSIG (RFC 8945), opcode, faults. No sockets."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.tsig
import dns.update

from failover.lab.nameserver.content import Content
from failover.lab.nameserver.faults import Faults
from failover.lab.nameserver.plain import plain_answer

UNMET = (dns.rcode.NXRRSET, dns.rcode.YXRRSET, dns.rcode.NXDOMAIN, dns.rcode.YXDOMAIN)
"""How a prerequisite that does not hold is answered (RFC 2136 section 3.2)."""

FENCE_LABEL = b"_failover-fence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """`wire` None: no answer is sent. `content`: the zone's next version where an update made one.

    `refused`: of an update whose prerequisites did not hold, the answer, the fence that it brought, and the one that stands.
    """

    wire: bytes | None
    content: Content | None = None
    refused: tuple[str, str, str] | None = None


class _TsigFault(Exception):
    """A signature that does not hold. `error`: BADKEY, BADSIG or BADTIME."""

    def __init__(self, error: dns.rcode.Rcode) -> None:
        self.error = error
        super().__init__(dns.rcode.to_text(error))


class Responder:
    """Answers messages by the keys that it knows; every known key may update every zone."""

    def __init__(self, keys: Mapping[dns.name.Name, dns.tsig.Key]) -> None:
        self._keys = dict(keys)

    def respond(
        self,
        wire: bytes,
        zones: Mapping[dns.name.Name, Content],
        faults: Faults,
        *,
        accepts_updates: bool,
        throttled: Callable[[], bool],
        max_size: int,
    ) -> Outcome:
        """Judge one message. `throttled()` is asked once for each update that would be applied."""
        if len(wire) < 12 or wire[2] & 0x80:
            return Outcome(wire=None)  # too short to answer, or itself an answer
        if not faults.servfail and (plain := plain_answer(wire, zones, max_size=max_size)) is not None:
            return Outcome(wire=plain)
        return self.respond_in_full(
            wire, zones, faults, accepts_updates=accepts_updates, throttled=throttled, max_size=max_size
        )

    def respond_in_full(
        self,
        wire: bytes,
        zones: Mapping[dns.name.Name, Content],
        faults: Faults,
        *,
        accepts_updates: bool,
        throttled: Callable[[], bool],
        max_size: int,
    ) -> Outcome:
        """The same by dnspython's parser, for every kind of message."""
        try:
            message = self._parse(wire, faults)
        except _TsigFault as fault:
            return Outcome(wire=_refuse_signature(wire, fault.error))
        except (dns.exception.DNSException, ValueError, NotImplementedError):
            return Outcome(wire=_bare(wire, dns.rcode.FORMERR))
        answer = dns.message.make_response(message, our_payload=1232)
        content: Content | None = None
        refused: tuple[str, str, str] | None = None
        if faults.servfail:
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif message.opcode() == dns.opcode.QUERY:
            _answer_question(message, answer, zones)
        elif isinstance(message, dns.update.UpdateMessage):
            if faults.drop_updates > 0:
                faults.drop_updates -= 1
                return Outcome(wire=None)
            rcode, content = _update(message, zones, faults, accepts_updates, throttled)
            answer.set_rcode(rcode)
            if rcode in UNMET:
                refused = (dns.rcode.to_text(rcode), *_fences(message, zones))
            if content is not None and faults.lose_answers > 0:
                faults.lose_answers -= 1
                return Outcome(wire=None, content=content)
        else:
            answer.set_rcode(dns.rcode.NOTIMP)
        limit = min(max_size, message.payload if message.edns >= 0 else 512) if max_size < 65535 else 65535
        wire = answer.to_wire(max_size=limit, prefer_truncation=True)
        return Outcome(wire=wire, content=content, refused=refused)

    def _parse(self, wire: bytes, faults: Faults) -> dns.message.Message:
        try:
            message = dns.message.from_wire(wire, keyring=self._keys)
        except (dns.message.UnknownTSIGKey, dns.tsig.BadKey, dns.tsig.BadAlgorithm):
            raise _TsigFault(dns.rcode.BADKEY) from None
        except dns.tsig.BadSignature:
            raise _TsigFault(dns.rcode.BADSIG) from None
        except dns.tsig.BadTime:
            raise _TsigFault(dns.rcode.BADTIME) from None
        if message.tsig is not None:
            if faults.rejects_key:
                raise _TsigFault(dns.rcode.BADSIG)
            signed = message.tsig[0]
            if abs(signed.time_signed - (time.time() + faults.clock_offset_s)) > signed.fudge:
                raise _TsigFault(dns.rcode.BADTIME)
        return message


def _answer_question(
    message: dns.message.Message, answer: dns.message.Message, zones: Mapping[dns.name.Name, Content]
) -> None:
    if len(message.question) != 1:
        answer.set_rcode(dns.rcode.FORMERR)
        return
    question = message.question[0]
    content = _zone_of(question.name.canonicalize(), zones)
    transfer = question.rdtype in (dns.rdatatype.AXFR, dns.rdatatype.IXFR)
    if content is None or transfer or question.rdclass != dns.rdataclass.IN:
        answer.set_rcode(dns.rcode.REFUSED)
        return
    found = content.query(question.name.canonicalize(), question.rdtype)
    answer.set_rcode(found.rcode)
    answer.answer = list(found.answer)
    answer.authority = list(found.authority)
    if found.authoritative:
        answer.flags |= dns.flags.AA


def _zone_of(name: dns.name.Name, zones: Mapping[dns.name.Name, Content]) -> Content | None:
    """The closest zone above a name."""
    return max(
        (content for apex, content in zones.items() if name.is_subdomain(apex)),
        key=lambda content: len(content.apex),
        default=None,
    )


def _update(
    message: dns.update.UpdateMessage,
    zones: Mapping[dns.name.Name, Content],
    faults: Faults,
    accepts_updates: bool,
    throttled: Callable[[], bool],
) -> tuple[dns.rcode.Rcode, Content | None]:
    if len(message.zone) != 1:
        return dns.rcode.FORMERR, None
    content = zones.get(message.zone[0].name.canonicalize())
    if content is None:
        return dns.rcode.NOTAUTH, None
    if not message.had_tsig or not accepts_updates or faults.refuse_updates:
        return dns.rcode.REFUSED, None
    if throttled():
        return dns.rcode.SERVFAIL, None
    rcode, following = content.updated(message)
    if rcode != dns.rcode.NOERROR or faults.ignore_updates:
        return rcode, None
    return rcode, following


def _fences(message: dns.update.UpdateMessage, zones: Mapping[dns.name.Name, Content]) -> tuple[str, str]:
    """Texts of the fence that an update would write, and of the one that stands at its name; "" for none."""
    for rrset in message.update:
        if rrset.rdtype == dns.rdatatype.TXT and len(rrset) and rrset.name.labels[0] == FENCE_LABEL:
            name = rrset.name.canonicalize()
            content = _zone_of(name, zones)
            stands = content.query(name, dns.rdatatype.TXT).answer if content is not None else ()
            return _text_of(rrset), "".join(_text_of(item) for item in stands)
    return "", ""


def _text_of(rrset: dns.rrset.RRset) -> str:
    return " | ".join(b"".join(item.strings).decode(errors="replace") for item in rrset)


def _bare(wire: bytes, rcode: dns.rcode.Rcode) -> bytes:
    """A header-only answer: same id and opcode, QR set."""
    flags = (int.from_bytes(wire[2:4], "big") & 0x7900) | 0x8000 | int(rcode)
    return wire[:2] + flags.to_bytes(2, "big") + bytes(8)


def _refuse_signature(wire: bytes, error: dns.rcode.Rcode) -> bytes:
    """NOTAUTH with the TSIG error and an empty MAC (RFC 8945 section 5.3.2: what cannot be verified is not signed)."""
    message = dns.message.from_wire(wire, keyring=lambda _message, _name: False)
    assert message.tsig is not None
    name, signature = message.tsig.name, message.tsig[0]
    message.tsig = None
    answer = dns.message.make_response(message)
    answer.set_rcode(dns.rcode.NOTAUTH)
    other = int(time.time()).to_bytes(6, "big") if error == dns.rcode.BADTIME else b""
    answer.tsig = dns.rrset.from_rdata(name, 0, signature.replace(mac=b"", error=int(error), other=other))
    return answer.to_wire()

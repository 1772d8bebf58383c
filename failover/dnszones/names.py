"""Between our record sets and dnspython's: canonical names and values, and the fence as a TXT record."""

from functools import lru_cache
from ipaddress import ip_address

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.TXT
import dns.rrset

from failover.dnszones.fences import UNREADABLE_OWNER
from failover.model.errors import Rejected
from failover.model.ids import ApplicationName, Epoch
from failover.model.records import FenceRecord, RecordSet, RecordType

FENCE_LABEL = "_failover-fence"


@lru_cache(maxsize=8192)
def absolute_name(text: str) -> dns.name.Name:
    """A name as written, taken as absolute with or without its final dot, in lower case. Raises Rejected."""
    try:
        return dns.name.from_text(text, dns.name.root).canonicalize()
    except (dns.exception.DNSException, UnicodeError) as error:
        raise Rejected(f"{text!r} is not a domain name: {error}") from None


def rdata_type(record_type: str) -> dns.rdatatype.RdataType:
    """The number of a type that we manage. Raises Rejected for NS, SOA, DS and every other (I14)."""
    try:
        return dns.rdatatype.from_text(RecordType(record_type).value)
    except ValueError:
        managed = ", ".join(item.value for item in RecordType)
        raise Rejected(f"{record_type} records are never read or changed; only {managed}") from None


def rdata_of(record_set: RecordSet) -> tuple[dns.rdata.Rdata, ...]:
    """Its values as rdata in canonical order, once each. Raises Rejected for a value that does not fit the type."""
    found: set[dns.rdata.Rdata] = set()
    for value in record_set.values:
        text = absolute_name(value).to_text() if record_set.record_type is RecordType.CNAME else value
        try:
            found.add(_rdata(record_set.record_type, text))
        except (dns.exception.DNSException, ValueError) as error:
            raise Rejected(
                f"{record_set.name} {record_set.record_type}: {value!r} is not a value of this type: {error}"
            ) from None
    return tuple(sorted(found)) if len(found) > 1 else tuple(found)


@lru_cache(maxsize=8192)
def _rdata(record_type: RecordType, text: str) -> dns.rdata.Rdata:
    """Kept: a thousand names of a zone share a handful of endpoints, and dnspython's parser takes 60 us for each."""
    return dns.rdata.from_text(dns.rdataclass.IN, rdata_type(record_type), text)


def record_set_of(rrset: dns.rrset.RRset) -> RecordSet:
    """Our value of an RRset: lower case, absolute, values sorted as text."""
    return RecordSet(
        name=rrset.name.canonicalize().to_text(),
        record_type=RecordType(dns.rdatatype.to_text(rrset.rdtype)),
        ttl=rrset.ttl,
        values=tuple(sorted(_text(item) for item in rrset)),
    )


@lru_cache(maxsize=8192)
def canonical_record_set(record_set: RecordSet) -> RecordSet:
    """The same data as a server would give it back: what two record sets are compared by. Raises Rejected."""
    values = tuple(sorted(_text(item) for item in rdata_of(record_set)))
    weights: tuple[int, ...] = ()
    if record_set.weights:
        by_value = {canonical_value(record_set, index): w for index, w in enumerate(record_set.weights)}
        weights = tuple(by_value[value] for value in values)
    return RecordSet(
        name=absolute_name(record_set.name).to_text(),
        record_type=record_set.record_type,
        ttl=record_set.ttl,
        values=values,
        weights=weights,
    )


def canonical_value(record_set: RecordSet, index: int) -> str:
    """One value of a record set in canonical text. Raises Rejected."""
    one = RecordSet(
        name=record_set.name,
        record_type=record_set.record_type,
        ttl=record_set.ttl,
        values=(record_set.values[index],),
    )
    return _text(rdata_of(one)[0])


def _text(rdata: dns.rdata.Rdata) -> str:
    """A value as the rest of the program writes it: names in lower case, addresses as `ipaddress` spells them."""
    text = rdata.to_text().lower()
    return text if rdata.rdtype == dns.rdatatype.CNAME else str(ip_address(text))


def fence_name(application: ApplicationName, apex: dns.name.Name) -> dns.name.Name:
    """`_failover-fence.<application>.<apex>`. Raises Rejected where that is no name."""
    return absolute_name(f"{FENCE_LABEL}.{application}.{apex.to_text()}")


def fence_rdata(fence: FenceRecord) -> dns.rdata.Rdata:
    """The TXT record of a fence: its text in strings of 255 bytes."""
    raw = fence.text.encode()
    strings = [raw[start : start + 255] for start in range(0, len(raw), 255)]
    return dns.rdtypes.ANY.TXT.TXT(dns.rdataclass.IN, dns.rdatatype.TXT, strings)


def fence_of(rrset: dns.rrset.RRset, application: ApplicationName) -> FenceRecord:
    """The fence that a TXT RRset holds; one of the owner UNREADABLE_OWNER where it is not exactly one of ours.

    Such a fence is neither an error of the zone (one broken application must not hold up the others) nor absent.
    """
    if len(rrset) == 1:
        raw = b"".join(rrset[0].strings)
        try:
            fence = FenceRecord.parse(raw.decode())
        except ValueError:  # UnicodeDecodeError included
            pass
        else:
            if fence.application == application and fence_rdata(fence) == rrset[0]:
                return fence
    text = " | ".join(sorted(item.to_text() for item in rrset))[:200]
    return FenceRecord(
        owner=UNREADABLE_OWNER,
        application=application,
        plan=text,
        generation="",
        epoch=Epoch(0),
        holder="",
    )

"""The common case of a read-back without a parser: the answer holds exactly the addresses wanted, with their TTL.

A thousand names at several servers are thousands of answers, and parsing each costs half a millisecond. What is not
plainly as wanted is asked and read again in full, so that nothing is judged wrong by this, and only equality is taken.
"""

from ipaddress import ip_address
from struct import Struct

import dns.name

from failover.dnszones.names import rdata_type
from failover.model.records import RecordSet, RecordType

_HEADER = Struct("!HHHHHH")
_RECORD = Struct("!HHHIH")
_POINTER = 0xC00C
"""To the name of the question, right after the header: how servers write an owner name."""

_NO_EDNS_FLAGS = 0x0000
_EDNS = b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00"
"""An OPT record that offers 1,232 bytes."""


class QuickQuestion:
    """The question for one plain set of addresses, and whether an answer gives exactly that."""

    def __init__(self, name: dns.name.Name, wanted: RecordSet) -> None:
        self._kind = int(rdata_type(wanted.record_type))
        self._section = name.to_digestable() + self._kind.to_bytes(2, "big") + b"\x00\x01"
        self._ttl = wanted.ttl
        self._rdatas = frozenset(ip_address(value).packed for value in wanted.values)

    @staticmethod
    def fits(wanted: RecordSet) -> bool:
        """Addresses without weights."""
        return wanted.record_type is not RecordType.CNAME and not wanted.weights

    def wire(self, number: int) -> bytes:
        """The question with this id, recursion not desired."""
        return _HEADER.pack(number, _NO_EDNS_FLAGS, 1, 0, 0, 1) + self._section + _EDNS

    def is_answer(self, wire: bytes) -> bool:
        """Whether this is an answer to the question at all."""
        return (
            len(wire) >= 12 and bool(wire[2] & 0x80) and wire[12 : 12 + len(self._section)] == self._section
        )

    def is_as_wanted(self, wire: bytes) -> bool:
        """Authoritative, whole, and exactly the wanted addresses and TTL."""
        if len(wire) < 12 + len(self._section):
            return False
        _, flags, questions, answers, _, _ = _HEADER.unpack_from(wire)
        whole = flags & 0x8400 == 0x8400 and not flags & 0x020F and questions == 1
        if not whole or answers != len(self._rdatas):
            return False
        place, found = 12 + len(self._section), set()
        for _ in range(answers):
            if len(wire) < place + _RECORD.size:
                return False
            pointer, kind, rdclass, ttl, size = _RECORD.unpack_from(wire, place)
            if (pointer, kind, rdclass, ttl) != (_POINTER, self._kind, 1, self._ttl):
                return False
            place += _RECORD.size
            found.add(wire[place : place + size])
            place += size
        return found == self._rdatas

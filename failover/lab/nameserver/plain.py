"""The common question without a parser: the addresses of one name. Stand-ins are asked for thousands, and must not be what
is measured. What is not plainly such a question gets no answer here, and the full one from `messages`.
"""

import random
from collections.abc import Mapping
from struct import Struct

import dns.exception
import dns.name
import dns.rdatatype

from failover.lab.nameserver.content import Content

_HEADER = Struct("!HHHHHH")
_RECORD = Struct("!HHHIH")
_POINTER = 0xC00C
_KINDS = {1: dns.rdatatype.A, 28: dns.rdatatype.AAAA}
_PLAIN_FLAGS = 0x0100
"""Of a question: recursion desired may be set, and nothing else."""

_AUTHORITATIVE = 0x8400
_OPT = b"\x00\x00\x29"
_OUR_OPT = b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00"
"""EDNS 0 with 1,232 bytes and no options."""


def plain_answer(wire: bytes, zones: Mapping[dns.name.Name, Content], *, max_size: int) -> bytes | None:
    """The answer to a plain question that a zone has a plain answer to, or None."""
    if len(wire) < _HEADER.size + 5:
        return None
    number, flags, questions, answers, authorities, additional = _HEADER.unpack_from(wire)
    if flags & ~_PLAIN_FLAGS or (questions, answers, authorities) != (1, 0, 0) or additional > 1:
        return None
    try:
        name, used = dns.name.from_wire(wire, _HEADER.size)
    except dns.exception.DNSException:
        return None
    end = _HEADER.size + used
    kind = _KINDS.get(int.from_bytes(wire[end : end + 2], "big"))
    if kind is None or wire[end + 2 : end + 4] != b"\x00\x01":
        return None
    size = _payload(wire[end + 4 :], additional)
    found = _records(name.canonicalize(), kind, zones) if size else None
    if found is None:
        return None
    count, records = found
    header = _HEADER.pack(number, flags | _AUTHORITATIVE, 1, count, 0, additional)
    answer = header + wire[_HEADER.size : end + 4] + records + (_OUR_OPT if additional else b"")
    return answer if len(answer) <= min(max_size, size) else None


def _payload(rest: bytes, additional: int) -> int:
    """How much the client takes; 0 where what follows the question is anything but an empty EDNS record."""
    if not additional:
        return 0 if rest else 512
    plain = len(rest) == len(_OUR_OPT) and rest[:3] == _OPT and not any(rest[5:])
    return max(512, int.from_bytes(rest[3:5], "big")) if plain else 0


def _records(
    name: dns.name.Name, kind: dns.rdatatype.RdataType, zones: Mapping[dns.name.Name, Content]
) -> tuple[int, bytes] | None:
    """(how many, their bytes) of a set that its closest zone holds itself, the same in every answer."""
    above = name
    while above not in zones:
        if above == dns.name.root:
            return None
        above = above.parent()
    content = zones[above]
    held = content.records.get((name, kind))
    if held is None or held.choices or content.delegates(name):
        return None
    records = [rdata.to_wire() for rdata in held.rdatas]
    random.shuffle(records)
    return len(records), b"".join(
        _RECORD.pack(_POINTER, kind, 1, held.ttl, len(item)) + item for item in records if item is not None
    )

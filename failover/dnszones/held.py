"""What a provider's API holds of one name and type, with the provider's own objects: what a deletion must name exactly."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from failover.dnszones.names import FENCE_LABEL, absolute_name, canonical_value, fence_of
from failover.model.errors import TargetError
from failover.model.ids import ApplicationName
from failover.model.records import FenceRecord, RecordSet, RecordType

Key = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One name and type. `raw`: the provider's objects; `values` in its text. A kind that we cannot write (an alias, a
    geographic policy) has values that say so: they belong to no cluster, so nothing ever takes them for an endpoint.
    """

    name: str
    kind: str
    ttl: int
    values: tuple[str, ...]
    weights: tuple[int, ...] = ()
    raw: tuple[Any, ...] = ()

    def record_set(self) -> RecordSet:
        """As the rest of the program knows it: canonical values, sorted, each with its weight."""
        plain = RecordSet(name=self.name, record_type=RecordType(self.kind), ttl=self.ttl, values=self.values)
        weights = dict(
            zip((_text(plain, index) for index in range(len(self.values))), self.weights, strict=False)
        )
        values = tuple(sorted(_text(plain, index) for index in range(len(self.values))))
        return RecordSet(
            name=self.name,
            record_type=plain.record_type,
            ttl=self.ttl,
            values=values,
            weights=tuple(weights[value] for value in values) if self.weights else (),
        )

    def fence(self, application: ApplicationName) -> FenceRecord:
        """The fence that a TXT holds, an unreadable one where it is not one of ours."""
        rrset = dns.rrset.RRset(absolute_name(self.name), dns.rdataclass.IN, dns.rdatatype.TXT)
        for value in self.values:
            try:
                rrset.add(dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.TXT, value))
            except dns.exception.DNSException:
                rrset.add(dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.TXT, '"unreadable"'))
        return fence_of(rrset, application)


def _text(record_set: RecordSet, index: int) -> str:
    try:
        return canonical_value(record_set, index)
    except TargetError:
        return record_set.values[index]


def record_sets_of(held: Mapping[Key, Held], asked: Iterable[Key]) -> tuple[RecordSet, ...]:
    """The asked record sets that exist, and each CNAME that stands in the place of one."""
    found: dict[Key, RecordSet] = {}
    for name, kind in asked:
        for key in ((name, kind), (name, RecordType.CNAME.value)):
            if key in held:
                found[key] = held[key].record_set()
    return tuple(found[key] for key in sorted(found))


def fences_of(
    held: Mapping[Key, Held], applications: Sequence[ApplicationName], apex: str
) -> tuple[FenceRecord, ...]:
    """The fences that exist."""
    found = []
    for application in dict.fromkeys(applications):
        item = held.get((fence_key(application, apex)[0], "TXT"))
        if item is not None:
            found.append(item.fence(application))
    return tuple(found)


def fence_key(application: ApplicationName, apex: str) -> Key:
    """(name, TXT) of an application's fence."""
    return absolute_name(f"{FENCE_LABEL}.{application}.{apex}").to_text(), "TXT"

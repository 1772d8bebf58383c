"""Record sets of the Route 53 stand-in, and a change batch's rules: all of it, or nothing and every reason."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

import dns.exception
import dns.rdata
import dns.rdataclass
import dns.rdatatype

from failover.lab.providers.behind import Key, Served
from failover.lab.providers.route53_checks import HealthCheck
from failover.lab.providers.xml import element, parse

ELEMENTS_MAX = 1_000
CHARACTERS_MAX = 32_000
GROUP_MAX = 100
TTL_MAX = 2_147_483_647
KINDS = frozenset({"A", "AAAA", "CNAME", "TXT", "NS", "SOA", "MX", "CAA", "SRV", "PTR", "DS"})


class Invalid(Exception):
    """A request that is refused: nothing was changed."""

    def __init__(self, sentence: str, code: str = "InvalidChangeBatch") -> None:
        self.code, self.sentence = code, sentence
        super().__init__(sentence)


@dataclass(frozen=True, slots=True, kw_only=True)
class RRSet:
    """One resource record set as Route 53 keeps it: `weight` None for a simple one."""

    name: str
    kind: str
    ttl: int
    values: tuple[str, ...]
    identifier: str = ""
    weight: int | None = None
    check: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.name, self.kind, self.identifier)

    def same(self, other: "RRSet") -> bool:
        """Equal in everything that a deletion must name; the order of values does not matter."""
        return (
            self.key == other.key
            and self.ttl == other.ttl
            and sorted(self.values) == sorted(other.values)
            and (self.weight, self.check) == (other.weight, other.check)
        )

    def xml(self) -> str:
        """Its document in a listing."""
        inner = element("Name", self.name) + element("Type", self.kind)
        if self.weight is not None:
            inner += element("SetIdentifier", self.identifier) + element("Weight", self.weight)
        inner += element("TTL", self.ttl)
        values = "".join(element("ResourceRecord", Value=value) for value in self.values)
        inner += f"<ResourceRecords>{values}</ResourceRecords>"
        if self.check:
            inner += element("HealthCheckId", self.check)
        return f"<ResourceRecordSet>{inner}</ResourceRecordSet>"


def sort_key(name: str, kind: str, identifier: str) -> tuple[tuple[str, ...], str, str]:
    """Route 53's order: by labels from the right, then type, then identifier."""
    labels = tuple(reversed(name.lower().rstrip(".").split(".")))
    return labels, kind, identifier


def _rrset(node: ElementTree.Element) -> RRSet:
    ttl = node.findtext("TTL")
    if ttl is None or node.find("AliasTarget") is not None:
        raise Invalid(
            "Invalid request: Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords]]",
            "InvalidInput",
        )
    weight = node.findtext("Weight")
    name = node.findtext("Name", "").lower()
    return RRSet(
        name=name if name.endswith(".") else name + ".",
        kind=node.findtext("Type", ""),
        ttl=int(ttl),
        values=tuple(item.findtext("Value", "") for item in node.iter("ResourceRecord")),
        identifier=node.findtext("SetIdentifier", ""),
        weight=None if weight is None else int(weight),
        check=node.findtext("HealthCheckId", ""),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """(action, record set) in the order of the request."""

    changes: tuple[tuple[str, RRSet], ...]

    def applied_to(
        self, rrsets: Mapping[tuple[str, str, str], RRSet], *, apex: str, checks: Mapping[str, HealthCheck]
    ) -> dict[tuple[str, str, str], RRSet]:
        """The zone after the whole batch. Raises Invalid with every reason against it."""
        wrong: list[str] = []
        after = dict(rrsets)
        seen: set[tuple[str, tuple[str, str, str]]] = set()
        for action, one in self.changes:
            what = f"[name='{one.name}', type='{one.kind}'{f', set identifier={one.identifier!r}' if one.identifier else ''}]"
            if (action, one.key) in seen:
                wrong.append(
                    f"The request contains an invalid set of changes for a resource record set {what}"
                )
            seen.add((action, one.key))
            wrong += [f"{sentence} {what}" for sentence in _problems(one, apex=apex)]
            if action != "DELETE" and one.check and one.check not in checks:
                wrong.append(f"No health check {one.check} {what}")
            held = after.get(one.key)
            if action == "DELETE":
                if held is None:
                    wrong.append(f"Tried to delete resource record set {what} but it was not found")
                elif not held.same(one):
                    wrong.append(
                        f"Tried to delete resource record set {what} but the values provided do not match the current values"
                    )
                elif one.name == apex and one.kind in ("NS", "SOA"):
                    wrong.append(
                        f"A HostedZone must contain exactly one SOA record and at least one NS record {what}"
                    )
                else:
                    del after[one.key]
            elif action == "CREATE" and held is not None:
                wrong.append(f"Tried to create resource record set {what} but it already exists")
            else:
                after[one.key] = one
        wrong += _group_problems(after, {one.name for _, one in self.changes})
        if wrong:
            raise Invalid("[" + ", ".join(wrong) + "]")
        return after


def parse_batch(body: bytes) -> Batch:
    """The batch of a ChangeResourceRecordSetsRequest. Raises Invalid for its shape and its size."""
    try:
        document = parse(body)
        changes = tuple(
            (node.findtext("Action", ""), _rrset(found))
            for node in document.iter("Change")
            if (found := node.find("ResourceRecordSet")) is not None
        )
    except (ElementTree.ParseError, ValueError) as error:
        raise Invalid(f"Invalid XML ; {error}", "InvalidInput") from None
    if not changes or any(action not in ("CREATE", "DELETE", "UPSERT") for action, _ in changes):
        raise Invalid("The request must contain changes", "InvalidInput")
    elements = sum(len(one.values) * (2 if action == "UPSERT" else 1) for action, one in changes)
    characters = sum(
        len(value) * (2 if action == "UPSERT" else 1) for action, one in changes for value in one.values
    )
    if elements > ELEMENTS_MAX:
        raise Invalid(f"Number of records limit of {ELEMENTS_MAX} exceeded.")
    if characters > CHARACTERS_MAX:
        raise Invalid(f"Number of characters limit of {CHARACTERS_MAX} exceeded.")
    return Batch(changes=changes)


def _problems(one: RRSet, *, apex: str) -> list[str]:
    found = []
    if one.name != apex and not one.name.endswith(f".{apex}"):
        found.append(f"RRSet with DNS name {one.name} is not permitted in zone {apex}")
    if one.kind not in KINDS:
        return [*found, f"Unknown type {one.kind}"]
    if not one.values or len(one.values) > 400 or len(set(one.values)) != len(one.values):
        found.append("Duplicate Resource Record, or not between 1 and 400 of them")
    if not 0 <= one.ttl <= TTL_MAX:
        found.append("Invalid TTL")
    if one.kind == "CNAME" and (len(one.values) > 1 or one.name == apex):
        found.append("A CNAME has one value and never stands at the apex of a zone")
    if (one.weight is None) is bool(one.identifier):
        found.append("SetIdentifier and a routing policy go together")
    if one.weight is not None and not 0 <= one.weight <= 255:
        found.append("Weight is not between 0 and 255")
    for value in one.values:
        try:
            dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.from_text(one.kind), value)
        except (dns.exception.DNSException, ValueError):
            found.append(f"Invalid Resource Record: FATAL problem: {value!r}")
    return found


def _group_problems(after: Mapping[tuple[str, str, str], RRSet], names: set[str]) -> list[str]:
    """What only the whole of a name shows: mixed routing, unequal TTLs, a CNAME beside others."""
    found = []
    by_name: dict[str, dict[str, list[RRSet]]] = {}
    for one in after.values():
        if one.name in names:
            by_name.setdefault(one.name, {}).setdefault(one.kind, []).append(one)
    for name, kinds in by_name.items():
        if "CNAME" in kinds and len(kinds) > 1:
            found.append(
                f"RRSet of type CNAME with DNS name {name} is not permitted as it conflicts with other records with the same DNS name"
            )
        for kind, group in kinds.items():
            if len({one.weight is None for one in group}) > 1:
                found.append(
                    f"RRSet with DNS name {name}, type {kind} cannot be created as a simple and a weighted record set together"
                )
            if len({one.ttl for one in group}) > 1:
                found.append(f"Weighted record sets of {name} {kind} must have one TTL")
            if len(group) > GROUP_MAX:
                found.append(f"More than {GROUP_MAX} weighted record sets of {name} {kind}")
    return found


def served(rrsets: Iterable[RRSet], checks: Mapping[str, HealthCheck], *, apex: str) -> dict[Key, Served]:
    """What the name servers answer. With every check of a group failing, all of it is answered, as Route 53 does."""
    groups: dict[Key, list[RRSet]] = {}
    for one in rrsets:
        if one.name != apex or one.kind not in ("NS", "SOA"):
            groups.setdefault((one.name, one.kind), []).append(one)
    found: dict[Key, Served] = {}
    for key, group in groups.items():
        passing = [one for one in group if one.check not in checks or checks[one.check].passes]
        weighty = [one for one in passing if one.weight is None or one.weight > 0]
        chosen = weighty or passing or group
        choices = tuple((one.weight if one.weight is not None else 1, one.values) for one in chosen)
        found[key] = Served(ttl=group[0].ttl, choices=choices)
    return found

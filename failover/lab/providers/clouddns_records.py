"""`changes.create` of the Cloud DNS stand-in: deletions match exactly, additions are new, all of it or nothing."""

from collections.abc import Iterable, Mapping
from typing import Any

import dns.exception
import dns.rdata
import dns.rdataclass
import dns.rdatatype

from failover.lab.providers.behind import Key, Served

COMPARED = ("name", "type", "ttl", "routingPolicy")
KINDS = frozenset({"A", "AAAA", "CNAME", "TXT", "NS", "SOA", "MX", "CAA", "SRV", "PTR", "DS"})


class Refused(Exception):
    """An error answer; nothing was changed."""

    def __init__(self, status: int, reason: str, sentence: str) -> None:
        self.status, self.reason, self.sentence = status, reason, sentence
        super().__init__(sentence)


def apply(
    asked: Mapping[str, Any],
    rrsets: Mapping[tuple[str, str], dict[str, Any]],
    *,
    apex: str,
    quota: Mapping[str, int],
) -> dict[tuple[str, str], dict[str, Any]]:
    """The zone after the whole change. Raises Refused."""
    deletions, additions = asked.get("deletions", []), asked.get("additions", [])
    if not deletions and not additions:
        raise Refused(400, "required", "A change needs additions or deletions.")
    _within(deletions, additions, quota)
    after = dict(rrsets)
    for place, item in enumerate(deletions):
        key = (item["name"], item["type"])
        what = f"The resource 'entity.change.deletions[{place}]' named '{key[0]} ({key[1]})'"
        if key not in after:
            raise Refused(404, "notFound", f"{what} does not exist.")
        if not _same(after[key], item):
            raise Refused(
                412, "conditionNotMet", f"Precondition not met for 'entity.change.deletions[{place}]'."
            )
        if key[0] == apex and key[1] in ("NS", "SOA"):
            raise Refused(400, "invalidZoneApex", f"{what} stays at the apex.")
        del after[key]
    for place, item in enumerate(additions):
        _sound(item, place, apex=apex, quota=quota)
        key = (item["name"], item["type"])
        if key in after:
            sentence = (
                f"The resource 'entity.change.additions[{place}]' named '{key[0]} ({key[1]})' already exists"
            )
            raise Refused(409, "alreadyExists", sentence)
        after[key] = {"kind": "dns#resourceRecordSet", **item}
    for item in additions:
        beside = {kind for name, kind in after if name == item["name"]}
        if "CNAME" in beside and len(beside) > 1:
            raise Refused(
                400,
                "cnameResourceRecordSetConflict",
                f"The resource record set '{item['name']}' is invalid because a CNAME cannot stand beside others.",
            )
    return after


def _within(deletions: list[Any], additions: list[Any], quota: Mapping[str, int]) -> None:
    size = sum(len(value) for item in (*deletions, *additions) for value in _values(item))
    for count, name in (
        (len(additions), "rrsetAdditionsPerChange"),
        (len(deletions), "rrsetDeletionsPerChange"),
        (size, "totalRrdataSizePerChange"),
    ):
        if count > quota[name]:
            raise Refused(
                403, "quotaExceeded", f"entity.change: {count} is over the quota {name} ({quota[name]})"
            )


def _values(item: Mapping[str, Any]) -> list[str]:
    policy = item.get("routingPolicy")
    if policy is None:
        return list(item.get("rrdatas", []))
    return [value for one in policy.get("wrr", {}).get("items", []) for value in one.get("rrdatas", [])]


def _same(held: Mapping[str, Any], asked: Mapping[str, Any]) -> bool:
    return all(_plain(held.get(part)) == _plain(asked.get(part)) for part in COMPARED) and sorted(
        held.get("rrdatas", [])
    ) == sorted(asked.get("rrdatas", []))


def _plain(value: Any) -> Any:
    """Without the `kind` that answers carry and requests need not; 5 and 5.0 are one weight."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items() if key != "kind"}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return float(value) if isinstance(value, int) else value


def _sound(item: Mapping[str, Any], place: int, *, apex: str, quota: Mapping[str, int]) -> None:
    where = f"'entity.change.additions[{place}]"
    name, kind, policy = item.get("name", ""), item.get("type", ""), item.get("routingPolicy")
    if name != apex and not name.endswith(f".{apex}"):
        raise Refused(400, "invalid", f"Invalid value for {where}.name': '{name}' is not in {apex}")
    if kind not in KINDS:
        raise Refused(400, "invalid", f"Invalid value for {where}.type': '{kind}'")
    if kind == "CNAME" and name == apex:
        raise Refused(400, "invalidZoneApex", f"{where}' is a CNAME at the apex")
    if not isinstance(item.get("ttl"), int) or item["ttl"] < 0:
        raise Refused(400, "invalid", f"Invalid value for {where}.ttl'")
    if (policy is None) is not bool(item.get("rrdatas")):
        raise Refused(400, "invalid", f"{where}' has rrdatas or a routingPolicy, one of them")
    if policy is not None:
        items = policy.get("wrr", {}).get("items", [])
        if not items or any(one.get("weight", -1) < 0 for one in items):
            raise Refused(400, "invalid", f"Invalid value for {where}.routingPolicy.wrr.items'")
        if len(items) > quota["itemsPerRoutingPolicy"]:
            raise Refused(403, "quotaExceeded", f"{where}' is over the quota itemsPerRoutingPolicy")
    values = _values(item)
    if len(values) > quota["resourceRecordsPerRrset"] or len(set(values)) != len(values):
        raise Refused(400, "invalid", f"Invalid value for {where}.rrdatas'")
    if kind == "CNAME" and policy is None and len(values) != 1:
        raise Refused(400, "invalid", f"{where}' is a CNAME of {len(values)} values")
    for value in values:
        try:
            dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.from_text(kind), value)
        except (dns.exception.DNSException, ValueError):
            raise Refused(400, "invalid", f"Invalid value for {where}.rrdata': '{value}'") from None


def served(rrsets: Iterable[Mapping[str, Any]], *, apex: str) -> dict[Key, Served]:
    """What the name servers answer."""
    found: dict[Key, Served] = {}
    for item in rrsets:
        if item["name"] == apex and item["type"] in ("NS", "SOA"):
            continue
        choices: tuple[tuple[int, tuple[str, ...]], ...] = ((1, tuple(item.get("rrdatas", ()))),)
        if "routingPolicy" in item:
            given = item["routingPolicy"]["wrr"]["items"]
            weighty = [one for one in given if one["weight"] > 0] or given
            choices = tuple((max(1, round(one["weight"] * 10)), tuple(one["rrdatas"])) for one in weighty)
        found[(item["name"], item["type"])] = Served(ttl=item["ttl"], choices=choices)
    return found

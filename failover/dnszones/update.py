"""A zone change as one RFC 2136 message: all preconditions and the whole effect, or nothing (I15, I18)."""

import dns.name
import dns.rdataset
import dns.rdatatype
import dns.update

from failover.dnszones.fences import foreign_fence
from failover.dnszones.names import (
    absolute_name,
    fence_name,
    fence_rdata,
    rdata_of,
    rdata_type,
)
from failover.model.errors import FencedOff, Rejected
from failover.model.permit import Permit
from failover.model.policy import Zone
from failover.model.records import (
    CAPABILITIES,
    TTL_MAX_S,
    RecordChange,
    RecordSet,
    RecordType,
    ZoneChange,
)

ATOMIC_NAMES = CAPABILITIES["rfc2136"].atomic_names
"""Names that one message surely holds, old and new record sets and the fence included: 64 KiB of TCP (measured)."""

FENCE_TTL_S = 60


def refuse_unsound(zone: Zone, permit: Permit, change: ZoneChange) -> None:
    """Raise Rejected or FencedOff for what must never be sent, whatever the guards said (I13, I14, I15, I22)."""
    where = f"zone {zone.name}, application {change.application}"
    if not (permit.target == zone.name == change.zone):
        raise Rejected(f"{where}: the permit is for {permit.target}, the change for zone {change.zone}")
    if permit.epoch != change.fence_after.epoch:
        raise Rejected(f"{where}: the permit's epoch {permit.epoch} is not that of the fence")
    if change.fence_after.application != change.application:
        raise Rejected(f"{where}: the fence is that of {change.fence_after.application}")
    if not change.changes:
        raise Rejected(f"{where}: the change holds no record set")
    before = change.fence_before
    if before is not None:
        if foreign := foreign_fence(before, change.fence_after):
            raise FencedOff(f"{where}: {foreign}", target=zone.name)
    elif not (zone.adopt or change.adopt) and any(item.before is not None for item in change.changes):
        raise Rejected(
            f"{where}: its names exist without a fence record, and `adopt: false` forbids to claim them",
            target=zone.name,
        )
    seen: dict[dns.name.Name, set[RecordType]] = {}
    for item in change.changes:
        _refuse_unsound_record(zone, item, seen)


def _refuse_unsound_record(
    zone: Zone, item: RecordChange, seen: dict[dns.name.Name, set[RecordType]]
) -> None:
    after = item.after
    name, apex = absolute_name(after.name), absolute_name(zone.apex)
    what = f"zone {zone.name}: {after.name} {after.record_type}"
    rdata_type(after.record_type)
    if not name.is_subdomain(apex):
        raise Rejected(f"{what}: the name lies outside the zone {zone.apex}", target=zone.name)
    if not after.values:
        raise Rejected(f"{what}: a managed record set is never empty", target=zone.name)
    if item.before is not None and (item.before.key != after.key or not item.before.values):
        raise Rejected(f"{what}: the old record set is of another name or type, or empty", target=zone.name)
    _refuse_unsound_weights(zone, after, what)
    if not 0 < after.ttl <= TTL_MAX_S:
        raise Rejected(f"{what}: a TTL of {after.ttl} s is not between 1 s and a week", target=zone.name)
    types = seen.setdefault(name, set())
    if after.record_type in types:
        raise Rejected(f"{what}: the record set is in the change twice", target=zone.name)
    types.add(after.record_type)
    is_cname = after.record_type is RecordType.CNAME
    if (RecordType.CNAME in types and len(types) > 1) or (
        is_cname and (name == apex or len(after.values) != 1)
    ):
        raise Rejected(f"{what}: a CNAME has one value, stands alone and never at the apex", target=zone.name)


def _refuse_unsound_weights(zone: Zone, after: RecordSet, what: str) -> None:
    """All weights 0 would mean an equal split, which is the opposite of what it looks like (facts/dns.md 2.1)."""
    if not after.weights:
        return
    able = CAPABILITIES[zone.provider]
    if not able.weights:
        raise Rejected(
            f"{what}: {zone.provider} has plain record sets without weights; a share there is a subset of addresses",
            target=zone.name,
        )
    if len(after.weights) != len(after.values) or len(set(after.values)) != len(after.values):
        raise Rejected(f"{what}: each value has one weight", target=zone.name)
    if not any(after.weights):
        raise Rejected(f"{what}: all weights are 0, which clients see as an equal split", target=zone.name)
    if min(after.weights) < 0 or max(after.weights) > able.weight_max:
        raise Rejected(f"{what}: a weight lies between 0 and {able.weight_max}", target=zone.name)


def build_assertion(zone: Zone, change: ZoneChange) -> dns.update.UpdateMessage:
    """An update without updates: that all record sets of a change, and its fence, are there as intended."""
    apex = absolute_name(zone.apex)
    message = dns.update.UpdateMessage(apex)
    for item in change.changes:
        message.present(absolute_name(item.after.name), *rdata_of(item.after))
    message.present(fence_name(change.application, apex), fence_rdata(change.fence_after))
    return message


def build_update(zone: Zone, change: ZoneChange) -> dns.update.UpdateMessage:
    """The message of a change, not yet signed.

    Prerequisites: the whole old RRset of every name (RFC 2136 2.4.2; TTLs are not compared there), or its absence; no
    CNAME where an address is created, nothing at all where a CNAME is created (servers answer NOERROR and ignore
    such additions); the fence as it was read, or its absence.
    """
    apex = absolute_name(zone.apex)
    message = dns.update.UpdateMessage(apex)
    for item in change.changes:
        name = absolute_name(item.after.name)
        if item.before is not None:
            message.present(name, *rdata_of(item.before))
        elif item.after.record_type is RecordType.CNAME:
            message.absent(name)
        else:
            message.absent(name, rdata_type(item.after.record_type))
            message.absent(name, dns.rdatatype.CNAME)
        message.replace(name, item.after.ttl, *rdata_of(item.after))
    fence = fence_name(change.application, apex)
    if change.fence_before is not None:
        message.present(fence, fence_rdata(change.fence_before))
    else:
        message.absent(fence)
    message.replace(fence, FENCE_TTL_S, fence_rdata(change.fence_after))
    return message


def too_large(zone: Zone, change: ZoneChange) -> Rejected:
    """The message of a change exceeds what one atomic message holds."""
    return Rejected(
        f"zone {zone.name}, application {change.application}: {len(change.changes)} names do not fit one atomic "
        f"update of 64 KiB (about {ATOMIC_NAMES} do); split the application, or the zone",
        target=zone.name,
    )

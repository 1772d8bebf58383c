"""DNS zones: the only package that talks to DNS providers.

Lives here: adapters that implement `model.ports.DNSZone` (RFC 2136, Route 53, Cloud DNS). May not live here: decisions
about which records should exist (planner), permits (execution), anything of Kubernetes. SDKs are imported when a zone
is opened.
"""

from collections.abc import Callable, Mapping

from failover.model.errors import LocalFault
from failover.model.ids import ZoneName
from failover.model.policy import Policy, Zone
from failover.model.ports import Clock, DNSZone
from failover.model.records import CAPABILITIES

PROVIDERS = tuple(CAPABILITIES)


def open_zones(
    policy: Policy, clock: Clock, already: Mapping[ZoneName, DNSZone] | None = None
) -> dict[ZoneName, DNSZone]:
    """An adapter for every zone of the policy; nothing is sent and no key is read until the first use.

    `already`: open ones, kept where the zone's entry is what it was.
    Raises LocalFault for a provider that this version does not know.
    """
    zones: dict[ZoneName, DNSZone] = {}
    for zone in policy.zones:
        known = (already or {}).get(zone.name)
        if known is not None and getattr(known, "entry", None) == zone:
            zones[zone.name] = known
        else:
            zones[zone.name] = open_zone(zone, mono=lambda: clock.now().mono)
        if zone.prepare:
            _expect_checks(policy, zones[zone.name])
        if (delegated := getattr(zones[zone.name], "delegated", None)) is not None:
            delegated.beside(
                tuple(one for one in policy.zones if one.apex == zone.apex and one.name != zone.name)
            )
    return zones


def _expect_checks(policy: Policy, zone: DNSZone) -> None:
    from failover.dnszones.route53 import Route53Zone
    from failover.dnszones.route53_checks import checked_clusters

    if isinstance(zone, Route53Zone):
        zone.expect(checked_clusters(policy, zone.name))


def open_zone(zone: Zone, *, mono: Callable[[], float]) -> DNSZone:
    """One zone's adapter. Raises LocalFault for a provider that this version does not know."""
    if zone.provider == "rfc2136":
        from failover.dnszones.rfc2136 import RFC2136Zone  # dnspython costs 60 ms: only who needs it pays

        return RFC2136Zone(zone, mono=mono)
    if zone.provider == "route53":
        from failover.dnszones.route53 import Route53Zone

        return Route53Zone(zone, mono=mono)
    if zone.provider == "clouddns":
        from failover.dnszones.clouddns import CloudDNSZone

        return CloudDNSZone(zone, mono=mono)
    raise LocalFault(
        f"zone {zone.name}: the provider {zone.provider!r} is not known; known: {', '.join(PROVIDERS)}",
        target=zone.name,
    )

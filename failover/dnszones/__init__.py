"""DNS zones: the only package that talks to DNS providers.

Lives here: adapters that implement `model.ports.DNSZone` (RFC 2136 now). May not live here: decisions about which
records should exist (planner), permits (execution), anything of Kubernetes. SDKs are imported when a zone is opened.
"""

from collections.abc import Mapping

from failover.model.errors import LocalFault
from failover.model.ids import ZoneName
from failover.model.policy import Policy
from failover.model.ports import Clock, DNSZone

PROVIDERS = ("rfc2136",)


def open_zones(
    policy: Policy, clock: Clock, already: Mapping[ZoneName, DNSZone] | None = None
) -> dict[ZoneName, DNSZone]:
    """An adapter for every zone of the policy; nothing is sent and no key is read until the first use.

    `already`: open ones, kept where the zone's entry is what it was.
    Raises LocalFault for a provider that this version does not know.
    """
    zones: dict[ZoneName, DNSZone] = {}
    for zone in policy.zones:
        if zone.provider not in PROVIDERS:
            raise LocalFault(
                f"zone {zone.name}: the provider {zone.provider!r} is not known; known: {', '.join(PROVIDERS)}",
                target=zone.name,
            )
        from failover.dnszones.rfc2136 import RFC2136Zone  # dnspython costs 60 ms: only who needs it pays

        known = (already or {}).get(zone.name)
        if isinstance(known, RFC2136Zone) and known.entry == zone:
            zones[zone.name] = known
            continue
        zones[zone.name] = RFC2136Zone(zone, mono=lambda: clock.now().mono)
    return zones

"""The fleet as a status last named it: for what a person says while no valid policy is at hand (I23).

Only names. Nothing can be planned, probed or changed with it.
"""

import os
from typing import Any

from failover.model.ids import ClusterName, DatacenterName, ProviderName, RegionName, VantageName
from failover.model.policy import ClusterAccess, ClusterEntry, Fleet, Policy, VantageEntry


def last_known(status: dict[str, Any] | None) -> Policy:
    """A policy of names, an empty one where no status was ever written."""
    known = status or {}
    clusters = tuple(
        ClusterEntry(
            name=ClusterName(item["name"]),
            provider=ProviderName(item["provider"]),
            region=RegionName(item["region"]),
            datacenter=DatacenterName(item["datacenter"]),
            access=ClusterAccess(kubeconfig=os.devnull),
        )
        for item in known.get("clusters", [])
    )
    vantages = tuple(
        VantageEntry(name=VantageName(item["name"]), region=item["region"])
        for item in known.get("vantages", [])
    )
    return Policy(
        generation=str(known.get("generation", "")),
        fleet=Fleet(name=str(known.get("fleet", "")), clusters=clusters, vantages=vantages),
    )

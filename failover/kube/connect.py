"""Opens the clusters of a policy. One that cannot be opened is named and left out: unknown, never down."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from failover.model.errors import LocalFault
from failover.model.ids import ClusterName
from failover.model.policy import Policy
from failover.model.ports import Clock

if TYPE_CHECKING:  # the SDK is imported when a cluster is opened, not before
    from failover.kube.cluster import KubeCluster


def open_clusters(
    policy: Policy, clock: Clock, already: Mapping[ClusterName, "KubeCluster"] | None = None
) -> tuple[dict[ClusterName, "KubeCluster"], dict[ClusterName, str]]:
    """Clusters by name, and a sentence for each whose access could not be read. Nothing is sent yet.

    `already`: open ones. They are kept while their access is what it was, and while it cannot be read: a kubeconfig that
    is being rewritten must not take a good client away.
    """
    from failover.kube.cluster import KubeCluster
    from failover.kube.kubeconfig import read_config

    found: dict[ClusterName, KubeCluster] = {}
    problems: dict[ClusterName, str] = {}
    for entry in policy.fleet.clusters:
        known = (already or {}).get(entry.name)
        if known is not None:
            found[entry.name] = known
        try:
            config = read_config(entry.name, entry.access)
            if known is None or known.config != config:
                found[entry.name] = KubeCluster(entry.name, config, clock)
        except LocalFault as error:
            problems[entry.name] = f"cluster {entry.name}: {error}"
    return found, problems

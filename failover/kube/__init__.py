"""The only package that talks to Kubernetes API servers: inventory, scale, fence, Events, rights, RBAC manifests.

Lives here: `kubernetes.aio` and raw JSON, translated into our values and errors. May not live here: what to scale
(planner) or whether one may (execution). The SDK is imported when a cluster is opened, not before.
"""

from failover.kube.connect import open_clusters

__all__ = ["open_clusters"]

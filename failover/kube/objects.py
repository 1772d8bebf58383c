"""From raw JSON objects to workload and node states. What cannot be understood is said, never guessed."""

from collections.abc import Iterable
from typing import Any

from failover.kube.quantities import millicores, whole
from failover.model.inventory import Autoscaler, NodeState, WorkloadState
from failover.model.policy import WorkloadRef
from failover.model.resources import CPU, MEMORY, PODS, Resources, minus, total

PLURALS = {"Deployment": "deployments", "StatefulSet": "statefulsets", "ReplicaSet": "replicasets"}
PODS_DEFAULT = 110


def list_path(kind: str, namespace: str) -> str:
    """Path of all objects of a kind in a namespace."""
    return f"/apis/apps/v1/namespaces/{namespace}/{PLURALS[kind]}"


def object_path(ref: WorkloadRef) -> str:
    """Path of one object."""
    return f"{list_path(ref.object_kind, ref.namespace)}/{ref.name}"


def autoscaler_path(namespace: str) -> str:
    """Path of all HorizontalPodAutoscalers of a namespace."""
    return f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers"


def workload_state(
    ref: WorkloadRef, item: dict[str, Any], autoscalers: Iterable[dict[str, Any]]
) -> WorkloadState:
    """The state of one object."""
    metadata, spec, status = item["metadata"], item.get("spec") or {}, item.get("status") or {}
    return WorkloadState(
        ref=ref,
        exists=True,
        wanted=int(spec.get("replicas", 1)),
        ready=int(status.get("readyReplicas") or 0),
        pods=int(status.get("replicas") or 0),
        settled=int(status.get("observedGeneration") or 0) >= int(metadata.get("generation") or 0),
        resource_version=str(metadata.get("resourceVersion", "")),
        requests=pod_requests((spec.get("template") or {}).get("spec") or {}),
        autoscaler=_autoscaler(ref, autoscalers),
        managers=replica_managers(metadata),
        single_writer=_single_writer(ref, spec),
    )


def _autoscaler(ref: WorkloadRef, autoscalers: Iterable[dict[str, Any]]) -> Autoscaler | None:
    for item in autoscalers:
        spec = item.get("spec") or {}
        target = spec.get("scaleTargetRef") or {}
        if target.get("kind") == ref.object_kind and target.get("name") == ref.name:
            return Autoscaler(
                name=str(item["metadata"]["name"]),
                min_replicas=int(spec.get("minReplicas") or 1),
                max_replicas=int(spec.get("maxReplicas") or 1),
                resource_version=str(item["metadata"].get("resourceVersion", "")),
            )
    return None


def replica_managers(metadata: dict[str, Any]) -> tuple[str, ...]:
    """Field managers that own `spec.replicas`, by time, the latest last."""
    found = []
    for entry in metadata.get("managedFields") or []:
        fields = (entry.get("fieldsV1") or {}).get("f:spec") or {}
        if "f:replicas" in fields:
            found.append((str(entry.get("time", "")), str(entry.get("manager", ""))))
    return tuple(manager for _, manager in sorted(found))


def _single_writer(ref: WorkloadRef, spec: dict[str, Any]) -> bool:
    """A StatefulSet, or a claim template that only one node may write."""
    if ref.object_kind == "StatefulSet":
        return True
    for template in spec.get("volumeClaimTemplates") or []:
        modes = (template.get("spec") or {}).get("accessModes") or []
        if set(modes) & {"ReadWriteOnce", "ReadWriteOncePod"}:
            return True
    return False


def pod_requests(spec: dict[str, Any]) -> Resources:
    """What the scheduler reserves for one pod: the sum of its containers, or the largest init container, and its overhead."""

    def of(containers: Iterable[dict[str, Any]]) -> list[Resources]:
        return [amounts((item.get("resources") or {}).get("requests") or {}) for item in containers]

    starting = of(item for item in spec.get("initContainers") or [] if item.get("restartPolicy") != "Always")
    aside = of(item for item in spec.get("initContainers") or [] if item.get("restartPolicy") == "Always")
    most = total([*of(spec.get("containers") or []), *aside]).by_name()
    for one in starting:
        for name, amount in one.amounts():
            most[name] = max(most.get(name, 0), amount)
    whole_pod = amounts((spec.get("resources") or {}).get("requests") or {}).by_name()
    most |= {name: amount for name, amount in whole_pod.items() if amount}
    overhead = amounts(spec.get("overhead") or {})
    return Resources.of({**total([Resources.of(most), overhead]).by_name(), PODS: 1})


def amounts(found: dict[str, Any]) -> Resources:
    """Quantities of any resources, pods apart. Raises ValueError for what is none."""
    return Resources.of(
        {
            name: millicores(value) if name == CPU else whole(value)
            for name, value in found.items()
            if name != PODS
        }
    )


def node_ready(item: dict[str, Any]) -> bool:
    """Ready and schedulable. Raises KeyError or ValueError for a node whose state cannot be understood."""
    ready = False
    for condition in (item.get("status") or {}).get("conditions") or []:
        if condition["type"] == "Ready":
            ready = condition["status"] == "True"
    spec = item.get("spec") or {}
    tainted = any(taint.get("effect") in ("NoSchedule", "NoExecute") for taint in spec.get("taints") or [])
    return ready and not spec.get("unschedulable", False) and not tainted


def allocatable(item: dict[str, Any]) -> Resources:
    """What a node can give in all. Raises KeyError where it names no cpu or no memory."""
    found = (item.get("status") or {}).get("allocatable") or {}
    if CPU not in found or MEMORY not in found:
        raise KeyError(CPU if CPU not in found else MEMORY)
    pods = whole(found.get(PODS, PODS_DEFAULT))
    return Resources.of({**amounts(found).by_name(), PODS: pods})


def free_nodes(nodes: dict[str, Resources], used: dict[str, Resources]) -> tuple[NodeState, ...]:
    """Allocatable less what the pods on each node request, never below nothing."""
    return tuple(
        NodeState(
            name=name,
            free=minus(whole_node, used[name], 1) if name in used else whole_node,
            whole=whole_node,
        )
        for name, whole_node in sorted(nodes.items())
    )


def cpu_in_use(item: dict[str, Any]) -> tuple[str, int]:
    """(node, millicores) of one NodeMetrics object. Raises KeyError or ValueError for what is none."""
    return str(item["metadata"]["name"]), millicores(item["usage"]["cpu"])

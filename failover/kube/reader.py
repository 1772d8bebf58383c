"""Looks at a cluster: whole lists or an error, page by page, each page dropped after use."""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from typing import Any
from urllib.parse import quote

from failover.kube.objects import (
    allocatable,
    autoscaler_path,
    cpu_in_use,
    free_nodes,
    list_path,
    node_ready,
    object_path,
    pod_requests,
    workload_state,
)
from failover.kube.responses import ListExpired
from failover.kube.transport import Transport
from failover.model.errors import NotFound, TargetError, Unavailable
from failover.model.ids import ClusterName
from failover.model.inventory import ClusterInventory, WorkloadState
from failover.model.policy import WorkloadRef
from failover.model.resources import Resources, total

PAGE = 500
RESTARTS_MAX = 3
SINGLE_GETS_MAX = 3
EPOCH_DIGITS_MAX = 18
FENCE_NAMESPACE = "failover"
FENCE_NAME = "failover-fence"
FENCE_PATH = f"/api/v1/namespaces/{FENCE_NAMESPACE}/configmaps/{FENCE_NAME}"
METRICS_PATH = "/apis/metrics.k8s.io/v1beta1/nodes"
EVERYTHING = Resources(cpu_m=1 << 40, memory=1 << 60, pods=1 << 20)
"""What a pod that makes no sense is taken to request."""
RUNNING = quote("status.phase!=Succeeded,status.phase!=Failed")


def epoch_of(fence: dict[str, Any]) -> int | None:
    """The epoch in a fence ConfigMap, 0 where it was never raised; None where it cannot be understood."""
    data = fence.get("data") or {}
    if not isinstance(data, dict):
        return None
    text = str(data.get("epoch", "0"))
    return int(text) if text.isdecimal() and len(text) <= EPOCH_DIGITS_MAX else None


class Reader:
    """Reads through one transport."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def uid(self) -> str:
        """The cluster's identity: UID of namespace kube-system."""
        found = await self._transport.get("/api/v1/namespaces/kube-system")
        metadata = found.get("metadata")
        uid = str(metadata.get("uid", "")) if isinstance(metadata, dict) else ""
        if not uid:
            raise Unavailable(
                f"{self._transport.target}: namespace kube-system has no UID", target=self._transport.target
            )
        return uid

    async def fence_epoch(self) -> int | None:
        """Epoch in the fence ConfigMap; None where there is none or it cannot be understood."""
        try:
            found = await self._transport.get(FENCE_PATH)
        except NotFound:
            return None
        return epoch_of(found)

    async def pages(self, path: str, query: str = "") -> AsyncIterator[list[dict[str, Any]]]:
        """Pages of a list. A list that expires in the middle raises Unavailable: it is never taken for whole (I1)."""
        token = ""
        while True:
            more = f"&continue={quote(token)}" if token else ""
            found = await self._transport.get(f"{path}?limit={PAGE}{query}{more}")
            items, metadata = found.get("items"), found.get("metadata") or {}
            if (
                not isinstance(items, list)
                or not isinstance(metadata, dict)
                or not all(isinstance(one, dict) for one in items)
            ):
                raise Unavailable(f"{path}: the answer is no list of objects", target=self._transport.target)
            yield items
            token = str(metadata.get("continue") or "")
            if not token:
                return

    async def inventory(
        self, name: ClusterName, workloads: Sequence[WorkloadRef], now_mono: float
    ) -> ClusterInventory:
        """A complete look. A list that expired while it was paged is begun again, a few times."""
        for attempt in range(RESTARTS_MAX):
            try:
                return await self._inventory(name, workloads, now_mono)
            except ListExpired:
                if attempt == RESTARTS_MAX - 1:
                    raise
        raise AssertionError("unreachable")

    async def _inventory(
        self, name: ClusterName, workloads: Sequence[WorkloadRef], now_mono: float
    ) -> ClusterInventory:
        uid = await self.uid()
        nodes, total_nodes, odd = await self._nodes()
        used, odd_pods = await self._used()
        states = await self.workloads(workloads)
        free = free_nodes(nodes, used)
        return ClusterInventory(
            cluster=name,
            uid=uid,
            taken_mono=now_mono,
            nodes_total=total_nodes,
            nodes_ready=len(nodes),
            nodes=free,
            allocatable=total(list(nodes.values())),
            requested=total([used[name] for name in nodes if name in used]),
            utilisation=await self._utilisation(nodes),
            workloads=states,
            fence_epoch=await self.fence_epoch(),
            odd=(*odd, *odd_pods),
        )

    async def _nodes(self) -> tuple[dict[str, Resources], int, tuple[str, ...]]:
        nodes: dict[str, Resources] = {}
        total, odd = 0, []
        async for page in self.pages("/api/v1/nodes"):
            for item in page:
                total += 1
                name = str((item.get("metadata") or {}).get("name", "?"))
                try:
                    if node_ready(item):
                        nodes[name] = allocatable(item)
                except (KeyError, ValueError, TypeError, AttributeError) as error:
                    odd.append(
                        f"node {name} cannot be understood ({type(error).__name__}: {error}) and counts for nothing"
                    )
        return nodes, total, tuple(odd)

    async def _used(self) -> tuple[dict[str, Resources], tuple[str, ...]]:
        """What the pods on each node request, summed page by page. A pod that cannot be understood makes its node full."""
        used: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        odd = []
        async for page in self.pages("/api/v1/pods", f"&fieldSelector={RUNNING}"):
            for item in page:
                spec = item.get("spec") or {}
                node = spec.get("nodeName")
                if not node:
                    continue
                try:
                    requests = pod_requests(spec)
                except (KeyError, ValueError, TypeError, AttributeError) as error:
                    odd.append(f"a pod on {node} cannot be understood ({error}): the node counts as full")
                    requests = EVERYTHING
                for name, amount in requests.amounts():
                    used[node][name] += amount
        return {node: Resources.of(sums) for node, sums in used.items()}, tuple(odd)

    async def _utilisation(self, nodes: dict[str, Resources]) -> float | None:
        """CPU in use of what the ready nodes can give; None where the cluster has no metrics API, or does not let us ask.

        It is a hint for the strategy `most-free`, and never a reason to take a look for incomplete.
        """
        in_use = 0
        try:
            async for page in self.pages(METRICS_PATH):
                for item in page:
                    node, millicores = cpu_in_use(item)
                    in_use += millicores if node in nodes else 0
        except (TargetError, KeyError, ValueError, TypeError, AttributeError):
            return None
        whole = sum(node.cpu_m for node in nodes.values())
        return min(1.0, in_use / whole) if whole else None

    async def workloads(self, refs: Sequence[WorkloadRef]) -> tuple[WorkloadState, ...]:
        """States in the order asked; absent objects have exists=False. Few are read one by one, many by list."""
        groups: dict[tuple[str, str], list[WorkloadRef]] = defaultdict(list)
        for ref in refs:
            groups[ref.object_kind, ref.namespace].append(ref)
        autoscalers = {
            namespace: await self._list(autoscaler_path(namespace))
            for namespace in {ref.namespace for ref in refs}
        }
        found: dict[WorkloadRef, WorkloadState] = {}
        for (kind, namespace), wanted in groups.items():
            items = await (
                self._few(wanted) if len(wanted) <= SINGLE_GETS_MAX else self._many(kind, namespace, wanted)
            )
            for ref, item in items.items():
                found[ref] = self._state(ref, item, autoscalers[namespace])
        return tuple(found.get(ref, WorkloadState(ref=ref, exists=False)) for ref in refs)

    def _state(
        self, ref: WorkloadRef, item: dict[str, Any], autoscalers: list[dict[str, Any]]
    ) -> WorkloadState:
        """Raises Unavailable for an object that makes no sense: it is unknown, and not absent or empty."""
        try:
            return workload_state(ref, item, autoscalers)
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            sentence = f"{ref} cannot be understood ({type(error).__name__}: {error})"
            raise Unavailable(sentence, target=self._transport.target) from None

    async def _few(self, wanted: Sequence[WorkloadRef]) -> dict[WorkloadRef, dict[str, Any]]:
        found = {}
        for ref in wanted:
            try:
                found[ref] = await self._transport.get(object_path(ref))
            except NotFound:
                continue
        return found

    async def _many(
        self, kind: str, namespace: str, wanted: Sequence[WorkloadRef]
    ) -> dict[WorkloadRef, dict[str, Any]]:
        names = {ref.name: ref for ref in wanted}
        found = {}
        async for page in self.pages(list_path(kind, namespace)):
            for item in page:
                ref = names.get(str((item.get("metadata") or {}).get("name", "")))
                if ref is not None:
                    found[ref] = item
        return found

    async def _list(self, path: str) -> list[dict[str, Any]]:
        try:
            return [item async for page in self.pages(path) for item in page]
        except NotFound:
            return []

"""What controllers and kubelets do in a lab cluster: replicas become pods on nodes with room, and ready after a while."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from failover.lab.kubeapi.objects import KINDS, ApiError, Kind, Object, ObjectStore, timestamp

WORKLOADS = tuple(kind for kind in KINDS.values() if kind.scale)
PODS = KINDS["", "pods"]
NODES = KINDS["", "nodes"]
AUTOSCALERS = KINDS["autoscaling", "horizontalpodautoscalers"]
STEP_S = 0.05


def milli(quantity: str | int | None) -> int:
    """CPU in millicores."""
    text = str(quantity or 0)
    return int(text[:-1]) if text.endswith("m") else int(float(text) * 1000)


def memory(quantity: str | int | None) -> int:
    """Bytes."""
    text = str(quantity or 0)
    for suffix, factor in (("Ki", 1 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30), ("Ti", 1 << 40)):
        if text.endswith(suffix):
            return int(float(text[:-2]) * factor)
    return int(float(text))


@dataclass(slots=True)
class NodeRoom:
    """Free resources of one node."""

    cpu_m: int
    memory: int
    pods: int

    def fits(self, cpu_m: int, bytes_: int) -> bool:
        return self.pods >= 1 and self.cpu_m >= cpu_m and self.memory >= bytes_

    def take(self, cpu_m: int, bytes_: int, count: int = 1) -> None:
        self.cpu_m -= cpu_m * count
        self.memory -= bytes_ * count
        self.pods -= count


@dataclass(slots=True)
class Kubelets:
    """Reconciles every workload of a cluster. `ready_s`: from scheduled to ready; `never_ready`: a fault."""

    store: ObjectStore
    ready_s: float = 1.0
    never_ready: bool = False
    _due: dict[tuple[str, str], float] = field(default_factory=dict)
    _rooms: dict[str, NodeRoom] = field(default_factory=dict)
    _dirty: set[tuple[str, str, str]] = field(default_factory=set)
    _owned: dict[tuple[str, str, str], dict[str, None]] = field(default_factory=dict)
    _names: int = 0
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def start(self) -> None:
        """Watch the store's changes."""
        self.store.on_change = self._changed
        for kind in WORKLOADS:
            for item in self.store.select(kind, None):
                self._dirty.add((kind.plural, item["metadata"]["namespace"], item["metadata"]["name"]))
        self.count_rooms()
        self._wake.set()

    def count_rooms(self) -> None:
        """Work out the free room of every node anew."""
        self._rooms = {}
        for node in self.store.select(NODES, None):
            allocatable = node.get("status", {}).get("allocatable", {})
            self._rooms[node["metadata"]["name"]] = NodeRoom(
                milli(allocatable.get("cpu")),
                memory(allocatable.get("memory")),
                int(allocatable.get("pods", 110)),
            )
        for pod in self.store.select(PODS, None):
            room = self._rooms.get(pod.get("spec", {}).get("nodeName", ""))
            if room is not None:
                cpu_m, bytes_ = requests_of(pod["spec"])
                room.take(cpu_m, bytes_)

    async def run(self) -> None:
        """For ever: reconcile what changed, make due pods ready."""
        loop = asyncio.get_running_loop()
        while True:
            timeout = STEP_S if self._due else None
            try:
                async with asyncio.timeout(timeout):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            for key in sorted(self._dirty):
                self._reconcile(*key, now=loop.time())
            self._dirty.clear()
            self._ripen(loop.time())
            await asyncio.sleep(0.005)

    def _changed(self, change: Any) -> None:
        metadata = change.object["metadata"]
        if change.kind in WORKLOADS and change.type != "DELETED":
            self._dirty.add((change.kind.plural, metadata["namespace"], metadata["name"]))
            self._wake.set()
        elif change.kind is AUTOSCALERS and change.type != "DELETED":
            self._autoscale(change.object)
        elif change.kind is NODES:
            self.count_rooms()
            for kind in WORKLOADS:
                for item in self.store.select(kind, None):
                    self._dirty.add((kind.plural, item["metadata"]["namespace"], item["metadata"]["name"]))
            self._wake.set()

    def _autoscale(self, autoscaler: Object) -> None:
        """An autoscaler keeps its target between its limits (load is not simulated)."""
        spec = autoscaler["spec"]
        target = spec.get("scaleTargetRef", {})
        kind = next((kind for kind in WORKLOADS if kind.kind == target.get("kind")), None)
        if kind is None:
            return
        item = self.store.peek(kind, autoscaler["metadata"]["namespace"], target.get("name", ""))
        if item is None:
            return
        current = item["spec"].get("replicas", 1)
        wanted = max(spec.get("minReplicas", 1), min(current, spec["maxReplicas"]))
        if wanted != current:
            self.store.replace(kind, {**item, "spec": {**item["spec"], "replicas": wanted}})

    def _reconcile(self, plural: str, namespace: str, name: str, *, now: float) -> None:
        kind = KINDS["apps", plural]
        item = self.store.peek(kind, namespace, name)
        if item is None:
            return
        pods = self._pods_of(kind, namespace, name)
        wanted = item["spec"].get("replicas", 1)
        template = item["spec"].get("template", {}).get("spec", {})
        cpu_m, bytes_ = requests_of(template)
        for surplus in pods[wanted:]:
            self._remove(surplus, cpu_m, bytes_)
        for _ in range(wanted - len(pods)):
            place = next(
                (
                    node
                    for node, room in sorted(self._rooms.items(), key=lambda pair: -pair[1].pods)
                    if room.fits(cpu_m, bytes_)
                ),
                "",
            )
            self._names += 1
            pod = self._add(kind, item, f"{name}-{self._names:06d}", place)
            if place:
                self._rooms[place].take(cpu_m, bytes_)
                self._due[namespace, pod] = now + self.ready_s
        self._update_status(kind, namespace, name)

    def _pods_of(self, kind: Kind, namespace: str, name: str) -> list[Object]:
        names = self._owned.get((kind.plural, namespace, name), {})
        return [pod for pod in (self.store.peek(PODS, namespace, item) for item in names) if pod is not None]

    def _add(self, kind: Kind, owner: Object, name: str, node: str) -> str:
        metadata = owner["metadata"]
        spec = dict(owner["spec"].get("template", {}).get("spec", {}))
        if node:
            spec["nodeName"] = node
        labels = {"lab/owner": f"{kind.plural}.{metadata['name']}"}
        labels.update(owner["spec"].get("template", {}).get("metadata", {}).get("labels", {}))
        pod = {
            "metadata": {"name": name, "labels": labels},
            "spec": spec,
            "status": {"phase": "Pending", "conditions": []},
        }
        self.store.create(PODS, metadata["namespace"], pod)
        self._owned.setdefault((kind.plural, metadata["namespace"], metadata["name"]), {})[name] = None
        return name

    def _remove(self, pod: Object, cpu_m: int, bytes_: int) -> None:
        metadata = pod["metadata"]
        room = self._rooms.get(pod.get("spec", {}).get("nodeName", ""))
        if room is not None:
            room.take(cpu_m, bytes_, -1)
        self._due.pop((metadata["namespace"], metadata["name"]), None)
        plural, owner = metadata["labels"]["lab/owner"].split(".", 1)
        self._owned.get((plural, metadata["namespace"], owner), {}).pop(metadata["name"], None)
        try:
            self.store.delete(PODS, metadata["namespace"], metadata["name"])
        except ApiError:
            return

    def _ripen(self, now: float) -> None:
        if self.never_ready:
            return
        owners = set()
        for (namespace, name), due in list(self._due.items()):
            if due <= now:
                del self._due[namespace, name]
                pod = self.store.peek(PODS, namespace, name)
                if pod is None:
                    continue
                ready = {"type": "Ready", "status": "True", "lastTransitionTime": timestamp()}
                self.store.replace(PODS, {**pod, "status": {"phase": "Running", "conditions": [ready]}})
                plural, owner = pod["metadata"]["labels"]["lab/owner"].split(".", 1)
                owners.add((plural, namespace, owner))
        for plural, namespace, owner in sorted(owners):
            self._update_status(KINDS["apps", plural], namespace, owner)

    def _update_status(self, kind: Kind, namespace: str, name: str) -> None:
        item = self.store.peek(kind, namespace, name)
        if item is None:
            return
        pods = self._pods_of(kind, namespace, name)
        ready = sum(1 for pod in pods if pod["status"]["phase"] == "Running")
        status = {
            "observedGeneration": item["metadata"].get("generation", 1),
            "replicas": len(pods),
            "readyReplicas": ready,
            "availableReplicas": ready,
            "updatedReplicas": len(pods),
        }
        if item.get("status") != status:
            self.store.replace(kind, {**item, "status": status})


def requests_of(spec: Object) -> tuple[int, int]:
    """(millicores, bytes) that a pod spec requests."""
    containers = spec.get("containers", [])
    found = [container.get("resources", {}).get("requests", {}) for container in containers]
    return sum(milli(item.get("cpu")) for item in found), sum(memory(item.get("memory")) for item in found)

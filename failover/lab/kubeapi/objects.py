"""Objects with resourceVersions and a bounded log of changes, from which watches are served."""

import asyncio
import copy
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Object = dict[str, Any]
LOG_MAX = 20_000


class ApiError(Exception):
    """An answer that is a Kubernetes Status. `code`: HTTP; `reason`: e.g. Conflict; `retry_after`: seconds or None."""

    def __init__(self, code: int, reason: str, message: str, *, retry_after: int | None = None) -> None:
        self.code, self.reason, self.message, self.retry_after = code, reason, message, retry_after
        super().__init__(message)

    def status(self) -> Object:
        """The Status object of the answer's body."""
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        }


@dataclass(frozen=True, slots=True)
class Kind:
    """One resource that the lab serves. `short`: the names by which kubectl knows it as well."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    scale: bool = False
    short: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def prefix(self) -> str:
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"


RBAC, ADMISSION = "rbac.authorization.k8s.io", "admissionregistration.k8s.io"
KINDS = {
    (kind.group, kind.plural): kind
    for kind in (
        Kind("", "v1", "namespaces", "Namespace", namespaced=False, short=("ns",)),
        Kind("", "v1", "nodes", "Node", namespaced=False, short=("no",)),
        Kind("", "v1", "pods", "Pod", short=("po",)),
        Kind("", "v1", "configmaps", "ConfigMap", short=("cm",)),
        Kind("", "v1", "events", "Event", short=("ev",)),
        Kind("", "v1", "serviceaccounts", "ServiceAccount", short=("sa",)),
        Kind("events.k8s.io", "v1", "events", "Event", short=("ev",)),
        Kind("apps", "v1", "deployments", "Deployment", scale=True, short=("deploy",)),
        Kind("apps", "v1", "statefulsets", "StatefulSet", scale=True, short=("sts",)),
        Kind("apps", "v1", "replicasets", "ReplicaSet", scale=True, short=("rs",)),
        Kind("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", short=("hpa",)),
        Kind("coordination.k8s.io", "v1", "leases", "Lease"),
        Kind(RBAC, "v1", "roles", "Role"),
        Kind(RBAC, "v1", "rolebindings", "RoleBinding"),
        Kind(RBAC, "v1", "clusterroles", "ClusterRole", namespaced=False),
        Kind(RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False),
        Kind(ADMISSION, "v1", "validatingadmissionpolicies", "ValidatingAdmissionPolicy", namespaced=False),
        Kind(
            ADMISSION,
            "v1",
            "validatingadmissionpolicybindings",
            "ValidatingAdmissionPolicyBinding",
            namespaced=False,
        ),
    )
}


@dataclass(slots=True)
class Change:
    """One line of the log."""

    version: int
    type: str
    kind: Kind
    object: Object


def timestamp() -> str:
    """Now, as Kubernetes writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(slots=True)
class ObjectStore:
    """All objects of one cluster. Values handed out are copies. `on_change`: its controllers; `keep`: its etcd."""

    version: int = 100
    items: dict[tuple[str, str], dict[tuple[str, str], Object]] = field(default_factory=dict)
    log: deque[Change] = field(default_factory=lambda: deque(maxlen=LOG_MAX))
    _waiters: set[asyncio.Future[None]] = field(default_factory=set)
    on_change: Callable[[Change], None] | None = None
    keep: Callable[[Change], None] | None = None

    def _of(self, kind: Kind) -> dict[tuple[str, str], Object]:
        return self.items.setdefault((kind.group, kind.plural), {})

    def get(self, kind: Kind, namespace: str, name: str) -> Object:
        """A copy. Raises ApiError 404."""
        found = self._of(kind).get((namespace, name))
        if found is None:
            raise ApiError(404, "NotFound", f'{qualified(kind)} "{name}" not found')
        return copy.deepcopy(found)

    def peek(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """The object itself, for the lab's own controllers; not to be changed."""
        return self._of(kind).get((namespace, name))

    def select(self, kind: Kind, namespace: str | None) -> Iterator[Object]:
        """Objects of a kind in name order; not copies."""
        found = self._of(kind)
        for key in sorted(found):
            if namespace is None or key[0] == namespace:
                yield found[key]

    def create(self, kind: Kind, namespace: str, value: Object) -> Object:
        """Add an object; names may be generated. Raises ApiError 409 AlreadyExists."""
        value = copy.deepcopy(value)
        metadata = value.setdefault("metadata", {})
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = metadata["generateName"] + uuid.uuid4().hex[:5]
        name = metadata.get("name", "")
        if not name:
            raise ApiError(422, "Invalid", "metadata.name: Required value: name or generateName is required")
        if (namespace, name) in self._of(kind):
            raise ApiError(409, "AlreadyExists", f'{qualified(kind)} "{name}" already exists')
        if kind.namespaced:
            metadata["namespace"] = namespace
        metadata.setdefault("uid", str(uuid.uuid4()))
        metadata.setdefault("creationTimestamp", timestamp())
        metadata.setdefault("generation", 1)
        value["apiVersion"], value["kind"] = kind.api_version, kind.kind
        return self._put(kind, "ADDED", value)

    def replace(self, kind: Kind, value: Object, *, expected: str | None = None) -> Object:
        """Write an object back; `expected` resourceVersion must hold where given. Raises ApiError 404, 409."""
        metadata = value["metadata"]
        current = self.get(kind, metadata.get("namespace", ""), metadata["name"])
        if expected and expected != current["metadata"]["resourceVersion"]:
            raise conflict(kind, metadata["name"])
        value = copy.deepcopy(value)
        if value.get("spec") != current.get("spec"):
            value["metadata"]["generation"] = current["metadata"].get("generation", 1) + 1
        if {**value, "metadata": None} == {**current, "metadata": None} and _same_metadata(value, current):
            return current
        return self._put(kind, "MODIFIED", value)

    def delete(self, kind: Kind, namespace: str, name: str) -> Object:
        """Remove. Raises ApiError 404."""
        value = self.get(kind, namespace, name)
        del self._of(kind)[namespace, name]
        self.version += 1
        value["metadata"]["resourceVersion"] = str(self.version)
        self._tell(Change(self.version, "DELETED", kind, value))
        return value

    def _put(self, kind: Kind, change: str, value: Object) -> Object:
        self.version += 1
        metadata = value["metadata"]
        metadata["resourceVersion"] = str(self.version)
        self._of(kind)[metadata.get("namespace", ""), metadata["name"]] = value
        self._tell(Change(self.version, change, kind, value))
        return copy.deepcopy(value)

    def _tell(self, change: Change) -> None:
        if self.keep is not None:
            self.keep(change)
        self.log.append(change)
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()
        if self.on_change is not None:
            self.on_change(change)

    def oldest(self) -> int:
        """The oldest version from which a watch can still start."""
        return self.log[0].version - 1 if len(self.log) == LOG_MAX else 0

    def since(self, version: int, kind: Kind, namespace: str | None) -> list[Change]:
        """Changes after a version, of one kind and perhaps one namespace."""
        return [
            change
            for change in self.log
            if change.version > version
            and change.kind is kind
            and (namespace is None or change.object["metadata"].get("namespace", "") == namespace)
        ]

    async def wait(self) -> None:
        """Until the next change of anything."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)


def qualified(kind: Kind) -> str:
    """`deployments.apps`, as error messages write it."""
    return f"{kind.plural}.{kind.group}" if kind.group else kind.plural


def conflict(kind: Kind, name: str) -> ApiError:
    """The 409 of a stale resourceVersion, in the real server's words."""
    return ApiError(
        409,
        "Conflict",
        f'Operation cannot be fulfilled on {qualified(kind)} "{name}": the object has been modified; '
        "please apply your changes to the latest version and try again",
    )


def _same_metadata(one: Object, other: Object) -> bool:
    ignored = ("resourceVersion", "managedFields", "generation")
    return {k: v for k, v in one["metadata"].items() if k not in ignored} == {
        k: v for k, v in other["metadata"].items() if k not in ignored
    }

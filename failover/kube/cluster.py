"""The Cluster port over one API server: identity before the first write, scale with resourceVersion, fence, Events."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from failover.kube.kubeconfig import ClusterConfig
from failover.kube.objects import autoscaler_path, object_path, workload_state
from failover.kube.reader import FENCE_NAME, FENCE_NAMESPACE, FENCE_PATH, Reader, epoch_of
from failover.kube.rights import check_rights
from failover.kube.transport import Transport
from failover.model.errors import (
    Conflict,
    FencedOff,
    NotFound,
    OutcomeUnknown,
    Rejected,
    TargetError,
    Unavailable,
)
from failover.model.ids import ClusterName, Epoch
from failover.model.inventory import ClusterInventory, RightProblem, WorkloadState
from failover.model.journal import RaiseFence, ScaleChange
from failover.model.permit import Permit
from failover.model.plan import ScaleField
from failover.model.policy import WorkloadRef
from failover.model.ports import Clock

MERGE = "application/merge-patch+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiServerAddress:
    """Where the API server answers; free of secrets."""

    address: str
    port: int
    server_name: str
    ca_pem: str


class KubeCluster:
    """One cluster. Reads and writes share one client."""

    def __init__(self, name: ClusterName, config: ClusterConfig, clock: Clock) -> None:
        self.name = name
        self.config = config
        self._clock = clock
        self._transport = Transport(config, clock)
        self._reader = Reader(self._transport)
        self._identified: dict[Epoch, str] = {}

    @property
    def api_server(self) -> ApiServerAddress:
        """For the control-plane probe, which needs no secret."""
        config = self.config
        return ApiServerAddress(
            address=config.host, port=config.port, server_name=config.server_name, ca_pem=config.ca_pem
        )

    # -- reading -------------------------------------------------------------------------------------------------------

    async def inventory(self, workloads: Sequence[WorkloadRef]) -> ClusterInventory:
        """A complete look, or an error."""
        return await self._reader.inventory(self.name, workloads, self._clock.now().mono)

    async def read_workloads(self, workloads: Sequence[WorkloadRef]) -> tuple[WorkloadState, ...]:
        """The named workloads only."""
        return await self._reader.workloads(workloads)

    async def check_rights(
        self, workloads: Sequence[WorkloadRef], *, fence: bool
    ) -> tuple[RightProblem, ...]:
        """What a failover would need and this cluster refuses."""
        return await check_rights(self._transport, self._reader, self.name, workloads, fence=fence)

    # -- writing -------------------------------------------------------------------------------------------------------

    async def scale(self, permit: Permit, change: ScaleChange) -> WorkloadState:
        """Set replicas or minReplicas absolutely, if everything that was read still holds."""
        await self._identify(permit, change.cluster_uid)
        if change.field is ScaleField.AUTOSCALER_MIN:
            return await self._scale_autoscaler(permit, change)
        path = f"{object_path(change.workload)}/scale?fieldManager={permit.field_manager}"
        body = {"metadata": {"resourceVersion": change.resource_version}, "spec": {"replicas": change.after}}
        self._check_permit(permit)
        answer = await self._transport.send("PATCH", path, body, content_type=MERGE)
        return _after_scale(change, answer)

    async def _scale_autoscaler(self, permit: Permit, change: ScaleChange) -> WorkloadState:
        path = f"{autoscaler_path(change.workload.namespace)}/{change.autoscaler}"
        current = await self._transport.get(path)
        try:
            highest = max(
                int(current["spec"].get("maxReplicas", 1)), change.after, change.autoscaler_max or 0
            )
        except (KeyError, ValueError, TypeError, AttributeError):
            raise Unavailable(f"{self.name}: {path} is no autoscaler", target=self.name) from None
        body = {
            "metadata": {"resourceVersion": change.resource_version},
            "spec": {"minReplicas": change.after, "maxReplicas": highest},
        }
        self._check_permit(permit)
        answer = await self._transport.send(
            "PATCH", f"{path}?fieldManager={permit.field_manager}", body, content_type=MERGE
        )
        try:
            item = await self._transport.get(object_path(change.workload))
            return workload_state(change.workload, item, [answer])
        except (TargetError, KeyError, ValueError, TypeError, AttributeError) as error:
            sentence = f"{self.name}: the change was sent, what it did could not be read: {error}"
            raise OutcomeUnknown(sentence, target=self.name) from None

    async def raise_fence(self, permit: Permit, change: RaiseFence) -> None:
        """Write our epoch, only ever upwards. FencedOff where it is higher already."""
        await self._identify(permit, change.cluster_uid)
        try:
            current = await self._transport.get(FENCE_PATH)
        except NotFound:
            await self._create_fence(permit, change)
            return
        epoch = epoch_of(current)
        if epoch is None:
            raise Rejected(f"{self.name}: the epoch in its fence cannot be understood", target=self.name)
        if epoch > change.epoch:
            raise FencedOff(
                f"{self.name}: the fence carries epoch {epoch}, ours is {change.epoch}", target=self.name
            )
        if epoch == change.epoch:
            return
        metadata = current.get("metadata")
        version = str(metadata.get("resourceVersion", "")) if isinstance(metadata, dict) else ""
        if not version:
            raise Unavailable(f"{self.name}: its fence cannot be understood", target=self.name)
        body = {
            "metadata": {"resourceVersion": version},
            "data": {"epoch": str(int(change.epoch))},
        }
        self._check_permit(permit)
        await self._transport.send(
            "PATCH", f"{FENCE_PATH}?fieldManager={permit.field_manager}", body, content_type=MERGE
        )

    async def _create_fence(self, permit: Permit, change: RaiseFence) -> None:
        path = FENCE_PATH.rpartition("/")[0]
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": FENCE_NAME, "namespace": FENCE_NAMESPACE},
            "data": {"epoch": str(int(change.epoch))},
        }
        self._check_permit(permit)
        try:
            await self._transport.send("POST", f"{path}?fieldManager={permit.field_manager}", body)
        except NotFound:
            raise Rejected(
                f"{self.name}: namespace {FENCE_NAMESPACE} does not exist; apply `failover rbac --fence` there",
                target=self.name,
            ) from None

    async def record_event(self, permit: Permit, change: ScaleChange, message: str) -> None:
        """A Kubernetes Event on the object that was touched."""
        ref = change.workload
        now = f"{self._clock.now().wall:%Y-%m-%dT%H:%M:%SZ}"
        body: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": f"{ref.name}.failover-", "namespace": ref.namespace},
            "involvedObject": {
                "apiVersion": "apps/v1",
                "kind": ref.object_kind,
                "name": ref.name,
                "namespace": ref.namespace,
            },
            "reason": "FailoverScaled",
            "message": message[:1000],
            "type": "Normal",
            "source": {"component": "failover"},
            "reportingComponent": "failover",
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        self._check_permit(permit)
        await self._transport.send("POST", f"/api/v1/namespaces/{quote(ref.namespace)}/events", body)

    async def _identify(self, permit: Permit, expected: str) -> None:
        """Before the first write of an epoch: is this still the cluster that was looked at?"""
        known = self._identified.get(permit.epoch)
        if known is None:
            known = await self._reader.uid()
            self._identified[permit.epoch] = known
        if expected and known != expected:
            del self._identified[permit.epoch]
            raise Rejected(
                f"{self.name}: the kubeconfig reaches another cluster ({known}, before it was {expected}); nothing is written",
                target=self.name,
            )

    def _check_permit(self, permit: Permit) -> None:
        """The last look before the send (I22)."""
        if not permit.still_good(self._clock.now().mono):
            raise Conflict(f"{self.name}: the permit ran out before the request was sent", target=self.name)

    async def close(self) -> None:
        await self._transport.close()


def _after_scale(change: ScaleChange, answer: dict[str, Any]) -> WorkloadState:
    """What the answer of a scale proves: the number that is wanted now. Readiness is read elsewhere.

    Raises OutcomeUnknown for an answer that proves nothing: it was sent, so only a read-back can tell (I19).
    """
    try:
        wanted = int((answer.get("spec") or {})["replicas"])
        pods = int((answer.get("status") or {}).get("replicas") or 0)
        version = str((answer.get("metadata") or {}).get("resourceVersion", ""))
    except (KeyError, ValueError, TypeError, AttributeError):
        raise OutcomeUnknown(
            f"{change.cluster}: the answer to the change is no Scale", target=change.cluster
        ) from None
    if wanted != change.after:
        raise OutcomeUnknown(
            f"{change.cluster}: asked for {change.after}, the answer says {wanted}", target=change.cluster
        )
    return WorkloadState(
        ref=change.workload,
        exists=True,
        wanted=wanted,
        ready=0,
        pods=pods,
        settled=False,
        resource_version=version,
    )

"""Proves the rights before the disaster: SelfSubjectAccessReviews and a dry run of the scale (`validate --live`)."""

from collections.abc import Sequence

from failover.kube.objects import PLURALS, object_path
from failover.kube.reader import FENCE_NAME, FENCE_NAMESPACE, Reader
from failover.kube.transport import Transport
from failover.model.errors import TargetError
from failover.model.ids import ClusterName
from failover.model.inventory import RightProblem
from failover.model.policy import WorkloadRef

MERGE = "application/merge-patch+json"
Right = tuple[str, str, str, str, str, str]
"""Verb, API group, resource, subresource, namespace, name."""


def needed_rights(workloads: Sequence[WorkloadRef], *, fence: bool) -> tuple[Right, ...]:
    """Everything that a failover does in a cluster, once each."""
    found: dict[Right, None] = {
        ("list", "", "nodes", "", "", ""): None,
        ("list", "", "pods", "", "", ""): None,
    }
    found["get", "", "namespaces", "", "", "kube-system"] = None
    for ref in workloads:
        plural = PLURALS[ref.object_kind]
        for verb in ("get", "list"):
            found[verb, "apps", plural, "", ref.namespace, ""] = None
        for verb in ("get", "list", "patch"):
            found[verb, "autoscaling", "horizontalpodautoscalers", "", ref.namespace, ""] = None
        found["patch", "apps", plural, "scale", ref.namespace, ref.name] = None
        found["create", "", "events", "", ref.namespace, ""] = None
    if fence:
        for verb in ("get", "patch"):
            found[verb, "", "configmaps", "", FENCE_NAMESPACE, FENCE_NAME] = None
    return tuple(found)


async def check_rights(
    transport: Transport, reader: Reader, name: ClusterName, workloads: Sequence[WorkloadRef], *, fence: bool
) -> tuple[RightProblem, ...]:
    """Every right that is missing, every workload that is absent, every scale that a dry run refuses."""
    problems: list[RightProblem] = []
    try:
        for right in needed_rights(workloads, fence=fence):
            if not await _allowed(transport, right):
                problems.append(RightProblem(target=name, sentence=f"may not {_words(right)}"))
        if not problems:
            problems += await _dry_runs(transport, reader, name, workloads)
            if fence and await reader.fence_epoch() is None:
                sentence = "has no failover-fence ConfigMap that can be understood: apply `failover rbac --fence` there, or say fence: best-effort"
                problems.append(RightProblem(target=name, sentence=sentence))
    except TargetError as error:
        problems.append(RightProblem(target=name, sentence=str(error)))
    return tuple(problems)


async def _allowed(transport: Transport, right: Right) -> bool:
    verb, group, resource, subresource, namespace, name = right
    attributes = {
        "verb": verb,
        "group": group,
        "resource": resource,
        "subresource": subresource,
        "namespace": namespace,
        "name": name,
    }
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {key: value for key, value in attributes.items() if value}},
    }
    answer = await transport.ask("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body)
    return bool((answer.get("status") or {}).get("allowed"))


def _words(right: Right) -> str:
    verb, group, resource, subresource, namespace, name = right
    what = f"{resource}/{subresource}" if subresource else resource
    where = f" in namespace {namespace}" if namespace else ""
    return f"{verb} {what}{'.' + group if group else ''}{' ' + name if name else ''}{where}: apply `failover rbac` there"


async def _dry_runs(
    transport: Transport, reader: Reader, name: ClusterName, workloads: Sequence[WorkloadRef]
) -> list[RightProblem]:
    problems = []
    for state in await reader.workloads(workloads):
        if not state.exists:
            sentence = f"{state.ref} does not exist: it is no target for it (create it with 0 replicas)"
            problems.append(RightProblem(target=name, sentence=sentence, warning=True))
            continue
        body = {"metadata": {"resourceVersion": state.resource_version}, "spec": {"replicas": state.wanted}}
        path = f"{object_path(state.ref)}/scale?dryRun=All&fieldManager=failover-check"
        try:
            await transport.send("PATCH", path, body, content_type=MERGE)
        except TargetError as error:
            problems.append(RightProblem(target=name, sentence=f"refuses to scale {state.ref}: {error}"))
    return problems

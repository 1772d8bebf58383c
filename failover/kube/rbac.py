"""Prints the least that a cluster must grant for the loaded policies, with the admission fence as an option."""

from typing import Any

import yaml

from failover.kube.objects import PLURALS
from failover.kube.reader import FENCE_NAME, FENCE_NAMESPACE
from failover.model.policy import Policy, WorkloadRef

ACCOUNT = "failover"
LABELS = {"app.kubernetes.io/name": "failover"}


def manifest(policy: Policy, *, fence: bool, user: str = "") -> str:
    """YAML documents for `kubectl apply`. `user`: bind this user instead of the service account failover/failover."""
    refs = sorted({item.ref for app in policy.applications for item in app.workloads}, key=str)
    subject: dict[str, Any] = (
        {"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}
        if user
        else {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": FENCE_NAMESPACE}
    )
    documents = [_namespace()]
    if not user:
        documents.append(_object("v1", "ServiceAccount", ACCOUNT, FENCE_NAMESPACE))
    documents += _cluster_wide(subject)
    for namespace in sorted({ref.namespace for ref in refs}):
        documents += _namespaced(namespace, [ref for ref in refs if ref.namespace == namespace], subject)
    documents += _fence_rights(subject)
    if fence:
        documents += _fence_policy()
    return "---\n".join(yaml.safe_dump(item, sort_keys=False) for item in documents)


def _object(version: str, kind: str, name: str, namespace: str = "", **rest: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "labels": dict(LABELS)}
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **rest}


def _namespace() -> dict[str, Any]:
    return _object("v1", "Namespace", FENCE_NAMESPACE)


def _rule(
    groups: str, resources: list[str], verbs: list[str], names: list[str] | None = None
) -> dict[str, Any]:
    rule: dict[str, Any] = {"apiGroups": [groups], "resources": resources, "verbs": verbs}
    if names:
        rule["resourceNames"] = names
    return rule


def _binding(kind: str, name: str, namespace: str, subject: dict[str, Any]) -> dict[str, Any]:
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}
    return _object(
        "rbac.authorization.k8s.io/v1",
        f"{kind}Binding",
        name,
        namespace,
        roleRef=reference,
        subjects=[subject],
    )


def _cluster_wide(subject: dict[str, Any]) -> list[dict[str, Any]]:
    """Read nodes and pods (capacity), how busy the nodes are (where that is measured), and the identity of the cluster."""
    rules = [
        _rule("", ["nodes", "pods"], ["list"]),
        _rule("metrics.k8s.io", ["nodes"], ["list"]),
        _rule("", ["namespaces"], ["get"], ["kube-system"]),
    ]
    role = _object("rbac.authorization.k8s.io/v1", "ClusterRole", "failover", rules=rules)
    return [role, _binding("ClusterRole", "failover", "", subject)]


def _namespaced(namespace: str, refs: list[WorkloadRef], subject: dict[str, Any]) -> list[dict[str, Any]]:
    """The only writes: the scale of the named objects, the minimum of their autoscalers, Events."""
    plurals = sorted({PLURALS[ref.object_kind] for ref in refs})
    rules = [_rule("apps", plurals, ["get", "list"])]
    for plural in plurals:
        names = sorted(ref.name for ref in refs if PLURALS[ref.object_kind] == plural)
        rules.append(_rule("apps", [f"{plural}/scale"], ["patch"], names))
    rules.append(_rule("autoscaling", ["horizontalpodautoscalers"], ["get", "list", "patch"]))
    rules.append(_rule("", ["events"], ["create"]))
    role = _object("rbac.authorization.k8s.io/v1", "Role", "failover", namespace, rules=rules)
    return [role, _binding("Role", "failover", namespace, subject)]


def _fence_rights(subject: dict[str, Any]) -> list[dict[str, Any]]:
    """One ConfigMap, by name; creating cannot be limited by name, so it is made here.

    Without an epoch: applying this manifest again must never lower a fence that was raised since.
    """
    rules = [_rule("", ["configmaps"], ["get", "patch"], [FENCE_NAME])]
    role = _object("rbac.authorization.k8s.io/v1", "Role", "failover-fence", FENCE_NAMESPACE, rules=rules)
    fence = _object("v1", "ConfigMap", FENCE_NAME, FENCE_NAMESPACE)
    return [fence, role, _binding("Role", "failover-fence", FENCE_NAMESPACE, subject)]


def _fence_policy() -> list[dict[str, Any]]:
    """Refuses an older epoch in what we write, and nothing else (kubernetes facts, section 3).

    `parameterNotFoundAction: Allow`: Deny would refuse every matching write by anybody once the ConfigMap is gone.
    """
    ours = "has(request.options.fieldManager) && request.options.fieldManager.startsWith('failover-e')"
    never = "!has(params.data) || !('epoch' in params.data)"
    newer = f"{never} || int(request.options.fieldManager.substring(10)) >= int(params.data.epoch)"
    spec = {
        "failurePolicy": "Fail",
        "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "matchConstraints": {
            "resourceRules": [
                {
                    "apiGroups": ["apps"],
                    "apiVersions": ["v1"],
                    "operations": ["UPDATE"],
                    "resources": ["deployments/scale", "statefulsets/scale", "replicasets/scale"],
                },
                {
                    "apiGroups": ["autoscaling"],
                    "apiVersions": ["v2"],
                    "operations": ["UPDATE"],
                    "resources": ["horizontalpodautoscalers"],
                },
            ]
        },
        "matchConditions": [{"name": "ours", "expression": ours}],
        "validations": [{"expression": newer, "message": "failover-fence: a newer epoch has acted here"}],
    }
    binding = {
        "policyName": FENCE_NAME,
        "validationActions": ["Deny"],
        "paramRef": {"name": FENCE_NAME, "namespace": FENCE_NAMESPACE, "parameterNotFoundAction": "Allow"},
    }
    version = "admissionregistration.k8s.io/v1"
    return [
        _object(version, "ValidatingAdmissionPolicy", FENCE_NAME, spec=spec),
        _object(version, "ValidatingAdmissionPolicyBinding", FENCE_NAME, spec=binding),
    ]

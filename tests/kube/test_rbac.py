"""The manifest of `failover rbac` grants what a failover needs, and nothing else."""

from collections.abc import Iterator

import yaml

from failover.kube.rbac import manifest
from failover.kube.rights import Right, needed_rights
from tests.support.policies import policy

ROLES = ("Role", "ClusterRole")


def granted(*, fence: bool) -> Iterator[Right]:
    for document in yaml.safe_load_all(manifest(policy(), fence=fence)):
        namespace = document["metadata"].get("namespace", "")
        for rule in document["rules"] if document["kind"] in ROLES else []:
            for verb in rule["verbs"]:
                for group in rule["apiGroups"]:
                    for resource in rule["resources"]:
                        for name in rule.get("resourceNames", [""]):
                            plain, _, sub = resource.partition("/")
                            yield verb, group, plain, sub, namespace, name


def needed() -> set[Right]:
    refs = [item.ref for app in policy().applications for item in app.workloads]
    return set(needed_rights(refs, fence=True))


def test_everything_that_is_needed_is_granted() -> None:
    assert needed() - set(granted(fence=True)) == set()


def test_nothing_is_granted_that_is_not_needed() -> None:
    how_busy = {("list", "metrics.k8s.io", "nodes", "", "", "")}  # a hint: a cluster may have no metrics
    assert set(granted(fence=True)) - needed() == how_busy


def test_nothing_can_be_created_or_deleted_but_events_and_no_wildcard_stands_anywhere() -> None:
    for verb, group, resource, _, _, _ in granted(fence=True):
        assert "*" not in (verb, group, resource)
        assert verb in ("get", "list", "patch") or (verb, resource) == ("create", "events")

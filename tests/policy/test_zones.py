"""Zones at several kinds of provider: what each needs and cannot do is said when the policy is read, at its place."""

import json
from pathlib import Path

import pytest
import yaml

from failover.model.errors import PolicyError
from failover.model.policy import ZONE_PATIENCE_BESIDE_S, ZONE_PATIENCE_S, Policy
from failover.policy import load

POLICIES = Path(__file__).parents[2] / "policies"
SERVERS = [{"address": "192.0.2.61"}, {"address": "192.0.2.62"}]
ROUTE53 = {"provider": "route53", "hostedZone": "Z0123456789"}
CLOUD = {"provider": "clouddns", "project": "shop", "managedZone": "example-test"}


def written(folder: Path, zones: dict[str, dict[str, object]], **name: object) -> Path:
    """The example with these zones beside its own, and these fields in its first application's first name."""
    for path in POLICIES.glob("*.yaml"):
        (folder / path.name).write_text(path.read_text())
    documents = [
        {
            "apiVersion": "failover/v1alpha1",
            "kind": "DNSZone",
            "metadata": {"name": zone},
            "spec": {"apex": "example.test", "authoritative": SERVERS, **spec},
        }
        for zone, spec in zones.items()
    ]
    if documents:
        (folder / "more.yaml").write_text("---\n".join(yaml.safe_dump(item) for item in documents))
    applications = list(yaml.safe_load_all((folder / "applications.yaml").read_text()))
    for item in applications:
        for one in item["spec"].get("dns", []):
            if "zone" in one and zones:
                one["zones"] = [one.pop("zone"), *zones]
    applications[0]["spec"]["dns"][0].update(name)
    (folder / "applications.yaml").write_text("---\n".join(yaml.safe_dump(item) for item in applications))
    return folder


def policy(folder: Path) -> Policy:
    return load(folder).policy


def told(folder: Path) -> str:
    with pytest.raises(PolicyError) as error:
        load(folder)
    return str(error.value)


def test_one_zone_at_three_providers_is_each_name_three_times(tmp_path: Path) -> None:
    found = policy(written(tmp_path, {"at-aws": ROUTE53, "at-google": CLOUD}))
    assert {zone.provider for zone in found.zones} == {"rfc2136", "route53", "clouddns"}
    shop = found.applications[-1].dns
    names = {(name.name, name.record_type) for name in shop}
    assert len(shop) == 3 * len(names)
    google = found.zone(next(zone.name for zone in found.zones if zone.provider == "clouddns"))
    assert (google.project, google.hosted_zone) == ("shop", "example-test")


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({"provider": "route53"}, "hostedZone is missing: a zone at route53 needs it"),
        ({"provider": "clouddns", "project": "shop"}, "managedZone is missing"),
        ({"provider": "rfc2136"}, "primary is missing"),
        (
            {**CLOUD, "prepare": True},
            "means nothing to clouddns, which has no records that the provider checks itself",
        ),
        ({**ROUTE53, "tsigKeyFile": "tsig.key"}, "means nothing to route53"),
        ({**ROUTE53, "endpoint": "http://198.51.100.1:4566"}, "is an https URL"),
        ({**ROUTE53, "endpoint": "nonsense"}, "is an https URL"),
        ({**ROUTE53, "credentialsExpire": "soon"}, "is a date as YYYY-MM-DD"),
        ({**ROUTE53, "patience": "5s"}, "must be between 30s and 1h"),
        ({**ROUTE53, "timeout": "31s"}, "must be between 100ms and 30s"),
        ({**ROUTE53, "provider": "route54"}, "route54"),
    ],
)
def test_what_a_provider_needs_and_cannot_do(tmp_path: Path, spec: dict[str, object], sentence: str) -> None:
    assert sentence in told(written(tmp_path, {"second": spec}))


def test_a_run_waits_less_long_for_a_provider_beside_another(tmp_path: Path) -> None:
    assert [zone.patience_s for zone in policy(written(tmp_path, {})).zones] == [ZONE_PATIENCE_S]
    found = policy(written(tmp_path, {"at-aws": ROUTE53, "at-google": {**CLOUD, "patience": "30s"}}))
    assert {zone.provider: zone.patience_s for zone in found.zones} == {
        "rfc2136": ZONE_PATIENCE_BESIDE_S,
        "route53": ZONE_PATIENCE_BESIDE_S,
        "clouddns": 30.0,
    }


def test_weights_where_there_are_none_are_refused_with_the_reason(tmp_path: Path) -> None:
    said = told(written(tmp_path, {"second": ROUTE53}, weights=True))
    assert "plain record sets have no weights" in said


def test_a_name_is_published_at_every_provider_of_its_zone_or_at_none(tmp_path: Path) -> None:
    folder = written(tmp_path, {"second": ROUTE53})
    path = folder / "applications.yaml"
    documents = list(yaml.safe_load_all(path.read_text()))
    documents[0]["spec"]["dns"][0]["zones"].remove("second")
    path.write_text("---\n".join(yaml.safe_dump(item) for item in documents))
    assert "is served by second as well, and clients ask any of them" in told(folder)


def test_two_documents_of_one_place_would_fence_each_other(tmp_path: Path) -> None:
    assert "would fence each other" in told(written(tmp_path, {"second": ROUTE53, "third": ROUTE53}))


def test_names_are_claimed_in_passing_only_where_the_policy_says_so(tmp_path: Path) -> None:
    found = policy(written(tmp_path, {"second": ROUTE53}))
    assert [zone.adopt for zone in found.zones if zone.name == "second"] == [False]


def with_clusters(folder: Path, count: int) -> list[str]:
    """So many clusters more in the example's first datacenter; their names."""
    (path,) = [item for item in folder.glob("*.yaml") if "kind: Fleet" in item.read_text()]
    documents = list(yaml.safe_load_all(path.read_text()))
    fleet = next(item for item in documents if item["kind"] == "Fleet")
    clusters = fleet["spec"]["providers"][0]["regions"][0]["datacenters"][0]["clusters"]
    names = [f"more-{number}" for number in range(count)]
    for number, name in enumerate(names):
        copy = yaml.safe_load(yaml.safe_dump(clusters[0]))
        copy["name"] = name
        copy["endpoint"]["ipv4"] = [f"203.1.{number // 250}.{number % 250 + 1}"]
        clusters.append(copy)
    path.write_text("---\n".join(yaml.safe_dump(item) for item in documents))
    return names


@pytest.mark.parametrize(
    ("spec", "count", "weights", "sentence"),
    [
        (ROUTE53, 400, False, ""),
        (
            ROUTE53,
            401,
            False,
            "401 values of its clusters, and route53 holds 400 values under one name and type",
        ),
        (
            ROUTE53,
            101,
            True,
            "101 values of its clusters, and route53 holds 100 weighted records under one name and type",
        ),
        (
            CLOUD,
            101,
            False,
            "101 values of its clusters, and clouddns holds 100 values under one name and type unless",
        ),
    ],
)
def test_more_clusters_than_a_record_set_holds(
    tmp_path: Path, spec: dict[str, object], count: int, weights: bool, sentence: str
) -> None:
    clusters = [f"more-{number}" for number in range(count)]
    folder = written(tmp_path, {"second": spec}, clusters=clusters, weights=weights)
    assert with_clusters(folder, count) == clusters
    try:
        said = "\n".join(map(str, load(folder).warnings))
    except PolicyError as error:
        said = str(error)
    assert sentence in said
    assert ("under one name and type" in said) is bool(sentence)
    assert not sentence or ("warning" in said.partition(sentence)[0].splitlines()[-1]) is (spec is CLOUD)


def test_a_ttl_that_no_zone_would_take_is_said_when_the_policy_is_read(tmp_path: Path) -> None:
    assert "a TTL is a week (7d) at most" in told(written(tmp_path, {}, ttl="30d"))
    assert policy(written(tmp_path, {}, ttl="7d"))


def with_names(folder: Path, counts: list[int]) -> Path:
    """The example's first name so often in each of its first applications, under other labels."""
    path = folder / "applications.yaml"
    applications = list(yaml.safe_load_all(path.read_text()))
    for number, (item, count) in enumerate(zip(applications, counts, strict=False)):
        first = item["spec"]["dns"][0]
        item["spec"]["dns"] = [
            {**first, "name": f"a{number}-{one}.example.test", "type": "A"} for one in range(count)
        ]
    path.write_text("---\n".join(json.dumps(item) + "\n" for item in applications))  # no aliases
    return folder


def test_more_names_than_one_atomic_change_holds_are_told_by_application(tmp_path: Path) -> None:
    def in_parts(counts: list[int]) -> list[str]:
        return [
            str(item) for item in load(with_names(folder, counts)).warnings if "several parts" in str(item)
        ]

    folder = written(tmp_path, {})
    (told,) = in_parts([700, 10])
    assert "has 700 names in zone example-test, more than one atomic change at rfc2136 holds" in told
    assert in_parts([100, 100]) == []

"""Bad policy files: every error of every file in one go, each at its place, and nothing but PolicyError, ever."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from failover.model.errors import PolicyError
from failover.policy import load
from failover.policy.yaml_reader import read_text

POLICIES = Path(__file__).parents[2] / "policies"


def copy_of_the_example(folder: Path) -> None:
    for path in POLICIES.glob("*.yaml"):
        (folder / path.name).write_text(path.read_text())


def told(folder: Path) -> list[str]:
    """Problems with the folder's name taken off."""
    with pytest.raises(PolicyError) as error:
        load(folder)
    return [str(problem).removeprefix(f"{folder}/") for problem in error.value.problems]


def edit(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / name
        text = path.read_text()
        assert old in text, old
        path.write_text(text.replace(old, new, 1))

    return change


CASES = [
    ("unknown key", edit("guards.yaml", "perHour: 1 ", "perHuor: 1 "), "guards.yaml:10:3: spec.perHuor: there is no field 'perHuor' here; did you mean 'perHour'?"),
    ("unknown cluster", edit("applications.yaml", "{cluster: eu-west-b1, weight: 2", "{cluster: eu-west-b2, weight: 2"), "there is no cluster 'eu-west-b2'; did you mean 'eu-west-b1'?"),
    ("unknown zone", edit("applications.yaml", "zone: example-test, type: A", "zone: exmaple-test, type: A"), "there is no zone 'exmaple-test'; did you mean 'example-test'?"),
    ("onShortage missing", edit("applications.yaml", "  onShortage: hold\n", ""), "onShortage is missing: choose partial (move what fits) or hold (move nothing)"),
    ("shed", edit("applications.yaml", "onShortage: hold", "onShortage: shed"), "shed comes with the joint planner and is not there yet; choose partial or hold"),
    ("overlapping names", edit("applications.yaml", "name: ledger.example.test", "name: shop.example.test"), "shop.example.test. A belongs to shop already"),
    ("outside the zone", edit("applications.yaml", "name: shop.example.test, zone", "name: shop.example.org, zone"), "does not lie in zone example-test (example.test.)"),
    ("CNAME of all", edit("applications.yaml", "type: CNAME, ttl: 60s, publish: first", "type: CNAME, ttl: 60s, publish: all"), "a CNAME has one target: publish: first"),
    ("timeout over interval", edit("fleet.yaml", "    stable: 30m", "    timeout: 6s"), "timeout (6 s) must not exceed the interval (5 s)"),
    ("lease", edit("fleet.yaml", "    stable: 30m", "    lease: 8s"), "together must be less than lease (8 s)"),
    ("duration without unit", edit("fleet.yaml", "    stable: 30m", "    stable: 30"), "write a duration with its unit"),
    ("vantage in no region", edit("fleet.yaml", "region: ap-south\n", "region: ap-suoth\n"), "there is no region 'ap-suoth'; did you mean 'ap-south'?"),
    ("auto without a fence", edit("fleet.yaml", "fence: best-effort", "#"), "mode auto needs the fence in ap-south-a1"),
    ("no A address", edit("applications.yaml", "type: A, ttl", "type: AAAA, ttl"), "has no ipv6 that an AAAA record could publish"),
    ("private endpoint", edit("fleet.yaml", "198.51.100.11", "10.0.0.11"), "10.0.0.11 is private or loopback; name its range in spec.probes.allowCidrs"),
    ("cron", edit("schedules.yaml", "15 3 * * *", "15 25 * * *"), "'25' is no hour (0-23)"),
    ("time zone", edit("schedules.yaml", "Europe/Berlin", "Europe/Berln"), "there is no time zone 'Europe/Berln'"),
    ("scheduled domain", edit("schedules.yaml", "cluster/eu-west-b1", "cluster/eu-west-b9"), "there is no domain 'cluster/eu-west-b9'; did you mean 'cluster/eu-west-b1'?"),
    ("kind", edit("guards.yaml", "kind: Guards", "kind: Guard"), "'Guard' is no kind; did you mean 'Guards'?"),
    ("version", edit("guards.yaml", "failover/v1alpha1", "failover/v1"), "must be failover/v1alpha1, not 'failover/v1'"),
    ("alias", edit("guards.yaml", "perDay: 2", "perDay: *two"), "aliases (*name) are not allowed"),
    ("merge key", edit("guards.yaml", "  perDay: 2", "  <<: {perDay: 2}"), "merge keys (<<) are not allowed"),
    ("duplicate key", edit("guards.yaml", "perDay: 2", "perHour: 2"), "the key 'perHour' stands twice"),
    ("not YAML", edit("guards.yaml", "spec:", "spec: ["), "is not YAML"),
    ("second fleet", lambda folder: (folder / "two.yaml").write_text((folder / "fleet.yaml").read_text().replace("name: example ", "name: other ")), "there is a Fleet already"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "sentence"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_what_is_wrong_is_said_where_it_stands(
    tmp_path: Path, change: Callable[[Path], None], sentence: str
) -> None:
    copy_of_the_example(tmp_path)
    change(tmp_path)
    problems = told(tmp_path)
    assert any(sentence in problem for problem in problems), problems
    assert all(problem.split(":")[0].endswith(".yaml") for problem in problems)


def test_all_errors_of_all_files_come_in_one_go(tmp_path: Path) -> None:
    copy_of_the_example(tmp_path)
    for _, change, _ in CASES[:1] + CASES[8:9] + CASES[15:17]:
        change(tmp_path)
    problems = told(tmp_path)
    assert {problem.split(":")[0] for problem in problems} == {"guards.yaml", "fleet.yaml", "schedules.yaml"}
    assert len(problems) == 4


def test_words_that_look_like_something_else_stay_words() -> None:
    (marked,), problems = read_text("x", "a: no\nb: 017\nc: 12:30:00\nd: on\ne: true\nf: 1.5\ng: ~\n")
    assert problems == []
    assert marked.data == {"a": "no", "b": "017", "c": "12:30:00", "d": "on", "e": True, "f": 1.5, "g": None}


def test_bombs_are_refused_before_they_go_off() -> None:
    bomb = "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 27))
    began = time.monotonic()
    for text in (bomb, "[" * 5000, "a: " * 3000, "- " * 4000 + "x"):
        documents, problems = read_text("x", text)
        assert problems or documents
    assert time.monotonic() - began < 30  # the merge bomb alone takes minutes where it goes off


@given(st.text(max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_text_gives_documents_or_problems(text: str) -> None:
    read_text("x", text)


KEYS = st.sampled_from(
    ["apiVersion", "kind", "metadata", "spec", "name", "providers", "vantages", "mode", "dns", "x"]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["failover/v1alpha1", "Fleet", "Guards"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(
    st.dictionaries(KEYS, VALUES, max_size=5),
    st.sampled_from(["Fleet", "DNSZone", "Application", "Guards", "Schedule"]),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_document_loads_or_is_refused_with_sentences(tmp_path: Path, spec: dict, kind: str) -> None:
    import yaml

    document = {"apiVersion": "failover/v1alpha1", "kind": kind, "metadata": {"name": "x"}, "spec": spec}
    (tmp_path / "any.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(PolicyError) as error:
        load(tmp_path)
    assert all(problem.sentence for problem in error.value.problems)

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
    ("onShortage missing", edit("applications.yaml", "  onShortage: hold\n", ""), "onShortage is missing: choose partial (move what fits), hold (move nothing) or shed (later tiers make room)"),
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
    ("the calendar's own name", edit("schedules.yaml", "name: nightly-check", "name: survivability"), "metadata.name: is the calendar's own name for the job survivability; give this validate another"),
    ("time zone", edit("schedules.yaml", "Europe/Berlin", "Europe/Berln"), "there is no time zone 'Europe/Berln'"),
    ("scheduled domain", edit("schedules.yaml", "cluster/eu-west-b1", "cluster/eu-west-b9"), "there is no domain 'cluster/eu-west-b9'; did you mean 'cluster/eu-west-b1'?"),
    ("kind", edit("guards.yaml", "kind: Guards", "kind: Guard"), "'Guard' is no kind; did you mean 'Guards'?"),
    ("version", edit("guards.yaml", "failover/v1alpha1", "failover/v1"), "must be failover/v1alpha1, not 'failover/v1'"),
    ("alias", edit("guards.yaml", "perDay: 2", "perDay: *two"), "aliases (*name) are not allowed"),
    ("merge key", edit("guards.yaml", "  perDay: 2", "  <<: {perDay: 2}"), "merge keys (<<) are not allowed"),
    ("duplicate key", edit("guards.yaml", "perDay: 2", "perHour: 2"), "the key 'perHour' stands twice"),
    ("not YAML", edit("guards.yaml", "spec:", "spec: ["), "is not YAML"),
    ("step beyond the field", edit("schedules.yaml", "15 3 * * *", "*/90 * * * *"), "schedules.yaml:9:9: spec.cron: '*/90' has a step of 90, which is more than there is from 0 to 59"),
    ("CA bundle", edit("fleet.yaml", "bodyContains: ok", "bodyContains: ok, caFile: nowhere.pem"), ":82: spec.providers[0].regions[0].datacenters[0].clusters[0].probe.caFile: "),
    ("CA bundle of an application", edit("applications.yaml", "path: /shop/healthz", "path: /shop/healthz, caFile: applications.yaml"), "applications.yaml holds no PEM certificate"),
    ("no such home", edit("fleet.yaml", "kubeconfig: kubeconfig.yaml", 'kubeconfig: "~nobody-here/x"'), "there is no home directory '~nobody-here'; write the path out"),
    ("one apex twice", lambda folder: (folder / "z.yaml").write_text((folder / "dns.yaml").read_text().replace("name: example-test", "name: other")), "z.yaml:10:9: spec.apex: example.test. is the apex of zone example-test already"),
    ("a zone between", lambda folder: (folder / "z.yaml").write_text((folder / "dns.yaml").read_text().replace("name: example-test", "name: other").replace("apex: example", "apex: shop.example")), "shop.example.test. lies in zone other (shop.example.test.): what example-test says about it is never asked"),
    ("CNAME of itself", edit("fleet.yaml", "hostname: eu-west-a1.example.net", "hostname: Ledger.example.test."), "would point at itself: ledger.example.test is the hostname of eu-west-a1"),
    ("one token twice", edit("fleet.yaml", "dadb16440383e4355825c8ad4b0d058e6de1ed9e3da933c00c4ef8e1d071ae7b", "2e070cd9b00a7c517d484e33a54b02498068aefdf9464ec3155b3236f36dcf49"), ":20: spec.vantages[2].tokenSHA256: is the token of vantage elsewhere already: one voice must not vote twice"),
    ("one reference by two names", edit("fleet.yaml", "address: 192.0.2.2", "address: 192.0.2.1"), "192.0.2.1 port 443 is reference 'resolver-one' already"),
    ("two references of one name", edit("fleet.yaml", "name: resolver-two", "name: resolver-one"), "the reference 'resolver-one' stands twice"),
    ("no window", edit("fleet.yaml", "    stable: 30m", "    holdDown: {window: 0s}"), "holdDown.window must be more than nothing"),
    ("confirm of months", edit("fleet.yaml", "    stable: 30m", "    confirm: 300d"), "confirm must not exceed 1h"),
    ("interval of a day", edit("fleet.yaml", "    stable: 30m", "    interval: 1d"), "interval must be between 100ms and 10m"),
    ("line break in a path", edit("fleet.yaml", "path: /healthz", 'path: "/he\\r\\nalthz"'), "probe.path: holds the control character U+000D; it must be one line of plain text"),
    ("line break in a body", edit("fleet.yaml", "bodyContains: ok", 'bodyContains: "o\\nk"'), "probe.bodyContains: holds the control character U+000A"),
    ("line break in a host", edit("applications.yaml", "host: shop.example.test", 'host: "shop.example.test\\r\\nX: y"'), "'shop.example.test\\r\\nX: y' is no host name"),
    ("NUL in a file's name", edit("fleet.yaml", "kubeconfig: kubeconfig.yaml", 'kubeconfig: "a\\0b"'), "access.kubeconfig: holds the control character U+0000"),
    ("no change at all", edit("guards.yaml", "changesPerSecond: 20 ", "changesPerSecond: 0.001 "), "spec.changesPerSecond: input should be greater than or equal to 0.01, not 0.001"),
    ("out of range", edit("guards.yaml", "perDay: 2", 'perDay: "\\U99999999"'), "guards.yaml:11:14: is not YAML: a number in an escape or a directive is out of range"),
    ("half a character", edit("fleet.yaml", "bodyContains: ok", 'bodyContains: "\\ud800"'), ":70: holds half of a character"),
    ("control character", edit("guards.yaml", "perDay: 2", "perDay: \x01 2"), "guards.yaml:11:11: holds the control character U+0001, which no YAML file may hold"),
    ("no Fleet", lambda folder: (folder / "fleet.yaml").unlink(), "applications.yaml:5:1: no document of kind Fleet was found, here or in any other file"),
    ("not UTF-8", lambda folder: (folder / "guards.yaml").write_bytes(b"a: 1\nb: \xe9\n"), "guards.yaml:2:4: is not UTF-8 text: byte 0xe9 stands here"),
    ("a list for a kind", edit("guards.yaml", "kind: Guards", "kind: [Guards]"), "['Guards'] is no kind"),
    ("a tag on a mapping", edit("guards.yaml", "spec:", "spec: !!set"), "the tag tag:yaml.org,2002:set is not allowed"),
    ("second fleet", lambda folder: (folder / "two.yaml").write_text((folder / "fleet.yaml").read_text().replace("name: example ", "name: other ")), "there is a Fleet already"),
    ("two ways to name clusters", edit("applications.yaml", "{cluster: eu-west-a1, weight: 2", "{cluster: eu-west-a1, domain: region/eu-west, weight: 2"), "placement[0]: names its clusters by cluster, domain or labels: one, not cluster and domain"),
    ("no way to name clusters", edit("applications.yaml", "{cluster: eu-west-a1, weight: 2", "{weight: 2"), "names its clusters by cluster, domain or labels: one, not none of them"),
    ("labels that match nothing", edit("applications.yaml", '{labels: {gdpr: "yes"}', '{labels: {gdpr: "no"}'), "placement[2].labels: matches no cluster: none has {'gdpr': 'no'}"),
    ("a group that matches nothing", edit("applications.yaml", "{domain: region/us-east, group: 1}", "{domain: region/ap-south, group: 1}"), "placement[1].domain: matches no cluster that an earlier entry does not name already"),
    ("a group of what is excluded", edit("applications.yaml", "exclude: [eu-west-b1]", "exclude: [region/us-east]"), "placement[1].domain: matches no cluster: exclude names all of them"),
    ("unknown domain", edit("applications.yaml", "region/us-east, group", "region/us-aest, group"), "there is no domain 'region/us-aest'; did you mean 'region/us-east'?"),
    ("unknown exclusion", edit("applications.yaml", "exclude: [eu-west-b1]", "exclude: [eu-west-b7]"), "spec.workloads[0].exclude[0]: there is no domain 'eu-west-b7'"),
    ("min over max", edit("applications.yaml", "min: 2, max: 40", "min: 41, max: 40"), "max (40) is less than min (41)"),
    ("negative price", edit("fleet.yaml", "cpu: 0.034", "cpu: -0.034"), "spec.providers[0].price.cpu: input should be greater than or equal to 0, not -0.034"),
    ("absurd price", edit("fleet.yaml", "cpu: 0.034", "cpu: 1000000"), "price.cpu: input should be less than or equal to 10000, not 1000000"),
    ("a price that is no number", edit("fleet.yaml", "cpu: 0.034", "cpu: .nan"), "price.cpu: "),
    ("no price to be cheap by", edit("fleet.yaml", "      price: {cpu: 0.012, memory: 0.0015}\n", ""), "strategy: cost needs a price, and ap-south-a1 has none"),
    ("requests of nothing", edit("applications.yaml", "{cpu: 500m, memory: 512Mi}", "{cpu: 0}"), "requests: ask for nothing: how many replicas a cluster holds could not be told"),
    ("requests in words", edit("applications.yaml", "{cpu: 500m, memory: 512Mi}", "{cpu: a lot}"), "'a lot' is no quantity; write it as Kubernetes does: 500m, 2, 512Mi"),
    ("a spread of nothing", edit("applications.yaml", "{over: region, atLeast: 2, atMost: 70}", "{over: region}"), "says neither atLeast nor atMost: it would change nothing"),
    ("a spread that cannot be", edit("applications.yaml", "atLeast: 2, atMost: 70", "atMost: 30, whenUnsatisfiable: DoNotSchedule"), "at most 30 % in each of 3 domains (region) is 90 % in all: the rest would have no place"),
    ("a spread over more than there is", edit("applications.yaml", "atLeast: 2, atMost: 70", "atLeast: 4, whenUnsatisfiable: DoNotSchedule"), "asks for 4 domains, and placement lies in 3 (region)"),
    ("standby of one group", edit("applications.yaml", "      spread:\n", "      standby: 2\n      spread:\n"), "standby keeps replicas warm in later groups, and placement has one group only"),
    ("a promise that cannot be kept", edit("applications.yaml", "  mode: approve ", "  survives: provider\n  mode: approve "), "promises to outlive the loss of a provider, and may run in alpha-cloud only"),
    ("a tier that there is not", edit("applications.yaml", "tier: 9", "tier: 0"), "spec.tier: input should be greater than or equal to 1, not 0"),
    ("a window in a DST gap", edit("applications.yaml", '"0 8 * * mon-fri", timezone: Asia/Kolkata', '"30 2 * * *", timezone: Europe/Berlin'), "would begin at 2024-03-31 02:30, which the clocks of Europe/Berlin skip that day: choose a time that there is"),
    ("a window that runs into itself", edit("applications.yaml", '"0 8 * * mon-fri"', '"0 */8 * * *"'), "runs into its own next beginning"),
    ("two windows at once", edit("applications.yaml", "  dns:\n    - {name: shop", '    - {name: noon, cron: "0 12 * * 1", timezone: Asia/Kolkata, duration: 1h, weights: {us-east: 2}}\n  dns:\n    - {name: shop'), "windows[1]: begins while day-in-india holds ("),
    ("a window that changes nothing", edit("applications.yaml", ", weights: {region/ap-south: 3}", ""), "has neither weights nor groups: it would change nothing"),
    ("a window of nowhere", edit("applications.yaml", "weights: {region/ap-south: 3}", "weights: {region/ap-suoth: 3}"), "there is no domain 'region/ap-suoth'; did you mean 'region/ap-south'?"),
    ("a window of a moment", edit("applications.yaml", "duration: 9h", "duration: 9s"), "a window holds for 1m to 7d"),
    ("a window without a weight", edit("applications.yaml", "weights: {region/ap-south: 3}", "weights: {alpha-cloud: 0, own-machines: 0}"), "leaves no cluster with a weight for web"),
    ("a window's cron", edit("applications.yaml", "0 8 * * mon-fri", "0 25 * * mon-fri"), "'25' is no hour (0-23)"),
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
    for _, change, _ in CASES[:1] + CASES[7:8] + CASES[14:16]:
        change(tmp_path)
    problems = told(tmp_path)
    assert {problem.split(":")[0] for problem in problems} == {"guards.yaml", "fleet.yaml", "schedules.yaml"}
    assert len(problems) == 4


def test_an_error_in_the_fleet_hides_no_other(tmp_path: Path) -> None:
    copy_of_the_example(tmp_path)
    for change in (
        edit("fleet.yaml", "profile: balanced", "profil: balanced"),
        edit("applications.yaml", "cluster: eu-west-a1, weight: 2", "cluster: eu-west-a9, weight: 2"),
        edit("applications.yaml", "  onShortage: hold\n", ""),
        edit("applications.yaml", "zone: example-test, type: A", "zone: exmaple-test, type: A"),
        edit("schedules.yaml", "Europe/Berlin", "Europe/Berln"),
        edit("schedules.yaml", "cluster/eu-west-b1", "cluster/eu-west-b9"),
    ):
        change(tmp_path)
    assert [problem.split(": ", 1)[1] for problem in told(tmp_path)] == [
        "spec.workloads[0].placement[0].cluster: there is no cluster 'eu-west-a9'; did you mean 'eu-west-a1'?",
        "spec.dns[0].zone: there is no zone 'exmaple-test'; did you mean 'example-test'?",
        "spec: onShortage is missing: choose partial (move what fits), hold (move nothing) or shed (later tiers make room)",
        "spec.profil: there is no field 'profil' here; did you mean 'profile'?",
        "spec.timezone: there is no time zone 'Europe/Berln' (IANA names, such as Europe/Berlin)",
        "spec.domain: there is no domain 'cluster/eu-west-b9'; did you mean 'cluster/eu-west-b1'?",
    ]


def test_a_wrong_field_hides_nothing_else_of_its_document(tmp_path: Path) -> None:
    copy_of_the_example(tmp_path)
    for change in (
        edit("applications.yaml", "floor: 100 ", "floor: 1000 "),
        edit("applications.yaml", "  onShortage: shed ", "  # "),
        edit("applications.yaml", "onShortage: hold", "onShortage: holt"),
        edit("applications.yaml", "cluster: eu-west-a1, weight: 2", "cluster: eu-west-a9, weight: 2"),
        edit("fleet.yaml", "fence: policy ", "fence: polcy "),
        edit("fleet.yaml", "hostname: us-east-a1.example.net", "hostname: -"),
        edit("fleet.yaml", "region: us-east", "region: us-eats"),
    ):
        change(tmp_path)
    assert [problem.split(": ", 1)[1] for problem in told(tmp_path)] == [
        "spec: onShortage is missing: choose partial (move what fits), hold (move nothing) or shed (later tiers make room)",
        "spec.floor: input should be less than or equal to 100, not 1000",
        "spec.workloads[0].placement[0].cluster: there is no cluster 'eu-west-a9'; did you mean 'eu-west-a1'?",
        "spec.onShortage: input should be 'partial', 'hold' or 'shed', not 'holt'",
        "spec.providers[0].regions[0].datacenters[0].clusters[0].fence: input should be 'policy' or 'best-effort', not 'polcy'",
        "spec.providers[0].regions[1].datacenters[0].clusters[0].endpoint.hostname: '-' is no host name",
        "spec.vantages[3].region: there is no region 'us-eats'; did you mean 'us-east'?",
    ]


def test_what_only_follows_from_another_error_is_not_told(tmp_path: Path) -> None:
    copy_of_the_example(tmp_path)
    edit("fleet.yaml", "  providers:", "  providers: [")(tmp_path)
    edit("dns.yaml", "apex: example.test", "apex: -")(tmp_path)
    edit("guards.yaml", "perDay: 2", "perDay: *two")(tmp_path)
    problems = told(tmp_path)
    assert len(problems) == 3, problems
    assert {problem.split(":")[0] for problem in problems} == {"fleet.yaml", "dns.yaml", "guards.yaml"}


def test_a_text_is_read_on_after_everything_that_is_wrong_with_it() -> None:
    text = """\
a: &x 1
b: *x
b: !!python/object:os.system 2
c: *x
--- [
---
<<: {d: 1}
e: 1
e: 2
---
f: \x07
"""
    documents, problems = read_text("x", text)
    assert [str(problem) for problem in problems] == [
        "x:11:4: holds the control character U+0007, which no YAML file may hold",
        "x:2:4: aliases (*name) are not allowed: write the value out",
        "x:3:4: the tag tag:yaml.org,2002:python/object:os.system is not allowed",
        "x:4:4: aliases (*name) are not allowed: write the value out",
        "x:3:1: the key 'b' stands twice",
        "x:6:1: is not YAML: while parsing a flow node expected the node content, but found '<document start>'",
        "x:7:1: merge keys (<<) are not allowed: write the values out",
        "x:9:1: the key 'e' stands twice",
    ]
    assert [item.data for item in documents] == [{"a": 1, "b": None, "c": None}, None, {"e": 1}, {"f": None}]


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

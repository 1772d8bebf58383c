"""Fixtures of the server tiers, one of each for the whole session, and the summary that names what was not run.

A test takes part in a tier by asking for its fixture: `bind_pair`, `control_plane` or `three_control_planes`. All
are shared, so a test takes names of its own in them (`bind_pair.add_zone`, a namespace); one that kills or freezes
a shared server brings it back, and one that cannot promise that starts a server of its own.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from .servers.bind import BindPair
from .servers.kubernetes.controlplane import ControlPlane, running
from .servers.pairs import MixedPair
from .servers.tiers import (
    BIND,
    KNOT,
    KUBERNETES,
    LMDB,
    OBSERVERS,
    OTHERS,
    POWERDNS,
    REQUIRE,
    TIERS,
    Tier,
    servers_required,
)

TIER_OF_FIXTURE = {
    "bind_pair": BIND,
    "bind_tier": BIND,
    "knot_pair": KNOT,
    "bind_knot_pair": KNOT,
    "powerdns_pair": POWERDNS,
    "powerdns_lmdb_pair": LMDB,
    "observers_tier": OBSERVERS,
    "others_tier": OTHERS,
    "control_plane": KUBERNETES,
    "three_control_planes": KUBERNETES,
    "kubernetes_tier": KUBERNETES,
}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "servers: needs a real server (BIND 9 or Kubernetes) on this machine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what asks for a server, so that `-m 'not servers'` leaves it out, and note its tiers for the summary."""
    for item in items:
        asked = tiers_of(getattr(item, "fixturenames", ()))
        if asked:
            item.add_marker(pytest.mark.servers)
            item.user_properties.append(("tiers", asked))


def tiers_of(fixtures: Iterable[str]) -> list[str]:
    """The names of the tiers that some fixtures belong to."""
    return sorted({TIER_OF_FIXTURE[name].name for name in fixtures if name in TIER_OF_FIXTURE})


def require_tier(tier: Tier) -> None:
    """Skip the asking test where the tier cannot run, or fail it where servers are required."""
    problem = tier.problem()
    if problem is None:
        return
    if servers_required():
        pytest.fail(f"{problem} ({REQUIRE} is set.)", pytrace=False)
    pytest.skip(problem)


@pytest.fixture(scope="session")
def bind_tier() -> None:
    """For a test that starts BIND servers of its own: skip it where there is no BIND."""
    require_tier(BIND)


@pytest.fixture(scope="session")
def kubernetes_tier() -> None:
    """For a test that starts control planes of its own: skip it where the programs are missing."""
    require_tier(KUBERNETES)


@pytest.fixture(scope="session")
def bind_pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BindPair]:
    """BIND 9, primary and secondary, notify-delay 0; `add_zone` gives a test a zone of its own."""
    require_tier(BIND)
    pair = BindPair(tmp_path_factory.mktemp("bind") / "pair")
    try:
        pair.start()
        yield pair
    finally:
        pair.stop()


@pytest.fixture(scope="session")
def observers_tier() -> None:
    """For a test that looks on with other people's tools."""
    require_tier(OBSERVERS)


@pytest.fixture(scope="session")
def others_tier() -> None:
    """For a test that runs octoDNS or ministack."""
    require_tier(OTHERS)


def _mixed(factory: pytest.TempPathFactory, primary: str) -> Iterator[MixedPair]:
    pair = MixedPair(factory.mktemp(primary) / "pair", primary=primary)
    try:
        pair.start()
        yield pair
    finally:
        pair.stop()


@pytest.fixture(scope="session")
def knot_pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MixedPair]:
    """Knot, primary and secondary, with the zone example.test."""
    require_tier(KNOT)
    yield from _mixed(tmp_path_factory, "knot")


@pytest.fixture(scope="session")
def bind_knot_pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MixedPair]:
    """A BIND primary with a Knot secondary, with the zone example.test."""
    require_tier(BIND)
    require_tier(KNOT)
    yield from _mixed(tmp_path_factory, "bind")


@pytest.fixture(scope="session")
def powerdns_pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MixedPair]:
    """A PowerDNS primary with a Knot secondary, with the zone example.test."""
    require_tier(POWERDNS)
    yield from _mixed(tmp_path_factory, "powerdns")


@pytest.fixture(scope="session")
def powerdns_lmdb_pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MixedPair]:
    """The same with its zones in LMDB."""
    require_tier(LMDB)
    yield from _mixed(tmp_path_factory, "powerdns-lmdb")


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """One real cluster with the HorizontalPodAutoscaler controller."""
    require_tier(KUBERNETES)
    plane = ControlPlane("solo", tmp_path_factory.mktemp("kubernetes") / "solo", autoscaler=True)
    with running((plane,)):
        yield plane


@pytest.fixture(scope="session")
def three_control_planes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ControlPlane, ...]]:
    """Three real clusters, one a region: `east`, `west` and `north`."""
    require_tier(KUBERNETES)
    folder = tmp_path_factory.mktemp("kubernetes")
    planes = tuple(ControlPlane(name, folder / name) for name in ("east", "west", "north"))
    with running(planes):
        yield planes


@pytest.fixture(autouse=True)
def _note_tiers(request: pytest.FixtureRequest) -> Iterator[None]:
    """Note the tiers of a test that asked for its server while it ran, where the summary finds them."""
    yield
    properties: list[tuple[str, object]] = request.node.user_properties
    asked = tiers_of(request.fixturenames)
    if asked and "tiers" not in dict(properties):
        properties.append(("tiers", asked))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say of every tier how many tests ran on it, or why they did not."""
    tiers: dict[str, list[str]] = {}
    ran: set[str] = set()
    for outcome, reports in terminalreporter.stats.items():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                noted: dict[str, Any] = dict(report.user_properties)
                tiers.setdefault(report.nodeid, []).extend(noted.get("tiers", ()))
                if report.when == "call" and outcome != "skipped":
                    ran.add(report.nodeid)
    if not any(tiers.values()):
        return
    terminalreporter.section("server tiers")
    for tier in TIERS:
        asked = {test for test, names in tiers.items() if tier.name in names}
        line = f"{tier.title}: {len(asked & ran)} tests ran"
        if asked - ran:
            line += f", {len(asked - ran)} did not. {tier.problem() or ''}".rstrip()
        terminalreporter.line(line)

"""Fixtures of the server tiers, one of each for the whole session, and the summary that names what was not run.

A test takes part in a tier by asking for its fixture: `bind_pair`, `control_plane` or `three_control_planes`. All
are shared, so a test takes names of its own in them (`bind_pair.add_zone`, a namespace); one that kills or freezes
a shared server brings it back, and one that cannot promise that starts a server of its own.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from .servers.bind import BindPair
from .servers.kubernetes.controlplane import ControlPlane, running
from .servers.tiers import BIND, KUBERNETES, REQUIRE, TIERS, Tier, servers_required

TIER_OF_FIXTURE = {
    "bind_pair": BIND,
    "bind_tier": BIND,
    "control_plane": KUBERNETES,
    "three_control_planes": KUBERNETES,
    "kubernetes_tier": KUBERNETES,
}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "servers: needs a real server (BIND 9 or Kubernetes) on this machine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what asks for a server, so that `-m 'not servers'` leaves it out."""
    for item in items:
        if TIER_OF_FIXTURE.keys() & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.servers)


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
    """Note which tiers a test asked for, in whatever way, where the summary finds it (other processes' tests too)."""
    yield
    asked = {TIER_OF_FIXTURE[name].name for name in request.fixturenames if name in TIER_OF_FIXTURE}
    if asked:
        request.node.user_properties.append(("tiers", sorted(asked)))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say of every tier how many tests ran on it, or why they did not."""
    reports = [report for listed in terminalreporter.stats.values() for report in listed]
    skipped = {report.nodeid for report in terminalreporter.stats.get("skipped", ())}
    ran: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    for report in reports:
        if getattr(report, "when", "") == "teardown":
            for tier in dict(report.user_properties).get("tiers", ()):
                (left_out if report.nodeid in skipped else ran)[tier] += 1
    if not ran and not left_out:
        return
    terminalreporter.section("server tiers")
    for tier in TIERS:
        line = f"{tier.title}: {ran[tier.name]} tests ran"
        if left_out[tier.name]:
            line += f", {left_out[tier.name]} were skipped. {tier.problem() or ''}".rstrip()
        terminalreporter.line(line)

"""One world per test: `world` on everything that speaks the contract, `faulty` and `lagging` on what can be made to."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from ..servers.bind import BindPair
from .ministack import LACKS, MinistackWorld, run_ministack
from .worlds import (
    BindWorld,
    CloudDNSWorld,
    FaultyWorld,
    LabWorld,
    LaggingWorld,
    PairWorld,
    Route53World,
    SimulatedWorld,
    TwinWorld,
    World,
)


@pytest.fixture
def bind_world(bind_pair: BindPair) -> BindWorld:
    """A zone of the session's BIND servers; a test's fixture `world` or the test itself starts and closes it."""
    return BindWorld(bind_pair)


@pytest.fixture(scope="session")
def ministack(others_tier: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Another Route 53 that we did not write, on loopback; its URL."""
    yield from run_ministack(tmp_path_factory.mktemp("ministack"))


@pytest.fixture(
    params=[
        *("twin", "simulated", "lab", "bind", "knot", "bind_knot", "powerdns", "powerdns_lmdb"),
        *("route53", "ministack", "clouddns"),
    ]
)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    made: TwinWorld | LabWorld | PairWorld | Route53World | CloudDNSWorld | MinistackWorld
    if request.param == "bind":
        made = request.getfixturevalue("bind_world")
    elif request.param in ("knot", "bind_knot", "powerdns", "powerdns_lmdb"):
        made = PairWorld(request.getfixturevalue(f"{request.param}_pair"))
    elif request.param == "ministack":
        made = MinistackWorld(request.getfixturevalue("ministack"), tmp_path)
        if (lack := LACKS.get(request.node.originalname)) is not None:
            request.applymarker(pytest.mark.xfail(reason=f"ministack: {lack}", strict=True))
    else:
        made = simulated(request.param, tmp_path)
    await made.start()
    yield made
    await made.close()


def simulated(name: str, place: Path) -> TwinWorld | LabWorld | Route53World | CloudDNSWorld:
    """A world of ours: the twin, the lab's name servers, or a provider's stand-in."""
    if name in ("twin", "simulated"):
        return TwinWorld() if name == "twin" else SimulatedWorld()
    return {"lab": LabWorld, "route53": Route53World, "clouddns": CloudDNSWorld}[name](place)


@pytest.fixture(params=["twin", "simulated", "lab"])
async def faulty(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[FaultyWorld]:
    made = simulated(request.param, tmp_path)
    assert isinstance(made, TwinWorld | LabWorld)
    await made.start()
    yield made
    await made.close()


@pytest.fixture(params=["twin", "simulated", "lab", "route53", "clouddns"])
async def lagging(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[LaggingWorld]:
    made = simulated(request.param, tmp_path)
    await made.start()
    yield made
    await made.close()


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[LabWorld]:
    made = LabWorld(tmp_path)
    await made.start()
    yield made
    await made.close()


@pytest.fixture
async def bind(bind_world: BindWorld) -> AsyncIterator[BindWorld]:
    await bind_world.start()
    yield bind_world
    await bind_world.close()

"""One world per test: `world` on everything that speaks the contract, `faulty` on what can be made to fail."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ..servers.bind import BindPair
from .worlds import (
    BindWorld,
    CloudDNSWorld,
    FaultyWorld,
    LabWorld,
    PairWorld,
    Route53World,
    TwinWorld,
    World,
)


@pytest.fixture
def bind_world(bind_pair: BindPair) -> BindWorld:
    """A zone of the session's BIND servers; a test's fixture `world` or the test itself starts and closes it."""
    return BindWorld(bind_pair)


@pytest.fixture(
    params=["twin", "lab", "bind", "knot", "bind_knot", "powerdns", "powerdns_lmdb", "route53", "clouddns"]
)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    made: TwinWorld | LabWorld | PairWorld | Route53World | CloudDNSWorld
    if request.param == "bind":
        made = request.getfixturevalue("bind_world")
    elif request.param in ("knot", "bind_knot", "powerdns", "powerdns_lmdb"):
        made = PairWorld(request.getfixturevalue(f"{request.param}_pair"))
    elif request.param in ("route53", "clouddns"):
        made = (Route53World if request.param == "route53" else CloudDNSWorld)(tmp_path)
    else:
        made = TwinWorld() if request.param == "twin" else LabWorld(tmp_path)
    await made.start()
    yield made
    await made.close()


@pytest.fixture(params=["twin", "lab"])
async def faulty(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[FaultyWorld]:
    made = TwinWorld() if request.param == "twin" else LabWorld(tmp_path)
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

"""The limits of providers with an API: of the account, of one hosted zone, of one record set. What each costs, and who is told."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from failover.dnszones.provider import ProviderZone

from .worlds import CloudDNSWorld, Route53World, create, record, values_at

EAST, WEST = "192.0.2.10", "198.51.100.10"
SHOP_EAST = record("shop", EAST)


@pytest.fixture
async def route53(tmp_path: Path) -> AsyncIterator[Route53World]:
    made = Route53World(tmp_path)
    await made.start()
    yield made
    await made.close()


@pytest.fixture
async def clouddns(tmp_path: Path) -> AsyncIterator[CloudDNSWorld]:
    made = CloudDNSWorld(tmp_path)
    await made.start()
    yield made
    await made.close()


async def test_one_busy_hosted_zone_leaves_the_accounts_budget_to_the_others(route53: Route53World) -> None:
    """PriorRequestNotComplete is of one hosted zone: a failover in every other zone of the account must find its part."""
    zone = route53.open(requests_per_s=0.001)  # so slow that what was taken away would still be missing
    assert isinstance(zone, ProviderZone)
    full = zone._budget().left
    route53.fake.faults.busy = 1
    await create(zone, SHOP_EAST)
    assert route53.fake.faults.busy == 0
    assert zone._budget().left == pytest.approx(full - 2, abs=0.1), (
        "the change, refused and made: two requests"
    )
    assert await values_at(zone, [SHOP_EAST]) == {SHOP_EAST.name: (EAST,)}


async def test_an_account_that_is_throttled_has_nothing_left(route53: Route53World) -> None:
    zone = route53.open(requests_per_s=20.0)
    assert isinstance(zone, ProviderZone)
    route53.fake.faults.throttle = 1
    await create(zone, SHOP_EAST)
    assert zone._budget().left < 10, "what the provider counted is what holds"

"""The limits of providers with an API: of the account, of one hosted zone, of one record set. What each costs, and who is told."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from failover.dnszones.provider import ProviderZone
from failover.model.errors import Rejected
from failover.model.records import RecordSet

from .worlds import CloudDNSWorld, LabWorld, Route53World, Writer, create, record, values_at

EAST, WEST = "192.0.2.10", "198.51.100.10"
SHOP_EAST = record("shop", EAST)


@pytest.fixture
async def route53(tmp_path: Path) -> AsyncIterator[Route53World]:
    made = Route53World(tmp_path)
    await made.start()
    yield made
    await made.close()


@pytest.fixture(params=["route53", "clouddns"])
async def provider(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[Route53World | CloudDNSWorld]:
    made = (Route53World if request.param == "route53" else CloudDNSWorld)(tmp_path)
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


def many(count: int, *, weighted: bool = False) -> RecordSet:
    """A record set of so many addresses."""
    wide = record("shop", *(f"203.0.{number // 250}.{number % 250 + 1}" for number in range(count)))
    return replace(wide, weights=(1,) * count) if weighted else wide


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
async def test_a_record_set_over_the_providers_limit_is_rejected_with_advice_and_never_sent(
    provider: Route53World | CloudDNSWorld, weighted: bool
) -> None:
    zone, who = provider.open(), Writer()
    most = 400 if isinstance(provider, Route53World) and not weighted else 100
    fits, over = many(most, weighted=weighted), many(most + 1, weighted=weighted)
    fence = await create(zone, fits)
    before = provider.fake.requests
    with pytest.raises(Rejected, match=rf"would have {most + 1} .*holds {most} .*publish fewer"):
        await zone.change(who.permit(), who.change("plan-1", (fits, over), fence_before=fence))
    assert provider.fake.requests == before, "what cannot be is not asked for, and no conflict to try again"


async def test_a_projects_own_quota_of_values_holds_instead_of_the_default(tmp_path: Path) -> None:
    quota = {"resourceRecordsPerRrset": 150, "itemsPerRoutingPolicy": 50}
    world = CloudDNSWorld(tmp_path, quota=quota)
    await world.start()
    try:
        zone, who = world.open(), Writer()
        await create(zone, many(150))
        with pytest.raises(Rejected, match=r"would have 51 weighted records, and clouddns holds 50"):
            await zone.change(who.permit(), who.change("plan-1", (None, many(51, weighted=True))))
    finally:
        await world.close()


async def test_a_zone_of_many_small_applications_is_no_large_one(
    provider: Route53World | CloudDNSWorld, lab: LabWorld
) -> None:
    """What one atomic change holds is asked of each application, by the policy's own checks: the zone's total says nothing."""
    names = [(f"shop{number}.example.test.", "A") for number in range(950)]
    for world in (provider, lab):
        problems = await world.open(timeout_s=10.0).check(names)
        assert not [item for item in problems if "names" in item.sentence]

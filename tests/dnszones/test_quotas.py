"""What a provider counts, as figures: record sets of the zone, and requests of the account."""

from pathlib import Path

import pytest

from failover.model.errors import Unavailable

from .worlds import CloudDNSWorld, LabWorld, Route53World


@pytest.mark.parametrize("world", [Route53World, CloudDNSWorld])
async def test_record_sets_and_requests_that_are_left(
    world: type[Route53World | CloudDNSWorld], tmp_path: Path
) -> None:
    made = world(tmp_path)
    await made.start()
    zone = made.open(requests_per_s=0.5)
    (before, _) = await zone.quotas()
    for number in range(3):
        await made.outside(f"name{number}", "A", 60, "192.0.2.1")
    (sets, requests) = await zone.quotas()
    assert (sets.what, sets.used, sets.limit) == ("record sets of the zone", before.used + 3, 10_000)
    assert sets.left == 10_000 - sets.used
    assert (requests.limit, requests.lasting) == (50, False)
    assert 0 < requests.used < 50, "by our own count"
    assert not [item for item in await zone.check([]) if "are used" in item.sentence]
    await made.close()


async def test_a_zone_that_is_nearly_full_is_warned_of(tmp_path: Path) -> None:
    made = CloudDNSWorld(tmp_path, quota={"rrsetsPerManagedZone": 5})
    await made.start()
    zone = made.open()
    for number in range(3):
        await made.outside(f"name{number}", "A", 60, "192.0.2.1")
    (sets, _) = await zone.quotas()
    said = [item for item in await zone.check([]) if "record sets of the zone are used" in item.sentence]
    assert [item.sentence for item in said] == [f"{sets.used} of 5 record sets of the zone are used"]
    assert said[0].warning
    await made.close()


async def test_what_could_not_be_asked_is_an_error_and_a_name_server_counts_nothing(tmp_path: Path) -> None:
    made, lab = Route53World(tmp_path), LabWorld(tmp_path)
    await made.start()
    await lab.start()
    zone = made.open(timeout_s=1.0)
    made.fake.faults.errors = True
    with pytest.raises(Unavailable):
        await zone.quotas()
    assert await lab.open().quotas() == ()
    await made.close()
    await lab.close()

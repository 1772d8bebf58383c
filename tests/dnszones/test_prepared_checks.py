"""Health checks beside weighted records at Route 53: which one is whose, and what a check that is gone does not do."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from failover.dnszones import open_zone, open_zones
from failover.dnszones.route53 import Route53Zone
from failover.dnszones.route53_checks import endpoints_of
from failover.model.errors import Rejected
from failover.model.observation import ProbeKind
from failover.model.policy import ClusterEntry, DataProbe
from failover.model.records import RecordSet

from ..planner.fleet import entry
from ..support.policies import policy as example
from .worlds import SHOP, LoopClock, Route53World, Writer, record

EAST, WEST = "192.0.2.10", "198.51.100.10"
PLAIN = record("shop", EAST, WEST)
WEIGHTED = replace(PLAIN, weights=(100, 100))
PROBE = DataProbe(probe=ProbeKind.HTTPS, port=443, path="/healthz")


def clusters(probe: DataProbe = PROBE) -> list[ClusterEntry]:
    return [
        replace(entry(name), ipv4=(address,), ipv6=(), data_probe=probe)
        for name, address in (("east", EAST), ("west", WEST))
    ]


class Prepared(Route53World):
    zones: list[Route53Zone]

    def opened(self) -> Route53Zone:
        """As a controller that starts now opens it: it knows the policy, and nothing of what was made before."""
        zone = open_zone(replace(self.zone, prepare=True), mono=time.monotonic)
        assert isinstance(zone, Route53Zone)
        zone.expect(clusters())
        self._opened.append(zone)
        return zone

    def beside(self) -> dict[str, str]:
        """Value -> id of the health check that stands beside it."""
        return {item.values[0]: item.check for item in self.fake.rrsets.values() if item.kind == "A"}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Prepared]:
    made = Prepared(tmp_path)
    await made.start()
    yield made
    await made.close()


async def write(zone: Route53Zone, before: RecordSet | None, after: RecordSet, turn: int) -> None:
    who = Writer()
    state = await zone.read([PLAIN], [SHOP])
    fence = who.fence(f"plan-{turn - 1}") if turn else None
    assert state.fence(SHOP) == fence
    await zone.change(who.permit(), who.change(f"plan-{turn}", (before, after), fence_before=fence))


@pytest.mark.parametrize(
    "other",
    [
        replace(PROBE, path="/readyz"),
        replace(PROBE, port=8443),
        replace(PROBE, probe=ProbeKind.HTTP),
        replace(PROBE, server_name="shop.example.test"),
    ],
    ids=["path", "port", "kind", "name"],
)
def test_every_other_wish_is_another_check_and_the_same_one_is_the_same(other: DataProbe) -> None:
    ours = [item.reference for item in endpoints_of("a-zone", clusters())]
    assert ours == [item.reference for item in endpoints_of("a-zone", clusters())]
    assert len(set(ours)) == 2, "one an address"
    assert not set(ours) & {item.reference for item in endpoints_of("a-zone", clusters(other))}
    assert not set(ours) & {item.reference for item in endpoints_of("another", clusters())}


def test_a_reference_is_never_longer_than_route_53_takes() -> None:
    probe = replace(PROBE, path="/" + "p" * 250, server_name="n" * 60 + ".example.test")
    long = [replace(item, ipv6=("2001:db8:1111:2222:3333:4444:5555:6666",)) for item in clusters(probe)]
    assert all(len(item.reference) + 2 <= 64 for item in endpoints_of("z" * 200, long))


async def test_a_check_that_was_deleted_makes_no_stranger_of_the_record_beside_it(world: Prepared) -> None:
    zone = world.opened()
    made = dict(await zone.prepare(clusters()))
    await write(zone, None, WEIGHTED, 0)
    assert world.beside() == made
    del world.fake.checks[made[WEST]]
    later = world.opened()
    assert (await later.read([PLAIN], [SHOP])).record_sets == (WEIGHTED,), "ours, and its values are known"
    problems = [item.sentence for item in await later.check([(PLAIN.name, "A")])]
    assert any(f"{WEST} has no health check" in item and "dns prepare" in item for item in problems)
    moved = replace(WEIGHTED, weights=(100, 50))
    await write(later, WEIGHTED, moved, 1)
    assert world.beside() == {EAST: made[EAST], WEST: ""}


async def test_a_reference_that_is_used_up_by_a_deletion_is_not_the_end(world: Prepared) -> None:
    zone = world.opened()
    first = dict(await zone.prepare(clusters()))
    world.fake.checks.clear()
    second = dict(await zone.prepare(clusters()))
    assert set(first.values()).isdisjoint(second.values())
    await write(zone, None, WEIGHTED, 0)
    assert world.beside() == second
    assert dict(await world.opened().prepare(clusters())) == second, "the same wish is the same check again"


async def test_a_changed_probe_keeps_the_check_that_stands_until_a_person_prepares_the_new_one(
    world: Prepared,
) -> None:
    zone = world.opened()
    old = dict(await zone.prepare(clusters()))
    await write(zone, None, WEIGHTED, 0)
    changed = clusters(replace(PROBE, path="/readyz"))
    later = world.opened()
    later.expect(changed)
    moved = replace(WEIGHTED, weights=(100, 50))
    await write(later, WEIGHTED, moved, 1)
    assert world.beside() == old, "a failover does not take the second way away"
    new = dict(await later.prepare(changed))
    assert set(new.values()).isdisjoint(old.values())
    await write(later, moved, WEIGHTED, 2)
    assert world.beside() == new


async def test_checks_that_another_process_made_a_moment_ago_stand_beside_the_next_change(
    world: Prepared,
) -> None:
    """`failover dns prepare` beside a controller that has just listed the checks, and found none."""
    controller, command = world.opened(), world.opened()
    await write(controller, None, WEIGHTED, 0)
    assert set(world.beside().values()) == {""}
    made = dict(await command.prepare(clusters()))
    await write(controller, WEIGHTED, WEIGHTED, 1)
    assert world.beside() == made


async def test_checks_are_listed_over_all_pages(world: Prepared) -> None:
    zone = world.opened()
    made = dict(await zone.prepare(clusters()))
    world.fake.checks_page = 1
    later = world.opened()
    await write(later, None, WEIGHTED, 0)
    assert world.beside() == made


async def test_checks_that_cannot_be_listed_hide_no_record_set_and_the_last_listing_holds(
    world: Prepared,
) -> None:
    """Only ListHealthChecks is refused: the zone is read and changed, and nobody takes the second way away."""
    now = [1000.0]
    zone = world.opened()
    zone._mono = lambda: now[0]
    made = dict(await zone.prepare(clusters()))
    await zone.read([PLAIN], [SHOP])
    world.fake.faults.checks_denied = True
    now[0] += 3600.0
    who = Writer()
    expiring = replace(who.permit(), expires_mono=now[0] + 30)
    assert (await zone.read([PLAIN], [SHOP])).record_sets == ()
    await zone.change(expiring, who.change("plan-0", (None, WEIGHTED)))
    assert world.beside() == made, "also beside a record that is new: by the listing of an hour ago"
    problems = [item.sentence for item in await zone.check([(PLAIN.name, "A")])]
    (said,) = [item for item in problems if "could not be listed" in item]
    assert "last: 3600 s ago" in said
    assert "ListHealthChecks and CreateHealthCheck" in said
    before = world.fake.requests
    await zone.read([PLAIN], [SHOP])
    assert world.fake.requests == before + 2, (
        "the name and the fence: the listing is asked for now and then only"
    )
    world.fake.faults.checks_denied = False
    now[0] += 61.0
    await zone.read([PLAIN], [SHOP])
    problems = [item.sentence for item in await zone.check([(PLAIN.name, "A")])]
    assert not [item for item in problems if "listed" in item]


ENDLESS = {"HealthChecks": [], "IsTruncated": True, "NextMarker": "again"}


@pytest.mark.parametrize(
    ("page", "sentence"),
    [
        ({}, "no listing of health checks"),
        ({"HealthChecks": []}, "no listing of health checks"),
        ({"HealthChecks": [], "IsTruncated": True}, "no listing of health checks"),
        (ENDLESS, "does not end"),
    ],
)
async def test_a_listing_that_breaks_off_or_has_no_end_is_unknown(
    world: Prepared, page: dict[str, object], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read as `no checks`, the next change would silently take every one of them away from its record."""
    made = dict(await world.opened().prepare(clusters()))
    await write(world.opened(), None, WEIGHTED, 0)
    assert world.beside() == made
    zone = world.opened()
    ask = zone._ask
    monkeypatch.setattr(
        zone, "_ask", lambda method, **more: page if method == "list_health_checks" else ask(method, **more)
    )
    await write(zone, WEIGHTED, replace(WEIGHTED, weights=(100, 50)), 1)
    assert world.beside() == made, "what stands beside them is kept, for nobody can tell"
    problems = [item.sentence for item in await zone.check([(PLAIN.name, "A")])]
    assert [item for item in problems if "(last: never)" in item and sentence in item]


async def test_what_else_route_53_refuses_is_not_tried_again_under_another_name(world: Prepared) -> None:
    zone = world.opened()
    with pytest.raises(Rejected, match="InvalidInput"):
        await zone._call(
            lambda: zone._ask(
                "create_health_check", CallerReference="x" * 65, HealthCheckConfig={"Type": "TCP"}
            )
        )


def test_a_zone_that_stays_open_expects_what_the_policy_says_now() -> None:
    made = example()
    (zone,), (shop,) = made.zones, made.applications
    zone = replace(zone, provider="route53", prepare=True, hosted_zone="Z1")
    names = tuple(replace(name, weighted=True) for name in shop.dns)
    first = replace(made, zones=(zone,), applications=(replace(shop, dns=names),))
    opened = open_zones(first, LoopClock())
    one = opened[zone.name]
    assert isinstance(one, Route53Zone)
    before = {item.reference for item in one._checked}
    assert before
    entries = tuple(
        replace(item, data_probe=replace(item.data_probe, path="/elsewhere")) for item in made.fleet.clusters
    )
    second = replace(first, fleet=replace(made.fleet, clusters=entries))
    assert open_zones(second, LoopClock(), opened)[zone.name] is one
    assert before.isdisjoint(item.reference for item in one._checked)

"""What the HTTP APIs do wrong, and what we make of it: a typed error, what to do about it, and a state that is known."""

import asyncio
import re
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import dns.asyncquery
import dns.message
import pytest

from failover.dnszones import open_zone
from failover.dnszones.expiring import expiry
from failover.dnszones.limits import AccountBudget, is_urgent, urgently
from failover.dnszones.provider import ProviderZone
from failover.dnszones.route53 import Route53Zone, _name
from failover.model.errors import (
    Conflict,
    LocalFault,
    OutcomeUnknown,
    Rejected,
    TargetError,
    Throttled,
    Unavailable,
)
from failover.model.ids import ApplicationName
from failover.model.records import CAPABILITIES, RecordType, Verification

from ..planner.fleet import entry
from .worlds import SHOP, CloudDNSWorld, Route53World, Writer, create, record, until_effective, values_at

EAST, WEST = "192.0.2.10", "198.51.100.10"
SHOP_EAST, SHOP_WEST = record("shop", EAST), record("shop", WEST)
Provider = Route53World | CloudDNSWorld


@pytest.fixture(params=["route53", "clouddns"])
async def provider(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Provider]:
    made: Provider = (Route53World if request.param == "route53" else CloudDNSWorld)(tmp_path)
    await made.start()
    yield made
    made.fake.faults.hang = made.fake.faults.down = False
    await made.close()


async def test_a_lost_answer_is_unknown_and_the_read_back_tells_that_it_landed(provider: Provider) -> None:
    zone, who = provider.open(), Writer()
    fence = await create(zone, SHOP_EAST)
    provider.fake.faults.lose_answers = 1
    change = who.change("plan-1", (SHOP_EAST, SHOP_WEST), fence_before=fence)
    with pytest.raises(OutcomeUnknown):
        await zone.change(who.permit(), change)
    state = await zone.read([SHOP_EAST], [SHOP])
    assert state.record_sets == (SHOP_WEST,)
    assert state.fence(SHOP) == change.fence_after
    with pytest.raises(Conflict, match="already"):  # a blind retry does no harm
        await zone.change(who.permit(), change)


async def test_a_dropped_change_is_unknown_too_and_the_read_back_tells_that_it_did_not(
    provider: Provider,
) -> None:
    zone, who = provider.open(), Writer()
    fence = await create(zone, SHOP_EAST)
    provider.fake.faults.drop_changes = 1
    change = who.change("plan-1", (SHOP_EAST, SHOP_WEST), fence_before=fence)
    with pytest.raises(OutcomeUnknown):
        await zone.change(who.permit(), change)
    assert await values_at(zone, [SHOP_EAST]) == {SHOP_EAST.name: (EAST,)}
    await zone.change(who.permit(), change)
    assert await values_at(zone, [SHOP_EAST]) == {SHOP_EAST.name: (WEST,)}


async def test_throttling_and_a_change_under_way_are_waited_out_and_nothing_is_sent_twice(
    provider: Provider,
) -> None:
    zone, who = provider.open(), Writer()
    fence = await create(zone, SHOP_EAST)
    provider.fake.faults.throttle, provider.fake.faults.busy = 1, 2
    await zone.change(who.permit(), who.change("plan-1", (SHOP_EAST, SHOP_WEST), fence_before=fence))
    assert await values_at(zone, [SHOP_EAST]) == {SHOP_EAST.name: (WEST,)}


async def test_a_permit_that_ends_while_we_wait_stops_the_change(provider: Provider) -> None:
    zone, who = provider.open(), Writer()
    fence = await create(zone, SHOP_EAST)
    provider.fake.faults.busy = 10_000
    change = who.change("plan-1", (SHOP_EAST, SHOP_WEST), fence_before=fence)
    with pytest.raises(Unavailable, match="expired"):
        await zone.change(who.permit(seconds=0.6), change)
    assert await values_at(zone, [SHOP_EAST]) == {SHOP_EAST.name: (EAST,)}


async def test_a_throttled_read_says_so_and_is_nobodys_outage(provider: Provider) -> None:
    zone = provider.open()
    await create(zone, SHOP_EAST)
    provider.fake.faults.throttle = 1
    with pytest.raises(Throttled, match="throttles"):
        await zone.read([SHOP_EAST], [SHOP])


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("down", "answer|reached"),
        ("hang", "answer"),
        ("garbage", "answer|unreadable"),
        ("errors", "50[03]"),
    ],
)
async def test_what_cannot_be_read_is_an_error_and_never_empty(
    provider: Provider, fault: str, sentence: str
) -> None:
    zone, who = provider.open(timeout_s=0.5), Writer()
    fence = await create(zone, SHOP_EAST)
    setattr(provider.fake.faults, fault, True)
    with pytest.raises(Unavailable, match=sentence):
        await zone.read([SHOP_EAST], [SHOP])
    change = who.change("plan-1", (SHOP_EAST, SHOP_WEST), fence_before=fence)
    with pytest.raises((OutcomeUnknown, Unavailable)):  # unknown where it was sent, else it never left
        await zone.change(who.permit(), change)
    problems = await zone.check([(SHOP_EAST.name, "A")])
    assert [problem.warning for problem in problems] == [False]
    setattr(provider.fake.faults, fault, False)
    assert await values_at(zone, [SHOP_EAST]) == {SHOP_EAST.name: (EAST,)}


@pytest.mark.parametrize("fault", ["untyped", "empty"])
async def test_an_answer_that_is_not_what_the_api_says_is_no_answer(provider: Provider, fault: str) -> None:
    """Well formed, and still nonsense: it is unknown what stands there, and a name without values is no name at all."""
    zone = provider.open()
    await create(zone, SHOP_EAST)
    setattr(provider.fake.faults, fault, True)
    with pytest.raises(Unavailable, match="no listing of record sets"):
        await zone.read([SHOP_EAST], [SHOP])
    problems = await zone.check([(SHOP_EAST.name, "A")])
    assert [problem.warning for problem in problems] == [False]
    setattr(provider.fake.faults, fault, False)
    assert await values_at(zone, [SHOP_EAST]) == {SHOP_EAST.name: (EAST,)}


async def test_an_api_that_is_not_there_was_never_sent_anything(provider: Provider) -> None:
    zone, who = provider.open(endpoint="http://127.0.0.1:9", timeout_s=1.0), Writer()
    with pytest.raises(Unavailable, match="cannot be reached"):
        await zone.read([SHOP_EAST], [SHOP])
    with pytest.raises(Unavailable, match="cannot be reached"):
        await zone.change(who.permit(), who.change("plan-1", (None, SHOP_EAST)))


async def test_credentials_that_have_expired_or_may_not_are_our_fault_with_what_to_do(
    provider: Provider,
) -> None:
    zone, who = provider.open(), Writer()
    fence = await create(zone, SHOP_EAST)
    provider.fake.faults.denied = True
    change = who.change("plan-1", (SHOP_EAST, SHOP_WEST), fence_before=fence)
    with pytest.raises(LocalFault, match="grant"):
        await zone.change(who.permit(), change)
    provider.fake.faults.denied, provider.fake.faults.expired = False, True
    with pytest.raises(LocalFault, match=r"expired|credentials"):
        await provider.open().read([SHOP_EAST], [SHOP])
    provider.fake.faults.expired = False
    assert await values_at(zone, [SHOP_EAST]) == {SHOP_EAST.name: (EAST,)}


async def test_credentials_files_that_are_missing_open_or_nonsense_are_our_fault(
    provider: Provider, tmp_path: Path
) -> None:
    nonsense, public = tmp_path / "nonsense", tmp_path / "public"
    for path, mode in ((nonsense, 0o600), (public, 0o644)):
        path.write_text("no credentials at all\n")
        path.chmod(mode)
    for path, sentence in (
        (tmp_path / "missing", "cannot be read"),
        (public, "chmod 600"),
        (nonsense, "credentials"),
    ):
        with pytest.raises(LocalFault, match=sentence):
            await provider.open(credentials_file=str(path)).read([SHOP_EAST], [SHOP])


async def test_a_zone_that_is_not_there_or_another_is_named(provider: Provider) -> None:
    with pytest.raises(Rejected, match=r"[cC]heck"):
        await provider.open(hosted_zone="Z0NOBODY").read([SHOP_EAST], [SHOP])
    problems = await provider.open(apex="example.org").check([])
    assert any("not example.org" in problem.sentence for problem in problems)


async def test_what_is_over_the_limits_is_refused_before_it_is_sent(provider: Provider) -> None:
    zone, who = provider.open(), Writer()
    before = provider.fake.requests
    many = [(None, record(f"shop{number}", EAST)) for number in range(1001)]
    with pytest.raises(Rejected, match="1001 names do not fit"):
        await zone.change(who.permit(), who.change("plan-1", *many))
    assert provider.fake.requests <= before + 2, "a token and the quota are asked for, and nothing is sent"
    assert await values_at(zone, [record("shop0")]) == {}


async def test_a_quota_of_the_projects_own_is_known_before_the_first_change(tmp_path: Path) -> None:
    world = CloudDNSWorld(tmp_path, quota={"rrsetAdditionsPerChange": 10})
    await world.start()
    try:
        zone, who = world.open(), Writer()
        many = [(None, record(f"shop{number}", EAST)) for number in range(10)]
        with pytest.raises(Rejected, match="11 additions of at most 10"):
            await zone.change(who.permit(), who.change("plan-1", *many))
        await zone.change(who.permit(), who.change("plan-1", *many[1:]))
    finally:
        await world.close()


async def test_a_quota_that_cannot_be_read_holds_no_failover_up(tmp_path: Path) -> None:
    world = CloudDNSWorld(tmp_path)
    await world.start()
    try:
        zone = world.open()
        world.fake.faults.throttle = 1
        await create(zone, SHOP_EAST)
        assert await values_at(zone, [SHOP_EAST]) == {SHOP_EAST.name: (EAST,)}
    finally:
        await world.close()


async def test_what_the_provider_accepted_and_does_not_serve_is_not_effective(provider: Provider) -> None:
    zone, who = provider.open(timeout_s=1.0), Writer()
    fence = await create(zone, SHOP_EAST)
    await until_effective(zone, SHOP_EAST)
    provider.fake.faults.frozen = True
    await zone.change(who.permit(), who.change("plan-1", (SHOP_EAST, SHOP_WEST), fence_before=fence))
    answers = await zone.verify([SHOP_WEST])
    assert not any(answer.matches for answer in answers)
    assert any("under way" in answer.detail for answer in answers)


async def test_a_change_that_never_gets_there_is_told_as_under_way_and_the_same_once_more_brings_it(
    provider: Provider,
) -> None:
    zone, who = provider.open(timeout_s=1.0), Writer()
    fence = await create(zone, SHOP_EAST)
    await until_effective(zone, SHOP_EAST)
    provider.fake.faults.strand = 1
    change = who.change("plan-1", (SHOP_EAST, SHOP_WEST), fence_before=fence)
    await zone.change(who.permit(), change)
    assert await values_at(zone, [SHOP_WEST]) == {SHOP_WEST.name: (WEST,)}, "the API says that it stands"
    answers = await zone.verify([SHOP_WEST])
    assert not any(answer.matches for answer in answers)
    assert [answer.pending for answer in answers] == [False, False, True]
    again = who.change("plan-1", (SHOP_WEST, SHOP_WEST), fence_before=change.fence_after)
    await zone.change(who.permit(), again)
    await until_effective(zone, SHOP_WEST)
    assert not any(answer.pending for answer in await zone.verify([SHOP_WEST]))


async def test_a_provider_that_is_done_with_a_change_is_not_asked_about_it_again(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone = provider.open()
    assert isinstance(zone, ProviderZone)
    asked: list[str] = []
    settled = zone._is_settled
    monkeypatch.setattr(zone, "_is_settled", lambda change: asked.append(change) or settled(change))
    await create(zone, SHOP_EAST)
    await until_effective(zone, SHOP_EAST)
    assert len(set(asked)) == 1
    count = len(asked)
    await until_effective(zone, SHOP_EAST)
    assert len(asked) == count, "its budget is for failovers"


async def test_a_change_that_is_made_while_the_one_before_is_asked_about_is_not_forgotten(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider is done with the first, and says so when the second is under way: that says nothing of the second."""
    zone, who = provider.open(timeout_s=1.0), Writer()
    assert isinstance(zone, ProviderZone)
    fence = await create(zone, SHOP_EAST)
    first, go_on = zone._last_change, threading.Event()
    settled = zone._is_settled
    monkeypatch.setattr(
        zone, "_is_settled", lambda change: settled(change) if change != first else go_on.wait(10)
    )
    asking = asyncio.create_task(zone.verify([SHOP_EAST]))
    await asyncio.sleep(0.2)
    provider.fake.faults.strand = 1
    await zone.change(who.permit(), who.change("plan-1", (SHOP_EAST, SHOP_WEST), fence_before=fence))
    second = zone._last_change
    go_on.set()
    await asking
    assert zone._last_change == second != first
    answers = await zone.verify([SHOP_WEST])
    assert [answer.detail for answer in answers if answer.pending] == [f"change {second} is under way"]


async def test_a_change_whose_outcome_is_unknown_leaves_nothing_to_ask_about(provider: Provider) -> None:
    zone, who = provider.open(timeout_s=1.0), Writer()
    assert isinstance(zone, ProviderZone)
    fence = await create(zone, SHOP_EAST)
    await until_effective(zone, SHOP_EAST)
    provider.fake.faults.drop_changes = 1
    with pytest.raises(OutcomeUnknown):
        await zone.change(who.permit(), who.change("plan-1", (SHOP_EAST, SHOP_WEST), fence_before=fence))
    assert zone._last_change == ""


async def test_a_change_under_way_is_asked_for_often_at_first_and_ever_more_rarely(
    provider: Provider,
) -> None:
    began = time.monotonic()
    passed = [0.0]
    zone, who = open_zone(provider.zone, mono=lambda: began + passed[0]), Writer()
    await zone.verify([SHOP_EAST])  # who answers for the zone is found out before
    provider.fake.faults.strand = 1
    await zone.change(who.permit(), who.change("plan-1", (None, SHOP_EAST)))
    asked = []
    for seconds in (0.1, 0.2, 0.4, 0.5, 10.0, 10.5, 11.2, 60.0, 61.5, 62.1):
        passed[0] = seconds
        before = provider.fake.requests
        assert any(answer.pending for answer in await zone.verify([SHOP_EAST]))
        asked.append(provider.fake.requests - before)
    assert asked == [1, 0, 1, 0, 1, 0, 1, 1, 0, 1]
    await zone.close()


async def test_weights_that_the_api_cannot_tell_now_are_not_taken_for_served(provider: Provider) -> None:
    """The name servers give one value of a weighted set: a ramp must not go on because the API is busy."""
    zone, who = provider.open(timeout_s=1.0), Writer()
    both = replace(record("shop", EAST, WEST), weights=(100, 100))
    less = replace(both, weights=(7, 100))
    await zone.change(who.permit(), who.change("plan-1", (None, both)))
    await until_effective(zone, both)
    provider.fake.faults.strand = 1
    ramp = who.change("plan-2", (both, less), fence_before=who.fence("plan-1"))
    await zone.change(who.permit(), ramp)
    zone.forget()  # so that neither the change under way nor the fence tells of it
    provider.fake.faults.throttle = 50
    answers = await zone.verify([less])
    assert [answer.matches for answer in answers] == [True, True, False], "the name servers cannot tell"
    assert not Verification(zone=zone.name, servers=answers, checked_at=datetime.now(UTC)).effective
    assert "weights" in answers[-1].detail
    provider.fake.faults.throttle = 0


def test_a_wildcard_of_route_53_is_no_number() -> None:
    assert _name({"Name": r"\052.example.test."}) == "*.example.test."
    assert _name({"Name": r"a\100b.example.test."}) == r"a\@b.example.test."


async def test_a_wrong_secret_is_our_fault(tmp_path: Path) -> None:
    world = Route53World(tmp_path)
    await world.start()
    try:
        path = tmp_path / "wrong"
        text = Path(world.zone.credentials_file).read_text()
        path.touch(mode=0o600)
        path.write_text(re.sub(r"secret_access_key = .*", "secret_access_key = another", text))
        with pytest.raises(LocalFault, match="SignatureDoesNotMatch"):
            await world.open(credentials_file=str(path)).read([SHOP_EAST], [SHOP])
        with pytest.raises(
            LocalFault, match=r"no usable AWS credentials: there is no such profile.*check `profile`"
        ):
            await world.open(profile="nobody").read([SHOP_EAST], [SHOP])
    finally:
        await world.close()


async def test_what_we_cannot_write_is_read_honestly_and_never_replaced(tmp_path: Path) -> None:
    """An alias, or a record with a health check of somebody's, belongs to no cluster, and is no missing name either."""
    world = Route53World(tmp_path)
    await world.start()
    try:
        zone, who = world.open(), Writer()
        key = ("shop.example.test.", "A", "theirs")
        plain = world.fake.rrsets[("example.test.", "NS", "")]
        world.fake.checks["c1"] = None  # type: ignore[assignment]
        world.fake.rrsets[key] = replace(
            plain, name=key[0], kind="A", values=(EAST,), identifier="theirs", weight=1, check="c1"
        )
        found = (await zone.read([SHOP_EAST], [])).find(SHOP_EAST.name, RecordType.A)
        assert found is not None
        assert found.values == ("health-checked record theirs",)
        with pytest.raises(Rejected, match="not a value"):
            await zone.change(who.permit(), who.change("plan-1", (found, SHOP_WEST)))
        with pytest.raises(Conflict):
            await zone.change(who.permit(), who.change("plan-1", (None, SHOP_WEST)))
        assert world.fake.rrsets[key].values == (EAST,)
    finally:
        world.fake.checks.clear()
        await world.close()


async def test_a_listing_in_pages_is_whole(tmp_path: Path) -> None:
    world = Route53World(tmp_path)
    await world.start()
    try:
        names = [record(f"app{number}", EAST) for number in range(350)]
        for item in names:
            world.fake.rrsets[(item.name, "A", "")] = replace(
                world.fake.rrsets[("example.test.", "NS", "")],
                name=item.name,
                kind="A",
                ttl=60,
                values=(EAST,),
            )
        state = await world.open().read(names, [SHOP])
        assert set(state.record_sets) == set(names)
    finally:
        await world.close()


async def test_looking_never_uses_up_what_is_kept_for_a_failover() -> None:
    budget = AccountBudget(rate=0.001, burst=10.0)
    for _ in range(6):
        await budget.take(urgent=False)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await budget.take(urgent=False)
    for _ in range(4):
        await budget.take(urgent=True)
    assert budget.left < 0.1
    budget.drained()
    assert budget.left < 1e-3


async def test_every_error_names_its_zone(provider: Provider) -> None:
    provider.fake.faults.errors = True
    with pytest.raises(TargetError, match=str(provider.zone.name)):
        await provider.open().read([SHOP_EAST], [ApplicationName("shop")])


def test_a_provider_says_what_it_cannot_do() -> None:
    assert not CAPABILITIES["rfc2136"].weights
    assert not CAPABILITIES["clouddns"].health_checked
    assert CAPABILITIES["route53"].health_checked


async def test_prepared_records_are_flipped_by_their_health_checks_while_the_api_is_away(
    tmp_path: Path,
) -> None:
    """The second way at Route 53: its checkers take an endpoint out of the answers, and no API is asked."""
    world = Route53World(tmp_path)
    await world.start()
    try:
        zone = open_zone(replace(world.zone, prepare=True), mono=time.monotonic)
        assert isinstance(zone, Route53Zone)
        clusters = [
            entry(name) if not address else replace(entry(name), ipv4=(address,))
            for name, address in (("east", EAST), ("west", WEST))
        ]
        clusters = [replace(item, ipv6=()) for item in clusters]
        made = dict(await zone.prepare(clusters))
        assert dict(await zone.prepare(clusters)) == made, "the same wish is the same check"
        plain = record("shop", EAST, WEST)
        weighted, who = replace(plain, weights=(100, 100)), Writer()
        await zone.read([plain], [SHOP])
        await zone.change(who.permit(), who.change("plan-1", (None, weighted)))
        assert (await zone.read([plain], [SHOP])).record_sets == (weighted,)
        await until_effective(zone, weighted)
        world.fake.faults.down = True
        check = world.fake.checks[made[EAST]]
        world.fake.checks[made[EAST]] = replace(check, healthy=False)
        world.fake.publish()
        server = world.fake.behind.servers[0]
        query = dns.message.make_query(plain.name, "A")
        given = set()
        for _ in range(12):
            answer = await dns.asyncquery.udp(query, server.address, port=server.port, timeout=5)
            given.update(item.to_text() for rrset in answer.answer for item in rrset)
        assert given == {WEST}
        world.fake.faults.down = False
        moved = replace(plain, values=(WEST,), weights=(100,))
        change = who.change("plan-2", (weighted, moved), fence_before=who.fence("plan-1"))
        await zone.change(who.permit(), change)
        assert (await zone.read([plain], [SHOP])).record_sets == (moved,)
        await zone.close()
    finally:
        await world.close()


async def test_a_failover_reads_with_what_is_kept_for_it_and_looking_waits() -> None:
    assert not is_urgent()
    with urgently():
        assert await asyncio.create_task(asyncio.sleep(0, result=is_urgent())) is True
        assert is_urgent()
    assert not is_urgent()


def test_credentials_that_end_are_told_two_weeks_before() -> None:
    today = date(2026, 6, 1)
    assert expiry("", today) == ()
    assert expiry("2026-06-16", today) == ()
    assert expiry("2026-06-15", today) == ("the credentials expire on 2026-06-15",)
    assert expiry("2026-05-31", today) == ("the credentials expired on 2026-05-31",)

"""One zone at two providers, in virtual time: one of them dead does not stop the other, and is caught up."""

from dataclasses import replace
from typing import Any

import pytest

from failover.controller.app import Controller
from failover.execution.report import report
from failover.execution.resolvers import GRACE_S, MARGIN_S
from failover.lab.fleet import TwinFleet
from failover.lab.twins.zone import TwinZone
from failover.lab.virtual import VirtualClock, run_virtual
from failover.model.errors import Unavailable
from failover.model.ids import ApplicationName, ZoneName
from failover.model.journal import RunState
from failover.model.plan import RunKind
from failover.model.policy import ZONE_PATIENCE_BESIDE_S, NameServer, Policy
from failover.model.records import CAPABILITIES, Quota, RecordSet, RecordType, ZoneCapabilities
from failover.model.verdict import VerdictKind
from tests.controller.test_region_loss_in_virtual_time import PERSON, runs
from tests.support.policies import NAME, WEB, policy

SECOND = "example-test-2"


def two_zones(*, repair: bool = False, adopt: bool = True) -> Policy:
    made = policy()
    (zone,), (shop,) = made.zones, made.applications
    servers = (NameServer(address="198.51.100.153"), NameServer(address="198.51.100.154"))
    second = replace(
        zone, name=ZoneName(SECOND), primary=servers[0], authoritative=servers, repair=repair, adopt=adopt
    )
    zone, second = (replace(item, patience_s=ZONE_PATIENCE_BESIDE_S) for item in (zone, second))
    names = tuple(replace(name, zone=item.name) for name in shop.dns for item in (zone, second))
    return replace(made, zones=(zone, second), applications=(replace(shop, dns=names),))


async def started(policy: Policy) -> TwinFleet:
    fleet = TwinFleet(policy, VirtualClock(), seed=1)
    addresses = tuple(sorted(entry.ipv4[0] for entry in fleet.policy.fleet.clusters))
    for world in fleet.clusters.values():
        world.add(WEB, 6)
    for zone in fleet.zones.values():
        zone.set_records(RecordSet(name=NAME, record_type=RecordType.A, ttl=5, values=addresses))
    controller = fleet.boot()
    fleet.start_vantages()
    await fleet.until(lambda: controller.context.judgement.warm_up is None, seconds=60)
    await fleet.until(lambda: len(controller.context.world.inventories) == len(fleet.clusters), seconds=30)
    await fleet.clock.sleep(10)
    return fleet


@pytest.mark.parametrize("by", ["person", "policy"])
def test_one_of_two_providers_is_dead_while_a_region_is_lost(by: str) -> None:
    async def story() -> None:
        fleet = await started(two_zones(repair=by == "policy"))
        gone = fleet.zones[ZoneName(SECOND)]
        for server in gone.servers:
            server.stopped = True
        await fleet.clock.sleep(10)
        fleet.kill_cluster("north-1")
        await fleet.until(lambda: runs(fleet) and runs(fleet)[0].state.final, seconds=60)
        assert runs(fleet)[0].state is RunState.DONE
        moved = fleet.addresses("example-test", NAME)
        assert moved == ("198.51.100.21", "198.51.100.31")
        assert len(fleet.addresses(SECOND, NAME)) == 3
        fleet.revive_cluster("north-1")
        controller = fleet.controller
        assert controller is not None
        await fleet.until(
            lambda: controller.context.judgement.of_cluster("north-1").kind is VerdictKind.HEALTHY, seconds=60
        )
        for server in gone.servers:
            server.stopped = False
        await fleet.clock.sleep(20)
        if by == "person":
            assert len(fleet.addresses(SECOND, NAME)) == 3, "nothing is repaired that the policy does not say"
            await controller.command({**PERSON, "verb": "start", "kind": "repair", "domain": SECOND})
        await fleet.until(lambda: fleet.addresses(SECOND, NAME) == moved, seconds=120)
        await fleet.until(lambda: runs(fleet)[-1].state.final, seconds=60)
        assert [run.plan.run_kind for run in runs(fleet)] == [RunKind.EVACUATION, RunKind.REPAIR]
        assert [run.state for run in runs(fleet)] == [RunState.DONE, RunState.DONE]
        assert fleet.addresses("example-test", NAME) == moved
        await fleet.stop()

    run_virtual(story())


def test_names_are_adopted_with_what_they_hold_and_a_repeated_adoption_does_nothing() -> None:
    async def story() -> None:
        fleet = await started(two_zones(adopt=False))
        controller, zone = fleet.controller, fleet.zones[ZoneName(SECOND)]
        assert controller is not None
        before = dict(zone.current.record_sets)
        request = {**PERSON, "verb": "start", "kind": "adoption", "domain": f"zone/{SECOND}"}
        answer = await controller.command(request)
        await fleet.until(lambda: controller.context.runs[answer["run"]].state.final, seconds=60)
        assert controller.context.runs[answer["run"]].state is RunState.DONE
        assert dict(zone.current.record_sets) == before
        assert [fence.owner for fence in zone.current.fences.values()] == ["test"]
        await fleet.clock.sleep(5)
        again = await controller.command(request)
        assert again["run"] is None
        await fleet.stop()

    run_virtual(story())


def test_a_name_that_is_added_later_is_told_and_left_alone_until_a_person_adopts_it() -> None:
    async def story() -> None:
        fleet = await started(two_zones(adopt=False))
        controller, zone = fleet.controller, fleet.zones[ZoneName(SECOND)]
        assert controller is not None
        request = {**PERSON, "verb": "start", "kind": "adoption", "domain": f"zone/{SECOND}"}
        answer = await controller.command(request)
        await fleet.until(lambda: controller.context.runs[answer["run"]].state.final, seconds=60)
        await fleet.clock.sleep(5)
        assert warnings(controller) == []

        held = zone.current.record_sets[(NAME, "A")]
        zone.set_records(replace(held, name="new.example.test."))
        made = two_zones(adopt=False)
        (shop,) = made.applications
        (second,) = [name for name in shop.dns if name.zone == SECOND]
        more = replace(shop, dns=(*shop.dns, replace(second, name="new.example.test.")))
        fleet.policy = replace(made, applications=(more,), generation="another")
        await controller.use_policy(fleet.policy)
        await fleet.clock.sleep(20)
        (warning,) = warnings(controller)
        assert f"zone {SECOND} holds new.example.test. A of shop" in warning
        assert f"`failover dns adopt {SECOND}`" in warning
        fleet.kill_cluster("north-1")
        await fleet.until(lambda: len(runs(fleet)) == 2 and runs(fleet)[1].state.final, seconds=90)
        assert runs(fleet)[1].state is RunState.DONE
        assert len(zone.current.record_sets[(NAME, "A")].values) == 2
        assert len(zone.current.record_sets[("new.example.test.", "A")].values) == 3

        await fleet.crash()  # what is ours is known from the journal
        controller = fleet.boot()
        await fleet.until(lambda: controller.context.judgement.warm_up is None, seconds=60)
        await fleet.clock.sleep(20)
        assert len(warnings(controller)) == 1
        answer = await controller.command(request)
        await fleet.until(lambda: controller.context.runs[answer["run"]].state.final, seconds=60)
        await fleet.clock.sleep(5)
        assert warnings(controller) == []
        await fleet.stop()

    run_virtual(story())


def warnings(controller: Controller) -> list[str]:
    """What the status warns of at the second provider."""
    (row,) = [zone for zone in controller.status()["zones"] if zone["name"] == SECOND]
    return list(row["warnings"])


def test_what_is_left_at_a_provider_is_a_figure_of_the_status_and_an_event_for_metrics(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = [(Quota(what="record sets", used=9_990, limit=10_000),)]

    async def quotas(self: TwinZone) -> tuple[Quota, ...]:
        if not asked:
            raise Unavailable(f"zone {self.name}: away", target=self.name)
        return asked.pop()

    def able(self: TwinZone) -> ZoneCapabilities:
        return CAPABILITIES["clouddns" if self.name == SECOND else "rfc2136"]

    monkeypatch.setattr("failover.controller.world.HEALTH_EVERY_S", 15.0)
    monkeypatch.setattr(TwinZone, "quotas", quotas)
    monkeypatch.setattr(TwinZone, "capabilities", property(able))

    async def story() -> None:
        fleet = await started(two_zones())
        controller = fleet.controller
        assert controller is not None

        def left() -> list[dict[str, Any]]:
            (row,) = [zone for zone in controller.status()["zones"] if zone["name"] == SECOND]
            return list(row["quotas"])

        assert left() == [{"what": "record sets", "used": 9_990, "limit": 10_000, "left": 10}]
        assert any("10 of 10000 record sets left" in line for line in fleet.log.lines)
        await fleet.clock.sleep(20)
        assert left() == [], "what could not be asked is not what it was"
        assert any("could not be asked" in line for line in fleet.log.lines)
        await fleet.stop()

    run_virtual(story())


def test_the_read_back_names_how_long_each_server_took() -> None:
    async def story() -> None:
        fleet = await started(two_zones())
        zone = fleet.zones[ZoneName(SECOND)]
        zone.servers[1].lag_s = 3.0
        fleet.kill_cluster("north-1")
        await fleet.until(lambda: runs(fleet) and runs(fleet)[0].state.final, seconds=60)
        run = runs(fleet)[0]
        lags = {
            server.server: server.lag_s
            for progress in run.steps.values()
            if progress.verification is not None and progress.verification.zone == SECOND
            for server in progress.verification.servers
        }
        first, second = lags.values()
        assert first is not None
        assert second is not None
        assert first < 1.0
        assert 3.0 <= second < 4.0
        await fleet.stop()

    run_virtual(story())


def test_a_provider_that_dies_during_a_run_holds_its_application_up_no_longer_than_the_zone_says() -> None:
    async def story() -> None:
        fleet = await started(two_zones(repair=True))
        gone = fleet.zones[ZoneName(SECOND)]
        fleet.kill_cluster("north-1")
        await fleet.until(lambda: bool(runs(fleet)), seconds=60)
        for server in gone.servers:
            server.stopped = True
        began = fleet.clock.now().mono
        await fleet.until(lambda: runs(fleet)[0].state.final, seconds=300)
        assert fleet.clock.now().mono - began < ZONE_PATIENCE_BESIDE_S + 20
        run = runs(fleet)[0]
        assert run.state is RunState.PARTIAL
        assert f"`failover dns repair {SECOND}` catches it up" in run.sentence
        moved = fleet.addresses("example-test", NAME)
        assert moved == ("198.51.100.21", "198.51.100.31")
        fleet.revive_cluster("north-1")
        for server in gone.servers:
            server.stopped = False
        await fleet.until(lambda: fleet.addresses(SECOND, NAME) == moved, seconds=300)
        await fleet.until(lambda: runs(fleet)[-1].state.final, seconds=60)
        assert [run.plan.run_kind for run in runs(fleet)] == [RunKind.EVACUATION, RunKind.REPAIR]
        await fleet.stop()

    run_virtual(story())


@pytest.mark.parametrize("stranded", [1, 2])
def test_a_change_that_its_provider_is_never_done_with_is_made_once_more_and_then_told(stranded: int) -> None:
    async def story() -> None:
        fleet = await started(two_zones())
        provider = fleet.zones[ZoneName(SECOND)]
        provider.strand = stranded
        fleet.kill_cluster("north-1")
        await fleet.until(lambda: runs(fleet) and runs(fleet)[0].state.final, seconds=400)
        run = runs(fleet)[0]
        (step,) = [step for step in run.steps if step.startswith(f"records:shop:{SECOND}:")]
        assert run.steps[step].attempts == 2
        assert provider.updates == 2
        fence = provider.current.fences[ApplicationName("shop")]
        assert fence.plan == run.plan.short_hash
        await fleet.stop()
        refusal = run.steps[step].refusal
        if stranded == 1:
            assert (run.state, refusal) == (RunState.DONE, None)
        else:
            assert refusal is not None
            assert refusal.code == "dns-pending"
            assert f"`failover dns verify {SECOND}` tells" in refusal.sentence
            assert run.state is RunState.PARTIAL

    run_virtual(story())


@pytest.mark.parametrize("keep_s", [2.0, 600.0])
def test_the_policys_resolvers_are_asked_after_the_old_ttl_and_the_report_carries_what_they_gave(
    keep_s: float,
) -> None:
    async def story() -> None:
        made = policy()
        resolvers = (NameServer(address="192.0.2.1"), NameServer(address="192.0.2.2"))
        made = replace(made, zones=tuple(replace(zone, resolvers=resolvers) for zone in made.zones))
        fleet = await started(made)
        for zone in fleet.zones.values():
            zone.resolvers_keep_s = keep_s
        fleet.kill_cluster("north-1")
        await fleet.until(lambda: runs(fleet) and runs(fleet)[0].state.final, seconds=60)
        run = runs(fleet)[0]
        assert run.state is RunState.DONE
        assert not any(step.resolvers for step in run.steps.values()), "nobody waits for them"
        await fleet.until(
            lambda: any(step.resolvers for step in runs(fleet)[0].steps.values()),
            seconds=5 + MARGIN_S + GRACE_S + 30,
        )
        entries = await fleet.controller.ports.store.entries(run=run.id)
        told = report(runs(fleet)[0], entries)
        word = "gives the change" if keep_s == 2.0 else "an old answer"
        assert told.resolvers == tuple(
            f"zone example-test: resolver {item.address} port 53: {word}" for item in resolvers
        )
        given = 2 if keep_s == 2.0 else 0
        assert f"{NAME} A given by {given} of 2 resolvers" in [line for _, line in told.timeline]
        assert told.violations == ()
        heads = len(entries)
        await fleet.clock.sleep(60)
        assert len(await fleet.controller.ports.store.entries(run=run.id)) == heads, "asked once"
        await fleet.stop()

    run_virtual(story())


def test_an_adapter_that_breaks_is_told_once_and_stops_nobody_else() -> None:
    async def story() -> None:
        fleet = await started(two_zones())
        controller = fleet.controller
        assert controller is not None

        async def breaks(*_: object) -> None:
            raise KeyError("type")

        controller.context.ports.zones[ZoneName(SECOND)].read = breaks  # type: ignore[method-assign,assignment]
        fleet.kill_cluster("north-1")
        await fleet.until(lambda: runs(fleet) and runs(fleet)[0].state.final, seconds=60)
        assert runs(fleet)[0].state is RunState.DONE
        assert len(fleet.zones[ZoneName("example-test")].current.record_sets[(NAME, "A")].values) == 2
        assert "KeyError" in controller.context.world.zone_errors[ZoneName(SECOND)]
        assert len([line for line in fleet.log.lines if "defect" in line]) == 1
        await fleet.stop()

    run_virtual(story())

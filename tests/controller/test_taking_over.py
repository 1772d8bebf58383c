"""A standby takes over: between the lease and the first act it learns what was done until then, however long that takes."""

import asyncio
from typing import Any

from failover.controller.app import Controller
from failover.lab.fleet import TwinFleet
from failover.lab.twins.zone import TwinZone
from failover.lab.virtual import run_virtual
from failover.model.errors import StoreUnavailable
from failover.model.ids import ClusterName, VantageName
from failover.model.journal import RunOpened
from failover.model.observation import VantageReport
from tests.controller.test_region_loss_in_virtual_time import a_healthy_fleet

REGION = "north-1"
LEADING: dict[str, Any] = {}


def a_standby(fleet: TwinFleet) -> tuple[Controller, Controller]:
    """(leader, standby) over one store."""
    leader, LEADING["task"] = fleet.controller, fleet._task
    assert leader is not None
    fleet.controller = None
    return leader, fleet.boot()


def slow_to_read(standby: Controller, seconds: float) -> None:
    """A long journal on a busy disk."""
    store: Any = standby.ports.store
    entries = store.entries

    async def later(**asked: Any) -> Any:
        await standby.ports.clock.sleep(seconds)
        return await entries(**asked)

    store.entries = later


def dies(fleet: TwinFleet, leader: Controller) -> None:
    """Its process is gone, provably."""
    leader.context.leadership.lease = None
    LEADING["task"].cancel()
    fleet.disk.gone.add(leader.ports.identity.holder)


def told(fleet: TwinFleet, word: str) -> list[str]:
    return [line for line in fleet.log.lines if word in line]


def test_a_vantage_that_knows_more_than_a_standby_has_read_yet_is_no_sign_of_a_restored_journal() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        leader, standby = a_standby(fleet)
        await fleet.clock.sleep(30)
        await leader.command({"verb": "pause", "reason": "a drill", "actor": "ada"})
        await leader.command({"verb": "resume", "actor": "ada"})
        head = leader.journal_head
        assert head > standby.journal_head, "a standby does not follow the journal"
        slow_to_read(standby, 3.0)
        dies(fleet, leader)
        for number in range(100):  # all through the take-over
            standby.receive(report(number, head))
            await fleet.clock.sleep(0.1)
        assert standby.acting
        assert standby.journal_head >= head
        assert standby.context.doubt == ""
        standby.receive(report(1000, standby.journal_head + 1))
        assert "restored or replaced" in standby.context.doubt, (
            "one that knows more than all that there is still is"
        )
        await fleet.stop()

    run_virtual(story())


def test_a_standby_knows_the_cluster_that_a_person_accepted_while_it_stood_by() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        leader, standby = a_standby(fleet)
        await fleet.clock.sleep(30)
        fleet.clusters["south-1"].uid = "uid-of-another"
        await fleet.clock.sleep(15)
        await leader.command({"verb": "ack", "target": "cluster/south-1", "identity": True, "actor": "ada"})
        await fleet.clock.sleep(15)
        south = ClusterName("south-1")
        assert south in standby.context.world.inventory_errors, "nobody has told it yet"
        dies(fleet, leader)
        await fleet.clock.sleep(40)
        assert standby.acting
        assert standby.context.world.identities[south] == "uid-of-another"
        assert south not in standby.context.world.inventory_errors
        await fleet.stop()

    run_virtual(story())


def report(number: int, head: int) -> VantageReport:
    return VantageReport(
        vantage=VantageName("elsewhere"), boot_id="b", sequence=number, generation="", journal_head=head
    )


def test_nothing_is_decided_before_the_runs_of_the_old_leader_are_known() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        fleet.clusters[ClusterName("south-1")].ready_s = 120.0  # the run goes on for a while
        leader, standby = a_standby(fleet)
        await fleet.clock.sleep(5)
        fleet.controller = leader  # the vantages report to the leader
        fleet.kill_cluster(REGION)
        await fleet.until(lambda: leader.context.open_runs(), seconds=120)
        assert not standby.context.open_runs()
        slow_to_read(standby, 20.0)
        dies(fleet, leader)
        fleet.controller = standby
        await fleet.clock.sleep(10)
        assert fleet.disk.lease is not None
        assert fleet.disk.lease.holder == standby.ports.identity.holder, "it has the lease, and reads"
        assert not standby.acting
        await fleet.until(lambda: standby.acting, seconds=60)
        await fleet.clock.sleep(60)
        opened = [entry for entry in fleet.disk.journal if isinstance(entry.entry, RunOpened)]
        assert len(opened) == 1, "the run that was open goes on; no second one was opened beside it"
        await fleet.stop()

    run_virtual(story())


def test_who_cannot_read_the_journal_gives_the_lease_back_and_tries_again() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        leader, standby = a_standby(fleet)
        await fleet.clock.sleep(5)
        store: Any = standby.ports.store
        entries, broken = store.entries, [True]

        async def maybe(**asked: Any) -> Any:
            if broken[0]:
                raise StoreUnavailable("the disk answers with an I/O error")
            return await entries(**asked)

        store.entries = maybe
        dies(fleet, leader)
        await fleet.clock.sleep(30)
        assert not standby.acting
        assert told(fleet, "I/O error")
        broken[0] = False
        await fleet.until(lambda: standby.acting, seconds=10)
        await fleet.stop()

    run_virtual(story())


def test_a_leader_that_cannot_journal_that_it_leads_does_not_stay_half_a_leader() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        leader, standby = a_standby(fleet)
        await fleet.clock.sleep(5)
        store: Any = standby.ports.store
        append, broken = store.append_batch, [True]

        async def maybe(*arguments: Any) -> Any:
            if broken[0]:
                raise StoreUnavailable("no space left")
            return await append(*arguments)

        store.append_batch = maybe
        dies(fleet, leader)
        await fleet.clock.sleep(60)
        assert not standby.acting
        broken[0] = False
        await fleet.until(lambda: standby.acting, seconds=10)
        await asyncio.sleep(1)
        assert standby.acting
        await fleet.stop()

    run_virtual(story())


def test_a_leader_that_loses_the_lease_and_leads_again_forgets_its_own_last_change() -> None:
    """In between somebody else may have led: what the servers must have by now is not what it left there itself."""

    async def story() -> None:
        fleet = await a_healthy_fleet()
        leader = fleet.controller
        assert leader is not None
        fleet.kill_cluster(REGION)
        await fleet.until(lambda: leader.context.runs and all_over(leader), seconds=60)
        (zone,) = leader.ports.zones.values()
        assert isinstance(zone, TwinZone)
        assert zone._serial is not None, "else this shows nothing"
        leader.context.leadership.lose("a pause of the whole machine")
        assert zone._serial is None, "a standby does not go by it either"
        zone._serial = 1  # what was under way when the lease was lost comes to an end
        await fleet.until(lambda: leader.acting, seconds=60)
        assert zone._serial is None
        await fleet.stop()

    run_virtual(story())


def all_over(controller: Controller) -> bool:
    return all(run.state.final for run in controller.context.runs.values())

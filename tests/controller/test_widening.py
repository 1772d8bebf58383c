"""A run that is under way takes in further clusters of its region: that is a decision, and what holds back automation holds it."""

from failover.lab.fleet import TwinFleet
from failover.lab.virtual import run_virtual
from tests.controller.test_region_loss_in_virtual_time import a_healthy_fleet, runs

PERSON = {"actor": "ada@desk", "reason": "a look first"}


async def half_a_region_lost() -> TwinFleet:
    """north-1 is dead and its move under way, for nothing becomes ready elsewhere yet."""
    fleet = await a_healthy_fleet(clusters_per_region=2)
    for world in fleet.clusters.values():
        world.ready_s = 60.0
    fleet.kill_cluster("north-1")
    await fleet.until(lambda: runs(fleet), seconds=30)
    assert runs(fleet)[0].plan.sources == ("north-1",)
    return fleet


def test_the_other_cluster_of_the_region_comes_along() -> None:
    async def story() -> None:
        fleet = await half_a_region_lost()
        fleet.kill_cluster("north-2")
        await fleet.until(lambda: len(runs(fleet)[0].plan.sources) == 2, seconds=30)
        assert runs(fleet)[0].widened
        await fleet.stop()

    run_virtual(story())


def test_while_a_person_has_paused_nothing_comes_along_and_status_says_why() -> None:
    async def story() -> None:
        fleet = await half_a_region_lost()
        controller = fleet.controller
        assert controller is not None
        await controller.command({**PERSON, "verb": "pause"})
        fleet.kill_cluster("north-2")
        await fleet.clock.sleep(30)
        verdict = controller.context.judgement.of_cluster("north-2")
        assert verdict is not None
        assert verdict.confirmed
        assert runs(fleet)[0].plan.sources == ("north-1",)
        assert runs(fleet)[0].widened == ()
        told = [item.code for items in controller.context.refusals.values() for item in items]
        assert "paused" in told
        await controller.command({**PERSON, "verb": "resume"})
        await fleet.until(lambda: len(runs(fleet)[0].plan.sources) == 2, seconds=30)
        await fleet.stop()

    run_virtual(story())

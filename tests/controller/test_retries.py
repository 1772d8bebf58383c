"""A target that could not be read is left alone for longer each time, and for as long as it asks."""

from failover.controller.retries import Retries
from failover.lab.virtual import run_virtual
from failover.model.errors import Throttled, Unavailable
from tests.controller.test_region_loss_in_virtual_time import a_healthy_fleet


def test_the_wait_doubles_is_bounded_and_begins_anew_with_a_success() -> None:
    retries = Retries(most_s=2.0)
    waits = [retries.wait_s("south-1", Unavailable("no answer", target="south-1")) for _ in range(6)]
    assert waits == [0.25, 0.5, 1.0, 2.0, 2.0, 2.0]
    assert retries.wait_s("west-1", Unavailable("no answer", target="west-1")) == 0.25
    retries.well("south-1")
    assert retries.wait_s("south-1", Unavailable("no answer", target="south-1")) == 0.25


def test_what_a_target_asks_for_is_kept_to() -> None:
    error = Throttled("too many requests", target="south-1", retry_after_s=7.0)
    assert Retries(most_s=2.0).wait_s("south-1", error) == 7.0


def test_a_round_that_breaks_by_our_own_defect_is_told_and_not_begun_again_at_once() -> None:
    """Each round may send something; before, fifty of them began in a second, and nobody was told."""

    async def story() -> None:
        fleet = await a_healthy_fleet()
        assert fleet.controller is not None
        begun: list[float] = []

        async def broken(permit: object, change: object) -> None:
            begun.append(fleet.clock.now().mono)
            raise AttributeError("a defect")

        fleet.controller.context.ports.clusters["south-1"].raise_fence = broken  # type: ignore[method-assign]
        fleet.kill_cluster("north-1")
        await fleet.until(lambda: begun, seconds=60)
        await fleet.clock.sleep(25)
        assert len(begun) == 3, begun
        assert any(" defect AttributeError: a defect" in line for line in fleet.log.lines)
        await fleet.stop()

    run_virtual(story())

"""I20 with the real store on a real disk that is full: without a journal the whole controller changes nothing, and says so."""

from dataclasses import replace
from pathlib import Path

import pytest

from failover.controller.clock import SystemClock
from failover.model.journal import IntentRecorded, RunState
from failover.store.sqlite import SQLiteStore
from tests.controller.test_region_loss_in_virtual_time import a_healthy_fleet
from tests.support.policies import FAST, NAME, WEB

QUICK = replace(
    FAST,
    interval_s=0.2,
    timeout_s=0.2,
    confirm_s=0.5,
    inventory_interval_s=0.5,
    lease_s=4.0,
    lease_renew_s=0.5,
    lease_margin_s=1.0,
)
ALL = ("198.51.100.11", "198.51.100.21", "198.51.100.31")


def fill(disk: Path) -> Path:
    """Until not another byte fits."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as out:
        for size in (1 << 16, 512, 1):
            try:
                while True:
                    out.write(b"x" * size)
            except OSError:
                continue
    return ballast


@pytest.mark.parametrize("under_way", [False, True], ids=["before it begins", "in the middle"])
async def test_what_cannot_be_journaled_is_not_done_and_goes_on_when_there_is_room(
    roomy_disk: Path, under_way: bool
) -> None:
    clock = SystemClock()
    store = await SQLiteStore.open(roomy_disk / "state", clock, busy_timeout_ms=200)
    fleet = await a_healthy_fleet(clock=clock, store=store, timing=QUICK)
    controller = fleet.controller
    assert controller is not None
    runs = controller.context.runs
    if under_way:
        for world in fleet.clusters.values():
            world.ready_s = 2.0
        fleet.kill_cluster("north-1")
        await fleet.until(lambda: sum(wanted for wanted, _ in fleet.replicas(WEB).values()) > 18, seconds=30)
    ballast = fill(roomy_disk)
    fleet.kill_cluster("north-1")
    await fleet.until(lambda: controller.context.journal_trouble, seconds=30)
    stood = fleet.replicas(WEB)
    await fleet.clock.sleep(5.0)
    intents = [line for line in await store.entries() if isinstance(line.entry, IntentRecorded)]
    assert fleet.addresses("example-test", NAME) == ALL, "what is not journaled is not sent"
    assert [wanted for wanted, _ in fleet.replicas(WEB).values()] == [wanted for wanted, _ in stood.values()]
    assert sum(len(world.writes) for world in fleet.clusters.values()) <= len(intents)
    assert bool(intents) == under_way
    ballast.unlink()
    await fleet.until(lambda: runs and all(run.state is RunState.DONE for run in runs.values()), seconds=120)
    assert fleet.addresses("example-test", NAME) == ALL[1:]
    assert await store.verify() is None
    await fleet.stop()
    await store.close()

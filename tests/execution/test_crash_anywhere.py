"""The shipped controller, in virtual time, killed at every write of its journal, before it and after it: one same end."""

import asyncio

import pytest

from failover.execution.report import report
from failover.execution.trace import violations
from failover.lab.fleet import TwinFleet
from failover.lab.twins.store import StoreDisk
from failover.lab.virtual import run_virtual
from failover.model.journal import JournalEntry, RunState
from tests.controller.test_region_loss_in_virtual_time import a_healthy_fleet, runs
from tests.support.policies import NAME, WEB


class MortalDisk(StoreDisk):
    """The process dies at its n-th write of a run's entries: just before the write is kept, or just after."""

    left: int | None = None
    dies_before: bool = False
    died: bool = False

    def about_to_write(self) -> None:
        if self.left is not None and not self.died and self.dies_before:
            self._count()
        super().about_to_write()

    def written(self) -> None:
        super().written()
        if self.left is not None and not self.died and not self.dies_before:
            self._count()

    def _count(self) -> None:
        assert self.left is not None
        if self.left == 0:
            self.died, self.trouble = True, "the process is dead"
            raise asyncio.CancelledError
        self.left -= 1


def of_run(fleet: TwinFleet, run: str) -> list[JournalEntry]:
    return [entry for entry in fleet.disk.journal if entry.run == run]


async def lose_a_region_and_the_controller(write: int, *, before: bool) -> tuple[bool, list[str]]:
    """Whether the controller did die, and what is wrong in the end."""
    fleet = await a_healthy_fleet()
    disk = MortalDisk(
        **{name: getattr(fleet.disk, name) for name in ("documents", "journal", "lease", "highest_epoch")}
    )
    assert fleet.controller is not None
    fleet.controller.ports.store._disk = disk  # type: ignore[attr-defined]
    fleet.disk = disk
    fleet.kill_cluster("north-1")
    await fleet.until(lambda: runs(fleet) or disk.died, seconds=30)
    disk.left, disk.dies_before = write, before
    await fleet.until(lambda: disk.died or runs(fleet)[0].state.final, seconds=60)
    died = disk.died
    if died:
        await fleet.crash()
        disk.trouble, disk.left = "", None
        fleet.boot()
    await fleet.until(lambda: runs(fleet) and runs(fleet)[0].state.final, seconds=90)
    wrong = []
    for run in runs(fleet):
        wrong += violations(of_run(fleet, run.id))
    if [run.state for run in runs(fleet)] != [RunState.DONE]:
        wrong.append(f"runs ended as {[(run.state.value, run.sentence) for run in runs(fleet)]}")
    if fleet.addresses("example-test", NAME) != ("198.51.100.21", "198.51.100.31"):
        wrong.append(f"DNS ended as {fleet.addresses('example-test', NAME)}")
    if [wanted for wanted, _ in fleet.replicas(WEB).values()] != [6, 9, 9]:
        wrong.append(f"replicas ended as {fleet.replicas(WEB)}")
    entries = of_run(fleet, runs(fleet)[0].id)
    told = report(runs(fleet)[0], entries)
    if told.replicas.lost != 6 or told.replicas.ready != 6 or told.records.verified != 1 or told.violations:
        wrong.append(f"the report tells {told.replicas}, {told.records}, {told.violations}")
    await fleet.stop()
    return died, wrong


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_killed_at_every_write_of_a_run(before: bool) -> None:
    deaths = 0
    for write in range(100):
        died, wrong = run_virtual(lose_a_region_and_the_controller(write, before=before))
        assert wrong == [], f"killed {'before' if before else 'after'} write {write}"
        if not died:
            break
        deaths += 1
    assert deaths >= 5, "it was killed at several points"

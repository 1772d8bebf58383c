"""I12 in a whole controller: a rate below one a second, and steps of a share, carry a region's replicas all the same."""

from dataclasses import replace
from itertools import pairwise

import pytest

from failover.lab.virtual import run_virtual
from failover.model.journal import IntentRecorded, RunState, ScaleChange
from tests.controller.test_region_loss_in_virtual_time import a_healthy_fleet, runs
from tests.support.policies import WEB, policy


@pytest.mark.parametrize(("rate", "apart_s"), [(0.5, 2.0), (0.05, 20.0)])
def test_a_rate_below_one_a_second_is_a_distance_between_changes(rate: float, apart_s: float) -> None:
    guards = replace(policy().guards, changes_per_second=rate, share_per_step=0.1)

    async def story() -> None:
        fleet = await a_healthy_fleet(guards=guards)
        fleet.kill_cluster("north-1")
        await fleet.until(lambda: runs(fleet) and runs(fleet)[0].state.final, seconds=400)
        assert runs(fleet)[0].state is RunState.DONE
        sent: dict[str, list[float]] = {}
        for entry in fleet.disk.journal:
            if isinstance(entry.entry, IntentRecorded) and isinstance(entry.entry.intent.change, ScaleChange):
                sent.setdefault(entry.entry.intent.change.cluster, []).append(entry.at.timestamp())
        assert {name: len(times) for name, times in sent.items()} == {"south-1": 3, "west-1": 3}
        for times in sent.values():
            assert all(later - earlier >= apart_s for earlier, later in pairwise(times))
        await fleet.stop()

    run_virtual(story())


@pytest.mark.parametrize("share", [0.1, 0.01])
def test_a_share_moves_a_region_in_steps_however_small_it_is(share: float) -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet(guards=replace(policy().guards, share_per_step=share))
        fleet.kill_cluster("north-1")
        await fleet.clock.sleep(60)
        assert [run.state for run in runs(fleet)] == [RunState.DONE]
        assert sum(wanted for name, (wanted, _) in fleet.replicas(WEB).items() if name != "north-1") == 18
        await fleet.stop()

    run_virtual(story())

"""Time windows through a whole controller in virtual time: applied once, by a guarded plan, and never into an incident."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

from failover.controller.calendar import Calendar
from failover.controller.calendar_jobs import JobRefused
from failover.controller.windows import RETRY_S, Windows
from failover.lab.fleet import TwinFleet
from failover.lab.virtual import run_virtual
from failover.model.ids import ApplicationName, ClusterName, ScheduleName
from failover.model.journal import JobFinished, RunState
from failover.model.plan import RunKind
from failover.model.policy import JobKind, Schedule, Window
from failover.model.verdict import VerdictKind
from tests.controller.test_region_loss_in_virtual_time import PERSON, a_healthy_fleet
from tests.support.policies import FAST, WEB

WEST = ClusterName("west-1")
CALM = replace(FAST, interval_s=5.0, timeout_s=2.0, confirm_s=6.0)
"""Hours pass in these stories: probes every five seconds are enough."""


async def with_a_window(fleet: TwinFleet, *, begins_in_s: float, holds_s: float = 600.0) -> Windows:
    """The shop's policy says that four times as much belongs into the west, from the minute in so many seconds on."""
    assert fleet.controller is not None
    begins = fleet.controller.context.now().wall + timedelta(seconds=begins_in_s)
    window = Window(
        name="day",
        cron=f"{begins.minute} {begins.hour} * * *",
        timezone="UTC",
        duration_s=holds_s,
        weights=((WEST, 4),),
    )
    shop = replace(fleet.policy.applications[0], windows=(window,))
    await fleet.controller.use_policy(
        replace(fleet.policy, applications=(shop,), generation="00000000000000aa")
    )
    return Windows(fleet.controller.context, fleet.controller.command)


async def follow(fleet: TwinFleet, windows: Windows, seconds: float) -> None:
    """As the calendar does."""
    for _ in range(int(seconds)):
        await windows.follow()
        await fleet.clock.sleep(1.0)


def wanted(fleet: TwinFleet) -> list[int]:
    return [count for count, _ in fleet.replicas(WEB).values()]


def runs(fleet: TwinFleet) -> list:
    assert fleet.controller is not None
    return list(fleet.controller.context.runs.values())


def test_replicas_follow_the_window_and_come_back_at_its_end() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet(timing=CALM)
        windows = await with_a_window(fleet, begins_in_s=60, holds_s=120)
        assert runs(fleet) == [], "it has not begun"
        await follow(fleet, windows, 100)
        assert [(run.plan.run_kind, run.state) for run in runs(fleet)] == [(RunKind.REBALANCE, RunState.DONE)]
        assert runs(fleet)[0].actor == "schedule/window/shop/day"
        north, south, west = wanted(fleet)
        assert north + south + west == 18
        assert west > 8
        assert len(fleet.addresses("example-test", "shop.example.test.")) == 3
        told = [entry.entry for entry in fleet.disk.journal if isinstance(entry.entry, JobFinished)]
        assert told[0].sentence.startswith("window day of shop: run ")
        assert len(runs(fleet)) == 1, "applied once"
        assert windows.rows()[0]["result"] == "applied"
        await follow(fleet, windows, 120)
        assert len(runs(fleet)) == 2
        assert wanted(fleet) == [6, 6, 6]
        await fleet.stop()

    run_virtual(story())


def test_a_window_that_begins_during_an_incident_waits_until_it_is_over() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet(timing=CALM)
        windows = await with_a_window(fleet, begins_in_s=60, holds_s=3600)
        fleet.kill_cluster("north-1")
        await fleet.until(lambda: runs(fleet) and runs(fleet)[0].state is RunState.DONE, seconds=90)
        await follow(fleet, windows, 70)
        assert len(runs(fleet)) == 1, "it has begun, and waits"
        assert windows.rows()[0]["result"] == "unknown (waits)"
        assert "north-1 no longer serves" in windows.rows()[0]["sentence"]
        fleet.revive_cluster("north-1")
        controller = fleet.controller
        assert controller is not None
        await fleet.until(
            lambda: controller.context.judgement.of_cluster("north-1").kind is VerdictKind.HEALTHY,
            seconds=120,
        )
        await follow(fleet, windows, 40)
        assert len(runs(fleet)) == 1, "it is back, and what was moved away is not home yet"
        assert "north is moved away from" in windows.rows()[0]["sentence"]
        await controller.command({**PERSON, "verb": "start", "kind": "failback", "domain": "region/north"})
        await fleet.until(lambda: all(run.state.final for run in runs(fleet)), seconds=120)
        await follow(fleet, windows, 80)
        assert [run.plan.run_kind for run in runs(fleet)][-1] is RunKind.REBALANCE
        assert runs(fleet)[-1].state is RunState.DONE
        await fleet.stop()

    run_virtual(story())


def test_an_incident_goes_before_a_rebalancing_that_is_under_way() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet(timing=CALM)
        for world in fleet.clusters.values():
            world.ready_s = 120.0
        windows = await with_a_window(fleet, begins_in_s=60, holds_s=3600)
        await follow(fleet, windows, 90)
        assert [run.state for run in runs(fleet)] == [RunState.RUNNING], "its replicas are not ready yet"
        fleet.kill_cluster("north-1")
        await fleet.until(lambda: len(runs(fleet)) > 1, seconds=120)
        first, second = runs(fleet)[:2]
        assert first.state is RunState.ABORTED
        assert "north-1 no longer serves: balance can wait" in first.sentence
        assert second.plan.run_kind is RunKind.EVACUATION
        await fleet.stop()

    run_virtual(story())


def test_a_window_that_is_refused_lets_the_next_one_in() -> None:
    """Three are due at once. The first and the last are refused for ever, the one between them only at first."""

    async def story() -> None:
        fleet = await a_healthy_fleet(timing=CALM)
        assert fleet.controller is not None
        context = fleet.controller.context
        window = Window(
            name="always", cron="* * * * *", timezone="UTC", duration_s=3600, weights=((WEST, 4),)
        )
        names = [ApplicationName(name) for name in ("first", "middle", "last")]
        shop = fleet.policy.applications[0]
        copies = tuple(replace(shop, name=name, dns=(), windows=(window,)) for name in names)
        await fleet.controller.use_policy(
            replace(fleet.policy, applications=copies, generation="00000000000000aa")
        )
        tried: list[tuple[str, float]] = []

        async def command(request: dict[str, Any]) -> dict[str, Any]:
            [name] = request["applications"]
            tried.append((name, context.now().mono))
            if name != "middle" or len(tried) <= 3:
                raise JobRefused(f"{name} is refused")
            return {"run": ""}

        windows = Windows(context, command)
        await follow(fleet, windows, 8)
        assert [name for name, _ in tried] == ["first", "middle", "last"], "each at once, none behind another"
        await follow(fleet, windows, 120)
        assert [name for name, _ in tried[3:]] == ["first", "middle", "last", "first"]
        refused = [at for name, at in tried[2:] if name != "middle"]
        assert all(later - sooner >= RETRY_S for sooner, later in pairwise(refused)), (
            "each looks at the whole fleet"
        )
        results = {row["name"]: row["result"] for row in windows.rows()}
        assert results == {
            "window/first/always": "unknown (waits)",
            "window/middle/always": "applied",
            "window/last/always": "unknown (waits)",
        }
        await fleet.stop()

    run_virtual(story())


def test_whether_the_fleet_would_survive_is_asked_during_a_pause_as_well() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet(timing=CALM)

        async def all_good() -> str:
            return ""

        assert fleet.controller is not None
        calendar = Calendar(fleet.controller, validate=all_good)
        await fleet.controller.command({**PERSON, "verb": "pause"})
        ask = Schedule(name=ScheduleName("survivability"), cron="*/30 * * * *", job=JobKind.SURVIVABILITY)
        finished = await calendar.run_now(ask)
        assert finished.result == "done"
        assert "would be survived" in finished.sentence or "could not be lost whole" in finished.sentence
        assert any(" survivability " in line for line in fleet.log.lines)
        await fleet.stop()

    run_virtual(story())

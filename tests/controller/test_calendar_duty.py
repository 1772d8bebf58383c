"""Who runs the calendar, and what is known of runs that nobody ran: a missed one is unknown, and is said to be."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from failover.controller.calendar import Calendar
from failover.lab.fleet import TwinFleet
from failover.lab.virtual import run_virtual
from failover.model.errors import StoreUnavailable
from failover.model.journal import JobFinished
from failover.model.policy import JobKind, Policy, Schedule
from tests.controller.test_calendar import all_good, schedule
from tests.controller.test_region_loss_in_virtual_time import PERSON, a_healthy_fleet

OFTEN = schedule(JobKind.REPORT, cron="*/4 * * * *")
FAR = timedelta(minutes=4)


def with_schedules(fleet: TwinFleet, *schedules: Schedule) -> Policy:
    return replace(fleet.policy, schedules=schedules)


async def at_work(fleet: TwinFleet, *schedules: Schedule) -> Calendar:
    """The calendar of the controller that lives now, with these schedules."""
    assert fleet.controller is not None
    calendar = Calendar(fleet.controller, validate=all_good)
    calendar.update(with_schedules(fleet, *schedules))
    await calendar.follow_duty()
    await asyncio.sleep(0)
    return calendar


async def reborn(fleet: TwinFleet, after: timedelta) -> None:
    """The controller dies; that much later another one acts."""
    await fleet.crash()
    await fleet.clock.sleep(after.total_seconds())
    controller = fleet.boot()
    await fleet.until(lambda: controller.acting, seconds=60)


def results(fleet: TwinFleet) -> list[tuple[str, str]]:
    found = [entry.entry for entry in fleet.disk.journal]
    return [(item.schedule, item.result) for item in found if isinstance(item, JobFinished)]


def test_what_came_due_while_nobody_was_there_is_unknown_and_said_once() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        first = await at_work(fleet, OFTEN)
        assert (await first.run_now(OFTEN)).result == "done"
        first.stop()
        await reborn(fleet, after=FAR * 2)
        second = await at_work(fleet, OFTEN)
        (row,) = second.rows()
        assert row["result"] == "unknown (missed)"
        assert row["sentence"] == "was due at 2026-01-01 12:04 UTC, and nobody was there to run it to its end"
        assert row["at"] > "2026-01-01T12:08", "noted when somebody was there again"
        assert results(fleet) == [("nightly", "done"), ("nightly", "missed")]
        assert any("schedule nightly: missed: was due at" in line for line in fleet.log.lines)
        second.stop()
        await reborn(fleet, after=timedelta(seconds=10))
        third = await at_work(fleet, OFTEN)
        assert third.rows()[0]["result"] == "unknown (missed)"
        assert results(fleet) == [("nightly", "done"), ("nightly", "missed")], "it is told once"
        third.stop()
        await fleet.stop()

    run_virtual(story())


def test_a_schedule_that_never_ran_can_be_missed_too_and_one_that_nobody_promised_cannot() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        (await at_work(fleet, OFTEN)).stop()
        await reborn(fleet, after=FAR)
        other = replace(OFTEN, name="another")  # came with a policy that changed while nobody was there
        moved = replace(OFTEN, cron="1-59/2 * * * *")
        (await at_work(fleet, other, replace(moved, name="third"))).stop()
        assert results(fleet) == []
        await reborn(fleet, after=FAR)
        again = await at_work(
            fleet, other, replace(OFTEN, name="third"), replace(other, suspended=True, name="off")
        )
        assert results(fleet) == [("another", "missed")], "the third has other times now: it starts anew"
        again.stop()
        await fleet.stop()

    run_virtual(story())


def test_a_standby_does_nothing_and_learns_from_the_journal_when_it_takes_over() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        leader = fleet.controller
        assert leader is not None
        acting = await at_work(fleet, OFTEN)
        fleet.controller = None
        standby = fleet.boot()
        waiting = Calendar(standby, validate=all_good)
        waiting.update(with_schedules(fleet, OFTEN))
        told = len(fleet.log.lines)
        turning = asyncio.ensure_future(waiting.run())
        await fleet.clock.sleep(60)
        assert waiting.rows()[0]["next"] is None, "nothing is scheduled here"
        assert not [line for line in fleet.log.lines[told:] if "schedule" in line]
        await fleet.clock.sleep(120)
        assert (await acting.run_now(OFTEN)).result == "done"  # the leader's run of 12:04
        leader.context.leadership.lease = None
        fleet.disk.gone.add(leader.ports.identity.holder)
        await fleet.until(lambda: standby.acting and waiting.rows()[0]["next"], seconds=60)
        assert waiting.rows()[0]["result"] == "done", "what the old leader did is known"
        assert results(fleet) == [("nightly", "done")]
        standby.context.leadership.lose("somebody else acts")
        await fleet.clock.sleep(1)
        turning.cancel()
        await asyncio.gather(turning, return_exceptions=True)
        acting.stop()
        await fleet.stop()

    run_virtual(story())


def test_a_schedule_that_the_calendar_cannot_take_is_told_and_stops_no_other() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        wrong = [
            replace(OFTEN, name="steps", cron="*/90 * * * *"),
            replace(OFTEN, name="zone", timezone="Europe/Berln"),
            replace(OFTEN, name="never", cron="0 0 31 2 *"),
        ]
        calendar = await at_work(fleet, *wrong, OFTEN)
        rows = {row["name"]: row for row in calendar.rows()}
        assert rows["steps"]["result"] == "unknown (not scheduled)"
        assert "step of 90" in rows["steps"]["sentence"]
        assert "no time zone 'Europe/Berln'" in rows["zone"]["sentence"]
        assert "never comes due" in rows["never"]["sentence"]
        assert rows["nightly"]["next"] is not None
        assert sum("cannot be followed" in line for line in fleet.log.lines) == 3
        calendar.update(with_schedules(fleet, replace(wrong[0], cron="*/30 * * * *"), OFTEN))
        assert calendar.rows()[0]["next"] is not None
        calendar.stop()
        await fleet.stop()

    run_virtual(story())


def test_a_policy_change_forgets_no_run_that_waits_out_its_jitter() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        calendar = await at_work(fleet, replace(OFTEN, jitter_s=200.0))
        soon = datetime.now(UTC) + timedelta(minutes=7)  # came due, and is put off by its jitter
        calendar._scheduler.modify_job("nightly", next_run_time=soon)
        due = calendar.rows()[0]["next"]
        calendar.update(with_schedules(fleet, replace(OFTEN, jitter_s=200.0, reason="for another reason")))
        assert calendar.rows()[0]["next"] == due
        calendar.update(with_schedules(fleet, replace(OFTEN, cron="30 3 * * *")))
        assert calendar.rows()[0]["next"] != due
        calendar.update(with_schedules(fleet, replace(OFTEN, suspended=True)))
        assert calendar.rows()[0]["next"] == "suspended"
        assert calendar._scheduler.get_jobs() == []
        calendar.stop()
        await fleet.stop()

    run_virtual(story())


def test_whatever_breaks_in_a_job_is_a_failed_run() -> None:
    async def broken() -> str:
        raise RuntimeError("the disk is on fire")

    async def story() -> None:
        fleet = await a_healthy_fleet()
        check = schedule(JobKind.VALIDATE)
        calendar = await at_work(fleet, check)
        assert (await calendar.run_now(check)).result == "done"
        calendar._validate = broken
        calendar._scheduler.modify_job("nightly", next_run_time=datetime.now(UTC))
        await fleet.until(lambda: calendar.rows()[0]["result"] != "done", seconds=30)
        (row,) = calendar.rows()
        assert row["result"] == "unknown (failed)"
        assert row["sentence"].endswith("broke: RuntimeError: the disk is on fire")
        await fleet.clock.sleep(1)
        assert results(fleet) == [("nightly", "done"), ("nightly", "failed")]
        calendar.stop()
        await fleet.stop()

    run_virtual(story())


DUE = datetime(2026, 1, 1, 13, tzinfo=UTC)


@pytest.mark.parametrize(
    ("event", "result", "sentence"),
    [
        ({"scheduled_run_time": DUE}, "missed", "this controller came to it too late"),
        ({"scheduled_run_times": [DUE]}, "missed", "the run before it has not ended"),
        ({"scheduled_run_time": DUE, "exception": OSError("no")}, "failed", "broke: OSError: no"),
    ],
)
def test_what_the_scheduler_says_of_a_run_is_journaled(event: dict, result: str, sentence: str) -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        calendar = await at_work(fleet, OFTEN)
        await calendar.run_now(OFTEN)
        calendar.heard(SimpleNamespace(job_id="nightly", **event))
        await fleet.clock.sleep(1)
        (row,) = calendar.rows()
        assert row["result"] == f"unknown ({result})"
        assert "2026-01-01 13:00 UTC" in row["sentence"]
        assert sentence in row["sentence"]
        assert results(fleet)[-1] == ("nightly", result)
        calendar.stop()
        await fleet.stop()

    run_virtual(story())


def test_apscheduler_runs_it_and_tells_of_a_job_that_hangs() -> None:
    async def hangs() -> str:
        await asyncio.Event().wait()
        return ""

    async def story() -> None:
        fleet = await a_healthy_fleet()
        check = schedule(JobKind.VALIDATE)
        calendar = await at_work(fleet, check)
        calendar._validate = hangs
        calendar._scheduler.modify_job("nightly", next_run_time=datetime.now(UTC))
        await fleet.clock.sleep(1)
        assert calendar.rows()[0]["result"] is None, "it runs"
        calendar._scheduler.modify_job("nightly", next_run_time=datetime.now(UTC))
        await fleet.until(lambda: calendar.rows()[0]["result"] == "unknown (missed)", seconds=30)
        assert "the run before it has not ended" in calendar.rows()[0]["sentence"]
        calendar.stop()
        await fleet.clock.sleep(1)
        await fleet.stop()

    run_virtual(story())


def test_a_journal_that_cannot_be_read_is_waited_for() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        assert fleet.controller is not None
        calendar = Calendar(fleet.controller, validate=all_good)
        calendar.update(with_schedules(fleet, OFTEN))
        store, read = fleet.controller.ports.store, fleet.controller.ports.store.entries
        troubles = [StoreUnavailable("locked"), StoreUnavailable("locked")]

        async def trouble(**more: object) -> object:
            if troubles:
                raise troubles.pop()
            return await read(**more)  # type: ignore[arg-type]

        store.entries = trouble  # type: ignore[method-assign]
        turning = asyncio.ensure_future(calendar.run())
        await fleet.until(lambda: calendar.rows()[0]["next"], seconds=30)
        assert sum("the calendar waits for the journal: locked" in line for line in fleet.log.lines) == 2
        turning.cancel()
        await asyncio.gather(turning, return_exceptions=True)
        await fleet.stop()

    run_virtual(story())


def test_a_paused_fleet_s_job_is_refused_by_name() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        calendar = await at_work(fleet, OFTEN)
        assert fleet.controller is not None
        await fleet.controller.command({**PERSON, "verb": "pause"})
        finished = await calendar.run_now(OFTEN)
        assert finished.result == "refused"
        assert calendar.rows()[0]["result"] == "unknown (refused)"
        calendar.stop()
        await fleet.stop()

    run_virtual(story())

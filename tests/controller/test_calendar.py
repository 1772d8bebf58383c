"""The calendar: cron as people write it, jobs as guarded as people, and nothing that passes a missed run off as health."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from failover.controller.calendar import Calendar
from failover.lab.virtual import run_virtual
from failover.model.ids import ScheduleName
from failover.model.journal import RunState
from failover.model.policy import JobKind, Schedule
from failover.policy.cron import translated
from tests.controller.test_region_loss_in_virtual_time import PERSON, a_healthy_fleet


@pytest.mark.parametrize(
    ("cron", "day"),
    [
        ("0 3 * * 0", "sun"),
        ("0 3 * * 1", "mon"),
        ("0 3 * * 7", "sun"),
        ("0 3 * * mon", "mon"),
        ("0 3 * * *", "*"),
    ],
)
def test_a_numeric_weekday_means_what_cron_means(cron: str, day: str) -> None:
    assert translated(cron)["day_of_week"] == day


def test_spans_and_steps_of_weekdays_become_names() -> None:
    assert translated("0 3 * * 1-5")["day_of_week"] == "mon,tue,wed,thu,fri"
    assert translated("0 3 * * 5-7")["day_of_week"] == "fri,sat,sun"
    assert translated("0 3 * * */2")["day_of_week"] == "sun,tue,thu,sat"


def test_the_trigger_fires_on_cron_s_sunday() -> None:
    from apscheduler.triggers.cron import CronTrigger

    trigger = CronTrigger(timezone="UTC", **translated("0 3 * * 0"))
    fires = trigger.get_next_fire_time(None, datetime(2026, 11, 24, tzinfo=UTC))
    assert fires.strftime("%A %H:%M") == "Sunday 03:00"


def schedule(job: JobKind, **changes: object) -> Schedule:
    made = Schedule(name=ScheduleName("nightly"), cron="0 3 * * *", job=job)
    return replace(made, **changes)  # type: ignore[arg-type]


async def all_good() -> str:
    return ""


async def wrong() -> str:
    return "north-1: may not patch deployments/scale"


def test_a_job_that_fails_is_unknown_and_journaled() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        calendar = Calendar(fleet.controller, validate=wrong)
        calendar.update(replace(fleet.policy, schedules=(schedule(JobKind.VALIDATE),)))
        finished = await calendar.run_now(schedule(JobKind.VALIDATE))
        assert finished.result == "failed"
        assert calendar.rows()[0]["result"] == "unknown (failed)"
        assert fleet.disk.journal[-1].entry == finished
        again = Calendar(fleet.controller, validate=all_good)
        again.update(replace(fleet.policy, schedules=(schedule(JobKind.VALIDATE),)))
        again.remember(tuple(fleet.disk.journal))
        assert again.rows()[0]["result"] == "unknown (failed)"
        await fleet.stop()

    run_virtual(story())


def test_deep_probe_and_report_say_what_they_saw() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        calendar = Calendar(fleet.controller, validate=all_good)
        assert (await calendar.run_now(schedule(JobKind.DEEP_PROBE))).result == "done"
        assert "3 HEALTHY" in (await calendar.run_now(schedule(JobKind.REPORT))).sentence
        fleet.clusters[next(iter(fleet.clusters))].faults.down = True
        assert (await calendar.run_now(schedule(JobKind.DEEP_PROBE))).result == "failed"
        await fleet.stop()

    run_virtual(story())


def test_nothing_starts_while_paused_or_during_a_run() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        calendar = Calendar(fleet.controller, validate=all_good)
        drain = schedule(JobKind.DRAIN, domain="region/north")
        await fleet.controller.command({**PERSON, "verb": "pause"})
        paused = await calendar.run_now(drain)
        assert (paused.result, paused.sentence) == ("refused", "paused by ada@desk")
        await fleet.controller.command({**PERSON, "verb": "resume"})
        assert (await calendar.run_now(drain)).result == "done"
        assert "is under way" in (await calendar.run_now(drain)).sentence
        runs = fleet.controller.context.runs
        await fleet.until(lambda: all(run.state is RunState.DONE for run in runs.values()), seconds=60)
        assert next(iter(runs.values())).actor == "schedule/nightly"
        await fleet.stop()

    run_virtual(story())

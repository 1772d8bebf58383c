"""The calendar: schedules of the policy on APScheduler. Not the probe loop; a missed or failed job is unknown, never health.

APScheduler is imported when the calendar starts. It runs on the event loop (`AsyncIOScheduler`), with one instance a job,
missed runs coalesced, and a grace time; in its default thread pool black-holed jobs starve healthy ones (libraries facts).
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from failover.controller.calendar_jobs import JobRefused, run_job
from failover.model.codec import to_plain
from failover.model.errors import FailoverError, Refused, StoreError
from failover.model.journal import JobFinished, JournalEntry
from failover.model.policy import Policy, Schedule

if TYPE_CHECKING:
    from failover.controller.app import Controller

GRACE_S = 300
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")


def translated(cron: str) -> dict[str, str]:
    """APScheduler's fields of a cron expression. Its weekday 0 is Monday, cron's is Sunday: numbers become names."""
    minute, hour, day, month, weekday = cron.lower().split()
    return {"minute": minute, "hour": hour, "day": day, "month": month, "day_of_week": _weekdays(weekday)}


def _weekdays(text: str) -> str:
    parts: list[str] = []
    for part in text.split(","):
        span, _, step = part.partition("/")
        if span == "*" and not step:
            parts.append("*")
            continue
        low, _, high = ("0-6" if span == "*" else span).partition("-")
        if not low.isdigit() or (high and not high.isdigit()):
            parts.append(part)
            continue
        last = int(high) if high else int(low) if not step else 6
        # A span over Saturday to Sunday has no name of its own in APScheduler: list its days.
        parts += [WEEKDAYS[number] for number in range(int(low), last + 1, int(step) if step else 1)]
    return ",".join(dict.fromkeys(parts))


class Calendar:
    """Runs a controller's schedules. `validate` returns what is wrong, "" for nothing (the same as `validate --live`)."""

    def __init__(self, controller: "Controller", *, validate: Callable[[], Awaitable[str]]) -> None:
        self._controller = controller
        self._validate = validate
        self._schedules: tuple[Schedule, ...] = ()
        self._last: dict[str, JobFinished] = {}
        self._last_at: dict[str, datetime] = {}
        self._scheduler: Any = None

    def start(self) -> None:
        """Begin to run jobs."""
        from apscheduler.events import EVENT_JOB_MISSED
        from apscheduler.schedulers.asyncio import AsyncIOScheduler

        self._scheduler = AsyncIOScheduler(timezone="UTC")
        self._scheduler.add_listener(self._missed, EVENT_JOB_MISSED)
        self._scheduler.start()
        self._install()

    def stop(self) -> None:
        """No job starts any more."""
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=False)
            self._scheduler = None

    def update(self, policy: Policy) -> None:
        """Take over the schedules of a policy."""
        self._schedules = policy.schedules
        if self._scheduler is not None:
            self._install()

    def remember(self, entries: tuple[JournalEntry, ...]) -> None:
        """Last results, from the journal."""
        for entry in entries:
            if isinstance(entry.entry, JobFinished):
                self._last[entry.entry.schedule] = entry.entry
                self._last_at[entry.entry.schedule] = entry.at

    def _install(self) -> None:
        from apscheduler.triggers.cron import CronTrigger

        self._scheduler.remove_all_jobs()
        for schedule in self._schedules:
            if schedule.suspended:
                continue
            trigger = CronTrigger(
                timezone=schedule.timezone, jitter=int(schedule.jitter_s) or None, **translated(schedule.cron)
            )
            self._scheduler.add_job(
                self.run_now,
                trigger,
                args=[schedule],
                id=schedule.name,
                coalesce=True,
                max_instances=1,
                misfire_grace_time=GRACE_S,
            )

    async def run_now(self, schedule: Schedule) -> JobFinished:
        """Run one job and journal how it ended."""
        result, sentence = "done", ""
        try:
            sentence = await run_job(self._controller, schedule, self._validate)
        except (JobRefused, Refused) as error:
            result, sentence = "refused", str(error)
        except FailoverError as error:
            result, sentence = "failed", str(error)
        finished = JobFinished(schedule=schedule.name, result=result, sentence=sentence[:500])
        await self._keep(finished)
        return finished

    async def _keep(self, finished: JobFinished) -> None:
        context = self._controller.context
        self._last[finished.schedule] = finished
        self._last_at[finished.schedule] = context.now().wall
        sentence = f"schedule {finished.schedule}: {finished.result}: {finished.sentence}"
        context.tell(
            "schedule.finished", sentence, page=finished.result != "done", schedule=finished.schedule
        )
        try:
            if self._controller.acting:
                await context.append([("", finished)])
        except StoreError as error:
            context.tell("journal.trouble", str(error), page=True)

    def _missed(self, event: Any) -> None:
        sentence = f"was due at {event.scheduled_run_time}"
        finished = JobFinished(schedule=str(event.job_id), result="missed", sentence=sentence)
        self._last[finished.schedule] = finished
        self._last_at[finished.schedule] = self._controller.context.now().wall
        self._controller.context.tell("schedule.finished", f"schedule {event.job_id}: missed", page=True)

    def rows(self) -> list[dict[str, Any]]:
        """What `status` shows: anything but `done` reads as unknown."""
        found = []
        for schedule in self._schedules:
            last = self._last.get(schedule.name)
            job = self._scheduler.get_job(schedule.name) if self._scheduler is not None else None
            due = getattr(job, "next_run_time", None)
            result = None if last is None else "done" if last.result == "done" else f"unknown ({last.result})"
            found.append(
                {
                    "name": schedule.name,
                    "job": schedule.job.value,
                    "next": "suspended" if schedule.suspended else to_plain(due) if due else None,
                    "result": result,
                    "sentence": last.sentence if last else "",
                    "at": to_plain(self._last_at.get(schedule.name)),
                }
            )
        return found

"""The calendar: schedules of the policy on APScheduler. Not the probe loop; a missed or failed job is unknown, never health.

APScheduler is imported when the calendar begins. It runs on the event loop (`AsyncIOScheduler`), with one instance a job,
missed runs coalesced, and a grace time; in its default thread pool black-holed jobs starve healthy ones (libraries facts).

Only the controller that acts has a calendar. Whoever begins to act knows from the journal what became of earlier jobs, and
from `promises` since when each schedule has been in force: what came due since then and did not end was missed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from failover.controller.calendar_jobs import JobRefused, run_job
from failover.controller.promises import Promises
from failover.controller.windows import Windows
from failover.model.codec import to_plain
from failover.model.errors import Conflict, FailoverError, Refused, StoreError
from failover.model.ids import Epoch
from failover.model.journal import JobFinished, JournalEntry
from failover.model.policy import JobKind, Policy, Schedule
from failover.policy.cron import CronError, first_due, trigger_of

if TYPE_CHECKING:
    from failover.controller.app import Controller

GRACE_S = 300
DUTY_EVERY_S = 0.5
RETRY_S = 5.0
FIRST_ANSWER_S = 60.0


class Calendar:
    """Runs a controller's schedules. `validate` returns what is wrong, "" for nothing (the same as `validate --live`)."""

    def __init__(self, controller: "Controller", *, validate: Callable[[], Awaitable[str]]) -> None:
        self._controller = controller
        self._validate = validate
        self._schedules: tuple[Schedule, ...] = ()
        self._last: dict[str, JobFinished] = {}
        self._last_at: dict[str, datetime] = {}
        self._installed: dict[str, Schedule] = {}
        self._refused: dict[str, str] = {}
        self._promises = Promises(controller.context.ports.store)
        self._scheduler: Any = None
        self._epoch: Epoch | None = None
        self._noting: set[asyncio.Task[None]] = set()
        self._windows = Windows(controller.context, controller.command)

    # -- duty ----------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled: at work while the controller acts, and idle while it stands by."""
        context = self._controller.context
        try:
            while True:
                try:
                    await self.follow_duty()
                    if self._epoch is not None:
                        await self._windows.follow()
                    await context.ports.clock.sleep(DUTY_EVERY_S)
                except (StoreError, Conflict) as error:
                    context.tell("journal.trouble", f"the calendar waits for the journal: {error}", page=True)
                    await context.ports.clock.sleep(RETRY_S)
        finally:
            self.stop()

    async def follow_duty(self) -> None:
        """Begin with a new leadership, and lay down the work with the end of one. Raises StoreError: nothing has begun."""
        epoch = self._controller.context.leadership.epoch if self._controller.acting else None
        if epoch == self._epoch:
            return
        self._lay_down()
        if epoch is not None:
            await self._begin(epoch)

    def stop(self) -> None:
        """No job starts any more, and what runs is cancelled."""
        self._lay_down()
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=False)
            self._scheduler = None

    def _lay_down(self) -> None:
        """No job starts any more. What runs goes on to its end: whatever it changes needs the lease anyway."""
        self._epoch = None
        self._windows.lay_down()
        self._installed.clear()
        if self._scheduler is not None:
            self._scheduler.remove_all_jobs()

    async def _begin(self, epoch: Epoch) -> None:
        store, now = self._controller.context.ports.store, self._controller.context.now().wall
        after = 0
        while entries := await store.entries(after=after):
            self.remember(entries)
            after = entries[-1].sequence
        await self._promises.load()
        self._start()
        self._epoch = epoch
        missed = [finished for schedule in self._schedules if (finished := self._missed(schedule, now))]
        self._install()
        for finished in missed:
            await self._keep(finished)

    def _start(self) -> None:
        from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED
        from apscheduler.schedulers.asyncio import AsyncIOScheduler

        if self._scheduler is None:
            self._scheduler = AsyncIOScheduler(timezone="UTC")
            heard = EVENT_JOB_ERROR | EVENT_JOB_MAX_INSTANCES | EVENT_JOB_MISSED
            self._scheduler.add_listener(self.heard, heard)
            self._scheduler.start()

    def _missed(self, schedule: Schedule, now: datetime) -> JobFinished | None:
        """What came due while nobody was at work."""
        last = self._last_at.get(schedule.name)
        since = self._promises.since(schedule, otherwise=last)
        if schedule.suspended or since is None or schedule.job is JobKind.SURVIVABILITY:
            return None  # what the fleet would have survived yesterday helps nobody
        try:
            due = first_due(schedule.cron, schedule.timezone, max(since, last or since))
        except CronError:
            return None
        if due is None or due > now:
            return None
        sentence = f"was due at {due:%Y-%m-%d %H:%M %Z}, and nobody was there to run it to its end"
        return JobFinished(schedule=schedule.name, result="missed", sentence=sentence)

    # -- schedules -----------------------------------------------------------------------------------------------------

    def update(self, policy: Policy) -> None:
        """Take over the schedules of a policy."""
        self._schedules = policy.schedules
        if self._epoch is not None:
            self._install()

    def remember(self, entries: Iterable[JournalEntry]) -> None:
        """Last results, from the journal."""
        for entry in entries:
            if isinstance(entry.entry, JobFinished):
                self._last[entry.entry.schedule] = entry.entry
                self._last_at[entry.entry.schedule] = entry.at

    def _install(self) -> None:
        """Bring the scheduler in line. A job whose times are what they were keeps its next run: it may have come due, and
        be waiting out its jitter.
        """
        wanted = {schedule.name: schedule for schedule in self._schedules if not schedule.suspended}
        for name in [name for name in self._installed if name not in wanted]:
            self._take_out(name)
        self._refused = {name: text for name, text in self._refused.items() if name in wanted}
        for name, schedule in wanted.items():
            former = self._installed.get(name)
            if former is not None and times(former) == times(schedule) and self._scheduler.get_job(name):
                self._scheduler.modify_job(name, args=[schedule])
                self._installed[name] = schedule
            else:
                self._put_in(schedule)
        self._promises.make(wanted.values(), self._controller.context.now().wall)
        self._note(self._save_promises())

    def _put_in(self, schedule: Schedule) -> None:
        name = schedule.name
        try:
            trigger = trigger_of(schedule.cron, schedule.timezone, schedule.jitter_s)
        except CronError as error:
            self._take_out(name)
            if self._refused.get(name) != str(error):
                self._refused[name] = str(error)
                sentence = f"schedule {name} cannot be followed: {error}"
                self._controller.context.tell("schedule.refused", sentence, page=True, schedule=name)
            return
        self._scheduler.add_job(
            self.run_now,
            trigger,
            args=[schedule],
            id=name,
            coalesce=True,
            max_instances=1,
            misfire_grace_time=GRACE_S,
            replace_existing=True,
            **self._first(schedule),
        )
        self._refused.pop(name, None)
        self._installed[name] = schedule

    def _first(self, schedule: Schedule) -> dict[str, Any]:
        """Whether the fleet would survive is worked out soon after somebody begins to act, and not half an hour later."""
        if schedule.job is not JobKind.SURVIVABILITY or schedule.name in self._installed:
            return {}
        return {"next_run_time": datetime.now(UTC) + timedelta(seconds=FIRST_ANSWER_S)}

    def _take_out(self, name: str) -> None:
        if self._installed.pop(name, None) is not None and self._scheduler.get_job(name):
            self._scheduler.remove_job(name)

    async def _save_promises(self) -> None:
        try:
            await self._promises.save(self._epoch)
        except (StoreError, Conflict) as error:
            self._controller.context.in_trouble(error)

    # -- runs ----------------------------------------------------------------------------------------------------------

    async def run_now(self, schedule: Schedule) -> JobFinished:
        """Run one job and journal how it ended. Whatever else breaks in it comes back by the scheduler (`heard`)."""
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

    def heard(self, event: Any) -> None:
        """What APScheduler says of a run that did not happen, or that broke outside of itself."""
        error = getattr(event, "exception", None)
        due = getattr(event, "scheduled_run_time", None) or next(
            iter(getattr(event, "scheduled_run_times", ())), None
        )
        when = f"{due:%Y-%m-%d %H:%M %Z}" if due else "an unknown time"
        if error is not None:
            result, sentence = "failed", f"the run of {when} broke: {type(error).__name__}: {error}"
        elif hasattr(event, "scheduled_run_times"):
            result, sentence = "missed", f"was due at {when}, and the run before it has not ended"
        else:
            result, sentence = "missed", f"was due at {when}, and this controller came to it too late"
        self._note(
            self._keep(JobFinished(schedule=str(event.job_id), result=result, sentence=sentence[:500]))
        )

    def _note(self, work: Any) -> None:
        """Journal from where nothing can be awaited."""
        task = asyncio.ensure_future(work)
        self._noting.add(task)
        task.add_done_callback(self._noting.discard)

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

    # -- telling -------------------------------------------------------------------------------------------------------

    def rows(self) -> list[dict[str, Any]]:
        """What `status` shows: anything but `done` reads as unknown."""
        return [*(self._row(schedule) for schedule in self._schedules), *self._windows.rows()]

    def _row(self, schedule: Schedule) -> dict[str, Any]:
        last = self._last.get(schedule.name)
        job = self._scheduler.get_job(schedule.name) if self._scheduler is not None else None
        due = getattr(job, "next_run_time", None)
        result = None if last is None else "done" if last.result == "done" else f"unknown ({last.result})"
        sentence = last.sentence if last else ""
        if schedule.name in self._refused:
            result, sentence = "unknown (not scheduled)", self._refused[schedule.name]
        return {
            "name": schedule.name,
            "job": schedule.job.value,
            "next": "suspended" if schedule.suspended else to_plain(due) if due else None,
            "result": result,
            "sentence": sentence,
            "at": to_plain(self._last_at.get(schedule.name)),
        }


def times(schedule: Schedule) -> tuple[str, str, float]:
    """What decides when a schedule comes due."""
    return (schedule.cron, schedule.timezone, schedule.jitter_s)

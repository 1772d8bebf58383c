"""Time windows applied: when one begins or ends, what runs is moved by an ordinary guarded plan, within the budget.

What was applied is kept in the store, so that neither a restart nor another leader applies it twice, and one that begins
during an incident (a run, a pause, something that no longer serves or is still away) waits until that is over.
"""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from failover.controller.calendar_jobs import JobRefused
from failover.controller.context import Context
from failover.execution.admission import SCHEDULE_PREFIX
from failover.execution.runs import AUTOMATION
from failover.model.codec import canonical_json, from_plain, to_plain
from failover.model.errors import Conflict, FailoverError, Refused
from failover.model.ids import ApplicationName, RunId
from failover.model.journal import JobFinished, RunState
from failover.model.policy import Application
from failover.policy.cron import CronError, first_due
from failover.policy.windows import active

Command = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
WINDOWS_KEY = "windows"
LOOK_EVERY_S = 1.0
RETRY_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """The window that an application was last moved for, "" for none, and the run that did it, "" where nothing moved."""

    application: str
    window: str
    run: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """As the store keeps it."""

    applied: tuple[Applied, ...] = ()


class Windows:
    """Follows the windows of one controller while it acts."""

    def __init__(self, context: Context, command: Command) -> None:
        self._context, self._command = context, command
        self._version = 0
        self._applied: dict[str, Applied] | None = None
        self._looked = float("-inf")
        self._waiting: dict[str, str] = {}
        self._tried: dict[str, float] = {}

    def lay_down(self) -> None:
        """Another may act now: what was applied is read anew."""
        self._applied = None

    async def follow(self) -> None:
        """Apply what holds now and is not applied yet. Raises StoreError."""
        context = self._context
        now = context.now()
        if now.mono - self._looked < LOOK_EVERY_S:
            return
        self._looked = now.mono
        if self._applied is None:
            await self._load()
        due = [one for one in context.policy.applications if self._is_due(one)]
        names = {one.name for one in due}
        self._waiting = {name: why for name, why in self._waiting.items() if name in names}
        self._tried = {
            name: at for name, at in self._tried.items() if name in names or now.mono - at < RETRY_S
        }
        if (following := self._next(due, now.mono)) is not None:
            self._tried[following.name] = now.mono
            await self._apply(following)

    def _next(self, due: Sequence[Application], mono: float) -> Application | None:
        """One that was not tried lately goes at once; the others take turns, one every RETRY_S, for each try looks at the
        whole fleet. So one that is refused for ever keeps nobody waiting.
        """
        fresh = next((one for one in due if one.name not in self._tried), None)
        if fresh is not None or not due:
            return fresh
        if mono - max(self._tried[one.name] for one in due) < RETRY_S:
            return None
        return min(due, key=lambda one: self._tried[one.name])

    def _is_due(self, application: Application) -> bool:
        applied = (self._applied or {}).get(
            application.name, Applied(application=application.name, window="")
        )
        if not application.windows and not applied.window:
            return False
        return self._holding(application) != applied.window or self._undone(applied)

    def _holding(self, application: Application) -> str:
        window = active(application, self._context.now().wall)
        return window.name if window is not None else ""

    def _undone(self, applied: Applied) -> bool:
        """Its run had to make way for an incident, or did not get through: then it is tried again."""
        run = self._context.runs.get(RunId(applied.run))
        if run is None or not run.state.final:
            return False
        made_way = run.state is RunState.ABORTED and run.abort is not None and run.abort.actor == AUTOMATION
        return made_way or run.state is RunState.FAILED

    async def _apply(self, application: Application) -> None:
        name = self._holding(application)
        what = (
            f"window {name} of {application.name}" if name else f"the end of the window of {application.name}"
        )
        try:
            run = await self._start(application, name)
        except (JobRefused, Refused) as error:
            if self._waiting.get(application.name) != str(error):
                self._waiting[application.name] = str(error)
                self._context.tell("window.waits", f"{what} waits: {error}", application=application.name)
            return
        except FailoverError as error:
            self._waiting[application.name] = str(error)
            self._context.tell("window.failed", f"{what}: {error}", page=True, application=application.name)
            return
        self._waiting.pop(application.name, None)
        await self._keep(Applied(application=application.name, window=name, run=run))
        sentence = f"{what}: " + (
            f"run {run} moves what it has to" if run else "everything stands right already"
        )
        finished = JobFinished(schedule=schedule_of(application.name, name), result="done", sentence=sentence)
        await self._context.append([("", finished)])
        self._context.tell("window.applied", sentence, application=application.name)

    async def _start(self, application: Application, window: str) -> str:
        """Open the run; "" where nothing has to move."""
        context = self._context
        if context.people.pause is not None:
            raise JobRefused(f"paused by {context.people.pause.by}")
        if runs := context.open_runs():
            raise JobRefused(f"run {runs[0].id} is under way")
        answer = await self._command(
            {
                "verb": "start",
                "kind": "rebalance",
                "actor": f"{SCHEDULE_PREFIX}{schedule_of(application.name, window)}",
                "reason": f"window {window}" if window else "no window any more",
                "applications": [application.name],
            }
        )
        return str(answer["run"] or "")

    # -- what is kept --------------------------------------------------------------------------------------------------

    async def _load(self) -> None:
        found = await self._context.ports.store.get(WINDOWS_KEY)
        self._version = found[0] if found else 0
        kept: Kept = from_plain(Kept, json.loads(found[1])) if found else Kept()
        self._applied = {item.application: item for item in kept.applied}

    async def _keep(self, applied: Applied) -> None:
        known = {**(self._applied or {}), applied.application: applied}
        text = canonical_json(Kept(applied=tuple(known[name] for name in sorted(known))))
        try:
            self._version = await self._context.ports.store.cas(
                WINDOWS_KEY, self._version, text, epoch=self._context.leadership.epoch
            )
        except Conflict:
            self._applied = None
            raise
        self._applied = known

    # -- telling -------------------------------------------------------------------------------------------------------

    def rows(self) -> list[dict[str, Any]]:
        """What `status` shows beside the schedules: one row for every window."""
        return [
            self._row(application, window.name, window.cron, window.timezone)
            for application in self._context.policy.applications
            for window in application.windows
        ]

    def _row(self, application: Application, name: str, cron: str, timezone: str) -> dict[str, Any]:
        holds = self._holding(application) == name
        applied = (self._applied or {}).get(application.name)
        done = applied is not None and applied.window == name
        try:
            due = first_due(cron, timezone, self._context.now().wall)
        except CronError:
            due = None
        result = None
        if holds:
            result = "applied" if done else "unknown (waits)"
        return {
            "name": schedule_of(application.name, name),
            "job": "window",
            "next": "now" if holds else to_plain(due) if due else None,
            "result": result,
            "sentence": self._waiting.get(application.name, "") if holds or done else "",
            "at": None,
        }


def schedule_of(application: ApplicationName, window: str) -> str:
    """Its name in the journal and in `status`."""
    return f"window/{application}/{window}" if window else f"window/{application}"

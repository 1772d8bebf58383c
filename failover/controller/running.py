"""Drives runs: asks the step machine what is next, and has each target's worker do it. One worker a target and run, so
that a slow cluster never delays another; everything that matters is journaled, so that a crash loses nothing.
"""

import asyncio
from collections import defaultdict
from collections.abc import Coroutine, Sequence
from typing import Any

from failover.controller.context import Context
from failover.controller.look_around import LookAround
from failover.controller.record_steps import RecordSteps
from failover.controller.scale_steps import ScaleSteps
from failover.controller.waiting_steps import WaitingSteps
from failover.execution.machine import (
    Action,
    Agenda,
    Attempt,
    Close,
    FailStep,
    FinishWait,
    Observe,
    ReadBack,
    next_actions,
)
from failover.execution.rules import RULES
from failover.model.errors import StoreError
from failover.model.ids import RunId
from failover.model.journal import Run, RunClosed, RunState, StepDone, StepFailed
from failover.model.plan import ChangeRecordsStep, ScaleStep
from failover.model.reasons import Refusal

IDLE_S = 0.5
DEFECT_S = 10.0
"""What broke by a defect of ours is begun again so much later."""


class Runner:
    """All unfinished runs of one controller."""

    def __init__(self, context: Context) -> None:
        self._context = context
        around = LookAround(context)
        self._scale = ScaleSteps(context, around)
        self._records = RecordSteps(context, around)
        self._waiting = WaitingSteps(context)
        self._drivers: dict[RunId, asyncio.Task[None]] = {}
        self._workers: dict[tuple[RunId, str], asyncio.Task[None]] = {}

    def poke(self) -> None:
        """Start a driver for every running run that has none."""
        ended = [task for task in (*self._drivers.values(), *self._workers.values()) if task.done()]
        self._context.tell_defects(ended)
        self._drivers = {run_id: task for run_id, task in self._drivers.items() if not task.done()}
        self._workers = {key: task for key, task in self._workers.items() if not task.done()}
        for run in self._context.open_runs():
            if run.state is RunState.RUNNING and run.id not in self._drivers:
                self._drivers[run.id] = asyncio.ensure_future(self._drive(run.id))

    async def stop(self) -> None:
        """Cancel everything; what was sent and not answered is read back by whoever resumes."""
        tasks = [*self._drivers.values(), *self._workers.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._scale.events.stop()
        await self._waiting.stop()
        self._drivers.clear()
        self._workers.clear()

    async def _drive(self, run_id: RunId) -> None:
        try:
            await self._drive_on(run_id)
        finally:
            self._context.kept_back.forget(run_id)

    async def _drive_on(self, run_id: RunId) -> None:
        context = self._context
        while True:
            run = context.runs.get(run_id)
            if (
                run is None
                or run.state is not RunState.RUNNING
                or not context.leadership.acting(context.now())
            ):
                return
            context.news.clear()
            agenda = next_actions(run, context.now().wall)
            try:
                progressed = await self._do(run, agenda)
            except StoreError as error:
                context.tell("journal.trouble", f"run {run_id} stands still: {error}", page=True, run=run_id)
                return
            if not progressed:
                await self._wait(agenda)

    async def _do(self, run: Run, agenda: Agenda) -> bool:
        """Hand every action to its worker; True if the journal moved meanwhile."""
        busy = any(run_id == run.id and not task.done() for (run_id, _), task in self._workers.items())
        simple: list[Action] = [
            action
            for action in agenda.actions
            if isinstance(action, FinishWait | FailStep) or (isinstance(action, Close) and not busy)
        ]
        for target, actions in _by_target(agenda.actions).items():
            key = (run.id, target)
            worker = self._workers.get(key)
            if worker is None or worker.done():
                self._workers[key] = asyncio.ensure_future(self._work(run, target, actions))
        if simple:
            await self._append_simple(run, simple)
        return bool(simple)

    async def _append_simple(self, run: Run, actions: Sequence[Action]) -> None:
        events: list[StepDone | StepFailed | RunClosed] = []
        for action in actions:
            if isinstance(action, FinishWait):
                events.append(StepDone(step=action.step.id, note=f"waited {action.step.seconds:g} s"))
            elif isinstance(action, FailStep):
                events.append(StepFailed(step=action.step.id, refusal=_failure(action)))
            elif isinstance(action, Close):
                events.append(RunClosed(state=action.state, sentence=action.sentence))
        await self._context.append([(run.id, event) for event in events])
        for event in events:
            if isinstance(event, RunClosed):
                sentence = f"run {run.id} ({run.plan.run_kind} of {run.plan.domain}): {event.state}, {event.sentence}"
                self._context.tell("run.closed", sentence, page=event.state is not RunState.DONE, run=run.id)

    async def _work(self, run: Run, target: str, actions: list[Attempt | ReadBack | Observe]) -> None:
        """One round at one target. A store that fails ends the round; the driver notices by itself. A defect of ours is told, and the
        round is begun again after a while, not at once: each one may send something.
        """
        try:
            await self._round(run, target, actions)
        except StoreError as error:
            self._context.tell("journal.trouble", f"{target}: {error}", page=True, run=run.id)
            await self._context.ports.clock.sleep(IDLE_S)
        except Exception as error:
            self._context.tell_defect(error)
            await self._context.ports.clock.sleep(DEFECT_S)
        finally:
            self._context.news.set()

    def _round(
        self, run: Run, target: str, actions: list[Attempt | ReadBack | Observe]
    ) -> Coroutine[Any, Any, None]:
        first = actions[0]
        if target.startswith("wait/"):
            return self._waiting.observe(run, [action for action in actions if isinstance(action, Observe)])
        if isinstance(first.step, ScaleStep):
            return self._scale.round(run, first.step.cluster, actions)
        return self._records.round(run, actions)

    async def _wait(self, agenda: Agenda) -> None:
        """Until news, or the moment that the agenda names."""
        seconds = IDLE_S
        if agenda.look_again is not None:
            seconds = min(seconds, max(0.0, (agenda.look_again - self._context.now().wall).total_seconds()))
        try:
            async with asyncio.timeout(max(seconds, 0.005)):
                await self._context.news.wait()
        except TimeoutError:
            pass


def _by_target(actions: Sequence[Action]) -> dict[str, list[Attempt | ReadBack | Observe]]:
    """Actions by who has to do them: one worker a cluster, one a zone, one for all waiting of a run."""
    found: dict[str, list[Attempt | ReadBack | Observe]] = defaultdict(list)
    for action in actions:
        if isinstance(action, Attempt | ReadBack | Observe):
            found[_target(action)].append(action)
    return found


def _target(action: Attempt | ReadBack | Observe) -> str:
    step = action.step
    if isinstance(step, ScaleStep):
        return f"cluster/{step.cluster}"
    if isinstance(step, ChangeRecordsStep):
        return f"zone/{step.zone}/{step.application}"
    return "wait/all"


def _failure(action: FailStep) -> Refusal:
    return Refusal(code=action.code, sentence=action.sentence, overridable=action.code in RULES)

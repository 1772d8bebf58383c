"""Asks the policy's resolvers what they give after a change, and journals it: never in a run's way."""

import asyncio

from failover.controller.context import Context
from failover.execution.resolvers import Question, due_questions
from failover.model.errors import StoreError
from failover.model.ids import RunId, StepId
from failover.model.journal import ResolversAsked
from failover.model.records import ServerAnswer

AGAIN_EVERY_S = 10.0
"""How often a resolver that still gives the old answer is asked again."""


class ResolverWatch:
    """One question at a time for each change; a restart asks anew what the journal has no answer to."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._asking: dict[tuple[RunId, StepId], asyncio.Task[None]] = {}
        self._asked_at: dict[tuple[RunId, StepId], float] = {}

    def look(self) -> None:
        """Start to ask what is due now."""
        context, now = self._context, self._context.now()
        context.tell_defects([task for task in self._asking.values() if task.done()])
        self._asking = {key: task for key, task in self._asking.items() if not task.done()}
        questions = due_questions(context.runs.values(), context.policy.zones, now.wall)
        open_ = {(item.run, item.step) for item in questions}
        self._asked_at = {key: at for key, at in self._asked_at.items() if key in open_}
        for question in questions:
            key = (question.run, question.step)
            if key in self._asking or now.mono - self._asked_at.get(key, float("-inf")) < AGAIN_EVERY_S:
                continue
            self._asked_at[key] = now.mono
            self._asking[key] = asyncio.ensure_future(self._ask(question))

    async def stop(self) -> None:
        """Cancel what is being asked."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._asking.clear()

    async def _ask(self, question: Question) -> None:
        context = self._context
        zone = context.ports.zones.get(question.zone)
        if zone is None:
            return
        answers = await zone.ask_resolvers(question.record_sets)
        fine = all(answer.matches for answer in answers)
        if not answers or not (fine or context.now().wall >= question.until):
            return
        try:
            await context.append([(question.run, ResolversAsked(step=question.step, answers=answers))])
        except StoreError as error:
            context.in_trouble(error)
            return
        if not fine:
            self._tell(question, answers)

    def _tell(self, question: Question, answers: tuple[ServerAnswer, ...]) -> None:
        wrong = [f"{item.server}: {item.detail or 'no answer'}" for item in answers if not item.matches]
        sentence = f"zone {question.zone}: after the old TTL some resolvers do not give the change: {'; '.join(wrong)}"
        self._context.tell("dns.resolver", sentence, run=question.run)

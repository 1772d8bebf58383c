"""Controllers whose guards are broken, and what the guards keep from happening: too few witnesses, evidence that ran out,
names of others, changes without a precondition.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from failover.controller import app, deciding, scale_steps
from failover.execution import evidence, record_rules, safety, scale_rules
from failover.execution.rules import refuse
from failover.health import detector, quorum
from failover.model.plan import ChangeRecordsStep
from failover.model.records import RecordChange, RecordSet, RecordType
from failover.model.verdict import SignalView, Vote
from failover.planner import plan as make_plan

from .breaking import Patch, nothing

MAIL = RecordSet(name="mail.example.test.", record_type=RecordType.A, ttl=300, values=("203.0.113.9",))
"""A neighbour's name, as it stands in the zone."""


def goes_on() -> list[Patch]:
    return [(safety, "returned_sources", nothing), (safety, "stale_evidence", nothing)]


def _majority(voting: int) -> int:
    return voting // 2 + 1


def _of_those_that_answer(view: SignalView) -> int:
    return _majority(sum(vote.vote is not Vote.UNKNOWN for vote in view.votes))


def quorum_of_those_that_answer() -> list[Patch]:
    """Whoever says nothing is not counted: by the detector, and by the guards that count again."""
    tally, dissent = quorum.tally, evidence.without_dissent

    def counted(*arguments: Any, **named: Any) -> Any:
        voting = _of_those_that_answer(tally(*arguments, **named).view)
        return tally(*arguments, **{**named, "quorum": voting})

    def without_dissent(*arguments: Any) -> Iterator[Any]:
        return (item for item in dissent(*arguments) if any(fact.startswith("up=") for fact in item.evidence))

    def stale_evidence(name: str, verdict: Any, situation: Any) -> Iterator[Any]:
        limit = situation.policy.fleet.timing.evidence_max_age_s
        fresh = {
            item.vantage for item in verdict.evidence if situation.now.mono - item.measured_mono <= limit
        }
        if len(fresh) < _of_those_that_answer(verdict.data):
            yield refuse("stale-evidence", f"{name}: {len(fresh)} of those that answer saw it fail")

    return [
        (detector, "tally", counted),
        (evidence, "without_dissent", without_dissent),
        (evidence, "stale_evidence", stale_evidence),
        (safety, "stale_evidence", stale_evidence),
    ]


def _without(rule: Any, code: str) -> Any:
    """The same rule, which never refuses by this code."""

    def refusals(*arguments: Any) -> Iterator[Any]:
        return (item for item in rule(*arguments) if item.code != code)

    return refusals


def plans_for_a_neighbour() -> list[Patch]:
    """Whatever an application's names lead to, a name beside them that is not ours leads there too."""

    def plan(*arguments: Any, **named: Any) -> Any:
        made = make_plan(*arguments, **named)
        steps = tuple(
            replace(step, changes=(*step.changes, _mail_too(step)))
            if isinstance(step, ChangeRecordsStep)
            else step
            for step in made.steps
        )
        return replace(made, steps=steps)

    return [
        (deciding, "make_plan", plan),
        (safety, "record_refusals", _without(record_rules.record_refusals, "own-names")),
    ]


def _mail_too(step: ChangeRecordsStep) -> RecordChange:
    values = tuple(sorted({*MAIL.values, step.changes[0].after.values[0]}))
    return RecordChange(before=MAIL, after=replace(MAIL, values=values))


def replaces_anything() -> list[Patch]:
    """A change of replicas that says what shall be, and of nothing what there must have been."""
    real = scale_steps.ScaleSteps._change

    def change(self: Any, *arguments: Any) -> Any:
        return replace(real(self, *arguments), resource_version="")

    return [
        (scale_steps.ScaleSteps, "_change", change),
        (safety, "scale_refusals", _without(scale_rules.scale_refusals, "absolute")),
    ]


def stays_halted() -> list[Patch]:
    async def attend(self: Any, run: Any) -> None:
        return None

    return [(app.Controller, "_attend", attend)]

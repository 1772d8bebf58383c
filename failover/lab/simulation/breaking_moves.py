"""Controllers broken in what they move, and how much of it at once: radius, order, the way home, the policy they follow."""

from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

from failover.controller import app, look_around, policies, scale_steps, steady, waiting_steps
from failover.execution import admission, machine, radius, record_rules, safety, scale_rules
from failover.execution.situation import Look
from failover.model.errors import PolicyError
from failover.model.journal import StepDone
from failover.model.plan import ChangeRecordsStep, RunKind, WaitReadyStep
from failover.planner import capacity, failback, forward, loss, make, ramp, shares, together

from .breaking import Patch, no_record, nothing
from .fleet import build_policy


def no_limits() -> list[Patch]:
    return [(radius, "_rate", nothing), (radius, "_at_once", nothing)]


def wall_clock() -> list[Patch]:
    from datetime import timedelta

    return [
        (steady.SteadyWall, "read", lambda self, now: now),
        (steady.SteadyWall, "jump", lambda self, now: timedelta()),
        (radius, "_at_once", nothing),
    ]


def floor_ignored() -> list[Patch]:
    def ready(self: Any, run: Any, step: WaitReadyStep, states: Any) -> StepDone:
        return StepDone(step=step.id, note="surely")

    return [(waiting_steps.WaitingSteps, "_ready", ready)]


def removes_first() -> list[Patch]:
    return [
        (machine, "_ready", lambda run, step: True),
        (safety, "_on_plan", nothing),
        (safety, "scale_refusals", nothing),
        (record_rules, "_carried", nothing),
    ]


def freeze_halts_nothing() -> list[Patch]:
    real = admission.holding_back

    def held(situation: Any) -> Iterator[Any]:
        return (item for item in real(situation) if item.code != "frozen")

    return [(safety, "holding_back", held)]


def two_writers() -> list[Patch]:
    return [
        (admission, "_single_writers", nothing),
        (scale_rules, "_single_writer", nothing),
        (forward, "_single_writer_refusal", no_record),
    ]


def into_the_source() -> list[Patch]:
    from failover.controller import deciding
    from failover.planner import plan as real

    def plan(*arguments: Any, **named: Any) -> Any:
        made = real(*arguments, **named)
        if not made.sources:
            return made
        parts = tuple(
            replace(part, placements=tuple(replace(row, cluster=made.sources[0]) for row in part.placements))
            for part in made.applications
        )
        return replace(made, applications=parts)

    return [(deciding, "make_plan", plan)]


def into_nothing() -> list[Patch]:
    from failover.controller import deciding
    from failover.planner import plan as real

    def emptied(changes: Any) -> Any:
        return tuple(replace(item, after=replace(item.after, values=())) for item in changes)

    def plan(*arguments: Any, **named: Any) -> Any:
        made = real(*arguments, **named)
        steps = tuple(
            replace(step, changes=emptied(step.changes)) if isinstance(step, ChangeRecordsStep) else step
            for step in made.steps
        )
        parts = tuple(replace(part, records=emptied(part.records)) for part in made.applications)
        return replace(made, steps=steps, applications=parts)

    return [(deciding, "make_plan", plan), (admission, "_capacity", nothing)]


def without_room() -> list[Patch]:
    return [
        (capacity.FreeCapacity, "places", lambda self, cluster, requests: 10_000),
        (capacity.FreeCapacity, "take", no_record),
    ]


def widens_too_far() -> list[Patch]:
    from failover.controller import deciding
    from failover.model.plan import PlanRequest
    from failover.planner import plan as make_plan

    real = deciding.Decider._widen

    async def widen(self: Any, run: Any, case: Any, plan: Any, snapshot: Any) -> None:
        """The region's other clusters come along."""
        fleet = self.context.policy.fleet.clusters
        region = tuple(sorted(entry.name for entry in fleet if entry.region == case.region))
        if set(run.plan.sources) < set(region):
            case = replace(case, sources=region)
            request = PlanRequest(
                run_kind=case.run_kind,
                domain=self._domain(case),
                sources=region,
                applications=case.applications,
            )
            plan = make_plan(snapshot, self.context.policy, request)
        await real(self, run, case, plan, snapshot)

    return [(deciding.Decider, "_widen", widen), *widens_unasked()]


def widens_unasked() -> list[Patch]:
    from failover.controller import deciding

    return [(deciding, "check_widening", lambda plan, situation: ())]


def counts_on_what_was() -> list[Patch]:
    async def nobody_is_asked(self: Any, run: Any, application: Any) -> Any:
        part = next(one for one in run.plan.applications if one.application == application)
        seen = self._context.world.ready_at
        ready = {(row.cluster, row.workload): seen(row.cluster, row.workload) or 0 for row in part.placements}
        return Look(ready)

    return [(look_around.LookAround, "at", nobody_is_asked)]


def waits_for_nothing() -> list[Patch]:
    real = waiting_steps.WaitingSteps._ready

    def ready(self: Any, run: Any, step: WaitReadyStep, states: Any) -> Any:
        if run.plan.run_kind is RunKind.DRAIN:
            return StepDone(step=step.id, note="surely")
        return real(self, run, step, states)

    return [(waiting_steps.WaitingSteps, "_ready", ready)]


def loses_count() -> list[Patch]:
    real = loss.measure_loss

    def measure(*arguments: Any) -> Any:
        found = real(*arguments)
        return replace(found, replicas=found.replicas // 2)

    return [(loss, "measure_loss", measure)]


def says_replaced() -> list[Patch]:
    real = shares.within_share

    def within(world: Any, part: Any) -> Any:
        plan = part.plan
        return real(world, replace(part, plan=replace(plan, replaced=plan.lost, unplaced=0)))

    return [(make, "within_share", within)]


def no_velocity() -> list[Patch]:
    return [(scale_steps.ScaleSteps, "_room", lambda self, cluster: 10_000), (safety, "_velocity", nothing)]


def moves_too_much() -> list[Patch]:
    return [
        (make, "within_share", lambda world, part: part),
        (admission, "_shares", nothing),
        (scale_rules, "_share", nothing),
    ]


def sheds_nothing() -> list[Patch]:
    return [(together, "_victims", lambda *_: [])]


# -- the way home ----------------------------------------------------------------------------------------------------------


def home_too_soon() -> list[Patch]:
    return [(admission, "returned", nothing), (admission, "application_returned", nothing)]


def home_at_once() -> list[Patch]:
    return [(ramp, "_percents", lambda application: [])]


def home_unready() -> list[Patch]:
    return [(failback, "_wait", lambda *_, **__: [])]


def home_without_names() -> list[Patch]:
    return [(failback, "plan_ramp", lambda *_: ramp.Ramp())]


# -- policies --------------------------------------------------------------------------------------------------------------


def half_a_policy() -> list[Patch]:
    real = app.Controller._install_policy

    def install(self: Any, policy: Any) -> None:
        real(self, replace(policy, generation="half"))

    return [(app.Controller, "_install_policy", install)]


def takes_in_half() -> list[Patch]:
    """Of a policy that is changed: its name and its fleet; applications keep their floors and modes."""
    real = app.Controller.use_policy

    async def use(self: Any, policy: Any) -> None:
        await real(self, replace(policy, applications=self.context.policy.applications))

    return [(app.Controller, "use_policy", use)]


def takes_a_broken_file() -> list[Patch]:
    real = policies.PolicySource.load

    def load(self: Any) -> Any:
        try:
            return real(self)
        except PolicyError:
            return replace(build_policy(Random(1)), generation="broken", applications=())  # noqa: S311 - reproducible

    return [(policies.PolicySource, "load", load)]

"""Drift that the policy says to put right (`repair: true`): a run like any other, in quiet times only."""

from dataclasses import dataclass, field

from failover.controller.context import Context
from failover.execution.admission import check_applications, check_run, only
from failover.execution.rules import refuse
from failover.execution.runs import AUTOMATION
from failover.model.ids import Domain, DomainKind, ZoneName
from failover.model.plan import Plan, PlanRequest, RunKind
from failover.model.policy import Mode
from failover.planner import plan as make_plan

MEND_EVERY_S = 30.0
"""A zone is looked at for this no more often: who edits it by hand shall see that something puts it back, not a race."""


@dataclass(slots=True)
class Mender:
    """Finds the one zone that is due and differs from what runs decided. `looked`: monotonic seconds by zone."""

    context: Context
    looked: dict[ZoneName, float] = field(default_factory=dict)

    def due(self) -> ZoneName | None:
        """A zone to look at now: its policy says `repair: true`, and nothing else is going on."""
        context = self.context
        if context.open_runs() or any(
            verdict.kind.no_longer_serves for verdict in context.judgement.verdicts
        ):
            return None
        now = context.now().mono
        for zone in context.policy.zones:
            waited = now - self.looked.get(zone.name, float("-inf"))
            if zone.repair and zone.name in context.world.zones and waited >= MEND_EVERY_S:
                self.looked[zone.name] = now
                return zone.name
        return None

    async def plan(self, zone: ZoneName) -> tuple[Plan, tuple[str, ...]] | None:
        """The repair that may start now and what it cites, None where there is nothing to put right, or a guard refuses."""
        context = self.context
        await context.world.refresh(context.policy, (), (zone,))
        snapshot = context.snapshot()
        request = PlanRequest(
            run_kind=RunKind.REPAIR, domain=Domain(kind=DomainKind.ZONE, name=zone), sources=()
        )
        plan = await context.ports.compute.run(make_plan, snapshot, context.policy, request)
        plan = check_applications(plan, context.situation(), actor=AUTOMATION, busy=snapshot.busy)
        automatic = frozenset(
            part.application
            for part in plan.applications
            if part.left_out is None and part.mode is Mode.AUTO and part.records
        )
        plan = only(plan, automatic, refuse("mode", "automation repairs applications in mode auto only"))
        if plan.is_empty:
            return None
        refusals = check_run(plan, context.situation(), actor=AUTOMATION)
        if refusals:
            context.tell("guard.refused", f"zone/{zone}: {refusals[0]}", code=refusals[0].code)
            return None
        cited = tuple(f"drift={zone} {change.after.name}" for change in plan.applications[0].records[:5])
        return plan, cited or (f"drift={zone}",)

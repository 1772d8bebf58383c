"""From verdicts, or a person's command, to a run: plan, guards, and the journal entry that opens it."""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from failover.controller.context import Context
from failover.controller.mending import Mender
from failover.execution.admission import check_applications, check_run, check_widening, only
from failover.execution.rules import refuse
from failover.execution.runs import AUTOMATION
from failover.model.errors import Refused, StoreError
from failover.model.ids import ApplicationName, ClusterName, Domain, DomainKind, RegionName, RunId, ZoneName
from failover.model.journal import AbortRequested, Run, RunOpened, RunWidened, StepState
from failover.model.plan import Plan, PlanRequest, RunKind
from failover.model.policy import ClusterEntry, Mode
from failover.model.reasons import Refusal
from failover.model.snapshot import Snapshot
from failover.model.verdict import Judgement, SignalState, Verdict, VerdictKind
from failover.planner import plan as make_plan
from failover.planner import widen

CATCH_UP_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Something that automation may have to act on: what no longer serves, in one region.

    `beside`: what is steered away from in a region of which other clusters are evacuated.
    """

    region: RegionName
    run_kind: RunKind
    sources: tuple[ClusterName, ...]
    applications: tuple[ApplicationName, ...] = ()
    beside: bool = False

    @property
    def key(self) -> str:
        names = "+".join(self.sources if self.beside else self.applications)
        return f"{self.region}/{names}" if names else self.region


@dataclass(slots=True)
class Decider:
    """Automation's mind. At most one decision is made at a time; the tick only starts it."""

    context: Context
    reconsider_s: float = 1.0
    recommendations: dict[str, Plan] = field(default_factory=dict)
    _task: asyncio.Task[None] | None = None
    _considered: dict[str, tuple[object, float]] = field(default_factory=dict)
    _settling: dict[RegionName, float] = field(default_factory=dict)
    _mending: Mender | None = None

    def consider(self) -> None:
        """Look at the judgement; start deciding where something new is confirmed, or the last try is a second ago."""
        context = self.context
        if self._task is not None:
            if not self._task.done():
                return
            context.tell_defects([self._task])
            self._task = None
        cases = self._cases(context.judgement)
        current = {case.key for case in cases}
        for key in [key for key in context.refusals if key not in current]:
            del context.refusals[key]
            self.recommendations.pop(key, None)
            self._considered.pop(key, None)
        now = context.now().mono
        due = [case for case in cases if self._due(case, now)]
        if due:
            self._task = asyncio.ensure_future(self._decide_all(due))
        elif not cases and (zone := self._mender().due()) is not None:
            self._task = asyncio.ensure_future(self._mend(zone))

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _due(self, case: Case, now: float) -> bool:
        last = self._considered.get(case.key)
        return last is None or last[0] != case or now - last[1] >= self.reconsider_s

    # -- what is the case ----------------------------------------------------------------------------------------------

    def _cases(self, judgement: Judgement) -> list[Case]:
        fleet = self.context.policy.fleet
        found: list[Case] = []
        if not any(verdict.kind.no_longer_serves for verdict in judgement.verdicts):
            self._settling.clear()
            return found
        for region in fleet.regions():
            entries = [entry for entry in fleet.clusters if entry.region == region]
            found += self._region_cases(region, entries, judgement)
        taken = {cluster for case in found for cluster in case.sources}
        for verdict in judgement.verdicts:
            subject = verdict.subject
            if subject.application is None or subject.cluster in taken:
                continue
            if verdict.kind.no_longer_serves and verdict.confirmed:
                region = fleet.cluster(subject.cluster).region
                found.append(
                    Case(
                        region=region,
                        run_kind=RunKind.STEERING,
                        sources=(subject.cluster,),
                        applications=(subject.application,),
                    )
                )
        return found

    def _region_cases(
        self, region: RegionName, entries: list[ClusterEntry], judgement: Judgement
    ) -> Iterator[Case]:
        """Its clusters that are down are evacuated; those beside them that only lost their clients are steered away from."""
        verdicts = [(entry.name, judgement.of_cluster(entry.name)) for entry in entries]
        gone = [
            (name, item)
            for name, item in verdicts
            if item is not None and item.kind.no_longer_serves and (item.confirmed or item.data_confirmed)
        ]
        if not gone:
            self._settling.pop(region, None)
            return
        if self._still_falling(region, [item for _, item in verdicts if item is not None]):
            return
        lost = sorted(name for name, item in gone if item.kind is VerdictKind.DOWN and item.confirmed)
        rest = sorted(name for name, _ in gone if name not in lost)
        if lost:
            yield Case(region=region, run_kind=RunKind.EVACUATION, sources=tuple(lost))
        if rest:
            yield Case(region=region, run_kind=RunKind.STEERING, sources=tuple(rest), beside=bool(lost))

    def _still_falling(self, region: RegionName, verdicts: Iterable[Verdict]) -> bool:
        """D usually falls a moment before C, and one cluster before its neighbour: wait for them, but not for long."""
        timing = self.context.policy.fleet.timing
        falling = [item for item in verdicts if _unsettled(item)]
        if not falling:
            return False
        now = self.context.now().mono
        since = self._settling.setdefault(region, now)
        return now - since < timing.interval_s + timing.timeout_s

    # -- automation ----------------------------------------------------------------------------------------------------

    async def _decide_all(self, cases: list[Case]) -> None:
        for case in cases:
            self._considered[case.key] = (case, self.context.now().mono)
            try:
                await self._decide(case)
            except StoreError as error:
                self.context.refusals[case.key] = (refuse("journal", str(error)),)
            except Refused as error:  # something changed between the check and the opening
                self._remember(case, error.refusals)

    def _mender(self) -> Mender:
        if self._mending is None:
            self._mending = Mender(self.context)
        return self._mending

    async def _mend(self, zone: ZoneName) -> None:
        try:
            found = await self._mender().plan(zone)
            if found is not None:
                plan, cited = found
                await self.open(plan, actor=AUTOMATION, reason="the zone says repair: true", cited=cited)
        except StoreError as error:
            self.context.refusals[f"zone/{zone}"] = (refuse("journal", str(error)),)
        except Refused:
            return  # something began meanwhile: the zone is looked at again later

    async def _decide(self, case: Case) -> None:
        context = self.context
        await context.world.refresh(context.policy, (), context.ports.zones)
        await context.world.catch_up(context.policy, context.changes.latest(), CATCH_UP_S)
        snapshot = context.snapshot()
        request = PlanRequest(
            run_kind=case.run_kind,
            domain=self._domain(case),
            sources=case.sources,
            applications=case.applications,
        )
        plan = await context.ports.compute.run(make_plan, snapshot, context.policy, request)
        await self._make_way(case)
        covering = self._covering(case)
        held = [item for running in covering for item in await self._widen(running, case, plan, snapshot)]
        snapshot = context.snapshot() if covering else snapshot
        plan = check_applications(plan, context.situation(), actor=AUTOMATION, busy=snapshot.busy)
        self._recommend(case, plan)
        under_way = {name for run in covering for name in run.applications}
        left_out = tuple(
            part.left_out
            for part in plan.applications
            if part.left_out is not None and part.application not in under_way
        )
        if plan.is_empty:
            self._remember(case, (*held, *plan.refusals, *left_out, *_waiting_for_room(plan)))
            return
        refusals = (*plan.refusals, *check_run(plan, context.situation(), actor=AUTOMATION))
        self._remember(case, (*held, *refusals, *left_out))
        if refusals:
            return
        for part in self._by_mode(plan):
            await self._open_automatic(part)

    def _domain(self, case: Case) -> Domain:
        entries = [entry.name for entry in self.context.policy.fleet.clusters if entry.region == case.region]
        if len(case.sources) == 1 and len(entries) > 1:
            return Domain(kind=DomainKind.CLUSTER, name=case.sources[0])
        return Domain(kind=DomainKind.REGION, name=case.region)

    def _by_mode(self, plan: Plan) -> list[tuple[Plan, bool]]:
        """The part that runs now, and the part that waits for a person; each with whether it is approved."""
        included = [part for part in plan.applications if part.left_out is None]
        found = []
        for mode, approved in ((Mode.AUTO, True), (Mode.APPROVE, False)):
            names = frozenset(part.application for part in included if part.mode is mode)
            if names:
                why = refuse("mode", f"belongs to a run of its own (this one holds those in mode {mode})")
                chosen = only(plan, names, why)
                if not chosen.is_empty:
                    found.append((chosen, approved))
        return found

    async def _open_automatic(self, part: tuple[Plan, bool]) -> None:
        plan, approved = part
        context = self.context
        verdicts = [context.judgement.of_cluster(name) for name in plan.sources]
        failed, confirmed = self._times([item for item in verdicts if item is not None])
        cited = tuple(
            f"{item.observation} {item.signal} {item.outcome}"
            for verdict in verdicts
            if verdict is not None
            for item in verdict.evidence
        )
        await self.open(
            plan, actor=AUTOMATION, reason="", approved=approved, cited=cited, failed=failed, at=confirmed
        )

    def _times(self, verdicts: list[Verdict]) -> tuple[datetime | None, datetime | None]:
        """When the first failure was seen and when the last verdict was confirmed, in wall time."""
        now = self.context.now()
        firsts = [item.first_failure_mono for item in verdicts if item.first_failure_mono is not None]
        over = [
            item.confirming_s - item.confirm_needed_s for item in verdicts if item.confirming_s is not None
        ]
        failed = now.wall_of(min(firsts)) if firsts else None
        confirmed = now.wall_of(now.mono - max(0.0, min(over))) if over else None
        return failed, confirmed

    def _recommend(self, case: Case, plan: Plan) -> None:
        shown = [
            part for part in plan.applications if part.left_out is not None and part.left_out.code == "mode"
        ]
        if shown and any(part.placements or part.records for part in shown):
            self.recommendations[case.key] = plan
        else:
            self.recommendations.pop(case.key, None)

    def _remember(self, case: Case, refusals: tuple[Refusal, ...]) -> None:
        """Keep the reasons for `status`; tell them once."""
        # Several runs, and the rest, may be held back by one and the same.
        refusals = tuple(dict.fromkeys(refusals))
        before = {item.code for item in self.context.refusals.get(case.key, ())}
        self.context.refusals[case.key] = refusals
        for item in refusals:
            if item.code not in before:
                self.context.tell(
                    "guard.refused",
                    f"{case.key}: {item}",
                    page=item.code not in ("busy", "mode"),
                    code=item.code,
                )

    async def _make_way(self, case: Case) -> None:
        """A rebalancing that is under way stops for an incident at its next safe point: one run at a time an application."""
        for run in self.context.open_runs():
            if run.plan.run_kind is RunKind.REBALANCE and run.abort is None:
                reason = f"{', '.join(case.sources)} no longer serves: balance can wait"
                await self.context.append([(run.id, AbortRequested(actor=AUTOMATION, reason=reason))])

    # -- widening ------------------------------------------------------------------------------------------------------

    def _covering(self, case: Case) -> tuple[Run, ...]:
        """Unfinished automatic runs that already move away from this region, for the same reason.

        They hold up nobody else: an application that is in none of them (it was refused before, or its run waits for
        approval) is decided about by itself.
        """
        if case.applications:
            return ()
        region_of = {entry.name: entry.region for entry in self.context.policy.fleet.clusters}
        return tuple(
            run
            for run in self.context.open_runs()
            if run.actor == AUTOMATION
            and run.plan.run_kind in (RunKind.EVACUATION, RunKind.STEERING)
            and any(region_of.get(name) == case.region for name in run.plan.sources)
        )

    async def _widen(self, run: Run, case: Case, plan: Plan, snapshot: Snapshot) -> tuple[Refusal, ...]:
        """Take in further clusters of the region, or turn steering into evacuation; never narrower, uncounted by I8.

        Returns why it must not be now.
        """
        wider = set(case.sources) - set(run.plan.sources)
        stronger = case.run_kind is RunKind.EVACUATION and run.plan.run_kind is RunKind.STEERING
        if not (wider or stronger) or not set(run.plan.sources) <= set(case.sources):
            return ()
        situation = self.context.situation()
        if refusals := check_widening(plan, situation):
            return refusals
        others = tuple(item for item in snapshot.busy if item[1] != run.id)
        plan = check_applications(plan, situation, actor=AUTOMATION, busy=others)
        plan = only(plan, frozenset(run.applications), refuse("mode", "not part of the run that is widened"))
        begun = frozenset(
            step for step, item in run.steps.items() if item.attempts and item.state is not StepState.FAILED
        )
        plan = widen(run.plan, begun, plan, share=self.context.policy.guards.share_per_step)
        reason = f"now also {', '.join(sorted(wider))}" if wider else "steering becomes evacuation"
        await self.context.append([(run.id, RunWidened(plan=plan, reason=reason))])
        self.context.tell("run.widened", f"run {run.id}: {reason}", run=run.id)
        return ()

    # -- for everybody -------------------------------------------------------------------------------------------------

    async def open(
        self,
        plan: Plan,
        *,
        actor: str,
        reason: str,
        approved: bool = True,
        cited: tuple[str, ...] = (),
        failed: datetime | None = None,
        at: datetime | None = None,
    ) -> RunId:
        """Open a run for a plan that the guards allowed. Asked again here, without an await in between (I2)."""
        context = self.context
        if actor == AUTOMATION:
            refusals = check_run(plan, context.situation(), actor=actor)
            if refusals:
                raise Refused(refusals)
        run_id = self._run_id(plan)
        event = RunOpened(
            plan=plan,
            actor=actor,
            reason=reason,
            approved=approved,
            failed_at=failed,
            verdict_at=at,
            citations=cited,
        )
        await context.append([(run_id, event)])
        word = "opened" if approved else "waits for approval"
        context.tell(
            "run.opened", f"run {run_id} ({plan.run_kind} of {plan.domain}) {word}", page=True, run=run_id
        )
        return run_id

    def _run_id(self, plan: Plan) -> RunId:
        """Readable, unique: date, journal position and plan."""
        stamp = self.context.now().wall.strftime("%m%d-%H%M%S")
        return RunId(f"{plan.run_kind.value[:5]}-{stamp}-{self.context.journal_head + 1}")


def _waiting_for_room(plan: Plan) -> Iterator[Refusal]:
    """What is moved already and still short of replicas: it is asked again, and placed as soon as there is room."""
    for part in plan.applications:
        if part.left_out is None and part.unplaced:
            yield replace(
                refuse(
                    "no-target",
                    f"{part.unplaced} of {part.lost} lost replicas of {part.application} have no place; they get one as "
                    "soon as there is room",
                ),
                application=part.application,
            )


def _unsettled(verdict: Verdict) -> bool:
    """Falling, but not yet what it will be: not confirmed, or its control plane is not agreed on."""
    if verdict.kind.no_longer_serves:
        if not verdict.confirmed:
            return True
        return verdict.kind is VerdictKind.DATA_PLANE_DOWN and verdict.control.state is not SignalState.UP
    return verdict.first_failure_mono is not None and verdict.kind in (
        VerdictKind.PATH_PROBLEM,
        VerdictKind.UNKNOWN,
    )

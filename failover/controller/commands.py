"""What people command, executed by the same code with a running controller and without one.

Each command is a plain request `{"verb": …, "actor": …, …}` and returns plain data; refusals are raised as `Refused`.
"""

import difflib
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from failover.controller.asking import Asked, citations, own_judgement, probe_once
from failover.controller.context import Context
from failover.controller.deciding import Decider
from failover.controller.people import Pause
from failover.controller.running import Runner
from failover.controller.surviving import survivability_row
from failover.execution.admission import check_applications, check_run, is_automatic
from failover.execution.rules import RULES, refuse, unknown_overrides
from failover.health import lift_freeze, release_hold_down
from failover.model.codec import DecodeError, from_plain, to_plain
from failover.model.errors import Refused, UsageError
from failover.model.ids import ApplicationName, ClusterName, Domain, DomainKind, RunId, Subject
from failover.model.journal import AbortRequested, Entry, PersonSaid, Run, RunApproved, RunResumed, RunState
from failover.model.observation import ProbeDefinition
from failover.model.plan import Plan, PlanRequest, RunKind
from failover.model.reasons import Refusal
from failover.model.snapshot import Cordon
from failover.model.verdict import Judgement
from failover.planner import blast_radius, check_assumptions
from failover.planner import plan as make_plan
from failover.planner.make import all_of

Request = dict[str, Any]


class Commands:
    """Every verb. `alone`: there is no running controller, so verdicts come from one probe from here."""

    def __init__(
        self,
        context: Context,
        decider: Decider,
        runner: Runner,
        definitions: Callable[[], tuple[ProbeDefinition, ...]],
        *,
        alone: bool = False,
    ) -> None:
        self._context = context
        self._decider = decider
        self._runner = runner
        self._definitions = definitions
        self._alone = alone
        self._verbs: dict[str, Callable[[Request], Awaitable[dict[str, Any]]]] = {
            "plan": self._plan,
            "survivability": self._survivability,
            "start": self._start,
            "apply": self._apply,
            "approve": self._approve,
            "abort": self._abort,
            "resume-run": self._resume_run,
            "pause": self._pause,
            "resume": self._resume,
            "ack": self._ack,
            "cordon": self._cordon,
            "uncordon": self._uncordon,
        }

    async def execute(self, request: Request) -> dict[str, Any]:
        """Carry out one command. Raises UsageError, Refused, StoreError."""
        verb = self._verbs.get(str(request.get("verb", "")))
        if verb is None:
            raise UsageError(
                f"there is no command {request.get('verb')!r}; there are {', '.join(sorted(self._verbs))}"
            )
        if not str(request.get("actor", "")):
            raise UsageError("a command names the person who gives it")
        return await verb(request)

    # -- plans ---------------------------------------------------------------------------------------------------------

    async def _plan(self, request: Request) -> dict[str, Any]:
        plan, refusals, _ = await self._prepare(request)
        return self._shown(plan, refusals)

    async def _survivability(self, request: Request) -> dict[str, Any]:
        """What the loss of every domain would mean, now."""
        await self._look()
        asked = [self.find_domain(str(text)) for text in request.get("domains", ())]
        judgement = await self._judgement()
        found = await self._context.survivability(
            asked, pairs=bool(request.get("pairs")), judgement=judgement
        )
        return survivability_row(found)

    async def _start(self, request: Request) -> dict[str, Any]:
        """Plan anew; start only if it is still the very plan that the person saw (`hash`)."""
        plan, refusals, asked = await self._prepare(request)
        expected = str(request.get("hash", ""))
        if expected and plan.hash != expected:
            raise Refused(
                [
                    refuse(
                        "stale-plan",
                        "the world changed since you looked; look at the new plan",
                        f"now={plan.short_hash}",
                    )
                ]
            )
        return await self._open(plan, refusals, asked, request)

    async def _apply(self, request: Request) -> dict[str, Any]:
        """Carry out a plan from a file, if every assumption of it still holds."""
        try:
            plan: Plan = from_plain(Plan, request.get("plan"))
        except DecodeError as error:
            raise UsageError(f"this is not a plan of this version: {error}") from None
        if str(request.get("hash", plan.hash)) != plan.hash:
            raise UsageError("this plan was edited after it was made: its hash does not fit; make a new one")
        if plan.hypothetical:
            raise Refused(
                [
                    refuse(
                        "hypothetical",
                        "this plan rests on assumed verdicts; it shows, it is never carried out",
                    )
                ]
            )
        context = self._context
        inside: set[ClusterName] = set()
        if plan.run_kind is not RunKind.REBALANCE:
            domain = self.find_domain(str(plan.domain))
            inside = {entry.name for entry in context.policy.fleet.clusters_in(domain)}
        if not set(plan.sources) <= inside:
            raise UsageError(
                f"this plan names {', '.join(plan.sources)} as {plan.domain}: it is none of ours"
            )
        await self._look()
        asked = await self._ask(plan.sources)
        judgement = await self._judgement()
        snapshot = context.snapshot(judgement)
        stale = check_assumptions(plan, snapshot, context.policy)
        if stale is not None:
            raise Refused([stale])
        fresh = await context.ports.compute.run(make_plan, snapshot, context.policy, _request_of(plan))
        situation = context.situation(judgement)
        fresh = check_applications(fresh, situation, actor=str(request["actor"]), busy=snapshot.busy)
        if fresh.hash != plan.hash:
            sentence = "a plan that is made now looks otherwise, although what this one rests on still holds: look at it anew"
            raise Refused(
                [refuse("stale-plan", sentence, f"plan={plan.short_hash}", f"now={fresh.short_hash}")]
            )
        refusals = check_run(fresh, situation, actor=str(request["actor"]))
        return await self._open(fresh, refusals, asked, request)

    async def _prepare(self, request: Request) -> tuple[Plan, tuple[Refusal, ...], tuple[Asked, ...]]:
        context = self._context
        actor = str(request["actor"])
        wanted = self._request(request)
        await self._look()
        asked = await self._ask(wanted.sources) if not wanted.assume_down else ()
        judgement = await self._judgement()
        snapshot = context.snapshot(judgement)
        plan = await context.ports.compute.run(make_plan, snapshot, context.policy, wanted)
        situation = context.situation(judgement)
        plan = check_applications(plan, situation, actor=actor, busy=snapshot.busy)
        left_out = [part.left_out for part in plan.applications if part.left_out is not None]
        # A what-if asks what would happen, not whether it may start.
        guards = () if plan.hypothetical else check_run(plan, situation, actor=actor)
        refusals = [*plan.refusals, *guards]
        if left_out and len(left_out) == len(plan.applications):
            refusals += left_out
        return plan, tuple(refusals), asked

    def _request(self, request: Request) -> PlanRequest:
        try:
            kind = RunKind(str(request.get("kind", "evacuation")))
        except ValueError:
            kinds = ", ".join(RunKind)
            raise UsageError(f"there is no kind of run {request.get('kind')!r}; there are {kinds}") from None
        fleet = self._context.policy.fleet
        assumed = [self.find_domain(str(text)) for text in request.get("assume_down", ())]
        sources: tuple[ClusterName, ...] = ()
        if kind.about_names:
            domain = self._zone(str(request.get("domain", "")))
        elif kind is RunKind.REBALANCE:
            domain = Domain(kind=DomainKind.FLEET, name=fleet.name)
        else:
            domain = all_of(assumed) if assumed else self.find_domain(str(request.get("domain", "")))
            inside = {one.name for item in assumed or [domain] for one in fleet.clusters_in(item)}
            sources = tuple(sorted(inside))
        overrides = tuple(str(item) for item in request.get("overrides", ()))
        wrong = unknown_overrides(overrides)
        if wrong:
            allowed = ", ".join(sorted(code for code, rule in RULES.items() if rule.overridable))
            raise UsageError(f"{', '.join(wrong)} cannot be overridden; these can: {allowed}")
        return PlanRequest(
            run_kind=kind,
            domain=domain,
            sources=sources,
            by_person=not is_automatic(str(request["actor"])),
            overrides=overrides,
            assume_down=sources if assumed else (),
            applications=self._applications(request),
            moves=int(request.get("moves", 0)),
        )

    def _applications(self, request: Request) -> tuple[ApplicationName, ...]:
        known = {str(application.name) for application in self._context.policy.applications}
        asked = tuple(str(item) for item in request.get("applications", ()))
        for name in asked:
            if name not in known:
                close = difflib.get_close_matches(name, sorted(known), n=1)
                hint = f"; did you mean {close[0]}?" if close else f"; there are {', '.join(sorted(known))}"
                raise UsageError(f"there is no application {name!r}{hint}")
        return tuple(ApplicationName(name) for name in asked)

    def _zone(self, text: str) -> Domain:
        """The zone that a person means. Raises UsageError with what there is."""
        name = text.removeprefix("zone/")
        known = [str(zone.name) for zone in self._context.policy.zones]
        if name not in known:
            raise UsageError(f"there is no zone {text!r}; there are {', '.join(known) or 'none'}")
        return Domain(kind=DomainKind.ZONE, name=name)

    def find_domain(self, text: str) -> Domain:
        """The one domain that a person means. Raises UsageError with what there is."""
        fleet = self._context.policy.fleet
        found = fleet.find_domains(text)
        if len(found) == 1:
            return found[0]
        if found:
            raise UsageError(
                f"{text!r} may mean {' or '.join(str(item) for item in found)}: name it with its kind"
            )
        raise UsageError(
            f"there is no domain {text!r}; there are {', '.join(str(item) for item in fleet.domains())}"
        )

    async def _look(self) -> None:
        """Fresh inventories and zones; a source that does not answer keeps its last look."""
        context = self._context
        await context.world.refresh(context.policy, context.ports.clusters, context.ports.zones)

    async def _ask(self, clusters: tuple[ClusterName, ...]) -> tuple[Asked, ...]:
        return await probe_once(self._context.ports, self._definitions(), clusters)

    async def _judgement(self) -> Judgement:
        """The quorum's, where a controller watches and has warmed up; otherwise what one look from here says."""
        context = self._context
        if not self._alone and context.judgement.warm_up is None:
            return context.judgement
        asked = await probe_once(context.ports, self._definitions())
        return own_judgement(context.policy, asked, context.health, context.now())

    async def _open(
        self, plan: Plan, refusals: tuple[Refusal, ...], asked: tuple[Asked, ...], request: Request
    ) -> dict[str, Any]:
        if refusals:
            raise Refused(refusals)
        actor = str(request["actor"])
        if (
            plan.is_empty and not plan.undoes
        ):  # a failback of what somebody restored by hand still closes the matter
            return {**self._shown(plan, ()), "run": None}
        run_id = await self._decider.open(
            plan, actor=actor, reason=str(request.get("reason", "")), cited=citations(actor, asked)
        )
        self._runner.poke()
        return {**self._shown(plan, ()), "run": run_id}

    def _shown(self, plan: Plan, refusals: tuple[Refusal, ...]) -> dict[str, Any]:
        return {
            "plan": json.loads(plan.to_json()),
            "hash": plan.hash,
            "empty": plan.is_empty,
            "refusals": to_plain(refusals),
            "blast_radius": list(blast_radius(plan, self._context.policy)),
        }

    # -- runs ----------------------------------------------------------------------------------------------------------

    def _run(self, request: Request) -> Run:
        run = self._context.runs.get(RunId(str(request.get("run", ""))))
        if run is None:
            raise UsageError(f"there is no run {request.get('run')!r}")
        return run

    async def _approve(self, request: Request) -> dict[str, Any]:
        """Approve a waiting run: everything that it rests on is checked again."""
        run, context = self._run(request), self._context
        if run.state is not RunState.AWAITING_APPROVAL:
            raise UsageError(f"run {run.id} is {run.state}: only a waiting run can be approved")
        await self._look()
        stale = check_assumptions(run.plan, context.snapshot(), context.policy)
        if stale is not None:
            raise Refused([stale])
        refusals = [
            item
            for item in check_run(run.plan, context.situation(), actor=run.actor)
            if item.code not in ("busy", "paused")  # a pause stops automation, and never a person (I23)
        ]
        if refusals:
            raise Refused(refusals)
        await context.append([(run.id, RunApproved(actor=str(request["actor"])))])
        self._runner.poke()
        return {"run": run.id, "state": "running"}

    async def _abort(self, request: Request) -> dict[str, Any]:
        run = self._run(request)
        if run.state.final:
            raise UsageError(f"run {run.id} is over ({run.state})")
        event: list[tuple[str, Entry]] = [
            (run.id, AbortRequested(actor=str(request["actor"]), reason=str(request.get("reason", ""))))
        ]
        if run.state is RunState.AWAITING_APPROVAL:
            event.insert(0, (run.id, RunResumed(actor=str(request["actor"]))))
        await self._context.append(event)
        self._runner.poke()
        note = (
            "DNS was written already: it goes on to a consistent end"
            if run.dns_written
            else "it stops before DNS"
        )
        return {"run": run.id, "state": "aborting", "note": note}

    async def _resume_run(self, request: Request) -> dict[str, Any]:
        """Go on with a halted run; without a controller also with one that a dead controller left running."""
        run = self._run(request)
        left_running = self._alone and run.state is RunState.RUNNING
        if run.state is not RunState.HALTED and not left_running:
            raise UsageError(f"run {run.id} is {run.state}: only a halted run can be resumed")
        await self._context.append([(run.id, RunResumed(actor=str(request["actor"])))])
        self._runner.poke()
        return {"run": run.id, "state": "running"}

    # -- people's words ------------------------------------------------------------------------------------------------
    # What holds automation back is in force before it is journaled, and what lets it go on is journaled before it is in force:
    # where the store takes only one of the two, the person is told of an error, and automation stands still.

    async def _say(self, request: Request, target: str = "") -> None:
        said = PersonSaid(
            verb=str(request["verb"]),
            target=target,
            actor=str(request["actor"]),
            reason=str(request.get("reason", "")),
        )
        await self._context.append([("", said)])

    async def _pause(self, request: Request) -> dict[str, Any]:
        """Stops automation now, durably, before this returns (I23)."""
        context = self._context
        pause = Pause(by=str(request["actor"]), reason=str(request.get("reason", "")), at=context.now().wall)
        await context.save_people(replace(context.people, pause=pause))
        await self._say(request)
        return {"paused": to_plain(pause)}

    async def _resume(self, request: Request) -> dict[str, Any]:
        """Ends a pause, a freeze and a doubt: a person has looked."""
        context = self._context
        ended = [
            word
            for word, on in (
                ("pause", context.people.pause),
                ("freeze", context.judgement.freeze),
                ("doubt", context.doubt),
            )
            if on
        ]
        looked_at = max(context.journal_head, context.told_head)
        people = replace(
            context.people,
            pause=None,
            doubt="",
            doubt_resolved_at_head=looked_at,
            patience_from=context.now().wall,
        )
        await self._say(request, target=",".join(ended))
        await context.save_people(people)
        context.health = lift_freeze(context.health, context.now())
        context.doubt = ""
        return {"ended": ended}

    async def _ack(self, request: Request) -> dict[str, Any]:
        """Releases a hold-down, of one domain or of all, and forgives runs that did not get through.

        `identity`: accepts that the one cluster named was rebuilt, and is the one that answers now.
        """
        context = self._context
        target = str(request.get("target", ""))
        if request.get("identity"):
            return await self._accept_identity(request, target)
        entries = context.policy.fleet.clusters_in(self.find_domain(target)) if target else ()
        await self._say(request, target=target)
        await context.save_people(replace(context.people, patience_from=context.now().wall))
        if not target:
            context.health = release_hold_down(context.health, None)
        for entry in entries:
            context.health = release_hold_down(context.health, Subject(cluster=entry.name))
        return {"released": target or "all"}

    async def _accept_identity(self, request: Request, target: str) -> dict[str, Any]:
        context, domain = self._context, self.find_domain(target)
        entries = context.policy.fleet.clusters_in(domain)
        if domain.kind is not DomainKind.CLUSTER or len(entries) != 1:
            raise UsageError(f"--identity takes one cluster, and {domain} is none")
        await context.world.look_at_cluster(context.policy, entries[0].name)
        uid = context.world.strangers.get(entries[0].name, "")
        if not uid:
            raise UsageError(f"{entries[0].name} is the cluster that it was; there is nothing to accept")
        await self._say(request, target=f"{domain} identity {uid}")
        context.world.accept_identity(entries[0].name, uid)
        return {"accepted": uid, "cluster": entries[0].name}

    def _cordon_target(self, request: Request) -> str:
        text = str(request.get("target", ""))
        name = text.removeprefix("vantage/")
        if any(vantage.name == name for vantage in self._context.policy.fleet.vantages) and (
            text.startswith("vantage/") or not self._context.policy.fleet.find_domains(text)
        ):
            return f"vantage/{name}"
        return str(self.find_domain(text))

    async def _cordon(self, request: Request) -> dict[str, Any]:
        context, target = self._context, self._cordon_target(request)
        cordon = Cordon(
            target=target,
            by=str(request["actor"]),
            reason=str(request.get("reason", "")),
            at=context.now().wall,
        )
        await context.save_people(context.people.with_cordon(cordon))
        await self._say(request, target=target)
        return {"cordoned": target}

    async def _uncordon(self, request: Request) -> dict[str, Any]:
        context, target = self._context, self._cordon_target(request)
        if all(cordon.target != target for cordon in context.people.cordons):
            raise UsageError(f"{target} is not cordoned")
        await self._say(request, target=target)
        await context.save_people(context.people.without_cordon(target))
        return {"uncordoned": target}


def _request_of(plan: Plan) -> PlanRequest:
    """What a person asked for when this plan was made."""
    return PlanRequest(
        run_kind=plan.run_kind,
        domain=plan.domain,
        sources=plan.sources,
        by_person=True,
        overrides=plan.overrides,
        applications=tuple(part.application for part in plan.applications),
    )

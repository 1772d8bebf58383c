"""`build(ports, policy)`: the one wiring of a controller, for `run`, the lab, the simulation and commands without one."""

import asyncio
from collections.abc import Callable
from typing import Any

from failover.controller.commands import Commands
from failover.controller.context import Context
from failover.controller.deciding import Decider
from failover.controller.drift import DRIFT_EVERY_S, DriftWatch
from failover.controller.inbox import Inbox
from failover.controller.keeping import Keeper
from failover.controller.leadership import Leadership
from failover.controller.pace import Pace
from failover.controller.ports import Ports
from failover.controller.resolving import ResolverWatch
from failover.controller.running import Runner
from failover.controller.status import build_status
from failover.controller.world import World
from failover.execution.admission import is_automatic, overridden
from failover.execution.safety import automation_refusals, returned_sources
from failover.execution.taken_back import TakenBack, taken_back
from failover.health import Inputs, initial_state, judge, restart_warm_up
from failover.model.errors import Conflict, StoreError
from failover.model.ids import ClusterName, VantageName, ZoneName
from failover.model.journal import (
    AbortRequested,
    PolicyLoaded,
    Run,
    RunResumed,
    RunState,
)
from failover.model.observation import Observation, ProbeDefinition, VantageReport
from failover.model.policy import Policy, VantageEntry
from failover.model.reasons import Problem
from failover.model.records import ServerAnswer
from failover.model.time import Now
from failover.model.verdict import Judgement, WarmUp
from failover.probes import ProbeRunner, SelfCheck, build_definitions

SHIPPED_PACE = Pace()
STANDBY_EVERY_S = 1.0
FIRST_LOOK_S = 3.0
SELF_RESUMING = frozenset({"warm-up", "frozen", "stale-evidence", "still-serving", "lease", "journal"})


class Controller:
    """One controller. `run()` probes, judges, leads and acts until cancelled; `tick()` is one turn of its loop."""

    def __init__(
        self,
        ports: Ports,
        policy: Policy,
        *,
        read_ca: Callable[[str], str],
        alone: bool = False,
        pace: Pace = SHIPPED_PACE,
    ) -> None:
        now = ports.clock.now()
        self.ports = ports
        self._read_ca = read_ca
        self._turns = pace
        self.inbox = Inbox()
        self.problems: Callable[[], tuple[Problem, ...]] = tuple
        self.jobs: Callable[[], list[dict[str, Any]]] = list
        self.on_own_observation: Callable[[Observation], None] = lambda observation: None
        self.definitions: tuple[ProbeDefinition, ...] = ()
        self._hashes: dict[tuple[str, str, str], str] = {}
        self.context = Context(
            ports=ports,
            policy=policy,
            health=initial_state(now),
            judgement=Judgement(
                verdicts=(),
                warm_up=WarmUp(since=now.wall, cause="start", vantages_ready=0, quorum=policy.fleet.quorum),
            ),
            world=World(ports),
            leadership=Leadership(ports, lambda: self.context.policy.fleet.timing),
        )
        self.decider = Decider(self.context, pace.reconsider_s)
        self.runner = Runner(self.context)
        self.resolvers = ResolverWatch(self.context)
        self.commands = Commands(
            self.context, self.decider, self.runner, lambda: self.definitions, alone=alone
        )
        self.keeper = Keeper(self.context, self.status, alone=alone, pace=pace)
        self._last: dict[str, float] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._probing: ProbeRunner | None = None
        self._self_check: SelfCheck | None = None
        self._checking: asyncio.Task[None] | None = None
        self._checked: tuple[object, ...] | None = None
        self._pace: tuple[object, ...] | None = None
        self._boots = 0
        self._taken_back: frozenset[TakenBack] = frozenset()
        self._drift = DriftWatch(self.context)
        self.context.world.on_server = self._server_turned
        self.context.world.on_defect = self.context.tell_defect
        self.context.world.on_stranger = self._stranger
        self._install_policy(policy)

    # -- what the API needs --------------------------------------------------------------------------------------------

    @property
    def policy(self) -> Policy:
        return self.context.policy

    @property
    def acting(self) -> bool:
        return self.context.leadership.acting(self.context.now())

    @property
    def journal_head(self) -> int:
        return self.context.journal_head

    @property
    def journal_mark(self) -> str:
        return self.context.journal_marks.get(self.context.journal_head, "")

    def receive(self, report: VantageReport) -> int:
        """A vantage's report. One that was told of a journal entry which ours does not hold means that ours was restored (I28)."""
        context, told = self.context, report.journal_head
        context.told_head = max(context.told_head, told)
        if self.acting and told > context.people.doubt_resolved_at_head:
            mark = context.journal_marks.get(told)
            other = mark is not None and report.journal_mark not in ("", mark)
            if told > context.journal_head or other:
                holds = "another one there" if other else f"none after {context.journal_head}"
                self._doubt(
                    f"vantage {report.vantage} was told of journal entry {told}, this journal has {holds}: "
                    "it was restored or replaced; look, then `failover resume`"
                )
        return self.inbox.receive(report, context.now())

    def beat(self, cluster: ClusterName, boot_id: str, sequence: int) -> bool:
        """A heartbeat that a cluster pushed out (H)."""
        return self.inbox.beat(cluster, boot_id, sequence, self.context.now())

    async def command(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what a person asks; it is kept, and `status` shows it, as soon as this returns."""
        try:
            answer = await self.commands.execute(request)
            if request.get("verb") == "resume" and self._is_outrun():
                await self.lead_anew()
            return answer
        finally:
            if self.acting:
                await self.keeper.publish()

    def _is_outrun(self) -> bool:
        """Whether a fence that we read carries an epoch above ours: nothing that we send would be taken."""
        epoch = self.context.leadership.epoch
        return epoch is not None and self.context.world.highest_fence() > epoch

    def _server_turned(self, zone: ZoneName, answer: ServerAnswer) -> None:
        word = "serves what the primary holds" if answer.matches else answer.detail or "does not answer"
        out_of_reach = answer.delegated and not answer.answered
        page = not answer.matches and not out_of_reach
        self.context.tell("dns.server", f"zone {zone}: {answer.server}: {word}", page=page, zone=zone)

    def _doubt(self, sentence: str) -> None:
        self.context.begin_to_doubt(sentence)

    def _stranger(self, cluster: ClusterName, sentence: str) -> None:
        self.context.tell("cluster.stranger", sentence, page=True, cluster=cluster)

    # -- policy --------------------------------------------------------------------------------------------------------

    def _install_policy(self, policy: Policy) -> None:
        """All or nothing: what cannot be turned into probes (a bundle that is gone) raises, and changes nothing (I29)."""
        self.definitions = build_definitions(policy, self.ports.api_servers, self._read_ca)
        self.context.policy = policy
        self._hashes = {item.key: item.definition_hash for item in self.definitions}

    async def use_policy(self, policy: Policy) -> None:
        """Swap a validated policy in. Runs under way keep the plan that they have; new plans see the new policy."""
        previous = self.context.policy.generation
        if policy.generation == previous:
            return
        self._install_policy(policy)
        self._look_anew()
        self.context.tell("policy.loaded", f"policy {policy.generation} in force, before it {previous}")
        if self.acting:
            await self.context.append([("", PolicyLoaded(generation=policy.generation, previous=previous))])

    def targets_changed(self) -> None:
        """Clusters or zones were opened, closed or replaced under the same policy: probe and look at what is there now."""
        self._install_policy(self.context.policy)
        self._look_anew()

    def _look_anew(self) -> None:
        if self._probing is not None:
            self._start_probing()
            self.context.world.start(self.context.policy)

    # -- life ----------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled. Probing and judging go on as a standby; acting only with the lease."""
        await self.load()
        self._start_probing()
        self.context.world.start(self.context.policy)
        self._tasks.append(asyncio.ensure_future(self._lead()))
        try:
            while True:
                await self.tick()
                await self.ports.clock.sleep(self._turns.tick_s)
        finally:
            await self.stop()

    async def stop(self) -> None:
        """Stop cleanly: no run is lost, the lease is given up."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.keeper.stop()
        self.context.world.stop()
        if self._probing is not None:
            self._probing.stop()
        if self._checking is not None:
            self._checking.cancel()
        await self.decider.stop()
        await self.runner.stop()
        await self.resolvers.stop()
        await self.context.leadership.give_up()

    async def load(self) -> None:
        """Read everything that outlives a restart."""
        await self.context.load_people()
        self.context.take_in(await self.ports.store.entries())
        await self.keeper.load()

    async def lead_once(self, *, take_over: bool = False, looked: bool = False) -> bool:
        """Try to become the leader: one more than the highest epoch of the store and of every readable fence (section 6).

        A fence above everything that the store knows means that somebody acted of whom it says nothing (I28), unless a
        person has `looked`.
        """
        context, fence = self.context, self.context.world.highest_fence()
        if not await context.leadership.try_acquire(minimum_epoch=fence, take_over=take_over):
            return False
        try:
            await self._take_on(looked)
        except StoreError:
            await context.leadership.give_up()  # half a leader would neither act nor let anybody else
            raise
        epoch = context.leadership.epoch
        context.tell("leader", f"{self.ports.identity.holder} acts with epoch {epoch}")
        return True

    async def _take_on(self, looked: bool) -> None:
        """Know what was done until now before anything is judged by it: runs, people's words, the journal's head."""
        context = self.context
        entries = await self.ports.store.entries()
        context.runs.clear()
        context.take_in(entries)
        await context.load_people()
        await self.keeper.learn_identities()
        if not looked:
            self._compare_with_fences(context.journal_epoch)
        await context.begin_to_lead()
        context.health = restart_warm_up(context.health, context.now(), "leadership")
        context.leadership.begin()

    async def lead_anew(self) -> None:
        """Take an epoch above a fence that was seen since: a person has looked, and says that we may go on."""
        await self.context.leadership.give_up()
        await self.lead_once(looked=True)

    def _compare_with_fences(self, known: int) -> None:
        """`known`: the highest epoch that we know of ourselves."""
        fence = self.context.world.highest_fence(self.policy.fleet.name)
        if fence > known:
            self._doubt(
                f"a fence carries epoch {fence}, this store knows of none above {known}: it was restored or replaced, or "
                "somebody acts with another one; look, then `failover resume`"
            )

    async def _first_look(self) -> None:
        """Before the first try to lead: the fences of all targets that answer soon; the others are compared as they come."""
        ports = self.ports
        try:
            async with asyncio.timeout(FIRST_LOOK_S):
                await self.context.world.refresh(self.policy, ports.clusters, ports.zones)
        except TimeoutError:
            pass

    async def _lead(self) -> None:
        await self._first_look()
        while True:
            try:
                if self.context.leadership.lease is None:
                    before = self.context.leadership.standby
                    if await self.lead_once():
                        await self.context.leadership.keep(self._lost)
                    elif before != self.context.leadership.standby and "acts" not in before:
                        self.context.tell("standby", f"standing by: {self.context.leadership.standby}")
            except StoreError as error:
                self.context.in_trouble(error)
            await self.ports.clock.sleep(STANDBY_EVERY_S)

    def _lost(self, sentence: str) -> None:
        self.context.tell("leader.lost", f"leadership lost: {sentence}", page=True)

    def _start_probing(self) -> None:
        """Begin to probe, or go on as the policy now says; series and references that did not change are not disturbed."""
        mine = next((vantage for vantage in self.policy.fleet.vantages if vantage.controller), None)
        pace = (mine.name, self.policy.fleet.timing.jitter) if mine is not None else None
        if self._probing is not None and pace != self._pace:
            self._probing.stop()
            self._probing = None
        self._pace = pace
        if mine is None:
            self._check_myself(None)
            return
        if self._probing is None:
            self._own, self._boots = mine.name, self._boots + 1
            self._probing = ProbeRunner(
                vantage=mine.name,
                boot_id=f"{self.ports.identity.boot_id[:8]}-{self.ports.identity.process}-{self._boots}",
                prober=self.ports.prober,
                clock=self.ports.clock,
                source_of_random=self.ports.random,
                sink=self._observed,
                jitter=self.policy.fleet.timing.jitter,
                meter=self._turns.meters_its_loop,
            )
        self._probing.update(self.definitions, self.policy.generation)
        self._check_myself(mine)

    def _check_myself(self, mine: VantageEntry | None) -> None:
        """(Re)start the check of our own references where it is no longer the one that the policy asks for."""
        timing = self.policy.fleet.timing
        asked = (mine.references, timing.interval_s, timing.timeout_s) if mine is not None else None
        if asked == self._checked:
            return
        self._checked = asked
        if self._checking is not None:
            self._checking.cancel()
            self._checking, self._self_check = None, None
        if mine is not None:
            self._self_check = SelfCheck(
                references=mine.references,
                prober=self.ports.prober,
                clock=self.ports.clock,
                interval_s=timing.interval_s,
                timeout_s=timing.timeout_s,
            )
            self._checking = asyncio.ensure_future(self._self_check.run())

    _own: VantageName = VantageName("")

    def _observed(self, observation: Observation, ended_mono: float) -> None:
        del ended_mono
        self.inbox.put(observation, self.context.now())
        self.on_own_observation(observation)

    # -- one turn ------------------------------------------------------------------------------------------------------

    async def tick(self) -> None:
        """Drain what came in, judge, decide, drive, tell."""
        context = self.context
        try:
            await context.note_jump()
        except StoreError as error:
            context.in_trouble(error)
        now = context.now()
        if self._self_check is not None:
            report = VantageReport(
                vantage=self._own,
                boot_id="",
                generation=self.policy.generation,
                suspect=self._self_check.suspect,
            )
            self.inbox.note_self(report, now)
        received, reports = self.inbox.drain()
        before = {verdict.subject: verdict.kind for verdict in context.judgement.verdicts}
        context.health, context.judgement = judge(
            context.health,
            Inputs(
                policy=context.policy,
                definitions=self._hashes,
                received=received,
                reports=reports,
                cordoned=context.people.cordoned_vantages,
                heartbeats=self.inbox.heartbeats,
            ),
            now,
        )
        for verdict in context.judgement.verdicts:
            if before.get(verdict.subject) not in (None, verdict.kind):
                context.tell(
                    "verdict.changed", f"{verdict.subject} is {verdict.kind}: {verdict.sentence}", page=False
                )
        try:
            await self._act(now)
        except (StoreError, Conflict) as error:
            self.context.in_trouble(error)
        self.keeper.save(now)

    async def _act(self, now: Now) -> None:
        context = self.context
        if not context.leadership.acting(now):
            return
        if self._due("fences", 1.0):
            self._compare_with_fences(int(context.leadership.epoch or 0))
        if self._due("taken-back", 1.0):
            self._notice_taken_back(now)
        if self._due("drift", DRIFT_EVERY_S):
            self._drift.look()
        if self._due("resolvers", 1.0):
            self.resolvers.look()
        for run in context.open_runs():
            await self._attend(run)
        self.decider.consider()
        self.runner.poke()

    def _notice_taken_back(self, now: Now) -> None:
        """Page once for each number that another manager set back."""
        context = self.context
        found = taken_back(list(context.runs.values()), context.world.inventories.values(), now)
        for item in found:
            if item not in self._taken_back:
                context.tell("workload.taken-back", str(item), page=True, cluster=item.cluster, run=item.run)
        self._taken_back = frozenset(found)

    async def _attend(self, run: Run) -> None:
        """Resume what was halted for a reason that is over; abort what moves away from a source that serves again."""
        context = self.context
        if run.state is not RunState.HALTED or run.halted is None:
            return
        situation = context.situation()
        automatic = is_automatic(run.actor)
        asked = automation_refusals(run, situation) if automatic else returned_sources(run, situation)
        refusals = tuple(item for item in asked if not overridden(item, run.plan, automatic=automatic))
        serves = next((item for item in refusals if item.code == "still-serving"), None)
        if serves is not None and {item.code for item in refusals} <= {"still-serving", "stale-evidence"}:
            if run.abort is None:
                reason = f"the source serves again: {serves.sentence}"
                await context.append([(run.id, AbortRequested(actor="automation", reason=reason))])
            return
        code = run.halted.code
        over = code in SELF_RESUMING or (code == "paused" and not situation.paused)
        if over and not refusals and not situation.doubt and self._due(f"resume/{run.id}", 1.0):
            await context.append([(run.id, RunResumed(actor="automation"))])

    # -- telling and saving --------------------------------------------------------------------------------------------

    def _due(self, what: str, every_s: float) -> bool:
        now = self.context.now().mono
        if now - self._last.get(what, float("-inf")) < every_s:
            return False
        self._last[what] = now
        return True

    def status(self) -> dict[str, Any]:
        """The document that `failover status` shows."""
        context = self.context
        now = context.now()
        leadership = context.leadership
        return build_status(
            now=now,
            policy=context.policy,
            problems=self.problems(),
            judgement=context.judgement,
            world=context.world,
            people=context.people,
            vantages_seen=self.inbox.seen,
            runs=list(context.runs.values()),
            refusals=tuple(item for found in context.refusals.values() for item in found),
            recommendations=self.decider.recommendations.values(),
            jobs=self.jobs(),
            leader={
                "holder": self.ports.identity.holder,
                "epoch": int(leadership.epoch) if leadership.epoch is not None else None,
                "trouble": context.journal_trouble or leadership.trouble,
                "journal_head": context.journal_head,
            },
            doubt=context.doubt,
            windows=dict(context.windows()),
            owned=context.owned,
            survives=context.survives,
            held=context.kept_back.reasons(),
        )


def build(
    ports: Ports,
    policy: Policy,
    *,
    read_ca: Callable[[str], str],
    alone: bool = False,
    pace: Pace = SHIPPED_PACE,
) -> Controller:
    """Wire a controller from its ports. `read_ca(path)`: PEM text of a CA bundle; `alone`: a command without a controller."""
    return Controller(ports, policy, read_ca=read_ca, alone=alone, pace=pace)

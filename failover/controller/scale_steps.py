"""Scale steps at one cluster: read, compose, change, settle."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence

from failover.controller.changing import change_all, done, settled
from failover.controller.context import Context
from failover.controller.effects import Effect
from failover.controller.events import EventWriter
from failover.controller.look_around import LookAround
from failover.controller.retries import Retries
from failover.execution.machine import Attempt, Observe, ReadBack
from failover.execution.situation import NOT_ASKED, Look
from failover.execution.velocity import room
from failover.model.errors import StoreError, TargetError
from failover.model.ids import ApplicationName, ClusterName, Epoch, RunId, StepId
from failover.model.inventory import WorkloadState
from failover.model.journal import Entry, Intent, RaiseFence, Run, ScaleChange, StepFailed
from failover.model.plan import Phase, ScaleField, ScaleStep
from failover.model.policy import FenceMode
from failover.model.reasons import Refusal
from failover.planner.sheds import is_shed

RETRY_READ_S = 0.5


class ScaleSteps:
    """Changes replicas (or an autoscaler's minimum) in clusters."""

    def __init__(self, context: Context, around: LookAround) -> None:
        self._context = context
        self._fenced: set[tuple[ClusterName, Epoch]] = set()
        self._fence_tries: dict[tuple[RunId, ClusterName], int] = {}
        self._retries = Retries()
        self._around = around
        self.events = EventWriter(context)

    async def round(
        self, run: Run, cluster: ClusterName, actions: Sequence[Attempt | ReadBack | Observe]
    ) -> None:
        """One round: as many steps as the velocity allows."""
        context = self._context
        port = context.ports.clusters.get(cluster)
        steps = [action.step for action in actions if isinstance(action.step, ScaleStep)]
        if port is None:
            await self._fail_all(run, steps, f"{cluster} is not open")
            return
        may_go = self._room(cluster)
        if may_go <= 0:
            await context.ports.clock.sleep(0.05)
            return
        steps = self._in_turn(run, steps)[:may_go]
        try:
            states = await port.read_workloads([step.workload for step in steps])
        except TargetError as error:
            self._not_yet(run, steps, f"it cannot be read: {error}")
            context.tell("target.trouble", f"{cluster}: {error}", target=cluster, run=run.id)
            await context.ports.clock.sleep(self._retries.wait_s(cluster, error))
            return
        self._retries.well(cluster)
        context.kept_back.over((run.id, step.id) for step in steps)
        context.world.note_workloads(cluster, states)
        settle = {action.step.id for action in actions if isinstance(action, ReadBack)}
        wanted, events = self._sort_out(run, steps, states, settle)
        if events:
            await context.append([(run.id, event) for event in events])
        if wanted and await self._raise_fence(run, cluster, [step for step, _ in wanted]):
            await self._send(run, wanted)

    def _in_turn(self, run: Run, steps: Sequence[ScaleStep]) -> list[ScaleStep]:
        """A removal that was kept back goes after what was not, the latest one last: it takes nobody's turn away. What is lost is
        brought back in the plan's order, whatever happens.
        """
        turns = self._context.kept_back.turns()

        def turn(step: ScaleStep) -> int:
            return turns.get((run.id, step.id), 0) if step.phase is Phase.RELEASE else 0

        return sorted(steps, key=turn)

    def _not_yet(self, run: Run, steps: Iterable[ScaleStep], why: str) -> None:
        for step in steps if self._context.drives(run) else ():
            self._context.kept_back.by_trouble((run.id, step.id), why)

    async def _send(self, run: Run, wanted: Sequence[tuple[ScaleStep, ScaleChange]]) -> None:
        """What adds goes at once. What takes away goes by what is ready just then where it is counted on (I9, I10): no more at a time
        than are sent at once, for whatever waited for its turn would go by an old answer.
        """
        parallel = self._context.policy.guards.parallel_per_cluster
        adding: list[tuple[ScaleStep, ScaleChange]] = []
        taking: list[tuple[ScaleStep, ScaleChange]] = []
        for step, change in wanted:
            takes = step.phase is Phase.RELEASE and change.after < change.before
            (taking if takes else adding).append((step, change))
        if adding:
            await self._change_all(run, adding, parallel, NOT_ASKED)
        by_owner: dict[ApplicationName, list[tuple[ScaleStep, ScaleChange]]] = defaultdict(list)
        for step, change in taking[:parallel]:
            by_owner[step.application].append((step, change))
        ended = await asyncio.gather(
            *(self._take_away(run, owner, items) for owner, items in by_owner.items()), return_exceptions=True
        )
        self._tell_ends(run, zip(by_owner.values(), ended, strict=True))

    async def _take_away(
        self, run: Run, owner: ApplicationName, wanted: Sequence[tuple[ScaleStep, ScaleChange]]
    ) -> None:
        """One application's: what another one counts on keeps it waiting for no longer than this round."""
        await self._change_all(run, wanted, len(wanted), await self._around.at(run, owner))

    def _tell_ends(
        self, run: Run, ended: Iterable[tuple[Sequence[tuple[ScaleStep, ScaleChange]], BaseException | None]]
    ) -> None:
        """All of them have ended: nothing of this round goes on beside the next one. A defect takes nobody else's turn away; that
        of a store goes first, the others are told here.
        """
        errors = [(wanted, error) for wanted, error in ended if error is not None]
        for wanted, error in errors:
            self._not_yet(run, [step for step, _ in wanted], f"{type(error).__name__}: {error}")
        errors.sort(key=lambda item: not isinstance(item[1], StoreError))
        for _, error in errors[1:]:
            if not isinstance(error, StoreError):
                self._context.tell_defect(error)
        if errors:
            raise errors[0][1]

    async def _change_all(
        self, run: Run, wanted: Sequence[tuple[ScaleStep, ScaleChange]], parallel: int, look: Look
    ) -> None:
        changes = [(step.id, change) for step, change in wanted]
        await change_all(self._context, run, changes, parallel=parallel, completed=self._completed, look=look)

    def _room(self, cluster: ClusterName) -> int:
        """How many changes may go to this cluster now (I12)."""
        changes, now = self._context.changes, self._context.now().mono
        last = changes.last_sent(now).get(cluster)
        return room(
            self._context.policy.guards.changes_per_second,
            sent_last_second=changes.last_second(now).get(cluster, 0),
            since_last_s=None if last is None else now - last,
        )

    def _sort_out(
        self, run: Run, steps: Sequence[ScaleStep], states: Sequence[WorkloadState], settle: set[StepId]
    ) -> tuple[list[tuple[ScaleStep, ScaleChange]], list[Entry]]:
        """Which steps need a change, and events for those that do not (already there, or the object is gone)."""
        wanted: list[tuple[ScaleStep, ScaleChange]] = []
        events: list[Entry] = []
        for step, state in zip(steps, states, strict=True):
            intent = run.steps[step.id].intent
            value = value_of(step, state)
            if not state.exists or value is None:
                sentence = f"{step.workload} does not exist in {step.cluster}"
                events.append(
                    StepFailed(step=step.id, refusal=Refusal(code="missing-object", sentence=sentence))
                )
            elif value == step.after or is_beyond(step, value):
                if step.id in settle and intent is not None:
                    events.append(settled(intent, landed=True, note="read back: it had been applied"))
                events.append(done(step.id, f"{step.field} is {value}"))
            elif step.id in settle and intent is not None:
                events.append(settled(intent, landed=False, note=f"read back: still {value}"))
            else:
                wanted.append((step, self._change(step, state, value)))
        return wanted, events

    def _change(self, step: ScaleStep, state: WorkloadState, value: int) -> ScaleChange:
        autoscaler = state.autoscaler if step.field is ScaleField.AUTOSCALER_MIN else None
        return ScaleChange(
            cluster=step.cluster,
            cluster_uid=self._context.world.identities.get(step.cluster, ""),
            workload=step.workload,
            field=step.field,
            before=value,
            after=step.after,
            resource_version=autoscaler.resource_version if autoscaler else state.resource_version,
            autoscaler=autoscaler.name if autoscaler else "",
            autoscaler_max=step.autoscaler_max,
        )

    def _completed(self, intent: Intent, effect: Effect) -> list[Entry]:
        """The answer of a scale shows the object as it is now: that is its read-back."""
        if isinstance(intent.change, ScaleChange) and effect.permit is not None:
            self.events.put(intent, intent.change, effect.permit)
        return [done(intent.step, effect.after)]

    async def _raise_fence(self, run: Run, cluster: ClusterName, steps: Sequence[ScaleStep]) -> bool:
        """Our epoch stands in the cluster's fence before our first change there (where the policy asks for the fence)."""
        context = self._context
        epoch = context.leadership.epoch
        entry = next((one for one in context.policy.fleet.clusters if one.name == cluster), None)
        if epoch is None:
            return False
        if entry is None or entry.fence is not FenceMode.POLICY or (cluster, epoch) in self._fenced:
            return True
        uid = context.world.identities.get(cluster, "")
        change = RaiseFence(cluster=cluster, cluster_uid=uid, epoch=epoch)
        # No step of the plan, so nobody else counts its attempts: each is an intent with an id of its own (I30).
        tries = self._fence_tries[run.id, cluster] = self._fence_tries.get((run.id, cluster), 0) + 1
        step = StepId(f"fence/{cluster}" if tries == 1 else f"fence/{cluster}/{tries}")
        landed: list[bool] = []

        def completed(intent: Intent, effect: Effect) -> list[Entry]:
            landed.append(True)
            return []

        missing = await change_all(context, run, [(step, change)], parallel=1, completed=completed)
        if not landed:
            self._not_yet(run, steps, f"the fence there is not raised: {missing.get(step) or 'no answer'}")
            await context.ports.clock.sleep(RETRY_READ_S)
            return False
        self._fenced.add((cluster, epoch))
        return True

    async def _fail_all(self, run: Run, steps: Sequence[ScaleStep], sentence: str) -> None:
        refusal = Refusal(code="target-missing", sentence=sentence)
        await self._context.append([(run.id, StepFailed(step=step.id, refusal=refusal)) for step in steps])


def is_beyond(step: ScaleStep, value: int) -> bool:
    """Somebody went further than the step: more where it adds, less where it only makes room. Nothing is left to do."""
    return (step.after > step.before and value > step.after) or (is_shed(step) and value < step.after)


def value_of(step: ScaleStep, state: WorkloadState) -> int | None:
    """The number that the step moves, as it stands now; None where the autoscaler is gone."""
    if step.field is ScaleField.REPLICAS:
        return state.wanted
    return state.autoscaler.min_replicas if state.autoscaler is not None else None

"""How each deliberately broken controller is broken: which functions of the shipped code are replaced, and by what."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from failover.controller import (
    app,
    changing,
    commands,
    context,
    leadership,
    scale_steps,
)
from failover.execution import admission, evidence, machine, radius, safety
from failover.health import detector, quorum, series, warmup
from failover.lab.twins import cluster as twin_cluster
from failover.model.errors import StaleEpoch, StoreUnavailable
from failover.model.ids import IntentId
from failover.model.journal import JournalEntry, RunState, StepDone, StepProgress, StepState
from failover.model.observation import Outcome, Signal
from failover.model.plan import ScaleField
from failover.model.policy import Policy, Timing
from failover.model.records import RecordSet, RecordType, Verification
from failover.model.verdict import SignalState, Vote

from . import places, twins, world

Patch = tuple[Any, str, Any]


def nothing(*_: Any, **__: Any) -> Iterator[Any]:
    """A rule that never refuses."""
    return iter(())


def no_record(*_: Any, **__: Any) -> None:
    return None


# -- evidence --------------------------------------------------------------------------------------------------------------


def unknown_is_down() -> list[Patch]:
    real = quorum._look

    def look(*arguments: Any) -> Any:
        sight = real(*arguments)
        silent = sight.counts and sight.view.vote is Vote.UNKNOWN and not sight.view.failures
        if not silent or sight.seat.abstains:
            return sight
        return sight._replace(view=replace(sight.view, vote=Vote.DOWN), failing=True)

    return [
        (quorum, "_look", look),
        (evidence, "stale_evidence", nothing),
        (safety, "stale_evidence", nothing),
        (quorum, "_down_floor", lambda downs, outside, state, *rest: min((quorum._turned_down(one) for one in downs), default=0.0) if state is SignalState.DOWN else None),
    ]  # fmt: skip


def stale_evidence() -> list[Patch]:
    return [(Timing, "evidence_max_age_s", property(lambda self: 120.0))]


def _whoever_turned_down(
    downs: Any, outside: Any, state: SignalState, wanted: int, timing: Any
) -> float | None:
    """The confirm clock without a look at successes."""
    del outside, timing
    turned = sorted(quorum._turned_down(one) for one in downs)
    return turned[wanted - 1] if state is SignalState.DOWN else None


def no_dissent() -> list[Patch]:
    def state_of(downs: int, ups: int, outside_ups: int, wanted: int) -> SignalState:
        del outside_ups
        if downs >= wanted:
            return SignalState.DOWN
        return SignalState.UP if ups >= wanted else SignalState.UNKNOWN

    return [
        (quorum, "state_of", state_of),
        (quorum, "_down_floor", _whoever_turned_down),
        (evidence, "without_dissent", nothing),
    ]


def old_failures() -> list[Patch]:
    real = series._success

    def success(known: Any, measured_mono: float, timing: Timing) -> dict[str, Any]:
        changes = real(known, measured_mono, timing)
        if changes["successes"] < timing.rise:
            changes |= {name: getattr(known, name) for name in ("failures", "first_failure", "down_since")}
        return changes

    return [
        (series, "_success", success),
        (quorum, "_down_floor", _whoever_turned_down),
        (evidence, "stale_evidence", nothing),
        (safety, "stale_evidence", nothing),
    ]


def gray_is_dead() -> list[Patch]:
    return [*old_failures(), *no_dissent()]


def control_plane_is_enough() -> list[Patch]:
    real = detector._Round.tally

    def tally(self: Any, key: Any, signal: Any, seats: Any, before: Any) -> Any:
        del signal, before
        control = Signal.CONTROL_PLANE
        return real(self, (key[0], "", control.value), control, seats, None)

    return [(detector._Round, "tally", tally)]


def deaf_to_heartbeats() -> list[Patch]:
    return [(detector._Round, "heartbeat", lambda self, cluster: False)]


def local_counts() -> list[Patch]:
    real = world.World.says

    def says(self: Any, vantage: Any, definition: Any, outcome: Any) -> Any:
        said = real(self, vantage, definition, outcome)
        return Outcome.TIMEOUT if said is Outcome.LOCAL else said

    return [(world.World, "says", says)]


def no_freeze() -> list[Patch]:
    return [
        (detector, "update_freeze", lambda state, *rest: state),
        (evidence, "_others_alive", nothing),
        (radius, "_at_once", nothing),
        (radius, "_rate", nothing),
    ]


def freezes_late() -> list[Patch]:
    return [(Policy, "correlated_limit", property(lambda self: 2))]


def shrugs_it_off() -> list[Patch]:
    real = warmup.restart

    def restart(state: Any, now: Any, cause: str) -> Any:
        return state if cause in ("clock-jump", "un-freeze") else real(state, now, cause)

    return [(warmup, "restart", restart)]


def no_warm_up() -> list[Patch]:
    return [(warmup, "describe", no_record), (warmup, "restart", lambda state, now, cause: state)]


# -- DNS -------------------------------------------------------------------------------------------------------------------


def delete_then_create() -> list[Patch]:
    real = twins.SimZonePort.change

    async def change(self: Any, permit: Any, wanted: Any) -> None:
        for item in wanted.changes:
            if item.before is not None:
                self._place.set_records(remove=[item.before.key])
                self._place.set_records(item.before)
        await real(self, permit, wanted)

    return [(twins.SimZonePort, "change", change)]


def neighbours_record() -> list[Patch]:
    real = places.SimZone.apply

    def apply(self: Any, change: Any) -> str:
        different = real(self, change)
        if not different:
            self._hand = "controller"
            self.set_records(
                RecordSet(name="mail.example.test.", record_type=RecordType.A, ttl=5, values=("203.0.113.1",))
            )
            self._hand = ""
        return different

    return [(places.SimZone, "apply", apply)]


def never_verified() -> list[Patch]:
    return [(Verification, "effective", property(lambda self: True))]


# -- execution -------------------------------------------------------------------------------------------------------------


def skips_fsync() -> list[Patch]:
    real = world.World.boot

    def boot(self: Any) -> Any:
        self.disk.lying = True
        return real(self)

    return [(world.World, "boot", boot)]


def deltas() -> list[Patch]:
    real = twins.SimClusterPort._apply

    def apply(self: Any, permit: Any, change: Any, workload: Any) -> None:
        moved = workload.wanted + change.after - change.before
        real(self, permit, replace(change, after=moved, before=workload.wanted), workload)

    def always(*_: Any) -> None:
        return None

    return [(twins.SimClusterPort, "_apply", apply), (twin_cluster.TwinCluster, "_check_version", always)]


def no_precondition() -> list[Patch]:
    return [(twin_cluster.TwinCluster, "_check_version", no_record)]


def no_read_back() -> list[Patch]:
    real = twins.SimClusterPort.read_workloads

    async def read(self: Any, workloads: Any) -> Any:
        kept = getattr(self, "_kept", None)
        if kept is not None and kept[0] == tuple(workloads):
            return kept[1]
        states = await real(self, workloads)
        self._kept = (tuple(workloads), states)
        return states

    return [(twins.SimClusterPort, "read_workloads", read)]


def _as_if_written(port: Any, epoch: Any, entries: Any) -> tuple[JournalEntry, ...]:
    at = port._clock.now().wall
    return tuple(
        JournalEntry(sequence=0, epoch=epoch, at=at, run=run, entry=entry, previous_hash="", hash="")
        for run, entry in entries
    )


def no_journal() -> list[Patch]:
    real = twins.SimStorePort.append_batch

    async def append(self: Any, epoch: Any, entries: Any) -> Any:
        try:
            return await real(self, epoch, entries)
        except StoreUnavailable:
            return _as_if_written(self, epoch, entries)

    return [(twins.SimStorePort, "append_batch", append), (context.Context, "in_trouble", no_record)]


def closes_early() -> list[Patch]:
    real = machine._close

    def close(run: Any, *, stopping: bool) -> Any:
        return real(run, stopping=stopping)

    from failover.controller import running

    next_actions = machine.next_actions

    def early(run: Any, now: Any) -> Any:
        agenda = next_actions(run, now)
        if run.dns_written and run.state is RunState.RUNNING:
            done = machine.Close(state=RunState.DONE, sentence="it will do")
            return machine.Agenda(actions=(done,))
        return agenda

    return [(machine, "_close", close), (running, "next_actions", early)]


def takes_for_done() -> list[Patch]:
    from failover.controller import running

    real = running.Runner._do

    async def do(self: Any, run: Any, agenda: Any) -> bool:
        busy = any(run_id == run.id and not task.done() for (run_id, _), task in self._workers.items())
        begun = [item.step.id for item in agenda.actions if isinstance(item, machine.ReadBack)]
        if busy or not begun:
            return await real(self, run, agenda)
        await self._context.append([(run.id, StepDone(step=step, note="surely")) for step in begun])
        return True

    return [(running.Runner, "_do", do)]


def begins_anew() -> list[Patch]:
    real = app.Controller._take_on

    async def take_on(self: Any, looked: bool) -> None:
        await real(self, looked)
        for run in self.context.open_runs():
            steps = {
                name: StepProgress(since=progress.since)
                if progress.state is StepState.DONE and progress.attempts
                else progress
                for name, progress in run.steps.items()
            }
            self.context.runs[run.id] = replace(run, steps=steps)

    return [(app.Controller, "_take_on", take_on)]


def forgets_the_fence() -> list[Patch]:
    from failover.controller import record_steps
    from failover.model import permit as permits

    async def raised(self: Any, run: Any, cluster: Any, steps: Any) -> bool:
        return True

    real = twins.SimStorePort.append_batch

    async def append(self: Any, epoch: Any, entries: Any) -> Any:
        try:
            return await real(self, epoch, entries)
        except StaleEpoch:
            return _as_if_written(self, epoch, entries)

    return [
        (scale_steps.ScaleSteps, "_raise_fence", raised),
        (twins.SimStorePort, "append_batch", append),
        (leadership.Leadership, "lose", no_record),
        (leadership.Leadership, "acting", lambda self, now: self.lease is not None),
        (permits.Permit, "still_good", lambda self, now: True),
        (safety, "_leadership", nothing),
        (twin_cluster.TwinCluster, "_check_fence", no_record),
        (twin_cluster.TwinCluster, "_check_version", no_record),
        (record_steps, "_stale", no_record),
    ]


def says_done() -> list[Patch]:
    async def scale(self: Any, permit: Any, change: Any) -> Any:
        del permit
        return replace(self._place.state(change.workload), wanted=change.after, ready=change.after)

    return [(twins.SimClusterPort, "scale", scale)]


def sends_after_the_lease() -> list[Patch]:
    from failover.model import permit as permits

    return [
        (leadership.Leadership, "acting", lambda self, now: self.lease is not None),
        (permits.Permit, "still_good", lambda self, now: True),
        (safety, "_leadership", nothing),
    ]


def leads_for_ever() -> list[Patch]:
    ever = property(lambda self: 1e9 if self.lease is not None else float("-inf"))
    return [(leadership.Leadership, "acting_until", ever)]


def tidies_up() -> list[Patch]:
    real = twins.SimClusterPort.scale

    async def scale(self: Any, permit: Any, change: Any) -> Any:
        run = next(
            (
                run
                for life in self._sim.lives
                if life.controller
                for run in life.controller.context.open_runs()
            ),
            None,
        )
        for name in run.plan.sources if run is not None else ():
            other = self._sim.clusters[name]
            if change.workload in other.workloads and not getattr(self, "_tidying", False):
                port = twins.SimClusterPort(self._sim, other, self._life)
                port._tidying = True  # type: ignore[attr-defined]
                workload = other.settle(change.workload)
                gone = replace(
                    change,
                    cluster=name,
                    cluster_uid="",
                    before=workload.wanted,
                    after=0,
                    resource_version=str(workload.version),
                )
                port._apply(permit, gone, workload)
        return await real(self, permit, change)

    return [(twins.SimClusterPort, "scale", scale)]  # fmt: skip


def ignores_doubt() -> list[Patch]:
    return [(app.Controller, "_doubt", no_record)]


def tells_twice() -> list[Patch]:
    real = changing.compose

    def compose(where: Any, run: Any, step: Any, change: Any) -> Any:
        return replace(real(where, run, step, change), id=IntentId(f"{run.id}/{step}"))

    return [(changing, "compose", compose)]


def sends_twice() -> list[Patch]:
    real = twins.SimClusterPort.scale

    async def scale(self: Any, permit: Any, change: Any) -> Any:
        state = await real(self, permit, change)
        again = replace(change, before=change.after, resource_version=state.resource_version)
        return await real(self, permit, again) if change.field is ScaleField.REPLICAS else state

    return [(twins.SimClusterPort, "scale", scale)]


# -- people ----------------------------------------------------------------------------------------------------------------


def ignores_pause() -> list[Patch]:
    real = admission.holding_back

    def held(situation: Any) -> Iterator[Any]:
        return (item for item in real(situation) if item.code != "paused")

    return [(admission, "holding_back", held), (safety, "holding_back", held)]


def pause_stops_people() -> list[Patch]:
    real = admission._always

    def always(plan: Any, situation: Any) -> Iterator[Any]:
        yield from real(plan, situation)
        yield from (item for item in admission.holding_back(situation) if item.code == "paused")

    return [(admission, "_always", always)]


def hides_overrides() -> list[Patch]:
    real = changing.compose

    def compose(where: Any, run: Any, step: Any, change: Any) -> Any:
        return replace(real(where, run, step, change), overrides=("rate",))

    return [(changing, "compose", compose)]


def plans_act() -> list[Patch]:
    async def plan(self: Any, request: Any) -> Any:
        return await self._start({**request, "verb": "start"})

    return [(commands.Commands, "_plan", plan)]


def plans_act_unseen() -> list[Patch]:
    real = commands.Commands._plan

    async def plan(self: Any, request: Any) -> Any:
        shown = await real(self, request)
        await self._start({**request, "verb": "start"})
        return shown

    return [(commands.Commands, "_plan", plan)]


def shows_another() -> list[Patch]:
    real = commands.Commands._shown

    def shown(self: Any, plan: Any, refusals: Any) -> Any:
        return {**real(self, plan, refusals), "hash": "0" * 64}

    return [(commands.Commands, "_shown", shown)]


# -- liveness --------------------------------------------------------------------------------------------------------------


def never_acts() -> list[Patch]:
    from failover.controller.deciding import Decider

    return [(Decider, "consider", no_record)]


def hangs() -> list[Patch]:
    from failover.controller import running

    return [(running, "next_actions", lambda run, now: machine.Agenda(actions=()))]

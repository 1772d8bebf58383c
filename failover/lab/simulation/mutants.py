"""Deliberately broken controllers: each must be caught by the oracle that should, or the oracle proves nothing.

A mutant is made by injection: some functions of the shipped code are replaced while it is played. `faults`: the kinds among
which its weakness shows (empty: any).
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from failover.controller import (
    app,
    changing,
    commands,
    context,
    leadership,
    scale_steps,
    steady,
    waiting_steps,
)
from failover.execution import admission, evidence, machine, radius, safety
from failover.health import detector, quorum, series, votes, warmup
from failover.lab.twins import cluster as twin_cluster
from failover.model.errors import StaleEpoch, StoreUnavailable
from failover.model.ids import IntentId
from failover.model.journal import JournalEntry, RunState, StepDone
from failover.model.observation import Outcome, Signal
from failover.model.plan import WaitReadyStep
from failover.model.policy import Fleet, Timing
from failover.model.records import RecordSet, RecordType, Verification
from failover.model.verdict import SignalState, Vote

from . import twins, world

Patch = tuple[Any, str, Any]


def nothing(*_: Any, **__: Any) -> Iterator[Any]:
    """A rule that never refuses."""
    return iter(())


def no_record(*_: Any, **__: Any) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One broken controller. `caught_by`: the invariants whose oracles may catch it."""

    name: str
    about: str
    caught_by: tuple[str, ...]
    patches: Callable[[], list[Patch]]
    faults: tuple[str, ...] = ()

    @contextmanager
    def alive(self) -> Iterator[None]:
        """The shipped code is broken while this is open."""
        with ExitStack() as stack:
            for owner, name, value in self.patches():
                stack.enter_context(_replaced(owner, name, value))
            yield


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    missing = object()
    before = owner.__dict__.get(name, missing)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if before is missing:
            delattr(owner, name)
        else:
            setattr(owner, name, before)


LOST = ("region-killed", "region-silent", "cluster-killed", "data-plane-refused")


# -- evidence --------------------------------------------------------------------------------------------------------------


def _unknown_is_down() -> list[Patch]:
    real = votes.vote_of

    def vote(*arguments: Any, **named: Any) -> Any:
        view = real(*arguments, **named)
        silent = view.vote is Vote.UNKNOWN and ("too old" in view.reason or "local" in view.reason)
        return replace(view, vote=Vote.DOWN) if silent else view

    return [
        (quorum, "vote_of", vote),
        (series.Series, "fresh", lambda self, now_mono, timing: self.latest is not None),
        (evidence, "stale_evidence", nothing),
        (safety, "stale_evidence", nothing),
        (quorum, "_down_floor", lambda downs, outside, state, *rest: min((quorum._turned_down(one) for one in downs), default=0.0) if state is SignalState.DOWN else None),
    ]  # fmt: skip


def _stale_evidence() -> list[Patch]:
    return [(Timing, "evidence_max_age_s", property(lambda self: 120.0))]


def _whoever_turned_down(
    downs: Any, outside: Any, state: SignalState, wanted: int, timing: Any
) -> float | None:
    """The confirm clock without a look at successes."""
    del outside, timing
    turned = sorted(quorum._turned_down(one) for one in downs)
    return turned[wanted - 1] if state is SignalState.DOWN else None


def _no_dissent() -> list[Patch]:
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


def _old_failures() -> list[Patch]:
    return [
        (quorum, "_down_floor", _whoever_turned_down),
        (evidence, "stale_evidence", nothing),
        (safety, "stale_evidence", nothing),
    ]


def _control_plane_is_enough() -> list[Patch]:
    real = detector._Round.tally

    def tally(self: Any, subject: Any, signal: Any, seats: Any, before: Any) -> Any:
        del before
        return real(self, replace(subject, application=None), Signal.CONTROL_PLANE, seats, None)

    return [(detector._Round, "tally", tally)]


def _local_counts() -> list[Patch]:
    real = world.World.says

    def says(self: Any, vantage: Any, definition: Any, outcome: Any) -> Any:
        said = real(self, vantage, definition, outcome)
        return Outcome.TIMEOUT if said is Outcome.LOCAL else said

    return [(world.World, "says", says)]


def _no_freeze() -> list[Patch]:
    return [
        (detector, "update_freeze", lambda state, *rest: state),
        (evidence, "_others_alive", nothing),
        (radius, "_at_once", nothing),
        (radius, "_rate", nothing),
    ]


def _no_warm_up() -> list[Patch]:
    return [(warmup, "describe", no_record), (warmup, "restart", lambda state, now, cause: state)]


# -- radius ----------------------------------------------------------------------------------------------------------------


def _wall_clock() -> list[Patch]:
    from datetime import timedelta

    return [
        (steady.SteadyWall, "read", lambda self, now: now),
        (steady.SteadyWall, "jump", lambda self, now: timedelta()),
        (radius, "_at_once", nothing),
    ]


def _floor_ignored() -> list[Patch]:
    def ready(self: Any, run: Any, step: WaitReadyStep, states: Any) -> StepDone:
        return StepDone(step=step.id, note="surely")

    return [(waiting_steps.WaitingSteps, "_ready", ready)]


def _removes_first() -> list[Patch]:
    return [
        (machine, "_ready", lambda run, step: True),
        (safety, "_on_plan", nothing),
        (safety, "scale_refusals", nothing),
    ]


def _into_the_source() -> list[Patch]:
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


def _no_velocity() -> list[Patch]:
    return [(scale_steps.ScaleSteps, "_room", lambda self, cluster: 10_000), (safety, "_velocity", nothing)]


# -- DNS -------------------------------------------------------------------------------------------------------------------


def _delete_then_create() -> list[Patch]:
    real = twins.SimZonePort.change

    async def change(self: Any, permit: Any, wanted: Any) -> None:
        for item in wanted.changes:
            if item.before is not None:
                self._place.set_records(remove=[item.before.key])
                self._place.set_records(item.before)
        await real(self, permit, wanted)

    return [(twins.SimZonePort, "change", change)]


def _neighbours_record() -> list[Patch]:
    real = world.SimZone.apply

    def apply(self: Any, change: Any) -> str:
        different = real(self, change)
        if not different:
            self._hand = "controller"
            self.set_records(
                RecordSet(name="mail.example.test.", record_type=RecordType.A, ttl=5, values=("203.0.113.1",))
            )
            self._hand = ""
        return different

    return [(world.SimZone, "apply", apply)]


def _never_verified() -> list[Patch]:
    return [(Verification, "effective", property(lambda self: True))]


# -- execution -------------------------------------------------------------------------------------------------------------


def _skips_fsync() -> list[Patch]:
    real = world.World.boot

    def boot(self: Any) -> Any:
        self.disk.lying = True
        return real(self)

    return [(world.World, "boot", boot)]


def _deltas() -> list[Patch]:
    real = twins.SimClusterPort._apply

    def apply(self: Any, permit: Any, change: Any, workload: Any) -> None:
        moved = workload.wanted + change.after - change.before
        real(self, permit, replace(change, after=moved, before=workload.wanted), workload)

    def always(*_: Any) -> None:
        return None

    return [(twins.SimClusterPort, "_apply", apply), (twin_cluster.TwinCluster, "_check_version", always)]


def _no_precondition() -> list[Patch]:
    return [(twin_cluster.TwinCluster, "_check_version", no_record)]


def _no_read_back() -> list[Patch]:
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


def _no_journal() -> list[Patch]:
    real = twins.SimStorePort.append_batch

    async def append(self: Any, epoch: Any, entries: Any) -> Any:
        try:
            return await real(self, epoch, entries)
        except StoreUnavailable:
            return _as_if_written(self, epoch, entries)

    return [(twins.SimStorePort, "append_batch", append), (context.Context, "in_trouble", no_record)]


def _closes_early() -> list[Patch]:
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


def _forgets_the_fence() -> list[Patch]:
    from failover.controller import record_steps
    from failover.model import permit as permits

    async def raised(self: Any, run: Any, cluster: Any) -> bool:
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


def _tidies_up() -> list[Patch]:
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


def _ignores_doubt() -> list[Patch]:
    return [(app.Controller, "_doubt", no_record)]


def _tells_twice() -> list[Patch]:
    real = changing.compose

    def compose(where: Any, run: Any, step: Any, change: Any) -> Any:
        return replace(real(where, run, step, change), id=IntentId(f"{run.id}/{step}"))

    return [(changing, "compose", compose)]


# -- people ----------------------------------------------------------------------------------------------------------------


def _ignores_pause() -> list[Patch]:
    real = admission.holding_back

    def held(situation: Any) -> Iterator[Any]:
        return (item for item in real(situation) if item.code != "paused")

    return [(admission, "holding_back", held), (safety, "holding_back", held)]


def _hides_overrides() -> list[Patch]:
    real = changing.compose

    def compose(where: Any, run: Any, step: Any, change: Any) -> Any:
        return replace(real(where, run, step, change), overrides=("rate",))

    return [(changing, "compose", compose)]


def _plans_act() -> list[Patch]:
    async def plan(self: Any, request: Any) -> Any:
        return await self._start({**request, "verb": "start"})

    return [(commands.Commands, "_plan", plan)]


def _home_too_soon() -> list[Patch]:
    return [(evidence, "returned", nothing), (admission, "returned", nothing)]


def _half_a_policy() -> list[Patch]:
    real = app.Controller._install_policy

    def install(self: Any, policy: Any) -> None:
        real(self, replace(policy, generation="half"))

    return [(app.Controller, "_install_policy", install)]


def _quorum_of_two() -> list[Patch]:
    return [(Fleet, "quorum", property(lambda self: 2))]


MUTANTS = (
    Mutant(name="unknown-is-down", about="silence counts as a failure", caught_by=("I1", "I2", "I3", "I4"), patches=_unknown_is_down, faults=("three-vantages-at-fault-with-a-region", "path-of-one-vantage")),
    Mutant(name="stale-evidence", about="acts on what was true a while ago", caught_by=("I1", "I2", "I3"), patches=_stale_evidence, faults=("region-back-too-early", "region-killed", "path-one-way", "two-vantages-dead", "reports-late")),
    Mutant(name="quorum-of-those-that-answer", about="two of five convict", caught_by=("I1", "I2", "I3", "I4"), patches=_quorum_of_two, faults=("path-of-two-vantages", "two-vantages-dead", "vantage-blind", "region-killed")),
    Mutant(name="no-dissent", about="a vantage that still sees it is outvoted", caught_by=("I3", "I4"), patches=_no_dissent, faults=("path-of-two-vantages", "path-of-one-vantage", "vantage-blind", "vantage-always-up", "region-killed", "path-flapping")),
    Mutant(name="old-failures-convict", about="votes stay down until rise, and convict", caught_by=("I2", "I3", "I4"), patches=_old_failures, faults=("region-back-too-early", "region-flapping", "data-plane-500")),
    Mutant(name="control-plane-is-enough", about="an API server that is down is a region that is down", caught_by=("I4", "I3", "I1"), patches=_control_plane_is_enough, faults=("control-plane-down", "control-plane-silent", "control-plane-500")),
    Mutant(name="local-faults-count", about="our own faults count as the region's", caught_by=("I5", "I3", "I1", "I4"), patches=_local_counts, faults=("three-vantages-at-fault-with-a-region", "controller-vantage-local-faults")),
    Mutant(name="no-freeze", about="goes on when everything looks wrong", caught_by=("I6", "I8"), patches=_no_freeze, faults=("provider-gone", "region-killed", "region-silent")),
    Mutant(name="no-warm-up", about="acts at once after a start", caught_by=("I7",), patches=_no_warm_up, faults=("controller-killed", "controller-killed", "controller-killed", "region-killed", "region-silent")),
    Mutant(name="wall-clock-for-deadlines", about="windows follow a clock that jumps", caught_by=("I8", "I15"), patches=_wall_clock, faults=("clock-forward", "region-killed", "region-silent", "drain-by-hand")),
    Mutant(name="floor-ignored", about="moves traffic before capacity is ready", caught_by=("I9", "I10"), patches=_floor_ignored, faults=LOST),
    Mutant(name="removes-before-adding", about="does every step at once", caught_by=("I10", "I15", "I9"), patches=_removes_first, faults=("drain-by-hand",)),
    Mutant(name="plans-into-the-source", about="places what is lost where it was lost", caught_by=("I11",), patches=_into_the_source, faults=LOST),
    Mutant(name="no-velocity", about="sends as fast as it can", caught_by=("I12",), patches=_no_velocity, faults=LOST),
    Mutant(name="delete-then-create", about="two changes instead of one", caught_by=("I13",), patches=_delete_then_create, faults=LOST),
    Mutant(name="neighbours-record", about="touches a name that is not ours", caught_by=("I14",), patches=_neighbours_record, faults=LOST),
    Mutant(name="never-verified", about="done when it was acknowledged", caught_by=("I15",), patches=_never_verified, faults=("secondary-lags", "region-killed", "region-silent")),
    Mutant(name="skips-fsync", about="acknowledges what is not on disk", caught_by=("I16",), patches=_skips_fsync, faults=LOST),
    Mutant(name="deltas", about="adds instead of setting", caught_by=("I17", "I18"), patches=_deltas, faults=("api-answers-lost", "api-conflict-storm", "region-killed", "controller-killed")),
    Mutant(name="no-precondition", about="writes over what it has not read", caught_by=("I18",), patches=_no_precondition, faults=("api-conflict-storm", "region-killed", "region-silent")),
    Mutant(name="no-read-back", about="tries again without a look", caught_by=("I19",), patches=_no_read_back, faults=("api-answers-lost", "region-killed", "region-silent")),
    Mutant(name="no-journal", about="goes on without a store", caught_by=("I20", "I16", "I30"), patches=_no_journal, faults=("disk-full", "region-killed", "region-silent")),
    Mutant(name="closes-early", about="calls a run done that is not", caught_by=("I21",), patches=_closes_early, faults=LOST),
    Mutant(name="forgets-the-fence", about="a stale leader goes on", caught_by=("I22",), patches=_forgets_the_fence, faults=("controller-frozen-and-succeeded", "region-killed", "drain-by-hand", "evacuate-by-hand", "failback-by-hand")),
    Mutant(name="ignores-pause", about="automation goes on while paused", caught_by=("I23",), patches=_ignores_pause, faults=("pause", "region-killed", "region-silent")),
    Mutant(name="hides-overrides", about="automation overrides a rule", caught_by=("I24",), patches=_hides_overrides, faults=LOST),
    Mutant(name="plans-act", about="asking for a plan starts it", caught_by=("I25",), patches=_plans_act, faults=("plan-only", "region-killed")),
    Mutant(name="home-too-soon", about="fails back before the region is stable", caught_by=("I26",), patches=_home_too_soon, faults=("region-killed", "failback-by-hand", "region-back-too-early")),
    Mutant(name="tidies-up", about="deletes what runs in the region that was lost", caught_by=("I27",), patches=_tidies_up, faults=LOST),
    Mutant(name="ignores-doubt", about="acts on a restored journal", caught_by=("I28",), patches=_ignores_doubt, faults=("backup-taken", "database-restored", "region-killed", "region-silent", "policy-edited", "cordon-vantage")),
    Mutant(name="half-a-policy", about="plans by a policy that was never in force", caught_by=("I29",), patches=_half_a_policy, faults=LOST),
    Mutant(name="tells-twice", about="two changes under one record", caught_by=("I30",), patches=_tells_twice, faults=("api-answers-lost", "api-conflict-storm", "region-killed", "names-lose-updates")),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Catch:
    """How a mutant was caught: by which seed, after how many, by which violation; `seed` None: it was not."""

    mutant: str
    seed: int | None
    seeds: int
    invariant: str = ""
    sentence: str = ""


def hunt(mutant: Mutant, *, first: int = 1, seeds: int = 500) -> Catch:
    """Play the broken controller until an oracle that should catch it does."""
    from .play import play, schedule_of

    for seed in range(first, first + seeds):
        with mutant.alive():
            result = play(seed, schedule_of(seed, only=mutant.faults))
        for found in result.violations:
            if found.invariant in mutant.caught_by:
                return Catch(
                    mutant=mutant.name,
                    seed=seed,
                    seeds=seed - first + 1,
                    invariant=found.invariant,
                    sentence=found.sentence,
                )
    return Catch(mutant=mutant.name, seed=None, seeds=seeds)

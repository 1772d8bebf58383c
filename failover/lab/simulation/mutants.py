"""Deliberately broken controllers: each must be caught by the oracle that should, or the oracle proves nothing.

A mutant is made by injection: some functions are replaced while it is played. They are the controller's own; where its code
could not be broken so that the harm is done, its ports are: what it sends, or what answers it. `faults`: the kinds among which
its weakness shows (empty: any).
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from . import breaking, breaking_moves, breaking_rules
from .breaking import Patch


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
        """The controller, or a port of it, is broken while this is open."""
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

MUTANTS = (
    Mutant(name="unknown-is-down", about="silence counts as a failure", caught_by=("I1", "I2", "I3", "I4"), patches=breaking.unknown_is_down, faults=("vantages-at-fault-with-a-region", "path-of-one-vantage")),
    Mutant(name="stale-evidence", about="acts on what was true a while ago", caught_by=("I1", "I2", "I3"), patches=breaking.stale_evidence, faults=("region-back-too-early", "region-killed", "path-one-way", "two-vantages-dead", "reports-late")),
    Mutant(name="quorum-of-those-that-answer", about="most of those that answer convict", caught_by=("I1", "I2", "I3", "I4"), patches=breaking_rules.quorum_of_those_that_answer, faults=("two-vantages-dead", "two-vantages-dead", "region-killed", "path-of-one-vantage", "path-of-one-vantage")),
    Mutant(name="no-dissent", about="a vantage that still sees it is outvoted", caught_by=("I3", "I4"), patches=breaking.no_dissent, faults=("path-of-two-vantages", "path-of-one-vantage", "vantage-blind", "vantage-always-up", "region-killed", "path-flapping")),
    Mutant(name="old-failures-convict", about="votes stay down until rise, and convict", caught_by=("I2", "I3", "I4"), patches=breaking.old_failures, faults=("region-back-too-early", "region-flapping", "data-plane-500")),
    Mutant(name="gray-is-dead", about="a region that answers some clients is as good as one that answers none", caught_by=("I4", "I1", "I3"), patches=breaking.gray_is_dead, faults=("data-plane-gray",)),
    Mutant(name="control-plane-is-enough", about="an API server that is down is a region that is down", caught_by=("I4", "I3", "I1"), patches=breaking.control_plane_is_enough, faults=("control-plane-down", "control-plane-silent", "control-plane-500")),
    Mutant(name="deaf-to-heartbeats", about="takes an isolated cluster for a dead one", caught_by=("I4",), patches=breaking.deaf_to_heartbeats, faults=("region-isolated",)),
    Mutant(name="local-faults-count", about="our own faults count as the region's", caught_by=("I5", "I3", "I1", "I4"), patches=breaking.local_counts, faults=("vantages-at-fault-with-a-region", "controller-vantage-local-faults")),
    Mutant(name="no-freeze", about="goes on when everything looks wrong", caught_by=("I6", "I8"), patches=breaking.no_freeze, faults=("provider-gone", "region-killed", "region-silent")),
    Mutant(name="freezes-late", about="takes two regions that are dead at once for chance", caught_by=("I6",), patches=breaking.freezes_late, faults=("region-killed", "region-silent", "provider-gone")),
    Mutant(name="freeze-halts-nothing", about="begins nothing while it is frozen, and carries on with what is under way", caught_by=("I6",), patches=breaking_moves.freeze_halts_nothing, faults=("region-killed", "region-silent", "provider-gone", "pods-slow", "cluster-killed", "pods-slow")),
    Mutant(name="shrugs-it-off", about="goes on at once after a clock jump, or when a freeze is over", caught_by=("I7",), patches=breaking.shrugs_it_off, faults=("clock-forward", "clock-back", "region-killed", "region-silent", "resume")),
    Mutant(name="no-warm-up", about="acts at once after a start", caught_by=("I7",), patches=breaking.no_warm_up, faults=("controller-killed", "controller-killed", "controller-killed", "region-killed", "region-silent")),
    Mutant(name="no-limits", about="moves as often as it is asked", caught_by=("I8",), patches=breaking_moves.no_limits, faults=LOST),
    Mutant(name="wall-clock-for-deadlines", about="windows follow a clock that jumps", caught_by=("I8", "I15"), patches=breaking_moves.wall_clock, faults=("clock-forward", "region-killed", "region-silent", "drain-by-hand")),
    Mutant(name="floor-ignored", about="moves traffic before capacity is ready", caught_by=("I9", "I10"), patches=breaking_moves.floor_ignored, faults=LOST),
    Mutant(name="removes-before-adding", about="does every step at once", caught_by=("I10", "I15", "I9"), patches=breaking_moves.removes_first, faults=("drain-by-hand",)),
    Mutant(name="two-writers", about="moves a single writer like any other workload", caught_by=("I10",), patches=breaking_moves.two_writers, faults=LOST),
    Mutant(name="plans-into-the-source", about="places what is lost where it was lost", caught_by=("I11",), patches=breaking_moves.into_the_source, faults=LOST),
    Mutant(name="plans-into-an-empty-target", about="leaves a name without a target", caught_by=("I11",), patches=breaking_moves.into_nothing, faults=LOST),
    Mutant(name="plans-without-room", about="adds what no node of the target holds", caught_by=("I11",), patches=breaking_moves.without_room, faults=LOST),
    Mutant(name="widens-too-far", about="takes in a cluster of the region that serves", caught_by=("I1", "I3", "I4"), patches=breaking_moves.widens_too_far, faults=("cluster-killed", "data-plane-refused", "cluster-silent")),
    Mutant(name="widens-unasked", about="takes in a further cluster of the region whatever holds automation back", caught_by=("I6",), patches=breaking_moves.widens_unasked, faults=("cluster-killed", "cluster-silent", "cluster-killed", "pause", "pods-slow", "provider-gone", "data-plane-refused")),
    Mutant(name="counts-on-what-was", about="takes away by the last look at what is counted on", caught_by=("I10",), patches=breaking_moves.counts_on_what_was),
    Mutant(name="waits-for-nothing", about="a drain takes away before what it added serves", caught_by=("I10",), patches=breaking_moves.waits_for_nothing, faults=("drain-by-hand", "pods-slow")),
    Mutant(name="loses-count", about="makes up for half of what was lost", caught_by=("I11",), patches=breaking_moves.loses_count, faults=LOST),
    Mutant(name="says-replaced", about="names nothing as unplaced, whatever finds no room", caught_by=("I11",), patches=breaking_moves.says_replaced, faults=("survivors-lose-nodes", "survivors-lose-nodes", "less-capacity-than-told", *LOST)),
    Mutant(name="no-velocity", about="sends as fast as it can", caught_by=("I12",), patches=breaking_moves.no_velocity, faults=LOST),
    Mutant(name="moves-too-much", about="moves all of a workload in one change", caught_by=("I12",), patches=breaking_moves.moves_too_much, faults=LOST),
    Mutant(name="steers-unready", about="steers clients away before capacity is ready elsewhere", caught_by=("I9",), patches=breaking_moves.floor_ignored, faults=("data-plane-refused", "data-plane-500", "application-broken", "pods-slow")),
    Mutant(name="sheds-nothing", about="leaves an earlier tier without a place that a later one holds", caught_by=("I9",), patches=breaking_moves.sheds_nothing, faults=("survivors-lose-nodes", "survivors-lose-nodes", "less-capacity-than-told", *LOST)),
    Mutant(name="delete-then-create", about="two changes instead of one", caught_by=("I13",), patches=breaking.delete_then_create, faults=LOST),
    Mutant(name="goes-on-though-it-is-back", about="takes a cluster out of its names that came back before it touched any", caught_by=("I13", "I2"), patches=breaking_rules.goes_on, faults=("region-flapping", "region-silent", "region-killed", "pods-slow", "pods-slow", "pods-slow")),
    Mutant(name="neighbours-record", about="touches a name that is not ours", caught_by=("I14",), patches=breaking.neighbours_record, faults=LOST),
    Mutant(name="plans-for-a-neighbour", about="changes a name that is not ours beside those that are", caught_by=("I14",), patches=breaking_rules.plans_for_a_neighbour, faults=LOST),
    Mutant(name="never-verified", about="done when it was acknowledged", caught_by=("I15",), patches=breaking.never_verified, faults=("secondary-lags", "region-killed", "region-silent")),
    Mutant(name="skips-fsync", about="acknowledges what is not on disk", caught_by=("I16",), patches=breaking.skips_fsync, faults=LOST),
    Mutant(name="deltas", about="adds instead of setting", caught_by=("I17", "I18"), patches=breaking.deltas, faults=("api-answers-lost", "api-conflict-storm", "region-killed", "controller-killed")),
    Mutant(name="takes-for-done", about="what was under way when it crashed is done, as far as it knows", caught_by=("I21",), patches=breaking.takes_for_done, faults=("controller-killed-before-an-effect", "controller-killed-before-an-effect", *LOST)),
    Mutant(name="begins-anew", about="a run that is resumed starts again with what it has done", caught_by=("I17",), patches=breaking.begins_anew, faults=("controller-killed-after-an-effect", "drain-by-hand")),
    Mutant(name="no-precondition", about="writes over what it has not read", caught_by=("I18",), patches=breaking.no_precondition, faults=("api-conflict-storm", "region-killed", "region-silent")),
    Mutant(name="replaces-anything", about="sends changes without what they were read from", caught_by=("I18", "I30"), patches=breaking_rules.replaces_anything, faults=("api-conflict-storm", "region-killed", "region-silent")),
    Mutant(name="no-read-back", about="tries again without a look", caught_by=("I19",), patches=breaking.no_read_back, faults=("api-answers-lost", "region-killed", "region-silent")),
    Mutant(name="no-journal", about="goes on without a store", caught_by=("I20", "I16", "I30"), patches=breaking.no_journal, faults=("disk-full", "region-killed", "region-silent")),
    Mutant(name="closes-early", about="calls a run done that is not", caught_by=("I21",), patches=breaking.closes_early, faults=LOST),
    Mutant(name="stays-halted", about="a run that was halted stands for ever, whatever becomes of the reason", caught_by=("I21",), patches=breaking_rules.stays_halted, faults=("pause", "pods-slow", "region-killed", "region-silent")),
    Mutant(name="forgets-the-fence", about="a stale leader goes on", caught_by=("I22",), patches=breaking.forgets_the_fence, faults=("controller-frozen-before-it-sends", "region-killed")),
    Mutant(name="says-done", about="done is what was told to do", caught_by=("I21",), patches=breaking.says_done, faults=LOST),
    Mutant(name="sends-after-the-lease", about="sends what it was permitted long ago", caught_by=("I22",), patches=breaking.sends_after_the_lease, faults=("controller-frozen-before-it-sends", "region-killed")),
    Mutant(name="leads-for-ever", about="what it is permitted lasts for ever", caught_by=("I22",), patches=breaking.leads_for_ever, faults=("controller-frozen-before-it-sends", "region-killed")),
    Mutant(name="sends-twice", about="changes twice under one record", caught_by=("I30",), patches=breaking.sends_twice, faults=LOST),
    Mutant(name="pause-stops-people", about="whoever pauses automation locks himself out", caught_by=("I23",), patches=breaking.pause_stops_people, faults=("pause", "drain-by-hand", "evacuate-with-overrides")),
    Mutant(name="shows-another", about="the plan that is shown is not the one that is made", caught_by=("I25",), patches=breaking.shows_another, faults=("plan-then-start",)),
    Mutant(name="ignores-pause", about="automation goes on while paused", caught_by=("I23",), patches=breaking.ignores_pause, faults=("pause", "region-killed", "region-silent")),
    Mutant(name="hides-overrides", about="automation overrides a rule", caught_by=("I24",), patches=breaking.hides_overrides, faults=LOST),
    Mutant(name="plans-act", about="asking for a plan starts it", caught_by=("I25",), patches=breaking.plans_act, faults=("plan-only", "region-killed")),
    Mutant(name="plans-act-unseen", about="asking for a plan shows it, and starts it", caught_by=("I25",), patches=breaking.plans_act_unseen, faults=("plan-then-start",)),
    Mutant(name="home-too-soon", about="fails back before the region is stable", caught_by=("I26",), patches=breaking_moves.home_too_soon, faults=("cluster-killed", "failback-without-patience")),
    Mutant(name="home-at-once", about="sends all clients home in one step", caught_by=("I26",), patches=breaking_moves.home_at_once, faults=("drain-by-hand",)),
    Mutant(name="home-unready", about="sends clients home before anything runs there", caught_by=("I26", "I10"), patches=breaking_moves.home_unready, faults=("drain-by-hand", "pods-slow", "pods-slow", "pods-slow")),
    Mutant(name="home-without-names", about="brings the replicas home and leaves the clients where they are", caught_by=("I26",), patches=breaking_moves.home_without_names, faults=("drain-by-hand", *LOST)),
    Mutant(name="tidies-up", about="deletes what runs in the region that was lost", caught_by=("I27",), patches=breaking.tidies_up, faults=LOST),
    Mutant(name="ignores-doubt", about="acts on a restored journal", caught_by=("I28",), patches=breaking.ignores_doubt, faults=("backup-taken", "database-restored", "region-killed", "region-silent", "policy-edited", "cordon-vantage")),
    Mutant(name="half-a-policy", about="plans by a policy that was never in force", caught_by=("I29",), patches=breaking_moves.half_a_policy, faults=LOST),
    Mutant(name="takes-in-half", about="follows a changed policy by name, and keeps the floors of the one before", caught_by=("I29",), patches=breaking_moves.takes_in_half, faults=("policy-edited", *LOST)),
    Mutant(name="takes-a-broken-file", about="makes what it can of a file that is no policy", caught_by=("I29",), patches=breaking_moves.takes_a_broken_file, faults=("policy-file-broken",)),
    Mutant(name="tells-twice", about="two changes under one record", caught_by=("I30",), patches=breaking.tells_twice, faults=("api-answers-lost", "api-conflict-storm", "region-killed", "names-lose-updates")),
    Mutant(name="never-acts", about="looks on, and gives no reason", caught_by=("liveness",), patches=breaking.never_acts, faults=LOST),
    Mutant(name="hangs", about="begins, and never goes on", caught_by=("liveness",), patches=breaking.hangs, faults=LOST),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Catch:
    """How a mutant was caught: by which seed, after how many, by which violation; `seed` None: it was not."""

    mutant: str
    seed: int | None
    seeds: int
    invariant: str = ""
    sentence: str = ""


def hunt(mutant: Mutant, *, first: int = 1, seeds: int = 500, by: str = "") -> Catch:
    """Play the broken controller until an oracle that should catch it does; `by`: the one of this invariant."""
    from .play import play, schedule_of

    for seed in range(first, first + seeds):
        with mutant.alive():
            result = play(seed, schedule_of(seed, only=mutant.faults))
        for found in result.violations:
            if found.invariant in mutant.caught_by and by in ("", found.invariant):
                return Catch(
                    mutant=mutant.name,
                    seed=seed,
                    seeds=seed - first + 1,
                    invariant=found.invariant,
                    sentence=found.sentence,
                )
    return Catch(mutant=mutant.name, seed=None, seeds=seeds)

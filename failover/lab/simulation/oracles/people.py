"""I23 to I26, I29: people's words, and the way home."""

from failover.lab.simulation import trace
from failover.lab.simulation.fleet import MOVED, TTL_S
from failover.lab.simulation.world import ANSWER_S, World
from failover.model.journal import (
    IntentRecorded,
    PersonSaid,
    RunApproved,
    RunClosed,
    RunOpened,
    RunResumed,
    RunWidened,
)
from failover.model.plan import RunKind, ScaleStep

from .base import LATELY_S, Opened, Oracle, Runs

A_MOMENT_S = 1e-6


class PauseWins(Oracle):
    invariant, about = (
        "I23",
        "between an answered pause and a resume automation begins nothing, and people may",
    )

    def __init__(self, world: World, runs: Runs) -> None:
        super().__init__(world, runs)
        self.paused = False
        self.let_go_on: set[str] = set()
        """Runs of automation that a person approved, or told to go on, during the pause."""

    def see(self, event: trace.Event) -> None:
        said = event.entry.entry if isinstance(event, trace.Journaled) else None
        if isinstance(said, PersonSaid) and said.verb in ("pause", "resume"):
            self.paused = said.verb == "pause"
            self.let_go_on.clear()
        if isinstance(event, trace.Journaled) and isinstance(said, RunApproved | RunResumed):
            self.let_go_on |= {event.entry.run} if said.actor != "automation" else set()
        if isinstance(event, trace.Lived) and event.what == "restored":
            self.paused = False
        if isinstance(event, trace.Said):
            self.must(
                "paused" not in event.refused, event.at, f"a pause stops the person who says {event.verb}"
            )
        if not self.paused:
            return
        if isinstance(event, trace.Looked):
            self.checked += 1  # it works on, and might have begun something
        if isinstance(event, trace.Journaled):
            entry = event.entry.entry
            if isinstance(entry, RunOpened | IntentRecorded):
                actor = entry.actor if isinstance(entry, RunOpened) else entry.intent.actor
                self.must(
                    actor != "automation" or event.entry.run in self.let_go_on,
                    event.at,
                    f"{event.entry.run} goes on while paused",
                )
            elif isinstance(entry, RunWidened):
                self.violated(event.at, f"{event.entry.run} is widened while paused")


class OverridesAreNamed(Oracle):
    invariant, about = (
        "I24",
        "automation overrides nothing; what a person overrides is named in the plan and in each intent",
    )

    def see(self, event: trace.Event) -> None:
        if isinstance(event, trace.Journaled) and isinstance(event.entry.entry, IntentRecorded):
            intent = event.entry.entry.intent
            run = self.runs.by_id.get(intent.run)
            if run is None:
                return
            if run.automatic:
                self.must(not intent.overrides, event.at, f"{intent.id} overrides {intent.overrides}")
            self.must(
                set(intent.overrides) == set(run.plan.overrides), event.at, f"{intent.id} hides its overrides"
            )


class DryRunChangesNothing(Oracle):
    invariant, about = (
        "I25",
        "a plan that is only asked for changes nothing, and it is the one that would be carried out",
    )

    AT_ONCE_S = 1.0

    def __init__(self, world: World, runs: Runs) -> None:
        super().__init__(world, runs)
        self.shown: tuple[float, object] | None = None
        """When a plan was shown to a person, and its hash; None once anything has happened since."""
        self.unasked: dict[str, tuple[str, float]] = {}
        """Runs of people, by whom and when they were opened, that no answer to a `start` has named (yet)."""

    def see(self, event: trace.Event) -> None:
        self._asked(event)
        if isinstance(event, trace.Said) and event.verb == "start" and event.request.get("hash"):
            self._as_shown(event)
        if not isinstance(event, trace.Looked):
            shown = isinstance(event, trace.Said) and event.verb == "plan" and "hash" in event.answer
            self.shown = (event.at, event.answer["hash"]) if shown else None  # type: ignore[attr-defined]
        if isinstance(event, trace.Journaled) and isinstance(event.entry.entry, RunOpened):
            self.must(
                not event.entry.entry.plan.hypothetical, event.at, f"{event.entry.run} carries out a what-if"
            )
        if isinstance(event, trace.Said) and event.verb == "plan":
            self.must("run" not in event.answer, event.at, "asking for a plan began a run")

    def _asked(self, event: trace.Event) -> None:
        """Whoever is stopped in the middle of a `start`, or meets an error there, names no run."""
        if isinstance(event, trace.Journaled) and isinstance(event.entry.entry, RunOpened):
            if not self.runs.by_id[event.entry.run].automatic:
                self.unasked[event.entry.run] = (event.holder, event.at)
        elif isinstance(event, trace.Said) and event.verb == "start" and event.answer.get("run"):
            self.unasked.pop(str(event.answer["run"]), None)
        elif (isinstance(event, trace.Said) and event.verb == "start" and not event.refused) or (
            isinstance(event, trace.Lived) and event.what in ("killed", "frozen")
        ):
            self.unasked = {run: item for run, item in self.unasked.items() if item[0] != event.holder}

    def finish(self) -> None:
        for run, (_, at) in self.unasked.items():
            self.must(
                self.world.mono - at < ANSWER_S,
                at,
                f"{run} is a person's, and nobody has asked for more than a plan",
            )

    def _as_shown(self, event: trace.Said) -> None:
        """What is carried out is what was shown; where nothing has happened in between it is not refused as another one."""
        if event.answer.get("run"):
            run = self.runs.by_id[str(event.answer["run"])]
            self.must(
                run.plan.hash == event.request["hash"], event.at, f"{run.id} is not the plan that was shown"
            )
        elif self.shown is not None and event.at - self.shown[0] < self.AT_ONCE_S and not self._unseen():
            self.must(
                "stale-plan" not in event.refused or self.shown[1] != event.request["hash"],
                event.at,
                f"nothing has happened, and the plan is another: {event.answer}",
            )

    def _unseen(self) -> bool:
        """Something has happened before the plan was shown, and a controller may see it only now."""
        return self.world.mono - self.world.names_changed < 2 * self.AT_ONCE_S or any(
            item.ripening for place in self.world.clusters.values() for item in place.workloads.values()
        )


class FailbackWhenStable(Oracle):
    invariant, about = "I26", "home only after the region has served for the stable time"

    def see(self, event: trace.Event) -> None:
        if not isinstance(event, trace.Journaled) or not isinstance(event.entry.entry, RunOpened):
            return
        run = self.runs.by_id[event.entry.run]
        if run.plan.run_kind is not RunKind.FAILBACK or run.plan.overrides:
            return
        stable_s = self.world.policy.fleet.timing.stable_s
        for name in run.plan.sources:
            since = self.world.serving_since(
                name, {part.application for part in run.plan.applications if not part.left_out}
            )
            self.must(
                event.at - since >= stable_s * 0.9,
                event.at,
                f"{run.id} brings {name} home {event.at - since:.1f} s after it began to serve",
            )


class HomeInStages(Oracle):
    invariant, about = (
        "I26",
        "clients go home by stages, each after the old TTL, and only to what is ready there",
    )

    def __init__(self, world: World, runs: Runs) -> None:
        super().__init__(world, runs)
        self.brought: dict[tuple[str, str], dict[str, float]] = {}
        """By run and name: the home addresses that it has published, and when."""
        self.grown: dict[tuple[str, str, str], float] = {}
        """When a run last set a workload's replicas in a cluster."""

    def see(self, event: trace.Event) -> None:
        if not isinstance(event, trace.Applied):
            return
        run = self.runs.of_intent(event.intent)
        if run is not None and event.kind == "scale":
            self.grown[run.id, event.target, event.workload] = event.at
        if event.change is None:
            return
        if run is None or run.plan.run_kind is not RunKind.FAILBACK:
            return
        for item in event.change.changes:
            before = set(item.before.values if item.before else ())
            home = {value for value in item.after.values if self.world.cluster_at(value) in run.plan.sources}
            self._stage(event, run, item.after.name, home - before, others=bool(before - home))

    def _stage(self, event: trace.Applied, run: Opened, name: str, added: set[str], *, others: bool) -> None:
        if not added:
            return
        brought = self.brought.setdefault((run.id, name), {})
        application = str(event.change.application) if event.change is not None else ""
        returning = {
            value
            for part in run.plan.applications
            for change in part.records
            if change.after.name == name
            for value in set(change.after.values) - set(change.before.values if change.before else ())
            if self.world.cluster_at(value) in run.plan.sources
        }
        if others and not brought and len(returning) > 1:
            self.must(added < returning, event.at, f"{run.id} brings all of {name} home at once")
        last = max(brought.values(), default=float("-inf"))
        waited = event.at - last
        self.must(
            waited >= TTL_S, event.at, f"{run.id} goes on with {name} {waited:.1f} s after its last stage"
        )
        for value in sorted(added - set(brought)):
            self._ready(event, run, application, value)
        brought |= dict.fromkeys(added, event.at)

    def _ready(self, event: trace.Applied, run: Opened, application: str, value: str) -> None:
        """What is to run at home runs there before its first clients come."""
        cluster, ref = self.world.cluster_at(value), MOVED[application]
        if cluster is None or self.world.is_dead(cluster):
            return  # lost in this very moment: the next turn sees it
        place = self.world.clusters[cluster]
        grown = [
            step.after
            for step in run.plan.steps
            if isinstance(step, ScaleStep) and step.cluster == cluster and step.workload == ref
        ]
        if not grown or ref not in place.workloads:
            return
        needed, set_at = max(grown), self.grown.get((run.id, str(cluster), str(ref)))
        if set_at is not None:
            since = max(set_at + A_MOMENT_S, event.at - LATELY_S)
            if min(place.wanted_since(ref, since)) < needed:
                return  # somebody has just taken it back
        ready = place.settle(ref).ready
        self.must(
            ready >= needed,
            event.at,
            f"{run.id} sends clients of {application} home to {cluster}, where {ready} of {needed} are ready",
        )


class HomeIsRestored(Oracle):
    invariant, about = (
        "I26",
        "a failback that is done has brought home what was taken away: every name leads there again",
    )

    def __init__(self, world: World, runs: Runs) -> None:
        super().__init__(world, runs)
        self.away: dict[tuple[str, str], tuple[str, str]] = {}
        """By name and address, while it is taken out of the name: the run that did so, and the application."""

    def see(self, event: trace.Event) -> None:
        if isinstance(event, trace.Published):
            for found in event.record_sets:
                for value in found.values:
                    self.away.pop((found.name, value), None)
        if isinstance(event, trace.Applied) and event.change is not None:
            self._taken_out(event)
        if isinstance(event, trace.Journaled) and isinstance(event.entry.entry, RunClosed):
            run = self.runs.by_id.get(event.entry.run)
            if run is not None and run.plan.run_kind is RunKind.FAILBACK and run.closed == "done":
                self._home(run, event.at)

    def _taken_out(self, event: trace.Applied) -> None:
        run = self.runs.of_intent(event.intent)
        if run is None or run.plan.run_kind is RunKind.FAILBACK or event.change is None:
            return
        for item in event.change.changes:
            for value in set(item.before.values if item.before else ()) - set(item.after.values):
                if self.world.cluster_at(value) in run.plan.sources:
                    self.away[item.after.name, value] = (run.id, str(event.change.application))

    def _home(self, run: Opened, at: float) -> None:
        included = {part.application for part in run.plan.applications if part.left_out is None}
        forgotten = sorted(
            f"{value} of {name}"
            for (name, value), (taken_by, application) in self.away.items()
            if taken_by in run.plan.undoes
            and application in included
            and self.world.cluster_at(value) in run.plan.sources
        )
        self.must(not forgotten, at, f"{run.id} is done, and has forgotten {', '.join(forgotten)}")


class ConfigurationIsTransactional(Oracle):
    invariant, about = (
        "I29",
        "what is no policy changes nothing, what is one is followed whole, and a cluster that left it has not failed",
    )

    def see(self, event: trace.Event) -> None:
        if not isinstance(event, trace.Journaled):
            return
        in_force = self.world.in_force
        for life in self.world.lives:
            if life.controller is not None and life.alive:
                policy = life.controller.context.policy
                known, whole = policy.generation in in_force, in_force.get(policy.generation) == policy
                what = f"{life.holder} follows policy {policy.generation}"
                self.must(known, event.at, f"{what}, which was never in force")
                self.must(whole or not known, event.at, f"{what}, and not as it was written")
        if not isinstance(event.entry.entry, RunOpened):
            return
        run, plan = event.entry.run, event.entry.entry.plan
        followed = in_force.get(plan.policy_generation)
        self.must(followed is not None, event.at, f"{run} is of policy {plan.policy_generation}")
        named = {entry.name for entry in followed.fleet.clusters} if followed is not None else set()
        strange = sorted(set(plan.sources) - named)
        self.must(not strange, event.at, f"{run} moves away from {strange}, which nobody named")


PEOPLE = (
    PauseWins,
    OverridesAreNamed,
    DryRunChangesNothing,
    FailbackWhenStable,
    HomeInStages,
    HomeIsRestored,
    ConfigurationIsTransactional,
)

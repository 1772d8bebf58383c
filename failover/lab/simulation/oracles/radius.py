"""I8 to I10: how much at once, and whether what is left carries it. Judged by replicas that truly serve."""

from collections import defaultdict

from failover.lab.simulation import trace
from failover.lab.simulation.fleet import API, BOOKS, MOVED, REPLICAS, WEB
from failover.lab.simulation.world import World
from failover.model.ids import ClusterName
from failover.model.journal import RunOpened, StepDone
from failover.model.plan import Phase, RunKind, ScaleStep, Step, WaitReadyStep
from failover.model.policy import OnShortage, WorkloadRef

from .base import LATELY_S, UNPLANNED, Opened, Oracle, Runs

HOUR_S, DAY_S = 3600.0, 86400.0


class BlastRadius(Oracle):
    invariant, about = (
        "I8",
        "at most N regions at once, M automatic moves an hour and a day; clock jumps change nothing",
    )

    def __init__(self, world: World, runs: Runs) -> None:
        super().__init__(world, runs)
        self.forgotten: set[str] = set()

    def see(self, event: trace.Event) -> None:
        if isinstance(event, trace.Lived) and event.what == "restored":
            # What the restored journal does not tell of nobody can count; a person has answered for going on.
            self.forgotten = set(self.runs.by_id) - {entry.run for entry in self.world.disk.journal}
        run = self.runs.decision(event)
        if run is None or not run.unplanned:
            return
        regions = {self.world.region_of(name) for name in run.plan.sources}
        self.must(len(regions) == 1, event.at, f"{run.id} moves away from {sorted(regions)} at once")
        if run.at < event.at:
            return  # widened within its region: uncounted
        guards = self.world.policy.guards
        earlier = [
            other
            for other in self.runs.automatic_unplanned()
            if other.id != run.id
            and other.id not in self.forgotten
            and (other.whole or not run.whole)  # moves of one application count for applications only
            and other.dns_written
            and not {self.world.region_of(name) for name in other.plan.sources} & regions
        ]
        for seconds, limit in ((HOUR_S, guards.per_hour), (DAY_S, guards.per_day)):
            count = sum(event.at - other.at < seconds for other in earlier)
            self.must(
                count < limit,
                event.at,
                f"{run.id} is automatic move {count + 1} of other regions within {seconds:.0f} s, limit {limit}",
            )
        unfinished = {
            region
            for other in self.runs.automatic_unplanned()
            if other.id != run.id and other.id not in self.forgotten
            if not other.closed and (other.whole or not run.whole)
            for name in other.plan.sources
            if (region := self.world.region_of(name)) not in regions
        }
        self.must(
            len(unfinished | regions) <= guards.regions_at_once,
            event.at,
            f"{run.id} begins while {sorted(unfinished)} are on the way",
        )


def gone_for_long(world: World, cluster: str) -> bool:
    """Its machines have been gone for longer than an inventory lasts: nobody may credit it any more."""
    lasts = world.policy.fleet.timing.inventory_max_age_s + LATELY_S
    return world.is_dead(cluster) and world.out_for(cluster) > lasts


class CapacityFloor(Oracle):
    invariant, about = (
        "I9",
        "traffic moves only onto capacity: what remains published is truly ready, by the floor",
    )

    def __init__(self, world: World, runs: Runs) -> None:
        super().__init__(world, runs)
        self.published = {
            item.name: set(item.values)
            for zone in world.zones.values()
            for item in zone.current.record_sets.values()
        }
        self.taken_out: dict[str, set[str]] = defaultdict(set)
        """By name: members that somebody took out by hand. They run, and nobody said that they may not be sent clients."""

    def see(self, event: trace.Event) -> None:
        if isinstance(event, trace.Published):
            for found in event.record_sets:
                before, after = self.published.get(found.name, set()), set(found.values)
                self.taken_out[found.name] |= set() if event.by else before - after
                self.taken_out[found.name] -= after
                self.published[found.name] = after
        if not isinstance(event, trace.Applied) or event.kind != "records" or event.change is None:
            return
        run = self.runs.of_intent(event.intent)
        if run is None or run.plan.overrides:
            return
        application = next(
            app for app in self.world.policy.applications if app.name == event.change.application
        )
        holds = application.on_shortage is OnShortage.HOLD or run.plan.run_kind is RunKind.DRAIN
        for item in event.change.changes:
            gone = set(item.before.values if item.before else ()) - set(item.after.values)
            if not gone:
                continue
            left = {*item.after.values, *self.taken_out[item.after.name]}
            ready = sum(self._lately(str(name), MOVED[application.name]) for name in self._at(left))
            deleted = sum(ref == MOVED[application.name] for _, ref in self.world.deleted)
            demand = REPLICAS * (len(self.world.clusters) - deleted)
            # What a run has moved whose history was restored away nobody knows to be wanted.
            floor = application.floor if holds and not self.world.forgotten else 0
            served = any(
                self.world.ready(name, MOVED[application.name])
                for name in self._at(gone)
                if not self.world.failed_within(name, application.name, LATELY_S)
            )
            self.must(
                (ready > 0 or not served) and ready * 100 >= floor * demand,
                event.at,
                f"{run.id} moves {application.name} onto {ready} ready of {demand}, floor {floor} %",
            )

    def _at(self, values: set[str]) -> list[ClusterName]:
        return [name for value in sorted(values) if (name := self.world.cluster_at(value)) is not None]

    def _lately(self, cluster: str, ref: WorkloadRef) -> int:
        """What was ready there within the last inventory: a node that is lost in this very moment is nobody's fault. Whose
        machines are gone for longer than an inventory lasts is never credited.
        """
        if gone_for_long(self.world, cluster):
            return 0
        return self.world.clusters[ClusterName(cluster)].ready_since(ref, self.world.mono - LATELY_S)


class AddBeforeRemove(Oracle):
    invariant, about = "I10", "nothing is taken away before its replacement serves"

    def __init__(self, world: World, runs: Runs) -> None:
        super().__init__(world, runs)
        self.served: dict[str, set[str]] = defaultdict(set)
        """By run: its steps that are done."""

    def see(self, event: trace.Event) -> None:
        self._waited(event)
        if not isinstance(event, trace.Applied) or event.kind != "scale":
            return
        run = self.runs.of_intent(event.intent)
        if run is None or run.plan.overrides or not isinstance(event.after, int):
            return
        if not isinstance(event.seen, int) or event.after >= event.seen:
            return
        step = self.runs.step_of(event.intent)
        if step is not None and step.phase is Phase.SHED:
            self._makes_room(event, run, step)
            return
        ref = next((one for one in MOVED.values() if str(one) == event.workload), None)
        if ref is None or self.world.clusters[ClusterName(event.target)].settle(ref).ready < event.after:
            return  # more are wanted than serve: nothing that serves is taken away
        self._comes_after(event, run, step)
        serving = 0
        for name, place in self.world.clusters.items():
            if ref in place.workloads and not gone_for_long(self.world, name):
                ready = self._at_best(name, ref)
                serving += min(ready, event.after) if name == event.target else ready
        deleted = sum(found == ref for _, found in self.world.deleted)
        demand = REPLICAS * (len(self.world.clusters) - deleted)
        floor = min(app.floor for app in self.world.policy.applications)
        self.must(
            serving * 100 >= floor * demand * 0.8,
            event.at,
            f"{run.id} ({run.plan.run_kind}) shrinks {ref} at {event.target} to {event.after}: {serving} of {demand} left",
        )

    def _waited(self, event: trace.Event) -> None:
        if not isinstance(event, trace.Journaled) or not isinstance(event.entry.entry, StepDone):
            return
        run = self.runs.by_id.get(event.entry.run)
        name = event.entry.entry.step
        step = next((one for one in run.plan.steps if one.id == name), None) if run else None
        if run is None or step is None:
            return
        self.served[run.id].add(step.id)
        if not isinstance(step, WaitReadyStep):
            return
        told_old = (self.world.clusters[name].told_old_at for name, _, _ in step.targets)
        if any(event.at - at < LATELY_S for at in told_old):
            return  # their own servers say so: nobody can know better
        wanted = sum(count for _, _, count in step.targets)
        ready = sum(min(self._at_best(name, ref), count) for name, ref, count in step.targets)
        self.must(
            ready * 100 >= wanted * step.share,
            event.at,
            f"{step.id} is done: {ready} of {wanted} ready, {step.share} % are needed",
        )

    def _at_best(self, name: ClusterName, ref: WorkloadRef) -> int:
        """What was ready there within the age of a look."""
        place = self.world.clusters[name]
        return place.ready_since(ref, self.world.mono - LATELY_S)

    def _comes_after(self, event: trace.Applied, run: Opened, step: Step | None) -> None:
        """Everything that the plan puts before a removal is done: what grows instead, and the wait until it serves."""
        before, left = set[str](), set(step.needs if step else ())
        while left:
            before |= left
            left = {need for one in run.plan.steps if one.id in left for need in one.needs} - before
        missing = sorted(before - self.served[run.id])
        self.must(
            not missing,
            event.at,
            f"{run.id} shrinks {event.workload} at {event.target}, and {missing[:3]} were to come first",
        )

    def _makes_room(self, event: trace.Applied, run: Opened, step: Step) -> None:
        """What is given up is no removal of its own: a later tier's, for an earlier one's growth there that comes after it."""
        policy = {app.name: app for app in self.world.policy.applications}
        owner = policy.get(step.owner) if isinstance(step, ScaleStep) and step.owner else None
        asking = policy.get(step.application)
        may = owner is not None and asking is not None and owner.tier > asking.tier
        self.must(
            may and asking is not None and asking.on_shortage is OnShortage.SHED,
            event.at,
            f"{run.id} takes {event.workload} at {event.target} away, and nothing says that it may",
        )
        links = {step.id}  # what is given up little by little is followed by what grows
        for item in run.plan.steps:
            if isinstance(item, ScaleStep) and item.phase is Phase.SHED and links & set(item.needs):
                links.add(item.id)
        grows = any(
            isinstance(item, ScaleStep)
            and item.after > item.before
            and (item.application, item.cluster) == (step.application, event.target)
            and links & set(item.needs)
            for item in run.plan.steps
        )
        self.must(
            grows and event.target not in run.plan.sources,
            event.at,
            f"{run.id} takes {event.workload} at {event.target} away, and nothing grows there after it",
        )


class OneWriter(Oracle):
    invariant, about = (
        "I10",
        "a single writer is never started by automation, nor where another may still write",
    )

    def see(self, event: trace.Event) -> None:
        if not isinstance(event, trace.Applied) or event.kind != "scale" or event.workload != str(BOOKS):
            return
        if not isinstance(event.after, int) or not isinstance(event.seen, int) or event.after <= event.seen:
            return
        run = self.runs.of_intent(event.intent)
        if run is None or "single-writer" in run.plan.overrides:
            return
        self.must(not run.automatic, event.at, f"{run.id} starts {BOOKS} at {event.target} by itself")
        others = [
            str(name)
            for name, place in self.world.clusters.items()
            if name != event.target and BOOKS in place.workloads and not self.world.is_dead(name)
            if place.settle(BOOKS).ready
        ]
        self.must(
            not others, event.at, f"{run.id} starts {BOOKS} at {event.target}, and {others} still write"
        )


class ShedsForTheEarlier(Oracle):
    invariant, about = (
        "I9",
        "where a later tier may be made to give up, nothing of an earlier one is left without a place beside it",
    )

    BEFALL_ANY = ("api-429", "api-answers-lost", "api-conflict-storm")
    """Faults of one cluster that end by themselves, when so many requests have met them: it may not have been looked into since."""
    JUMPS = ("clock-forward", "clock-back")
    """What was seen before is too old then, or of no time at all, as for a controller that was started or woke up: each cluster
    must be seen to serve as often as `rise` says.
    """

    def __init__(self, world: World, runs: Runs) -> None:
        super().__init__(world, runs)
        self.troubled: set[str] = set()
        """Clusters that something was wrong with, or that somebody set aside: whether they are a target is another question."""
        self.jumped_at = float("-inf")
        self.whole = max(place.nodes for place in world.clusters.values())
        """Nodes of each; where some are lost replicas wait, and giving those up makes no room."""

    def see(self, event: trace.Event) -> None:
        if isinstance(event, trace.Turned):
            self.troubled.add(event.cluster)
        elif isinstance(event, trace.Lived):
            if event.what in ("boot", "thawed"):
                self.jumped_at = event.at
        elif isinstance(event, trace.Broke):
            self._look()
            if event.fault in self.JUMPS:
                self.jumped_at = event.at
            if event.fault in self.BEFALL_ANY:
                self.troubled |= set(map(str, self.world.clusters))
        elif isinstance(event, trace.Said) and event.verb == "cordon":
            self.troubled |= set(map(str, self.world.clusters))
        elif isinstance(event, trace.Journaled) and isinstance(event.entry.entry, RunOpened):
            self._look()
            self._opened(self.runs.by_id[event.entry.run], event.at)

    def _look(self) -> None:
        everything = set(map(str, self.world.clusters))
        if any(state.faults for state in self.world.vantages.values()) or self.world.paths.has("own-network"):
            self.troubled |= everything
        if any(life.alive and life.cut_off for life in self.world.lives):
            self.troubled |= everything  # one of them looks into nothing
        self.troubled |= everything & {str(key[-1]) for key in self.world.paths.on()}
        self.troubled |= {
            str(entry.name)
            for entry in self.world.policy.fleet.clusters
            if not self._can_be_seen(str(entry.region))
        }
        self.troubled |= {
            str(name)
            for name, place in self.world.clusters.items()
            if place.api or place.faults.down or place.limits or place.nodes < self.whole
        }

    def _can_be_seen(self, region: str) -> bool:
        """Whether a quorum of vantages outside it is left: what dies takes the vantages of its region with it."""
        heard = [
            state
            for state in self.world.vantages.values()
            if state.region != region and not self.world.is_cut_off(state)
        ]
        return len(heard) >= self.quorum

    def _victim_is_busy(self, run: Opened) -> bool:
        """Whoever is moved by another run at the moment gives nothing up."""
        return any(
            part.left_out is None and MOVED.get(part.application) == API
            for other in self.runs.by_id.values()
            if other.id != run.id and not other.closed
            for part in other.plan.applications
        )

    def _opened(self, run: Opened, at: float) -> None:
        shop = self.world.policy.applications[0]
        part = next((item for item in run.plan.applications if item.application == shop.name), None)
        if shop.on_shortage is not OnShortage.SHED or run.plan.run_kind not in UNPLANNED:
            return
        if part is None or part.left_out is not None or self._victim_is_busy(run):
            return
        timing = self.world.policy.fleet.timing
        if at - self.jumped_at < 1.5 * timing.rise * timing.interval_s:
            return
        given = {
            (shed.cluster, shed.workload): shed.after for item in run.plan.applications for shed in item.sheds
        }
        for row in part.placements:
            place = self.world.clusters[row.cluster]
            if row.workload != WEB or row.cluster in {*run.plan.sources, *self.troubled}:
                continue
            kept = given.get((row.cluster, API), place.workloads[API].wanted if API in place.workloads else 0)
            self.must(
                not part.unplaced or not kept,
                at,
                f"{run.id} leaves {part.unplaced} of {shop.name} unplaced, and {row.cluster} keeps {kept} of {API}",
            )


RADIUS = (BlastRadius, CapacityFloor, ShedsForTheEarlier, AddBeforeRemove, OneWriter)

"""I11 and I12: what a plan adds up to, whether there is room for it, and how fast it is carried out."""

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict

from failover.lab.simulation import trace
from failover.lab.simulation.fleet import BOOKS, MOVED
from failover.lab.simulation.world import World
from failover.model.ids import ClusterName
from failover.model.journal import IntentRecorded, RunOpened, ScaleChange
from failover.model.plan import ApplicationPlan, RunKind
from failover.model.policy import WorkloadRef
from failover.model.resources import CPU

from .base import LATELY_S, Opened, Oracle, Runs, late


class NoEmptyPlan(Oracle):
    invariant, about = (
        "I11",
        "no run without targets: what is lost is placed, or named as unplaced, and never in a source",
    )

    def __init__(self, world: World, runs: Runs) -> None:
        super().__init__(world, runs)
        self.sent: set[tuple[str, str, WorkloadRef]] = set()
        """By run: what it has set already. A target that is lost as well makes a source of it, and its row stays as it was."""

    def see(self, event: trace.Event) -> None:
        if isinstance(event, trace.Journaled) and isinstance(event.entry.entry, IntentRecorded):
            told = event.entry.entry.intent.change
            if isinstance(told, ScaleChange):
                self.sent.add((event.entry.run, told.cluster, told.workload))
        run = self.runs.decision(event)
        if run is None or run.plan.run_kind is RunKind.FAILBACK:
            return
        sources = set(run.plan.sources)
        for part in run.plan.applications:
            if part.left_out is not None:
                continue
            for row in part.placements:
                if row.after > row.before:
                    self.must(
                        row.cluster not in sources or (run.id, row.cluster, row.workload) in self.sent,
                        event.at,
                        f"{run.id} adds {row.workload} in {row.cluster}, which it moves away from",
                    )
            for change in part.records:
                self.must(
                    bool(change.after.values),
                    event.at,
                    f"{run.id} leaves {change.after.name} without a target",
                )
            self.must(
                part.lost <= part.replaced + part.unplaced,
                event.at,
                f"{run.id}: {part.application} loses {part.lost}, places {part.replaced}, names {part.unplaced}",
            )
            if not late(event):
                self._adds_up(run, part, event.at)

    def _adds_up(self, run: Opened, part: ApplicationPlan, at: float) -> None:
        """What is said to be replaced is what grows elsewhere; and as long as nobody has changed what is wanted anywhere, nor left
        out of the policy what runs it, what is lost is what the sources run, by the truth.
        """
        grown = sum(max(0, row.after - row.before) for row in part.placements)
        self.must(
            part.replaced <= grown,
            at,
            f"{run.id}: {part.application} replaces {part.replaced}, and adds {grown} by its placements",
        )
        if run.plan.run_kind is RunKind.REBALANCE:
            shrunk = sum(max(0, row.before - row.after) for row in part.placements)
            self.must(
                part.lost == shrunk == grown and not part.unplaced,
                at,
                f"{run.id}: {part.application} moves {part.lost}, gives up {shrunk} and adds {grown} by its placements",
            )
            return
        ref = MOVED[part.application]
        if self.world.deleted or self.world.were_left_out:
            return
        if any(place.stood for place in self.world.clusters.values()):
            return
        lost = sum(self.world.clusters[name].workloads[ref].wanted for name in run.plan.sources)
        books = sum(BOOKS in self.world.clusters[name].workloads for name in run.plan.sources)
        self.must(
            lost <= part.lost <= lost + books,
            at,
            f"{run.id}: {part.application} loses {part.lost}, and {lost} of {ref} are wanted in {list(run.plan.sources)}",
        )


class TargetsHaveRoom(Oracle):
    invariant, about = (
        "I11",
        "what a plan adds to a cluster fits there, beside what runs and stays",
    )

    def __init__(self, world: World, runs: Runs) -> None:
        super().__init__(world, runs)
        self.broke_at = float("-inf")

    def see(self, event: trace.Event) -> None:
        if isinstance(event, trace.Broke):
            self.broke_at = event.at
        run = self.runs.decision(event)
        if run is None or run.plan.overrides or event.at - self.broke_at < LATELY_S or late(event):
            return  # what broke in this moment nobody has looked into yet
        asked: dict[ClusterName, int] = defaultdict(int)
        for part in run.plan.applications:
            for row in part.placements if part.left_out is None else ():
                asked[row.cluster] += self._cpu_m(row.cluster, row.workload, row.after)
            for shed in part.sheds if part.left_out is None else ():
                asked[shed.cluster] += self._cpu_m(shed.cluster, shed.workload, shed.after)
        for name, cpu_m in asked.items():
            if cpu_m > 0:
                place = self.world.clusters[name]
                room = sum(node.by_name().get(CPU, 0) for node in place.free())
                self.must(
                    cpu_m <= room,
                    event.at,
                    f"{run.id} adds {cpu_m} m of CPU to {name}, which has {room} m left",
                )

    def _cpu_m(self, cluster: ClusterName, ref: WorkloadRef, after: int) -> int:
        """What it takes more than now: a run that is widened has begun already."""
        workload = self.world.clusters[cluster].workloads.get(ref)
        if workload is None:
            return 0
        return (after - workload.wanted) * workload.requests.by_name().get(CPU, 0)


class Velocity(Oracle):
    invariant, about = "I12", "changes per second and cluster stay under the limit"

    def __init__(self, world: World, runs: Runs) -> None:
        super().__init__(world, runs)
        self.sent: dict[tuple[str, str], list[float]] = defaultdict(list)
        """When each change that landed was about to be sent: a slow server may take two of them at once."""

    def see(self, event: trace.Event) -> None:
        if not isinstance(event, trace.Applied) or event.kind != "scale":
            return
        times = self.sent[event.holder, event.target]
        _, at = self.runs.intents.get(event.intent, (None, event.at))
        insort(times, at)
        limit = self.world.policy.guards.changes_per_second
        most = max(
            bisect_right(times, end) - bisect_right(times, end - 1.0)
            for end in times[bisect_left(times, at) : bisect_right(times, at + 1.0)]
        )
        self.must(most <= limit, event.at, f"{most} changes went to {event.target} in a second")


class ShareOfTheFleet(Oracle):
    invariant, about = "I12", "one change moves at most a share of what the fleet runs of a workload"

    def __init__(self, world: World, runs: Runs) -> None:
        super().__init__(world, runs)
        self.most: dict[str, int] = defaultdict(int)
        """By workload: the most that was ever wanted of it in the fleet. A plan was made for what ran some time before."""

    def see(self, event: trace.Event) -> None:
        opened = isinstance(event, trace.Journaled) and isinstance(event.entry.entry, RunOpened)
        if opened or isinstance(event, trace.Broke):
            self._count()
        if not isinstance(event, trace.Applied) or event.kind != "scale":
            return
        self._count()
        run, share = self.runs.of_intent(event.intent), self.world.policy.guards.share_per_step
        if share >= 1 or run is None or "share-per-step" in run.plan.overrides:
            return
        if not isinstance(event.after, int) or not isinstance(event.seen, int):
            return
        limit = max(1, int(share * self.most[event.workload] + 1e-9))
        moved = abs(event.after - event.seen)
        self.must(
            moved <= limit,
            event.at,
            f"{run.id} moves {moved} of {event.workload} at {event.target} in one change, at most {limit} may move",
        )

    def _count(self) -> None:
        for ref in (*MOVED.values(), BOOKS):
            wanted = sum(
                place.workloads[ref].wanted
                for place in self.world.clusters.values()
                if ref in place.workloads
            )
            self.most[str(ref)] = max(self.most[str(ref)], wanted)


PLANNED = (NoEmptyPlan, TargetsHaveRoom, Velocity, ShareOfTheFleet)

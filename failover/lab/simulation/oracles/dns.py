"""I13 to I15: what is published. Judged at every version of every zone."""

from failover.lab.simulation import trace
from failover.lab.simulation.fleet import TTL_S
from failover.lab.simulation.world import World
from failover.lab.twins.zone import TwinNameServer
from failover.model.journal import StepDone
from failover.model.plan import ChangeRecordsStep, Phase, RunKind
from failover.model.records import RecordSet, RecordType

from .base import LATELY_S, Oracle, Runs

OURS = frozenset({"shop.example.test.", "ledger.example.test."})


class NeverEmpty(Oracle):
    invariant, about = (
        "I13",
        "a managed record set is never empty, and automation removes no member that it does not move away from",
    )

    def see(self, event: trace.Event) -> None:
        if isinstance(event, trace.Published):
            found = {item.name: item for item in event.record_sets}
            for name in OURS:
                self.must(name in found and bool(found[name].values), event.at, f"{name} is empty")
        if isinstance(event, trace.Applied) and event.kind == "records" and event.change is not None:
            run = self.runs.of_intent(event.intent)
            if run is None or not run.unplanned:
                return
            for item in event.change.changes:
                self._removed(event, item.before, item.after, event.change.application)

    def _removed(
        self, event: trace.Applied, before: RecordSet | None, after: RecordSet, application: str
    ) -> None:
        for value in set(before.values if before else ()) - set(after.values):
            cluster = self.world.cluster_at(value)
            run = self.runs.of_intent(event.intent)
            if cluster is None or run is None:
                continue
            self.must(
                cluster in run.plan.sources,
                event.at,
                f"{run.id} takes {cluster} out of {after.name}, which it does not move away from",
            )


class OnlyOwnNames(Oracle):
    invariant, about = (
        "I14",
        "only names that we own are changed; never NS, SOA, DS; what others publish stays",
    )

    def __init__(self, world: World, runs: Runs) -> None:
        super().__init__(world, runs)
        published = [item for zone in self.world.zones.values() for item in zone.current.record_sets.values()]
        self.others = {item.key: item for item in published if item.name not in OURS}

    def see(self, event: trace.Event) -> None:
        if not isinstance(event, trace.Published):
            return
        others = {item.key: item for item in event.record_sets if item.name not in OURS}
        if event.by:
            changed = sorted(
                key for key in {*others, *self.others} if others.get(key) != self.others.get(key)
            )
            self.must(not changed, event.at, f"{event.by} changed {changed}, which is not ours")
            kinds = {item.record_type for item in event.record_sets if item.name in OURS}
            self.must(kinds <= {RecordType.A, RecordType.AAAA, RecordType.CNAME}, event.at, f"types {kinds}")
        self.others = others


class NoStalePlan(Oracle):
    invariant, about = (
        "I15",
        "what is changed is what was read; done means served; a drain waits for the old TTL",
    )

    def __init__(self, world: World, runs: Runs) -> None:
        super().__init__(world, runs)
        self.verified: dict[tuple[str, str], float] = {}
        self.answered: dict[str, float] = {}
        """By zone: when any of its servers last answered."""

    def see(self, event: trace.Event) -> None:
        for zone in self.world.zones.values():
            if any(not _mute(server) for server in zone.servers):
                self.answered[zone.zone.name] = event.at
        if isinstance(event, trace.Applied):
            if event.kind == "records":
                assert isinstance(event.expected, tuple)
                assert isinstance(event.seen, tuple)
                same = [_values(one) for one in event.expected] == [_values(one) for one in event.seen]
                self.must(same, event.at, f"{event.intent} expected {event.expected}, there was {event.seen}")
            elif event.kind == "scale":
                self._waited(event)
        if isinstance(event, trace.Journaled) and isinstance(event.entry.entry, StepDone):
            self._served(event, event.entry.entry)

    def _served(self, event: trace.Journaled, done: StepDone) -> None:
        run = self.runs.by_id.get(event.entry.run)
        step = next((one for one in run.plan.steps if one.id == done.step), None) if run else None
        if run is None or not isinstance(step, ChangeRecordsStep):
            return
        self.verified[run.id, step.application] = event.at
        zone = next(one for one in self.world.zones.values() if one.zone.name == step.zone)
        silent_s = event.at - self.answered.get(step.zone, float("-inf"))
        self.must(
            silent_s < LATELY_S,
            event.at,
            f"{done.step} is done, and no server of {step.zone} has answered for {silent_s:.1f} s",
        )
        wanted = {change.after.name: tuple(sorted(change.after.values)) for change in step.changes}
        now = {name: _values(zone.current.record_sets.get((name, RecordType.A))) for name in wanted}
        if now != wanted:
            return  # somebody changed it since: what was verified a moment ago cannot be seen any more
        for server in zone.servers:
            if _mute(server):
                continue
            seen = zone.seen_by(server).record_sets
            for name, values in wanted.items():
                served = _values(seen.get((name, RecordType.A)))
                self.must(served == values, event.at, f"{done.step} is done, {server.name} serves {served}")

    def _waited(self, event: trace.Applied) -> None:
        """The source of a drain shrinks after the old TTL has passed since its names were last verified."""
        run, step = self.runs.of_intent(event.intent), self.runs.step_of(event.intent)
        if run is None or run.plan.run_kind is not RunKind.DRAIN or event.target not in run.plan.sources:
            return
        if step is None or step.phase is not Phase.RELEASE:
            return  # a single writer stops before it starts elsewhere
        if (run.id, step.application) in self.verified:
            waited = event.at - self.verified[run.id, step.application]
            self.must(
                waited >= TTL_S,
                event.at,
                f"{run.id} takes {event.target} away {waited:.1f} s after its names",
            )


def _mute(server: TwinNameServer) -> bool:
    return bool(server.stopped or server.faults.silent or server.faults.servfail)


def _values(item: RecordSet | None) -> tuple[str, ...]:
    return tuple(sorted(item.values)) if item is not None else ()


DNS = (NeverEmpty, OnlyOwnNames, NoStalePlan)

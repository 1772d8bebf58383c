"""The order of one application's steps: capacity, then traffic, then (drain) release; single writers one by one."""

from dataclasses import dataclass, replace

from failover.model.ids import ClusterName, StepId
from failover.model.plan import Phase, RunKind, Shed, Step
from failover.model.policy import Application, TrafficOrder, WorkloadRef
from failover.planner.loss import Case
from failover.planner.placement import Move
from failover.planner.steps import WAIT_MARGIN_S, Builder, ids, old_ttl_s
from failover.planner.traffic import Traffic
from failover.planner.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOrder:
    """Orders the steps of one application that nothing speaks against."""

    world: World
    application: Application
    moves: tuple[Move, ...]
    traffic: Traffic
    sheds: tuple[Shed, ...] = ()
    regrown: tuple[tuple[Case, ClusterName, int], ...] = ()

    @property
    def build(self) -> Builder:
        return Builder(application=self.application.name)

    @property
    def is_drain(self) -> bool:
        return self.world.request.run_kind is RunKind.DRAIN

    @property
    def traffic_first(self) -> bool:
        return self.application.traffic is TrafficOrder.FIRST and not self.is_drain

    def steps(self) -> tuple[Step, ...]:
        """Makes room, adds in parallel, wait for the floor, records, wait for all; a drain then waits and releases."""
        shed = self._shed()
        grow = [step for move in self.moves if not move.single for step in self._grow(move)]
        waits = self._waits(tuple(ids(grow)), single=False)
        singles = self._singles(ids(waits[:1]) or ids(grow))
        waits_single = self._waits(ids(singles), single=True) if singles else []
        before_traffic = () if self.traffic_first else (*ids(waits[:1]), *ids(waits_single[:1]))
        records = self._records(before_traffic)
        release = self._release(records, (*ids(waits), *ids(waits_single))) if self.is_drain else []
        ordered: list[Step] = [*records] if self.traffic_first else []
        ordered += [*shed, *grow, *waits[:1], *singles, *waits_single[:1]]
        ordered += [] if self.traffic_first else records
        ordered += [*waits[1:], *waits_single[1:], *release]
        return tuple(ordered)

    def _shed(self) -> list[Step]:
        """Later tiers give up replicas before anything grows into their room; some find a place elsewhere."""
        steps: list[Step] = [
            self.build.shed(
                row, reason=f"{row.owner} gives up {row.before - row.after} for {row.made_room_for}"
            )
            for row in _one_each(self.sheds)
        ]
        for case, cluster, total in self.regrown:
            state = case.candidates[cluster][1]
            steps.append(
                replace(
                    self.build.scale(
                        cluster,
                        state.ref,
                        before=state.wanted,
                        after=total,
                        phase=Phase.CAPACITY,
                        reason=f"{case.application.name} gets {total - state.wanted} again that it gave up elsewhere",
                    ),
                    owner=case.application.name,
                )
            )
        return steps

    def _room_made(self, cluster: ClusterName) -> tuple[StepId, ...]:
        return tuple(self.build.shed(row, reason="").id for row in self.sheds if row.cluster == cluster)

    def _grow(self, move: Move, needs: tuple[StepId, ...] = ()) -> list[Step]:
        return [
            step
            for addition in move.additions
            for step in self.build.grow(
                addition.cluster,
                addition.state,
                after=addition.after,
                needs=(*needs, *dict.fromkeys(self._room_made(addition.cluster))),
                reason=f"takes {addition.added} of {move.loss.replicas} lost replicas",
            )
        ]

    def _waits(self, needs: tuple[StepId, ...], *, single: bool) -> list[Step]:
        """The floor for traffic, and then everything that was added, where that is more.

        Below 100 % the floor waits for no step: the survivors may carry it before the first addition is ready.
        """
        moves = [move for move in self.moves if move.single is single]
        rest = [(cluster, move.workload.ref, ready) for move in moves for cluster, ready in move.credited]
        added = [
            (addition.cluster, move.workload.ref, addition.ready + addition.added)
            for move in moves
            for addition in move.additions
        ]
        if not rest:
            return []
        build = self.build
        name = "single" if single else "many"
        if self.is_drain or self.traffic_first:
            every = rest if self.is_drain else added
            return (
                [build.wait_ready(f"{name}-all", every, needs=needs, reason="all of it must be ready")]
                if every
                else []
            )
        demand = sum(move.loss.demand for move in moves)
        share = _share(self.application.floor * demand, sum(row[2] for row in rest))
        floor = build.wait_ready(
            f"{name}-floor",
            rest,
            share=share,
            needs=needs if share == 100 else (),
            reason=f"traffic moves once {share} % of {sum(row[2] for row in rest)} replicas of the rest are ready "
            f"(floor {self.application.floor} % of {demand})",
        )
        if not added or share == 100:
            return [floor]
        return [
            floor,
            build.wait_ready(
                f"{name}-all", added, needs=needs, reason="every lost replica that found a place is ready"
            ),
        ]

    def _singles(self, needs: tuple[StepId, ...]) -> list[Step]:
        """Stop the writer where it can be asked, prove it gone, then start it elsewhere (I10)."""
        steps: list[Step] = []
        for move in self.moves:
            if not move.single or not move.additions:
                continue
            gone: list[StepId] = []
            for source in running_sources(self.world, move):
                if not self.world.control_is_up(source):
                    continue
                state = self.world.states[(source, move.workload.ref)]
                stop = self.build.scale(
                    source,
                    state.ref,
                    before=state.wanted,
                    after=0,
                    phase=Phase.CAPACITY,
                    needs=needs,
                    reason="a single writer stops before it starts elsewhere",
                )
                prove = self.build.prove_gone(
                    source, state.ref, needs=(stop.id,), reason="no replica may be left before another starts"
                )
                steps += [stop, prove]
                gone.append(prove.id)
            steps += self._grow(move, tuple(gone) or needs)
        return steps

    def _records(self, needs: tuple[StepId, ...]) -> list[Step]:
        names = ", ".join(sorted(self.world.sources))
        return [
            step
            for zone, changes in self.traffic.by_zone().items()
            for step in self.build.change_records_in_parts(
                self.world,
                zone,
                changes,
                needs=needs,
                reason=f"clients leave {names}, and reach the clusters that carry on",
            )
        ]

    def _release(self, records: list[Step], ready: tuple[StepId, ...]) -> list[Step]:
        """Once nobody may still hold the old answer, what the sources run is taken down (I15)."""
        steps: list[Step] = []
        needs = ready
        changes = [change for _, change in self.traffic.changes]
        if records:
            ttl = old_ttl_s(changes)
            wait = self.build.wait(
                ttl + WAIT_MARGIN_S,
                needs=(*ids(records), *ready),
                reason=f"resolvers may hold the old answer for its TTL of {ttl:g} s; {WAIT_MARGIN_S:g} s of margin",
            )
            steps.append(wait)
            needs = (wait.id,)
        for move in self.moves:
            if move.single and move.additions:
                continue
            for source in running_sources(self.world, move):
                state = self.world.states[(source, move.workload.ref)]
                steps.append(
                    self.build.scale(
                        source,
                        state.ref,
                        before=state.wanted,
                        after=0,
                        phase=Phase.RELEASE,
                        needs=needs,
                        reason="drained: its replicas run elsewhere",
                    )
                )
        return steps


def _one_each(sheds: tuple[Shed, ...]) -> list[Shed]:
    """One change an object: what several workloads of the application need of it is taken at once."""
    found: dict[tuple[ClusterName, WorkloadRef], Shed] = {}
    for row in sheds:
        key = (row.cluster, row.workload)
        found[key] = replace(found[key], after=row.after) if key in found else row
    return list(found.values())


def running_sources(world: World, move: Move) -> list[ClusterName]:
    """Sources that want replicas of this workload, as last seen."""
    return sorted(
        rule.cluster
        for rule in move.workload.placement
        if rule.cluster in world.sources
        and (state := world.state(rule.cluster, move.workload.ref)) is not None
        and state.wanted > 0
    )


def _share(floor_of_demand: int, total: int) -> int:
    """Percent of `total` that makes up the floor (`floor_of_demand` in hundredths of replicas), rounded up."""
    if total <= 0:
        return 100
    return max(1, min(100, -(-floor_of_demand // total)))

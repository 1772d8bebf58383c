"""One application's part of an evacuation, a steering or a drain: capacity, then traffic, then (drain) release."""

from dataclasses import dataclass, replace

from failover.model.ids import ClusterName, StepId
from failover.model.plan import ApplicationPlan, Phase, Placement, RunKind, ScaleStep, Step
from failover.model.policy import Application, OnShortage, TrafficOrder
from failover.model.reasons import Refusal
from failover.planner.capacity import FreeCapacity
from failover.planner.eligibility import broken_there
from failover.planner.placement import Move, Targets, place_workload
from failover.planner.steps import WAIT_MARGIN_S, Builder, ids, old_ttl_s
from failover.planner.traffic import Traffic, plan_traffic
from failover.planner.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """An application's part of a plan, and its steps (none where it is left out)."""

    plan: ApplicationPlan
    steps: tuple[Step, ...] = ()


def plan_forward(world: World, application: Application, free: FreeCapacity, targets: Targets) -> Part:
    """Move one application off the sources, or say why it is left out. Room taken for nothing is given back."""
    mark = free.mark()
    moves = tuple(
        place_workload(world, application, workload, free, targets) for workload in application.workloads
    )
    traffic = _traffic(world, application, moves, targets)
    refusal = (
        _single_writer_refusal(world, application, moves)
        or _shortage_refusal(world, application, moves)
        or traffic.refusal
    )
    notes = dict.fromkeys(note for move in moves for note in move.notes)
    notes.update(dict.fromkeys(traffic.notes))
    if refusal is None:
        notes.update(dict.fromkeys(_warnings(world, application, moves)))
    part = ApplicationPlan(
        application=application.name,
        mode=application.mode,
        left_out=refusal,
        notes=tuple(notes),
        placements=tuple(placement for move in moves for placement in move.placements),
        records=() if refusal else tuple(change for _, change in traffic.changes),
        lost=sum(move.loss.replicas for move in moves),
        replaced=sum(move.replaced for move in moves),
        unplaced=sum(move.unplaced for move in moves),
        demand=sum(move.loss.demand for move in moves),
        capacity_after=sum(move.capacity for move in moves),
    )
    if refusal is not None:
        free.give_back(mark)
        return Part(plan=part)
    steps = _Sequence(world=world, application=application, moves=moves, traffic=traffic).steps()
    return Part(plan=replace(part, placements=_with_sources(world, part.placements, steps)), steps=steps)


# -- what may not be done ------------------------------------------------------------------------------------------


def _single_writer_refusal(world: World, application: Application, moves: tuple[Move, ...]) -> Refusal | None:
    """Automation never moves a single writer; a person drains it, or names the rule."""
    singles = [move for move in moves if move.single and (move.loss.replicas or move.loss.unknown)]
    request = world.request
    if not singles or "single-writer" in request.overrides:
        return None
    if request.by_person and request.run_kind is RunKind.DRAIN:
        return None
    names = ", ".join(str(move.workload.ref) for move in singles)
    gates = sorted({move.workload.fence_gate for move in singles if move.workload.fence_gate})
    if gates:
        why = f"its fence gate {', '.join(gates)} cannot be asked by this version"
    else:
        why = "no fence gate is named, and the old writer may be alive behind a partition"
    return Refusal(
        code="single-writer",
        sentence=f"{names} has a single writer: {why}",
        evidence=tuple(f"workload={move.workload.ref}" for move in singles),
        application=application.name,
    )


def _shortage_refusal(world: World, application: Application, moves: tuple[Move, ...]) -> Refusal | None:
    """I9 and I11: what the rest can carry decides whether anything moves."""
    nobody = [move for move in moves if move.loss.replicas and not move.capacity]
    if nobody:
        return Refusal(
            code="no-target",
            sentence=(
                f"no eligible cluster has room for {nobody[0].workload.ref} "
                f"({nobody[0].loss.replicas} replicas lost) and none runs it; the source stays as it is"
            ),
            evidence=tuple(f"workload={move.workload.ref}" for move in nobody),
            application=application.name,
            overridable=False,
        )
    short = [move for move in moves if move.below_floor(application.floor)]
    if not short or "capacity-floor" in world.request.overrides:
        return None
    planned = world.request.run_kind is RunKind.DRAIN
    if application.on_shortage is OnShortage.PARTIAL and not planned:
        return None
    evidence = tuple(
        f"{move.workload.ref}: capacity={move.capacity} demand={move.loss.demand}" for move in short
    )
    worst = short[0]
    sentence = (
        f"the rest would carry {worst.capacity} of {worst.loss.demand} replicas of {worst.workload.ref}, "
        f"below the floor of {application.floor} %"
    )
    if application.on_shortage is OnShortage.SHED and not planned:
        return Refusal(
            code="shed",
            sentence=f"{sentence}; onShortage is shed, which this version cannot do",
            evidence=evidence,
            application=application.name,
        )
    why = "a drain is planned and waits for room" if planned else "onShortage is hold"
    return Refusal(
        code="capacity-floor",
        sentence=f"{sentence}; {why}",
        evidence=evidence,
        application=application.name,
    )


def _warnings(world: World, application: Application, moves: tuple[Move, ...]) -> tuple[str, ...]:
    notes = []
    for move in moves:
        if move.unplaced:
            notes.append(
                f"{move.unplaced} of {move.loss.replicas} lost replicas of {move.workload.ref} have no place"
            )
        if move.below_floor(application.floor):
            notes.append(
                f"{move.workload.ref} goes on with {move.capacity} of {move.loss.demand} replicas, below the floor "
                f"of {application.floor} %: traffic moves anyway"
            )
        if move.single and move.loss.replicas:
            for source in _running_sources(world, move):
                if not world.control_is_up(source):
                    notes.append(
                        f"{source} cannot be asked: the old writer of {move.workload.ref} may still run there"
                    )
    away = [source for source in sorted(world.sources) if not world.control_is_up(source)]
    if away and any(move.loss.replicas for move in moves):
        notes.append(f"{', '.join(away)} gets no step; its replicas are duplicates if it returns")
    return tuple(notes)


# -- traffic -------------------------------------------------------------------------------------------------------


def _traffic(world: World, application: Application, moves: tuple[Move, ...], targets: Targets) -> Traffic:
    carried: dict[ClusterName, list[bool]] = {}
    for move in moves:
        if move.single and any(not other.single for other in moves):
            continue
        if not any(placement.after for placement in move.placements):
            continue
        for placement in move.placements:
            carried.setdefault(placement.cluster, []).append(placement.after > 0)

    def takes_traffic(cluster: ClusterName) -> bool:
        if targets.get(cluster) is not None or broken_there(world, application, cluster):
            return False
        if not application.workloads or world.application_serves(application.name, cluster):
            return True
        rows = carried.get(cluster, [])
        return bool(rows) and all(rows)

    added = frozenset(addition.cluster for move in moves for addition in move.additions)
    return plan_traffic(world, application, added, takes_traffic)


# -- steps ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sequence:
    """Orders the steps of one application that nothing speaks against."""

    world: World
    application: Application
    moves: tuple[Move, ...]
    traffic: Traffic

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
        """Adds in parallel, wait for the floor, records, wait for all; a drain then waits and releases."""
        grow = [step for move in self.moves if not move.single for step in self._grow(move)]
        waits = self._waits(tuple(ids(grow)), single=False)
        singles = self._singles(ids(waits[:1]) or ids(grow))
        waits_single = self._waits(ids(singles), single=True) if singles else []
        before_traffic = () if self.traffic_first else (*ids(waits[:1]), *ids(waits_single[:1]))
        records = self._records(before_traffic)
        release = self._release(records, (*ids(waits), *ids(waits_single))) if self.is_drain else []
        ordered: list[Step] = [*records] if self.traffic_first else []
        ordered += [*grow, *waits[:1], *singles, *waits_single[:1]]
        ordered += [] if self.traffic_first else records
        ordered += [*waits[1:], *waits_single[1:], *release]
        return tuple(ordered)

    def _grow(self, move: Move, needs: tuple[StepId, ...] = ()) -> list[Step]:
        return [
            step
            for addition in move.additions
            for step in self.build.grow(
                addition.cluster,
                addition.state,
                after=addition.after,
                needs=needs,
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
            for source in _running_sources(self.world, move):
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
            self.build.change_records(
                zone,
                changes,
                needs=needs,
                reason=f"clients leave {names}, and reach the clusters that carry on",
            )
            for zone, changes in self.traffic.by_zone().items()
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
            for source in _running_sources(self.world, move):
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


def _running_sources(world: World, move: Move) -> list[ClusterName]:
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


def _with_sources(
    world: World, placements: tuple[Placement, ...], steps: tuple[Step, ...]
) -> tuple[Placement, ...]:
    """Rows of the sources as the steps leave them."""
    after = {
        (step.cluster, step.workload): step.after
        for step in steps
        if isinstance(step, ScaleStep) and step.cluster in world.sources
    }
    return tuple(
        replace(row, after=after[(row.cluster, row.workload)], reason="source: stops here")
        if (row.cluster, row.workload) in after
        else row
        for row in placements
    )

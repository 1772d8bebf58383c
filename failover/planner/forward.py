"""One application's part of an evacuation, a steering or a drain: capacity, then traffic, then (drain) release."""

from dataclasses import dataclass, replace

from failover.model.ids import ClusterName
from failover.model.plan import ApplicationPlan, Placement, RunKind, ScaleStep, Step
from failover.model.policy import Application, OnShortage
from failover.model.reasons import Refusal
from failover.planner.eligibility import broken_there
from failover.planner.loss import Case, Targets
from failover.planner.placement import Move, move_of
from failover.planner.sequence import StepOrder, running_sources
from failover.planner.together import Together
from failover.planner.traffic import Traffic, plan_traffic
from failover.planner.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """An application's part of a plan, and its steps (none where it is left out)."""

    plan: ApplicationPlan
    steps: tuple[Step, ...] = ()


def plan_forward(
    world: World, application: Application, cases: tuple[Case, ...], together: Together, targets: Targets
) -> Part:
    """Move one application off the sources, or say why it is left out. `cases`: its own, as `together` placed them."""
    moves = tuple(move_of(world, case, together, targets) for case in cases)
    traffic = _traffic(world, application, moves, targets)
    aside = frozenset[ClusterName]().union(*(case.aside for case in cases))
    if aside and traffic.changes:
        moves = tuple(move.without(aside) for move in moves)
    refusal = (
        _single_writer_refusal(world, application, moves)
        or (
            None
            if _is_settled(moves, traffic)
            else _shortage_refusal(world, application, moves, _aside_told(aside, targets))
        )
        or traffic.refusal
    )
    sheds = together.sheds.get(application.name, ())
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
        sheds=() if refusal else sheds,
        records=() if refusal else tuple(change for _, change in traffic.changes),
        record_zones=() if refusal else tuple(zone for zone, _ in traffic.changes),
        lost=sum(move.loss.replicas for move in moves),
        replaced=sum(move.replaced for move in moves),
        unplaced=sum(move.unplaced for move in moves),
        demand=sum(move.loss.demand for move in moves),
        capacity_after=sum(move.capacity for move in moves),
    )
    if refusal is not None:
        return Part(plan=part)
    steps = StepOrder(
        world=world,
        application=application,
        moves=moves,
        traffic=traffic,
        sheds=sheds,
        regrown=together.regrown.get(application.name, ()),
    ).steps()
    return Part(plan=replace(part, placements=_with_sources(world, part.placements, steps)), steps=steps)


def _is_settled(moves: tuple[Move, ...], traffic: Traffic) -> bool:
    """Nothing is lost that is not replaced already, and no name changes: there is nothing that a shortage could forbid."""
    return not traffic.changes and not any(move.loss.replicas or move.loss.unknown for move in moves)


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


def _aside_told(aside: frozenset[ClusterName], targets: Targets) -> str:
    """What runs and is not counted, and why: whoever reads it may lift a cordon."""
    told = [
        f"{cluster} ({refusal.sentence})"
        for cluster in sorted(aside)
        if (refusal := targets.get(cluster)) is not None
    ]
    return f"; what runs in {', '.join(told)} is not counted: no name sends clients there" if told else ""


def _shortage_refusal(
    world: World, application: Application, moves: tuple[Move, ...], aside: str
) -> Refusal | None:
    """I9 and I11: what the rest can carry decides whether anything moves. An unknown demand is not an empty one."""
    unseen = [move for move in moves if move.loss.unknown and not move.loss.demand]
    if unseen and "capacity-floor" not in world.request.overrides:
        return Refusal(
            code="capacity-floor",
            sentence=(
                f"how many replicas of {unseen[0].workload.ref} are needed is unknown: no source was ever seen, and no "
                "demand is on record"
            ),
            evidence=tuple(f"workload={move.workload.ref}" for move in unseen),
            application=application.name,
        )
    nobody = [move for move in moves if move.loss.replicas and not move.capacity]
    if nobody:
        return Refusal(
            code="no-target",
            sentence=(
                f"no eligible cluster has room for {nobody[0].workload.ref} "
                f"({nobody[0].loss.replicas} replicas lost) and none runs it; the source stays as it is{aside}"
            ),
            evidence=tuple(f"workload={move.workload.ref}" for move in nobody),
            application=application.name,
            overridable=False,
        )
    short = [move for move in moves if move.below_floor(application.floor)]
    if not short or "capacity-floor" in world.request.overrides:
        return None
    planned = world.request.run_kind is RunKind.DRAIN
    if application.on_shortage is not OnShortage.HOLD and not planned:
        return None
    evidence = tuple(
        f"{move.workload.ref}: capacity={move.capacity} demand={move.loss.demand}" for move in short
    )
    worst = short[0]
    sentence = (
        f"the rest would carry {worst.capacity} of {worst.loss.demand} replicas of {worst.workload.ref}, "
        f"below the floor of {application.floor} %"
    )
    why = "a drain is planned and waits for room" if planned else "onShortage is hold"
    return Refusal(
        code="capacity-floor",
        sentence=f"{sentence}; {why}{aside}",
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
            for source in running_sources(world, move):
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

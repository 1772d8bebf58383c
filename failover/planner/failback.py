"""One application's way home: what finished runs took from the sources is brought back, then the stand-ins shrink."""

from failover.model.ids import StepId
from failover.model.plan import ApplicationPlan, Phase, Placement, Step
from failover.model.policy import Application
from failover.model.reasons import Refusal
from failover.model.snapshot import Displacement
from failover.planner.capacity import FreeCapacity
from failover.planner.forward import Part
from failover.planner.giving_back import GivingBack, give_back, give_back_steps
from failover.planner.ramp import Ramp, plan_ramp
from failover.planner.returning import Return, emptied, way_home
from failover.planner.steps import WAIT_MARGIN_S, Builder, ids, old_ttl_s
from failover.planner.world import World


def plan_return(
    world: World,
    application: Application,
    free: FreeCapacity,
    displacements: tuple[Displacement, ...],
    moved_on: Refusal | None,
) -> Part:
    """Bring one application home, or say why it is left out. `moved_on`: why none of these can be undone yet."""
    mark = free.mark()
    returns = tuple(
        way_home(world, workload, application, displacements) for workload in application.workloads
    )
    ramp = plan_ramp(world, application, displacements, emptied(world, application, returns))
    refusal = (
        moved_on
        or _single_writer_refusal(world, application, returns)
        or _room_refusal(application, returns, free)
        or ramp.refusal
    )
    back = give_back(world, application, displacements, returns, free)
    missing = sum(home.missing for item in returns for home in item.homes)
    demand, capacity = _capacity(world, application, returns)
    part = ApplicationPlan(
        application=application.name,
        mode=application.mode,
        left_out=refusal,
        notes=(*(note for item in returns for note in item.notes), *ramp.notes, *back.notes),
        placements=tuple(row for item in returns for row in _placements(world, item)),
        sheds=() if refusal else back.sheds,
        records=() if refusal else tuple(change for _, change in ramp.net),
        record_zones=() if refusal else tuple(zone for zone, _ in ramp.net),
        lost=missing,
        replaced=0 if refusal else missing,
        unplaced=missing if refusal else 0,
        demand=demand,
        capacity_after=capacity,
    )
    if refusal is not None:
        free.give_back(mark)
        return Part(plan=part)
    return Part(plan=part, steps=_steps(world, application, returns, ramp, back))


# -- what may not be done ------------------------------------------------------------------------------------------


def _single_writer_refusal(
    world: World, application: Application, returns: tuple[Return, ...]
) -> Refusal | None:
    moving = [item for item in returns if item.single and item.homes and (item.stand_ins or item.unasked)]
    if not moving or "single-writer" in world.request.overrides:
        return None
    both = [item for item in moving if item.stand_ins and any(home.state.wanted for home in item.homes)]
    unasked = [item for item in moving if item.unasked and any(home.missing for home in item.homes)]
    if unasked:
        sentence = (
            f"{unasked[0].workload.ref} has a single writer, and may run in {', '.join(unasked[0].unasked)}, which cannot be "
            "asked: it starts at home once nobody else can be writing, or by a person's word"
        )
    elif both:
        sentence = (
            f"{both[0].workload.ref} has a single writer and runs in {both[0].homes[0].cluster} and in "
            f"{both[0].stand_ins[0].cluster}: a person decides which one holds the data"
        )
    elif not world.request.by_person and any(item.stand_ins for item in moving):
        sentence = f"{moving[0].workload.ref} has a single writer: automation does not bring it home"
    else:
        return None
    return Refusal(
        code="single-writer",
        sentence=sentence,
        evidence=tuple(f"workload={item.workload.ref}" for item in moving),
        application=application.name,
    )


def _room_refusal(
    application: Application, returns: tuple[Return, ...], free: FreeCapacity
) -> Refusal | None:
    """I26: the home must hold what it held before."""
    for item in returns:
        for home in item.homes:
            room = free.places(home.cluster, home.state.requests)
            if home.missing > room:
                return Refusal(
                    code="no-target",
                    sentence=(
                        f"{home.cluster} has room for {room} of the {home.missing} replicas of "
                        f"{item.workload.ref} that return; the stand-ins stay"
                    ),
                    evidence=(f"room={room}", f"missing={home.missing}"),
                    application=application.name,
                    overridable=False,
                )
            if home.missing > 0:
                free.take(home.cluster, home.state.requests, home.missing)
    return None


# -- the part ------------------------------------------------------------------------------------------------------


def _capacity(world: World, application: Application, returns: tuple[Return, ...]) -> tuple[int, int]:
    """(demand, replicas ready or brought back once the stand-ins have shrunk).

    While home and stand-ins run the same replicas twice, the duplicates may have entered the demand (the highest ready
    count of a day): nobody misses them.
    """
    demand, capacity = 0, 0
    for item in returns:
        after = {stand_in.cluster: stand_in.after for stand_in in item.stand_ins}
        after |= {home.cluster: home.after for home in item.homes}
        total = sum(after.values())
        for rule in item.workload.placement:
            state = world.state(rule.cluster, item.workload.ref)
            if state is not None and rule.cluster not in after and world.credited(rule.cluster):
                total += min(state.ready, state.wanted)
        given_back = sum(stand_in.state.wanted - stand_in.after for stand_in in item.stand_ins)
        duplicates = max(0, given_back - sum(home.missing for home in item.homes))
        known = world.demands.get((application.name, item.workload.ref))
        demand += total if known is None else max(min(known.replicas, total), known.replicas - duplicates)
        capacity += total
    return demand, capacity


def _placements(world: World, item: Return) -> tuple[Placement, ...]:
    homes = {home.cluster: home for home in item.homes}
    stand_ins = {stand_in.cluster: stand_in for stand_in in item.stand_ins}
    rows = []
    for rule in sorted(item.workload.placement, key=lambda rule: rule.cluster):
        state = world.state(rule.cluster, item.workload.ref)
        if state is None:
            continue
        after, reason = state.wanted, f"keeps {state.wanted}"
        if rule.cluster in homes:
            after = homes[rule.cluster].after
            reason = f"home: {after} as before" if after > state.wanted else f"home: runs {after} already"
        elif rule.cluster in stand_ins:
            after = stand_ins[rule.cluster].after
            reason = f"stand-in: gives back {state.wanted - after}, keeps {after}"
        rows.append(
            Placement(
                workload=item.workload.ref,
                cluster=rule.cluster,
                before=state.wanted,
                after=after,
                ready=min(state.ready, state.wanted),
                reason=reason,
            )
        )
    return tuple(rows)


def _steps(
    world: World, application: Application, returns: tuple[Return, ...], ramp: Ramp, back: GivingBack
) -> tuple[Step, ...]:
    """Home first and ready, then clients by stages, then the stand-ins shrink once no old answer is left."""
    build = Builder(application=application.name)
    many = [item for item in returns if not item.single]
    grow: list[Step] = [step for item in many for step in _grow(build, item, ())]
    ready = _wait(build, "many-home", many, ids(grow))
    needs = ids(ready)
    singles: list[Step] = []
    for item in returns:
        if item.single and item.homes and item.stand_ins:
            singles += _stop_prove_start(build, item, needs)
        elif item.single:
            singles += _grow(build, item, needs)
    ready_singles = _wait(
        build, "single-home", [item for item in returns if item.single], ids(singles) or needs
    )
    needs = (*needs, *ids(ready_singles))
    records: list[Step] = []
    for index, stage in enumerate(ramp.stages):
        changes = [
            step
            for zone, zone_changes in stage.changes
            for step in build.change_records_in_parts(
                world,
                zone,
                zone_changes,
                traffic_percent=stage.real_percent[zone],
                needs=needs,
                reason=stage.reason,
            )
        ]
        ttl = old_ttl_s(change for _, zone_changes in stage.changes for change in zone_changes)
        last = index == len(ramp.stages) - 1
        wait = build.wait(
            ttl + (WAIT_MARGIN_S if last else 0.0),
            needs=ids(changes),
            reason=f"the old TTL of {ttl:g} s before the {'stand-ins shrink' if last else 'next stage'}",
        )
        records += [*changes, wait]
        needs = (wait.id,)
    release = [step for item in many for step in _shrink(build, item, needs)]
    regain = give_back_steps(build, back, ids(release) or needs)
    return (*grow, *ready, *singles, *ready_singles, *records, *release, *regain)


def _grow(build: Builder, item: Return, needs: tuple[StepId, ...]) -> list[Step]:
    return [
        build.scale(
            home.cluster,
            home.state.ref,
            before=home.state.wanted,
            after=home.after,
            phase=Phase.CAPACITY,
            needs=needs,
            reason="back to what ran here before",
        )
        for home in item.homes
        if home.missing > 0
    ]


def _wait(build: Builder, name: str, items: list[Return], needs: tuple[StepId, ...]) -> list[Step]:
    targets = [
        (home.cluster, item.workload.ref, home.after) for item in items for home in item.homes if home.after
    ]
    if not targets:
        return []
    return [build.wait_ready(name, targets, needs=needs, reason="all that returns must be ready at home")]


def _stop_prove_start(build: Builder, item: Return, needs: tuple[StepId, ...]) -> list[Step]:
    """A single writer: stop it where it stands in, prove it gone, start it at home (I10)."""
    steps: list[Step] = []
    gone: list[StepId] = []
    for stand_in in item.stand_ins:
        stop: list[Step] = []
        if stand_in.state.wanted:  # else it is on its way out already
            stop.append(
                build.scale(
                    stand_in.cluster,
                    stand_in.state.ref,
                    before=stand_in.state.wanted,
                    after=0,
                    phase=Phase.CAPACITY,
                    needs=needs,
                    reason="a single writer stops before it starts at home",
                )
            )
        prove = build.prove_gone(
            stand_in.cluster,
            stand_in.state.ref,
            needs=ids(stop) or needs,
            reason="no replica may be left before another starts",
        )
        steps += [*stop, prove]
        gone.append(prove.id)
    return [*steps, *_grow(build, item, tuple(gone))]


def _shrink(build: Builder, item: Return, needs: tuple[StepId, ...]) -> list[Step]:
    steps: list[Step] = []
    for stand_in in item.stand_ins:
        minimum: list[Step] = []
        if stand_in.minimum_after is not None:
            minimum.append(
                build.scale_minimum(
                    stand_in.cluster,
                    stand_in.state,
                    after=stand_in.minimum_after,
                    phase=Phase.RELEASE,
                    needs=needs,
                    reason="its autoscaler's minimum as before; it shrinks with the load",
                )
            )
        if stand_in.after < stand_in.state.wanted and (not minimum or stand_in.after == 0):
            minimum.append(
                build.scale(
                    stand_in.cluster,
                    stand_in.state.ref,
                    before=stand_in.state.wanted,
                    after=stand_in.after,
                    phase=Phase.RELEASE,
                    needs=(*needs, *ids(minimum)),
                    reason="gives back what it took over",
                )
            )
        steps += minimum
    return steps

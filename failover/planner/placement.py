"""What one workload gets out of the joint placement: who takes more, what found no place, and why."""

import re
from dataclasses import dataclass, replace

from failover.model.ids import ClusterName
from failover.model.inventory import WorkloadState
from failover.model.plan import Placement
from failover.model.policy import Application, PlacementRule, Workload
from failover.planner.eligibility import broken_there
from failover.planner.loss import Case, Loss, Targets
from failover.planner.together import Together
from failover.planner.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition:
    """One cluster that takes more. `ready`: before; totals, not differences."""

    cluster: ClusterName
    state: WorkloadState
    before: int
    after: int

    @property
    def ready(self) -> int:
        return min(self.state.ready, self.before)

    @property
    def added(self) -> int:
        return self.after - self.before


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One workload's part: what was lost, who takes it, what found no place, and what each cluster then holds.

    `credited`: (cluster, replicas that are ready there now or were added), the ready capacity of the rest (I9).
    """

    workload: Workload
    single: bool
    loss: Loss
    additions: tuple[Addition, ...]
    credited: tuple[tuple[ClusterName, int], ...]
    placements: tuple[Placement, ...]
    notes: tuple[str, ...]

    @property
    def replaced(self) -> int:
        return sum(addition.added for addition in self.additions)

    @property
    def unplaced(self) -> int:
        return max(0, self.loss.replicas - self.replaced)

    @property
    def capacity(self) -> int:
        return sum(ready for _, ready in self.credited)

    def without(self, clusters: frozenset[ClusterName]) -> "Move":
        """The same, and these clusters are credited with nothing."""
        return replace(self, credited=tuple(row for row in self.credited if row[0] not in clusters))

    def below_floor(self, floor: int) -> bool:
        """The rest would carry less than `floor` percent of the demand."""
        return self.capacity * 100 < floor * self.loss.demand


def move_of(world: World, case: Case, together: Together, targets: Targets) -> Move:
    """What the joint placement gives to one workload."""
    totals = together.totals.get(case.key, {})
    additions = tuple(
        Addition(cluster=cluster, state=state, before=state.wanted, after=totals[cluster])
        for cluster, (_, state) in case.candidates.items()
        if totals.get(cluster, 0) > state.wanted
    )
    given_up = _given_up(case, together)
    notes = dict.fromkeys(case.notes)
    notes.update(dict.fromkeys(together.findings.get(case.key, ())))
    if case.loss.replicas and (note := case.request()[1]):
        notes[note] = None
    return Move(
        workload=case.workload,
        single=case.single,
        loss=case.loss,
        additions=additions,
        credited=_credited(world, case.application, case.workload, additions, given_up),
        placements=_placements(world, case, together, targets, given_up),
        notes=tuple(notes),
    )


def _given_up(case: Case, together: Together) -> dict[ClusterName, int]:
    """What it gives up itself, by cluster, for applications of an earlier tier."""
    found: dict[ClusterName, int] = {}
    for rows in together.sheds.values():
        for row in rows:
            if (row.owner, row.workload) == (case.application.name, case.workload.ref):
                found[row.cluster] = found.get(row.cluster, 0) + row.before - row.after
    return found


def _credited(
    world: World,
    application: Application,
    workload: Workload,
    additions: tuple[Addition, ...],
    given_up: dict[ClusterName, int],
) -> tuple[tuple[ClusterName, int], ...]:
    added = {addition.cluster: addition.added for addition in additions}
    result = []
    for cluster in sorted(rule.cluster for rule in workload.placement):
        state = world.state(cluster, workload.ref)
        if state is None or not world.credited(cluster) or world.application_broken(application, cluster):
            continue
        kept = min(state.ready, max(0, state.wanted - given_up.get(cluster, 0)))
        ready = kept + added.get(cluster, 0)
        if ready:
            result.append((cluster, ready))
    return tuple(result)


def _placements(
    world: World, case: Case, together: Together, targets: Targets, given_up: dict[ClusterName, int]
) -> tuple[Placement, ...]:
    """One row for every cluster that holds the object, sources included."""
    workload, totals = case.workload, together.totals.get(case.key, {})
    regrown = {
        cluster: total
        for found in together.regrown.values()
        for victim, cluster, total in found
        if victim.key == case.key
    }
    rows = []
    for rule in sorted(workload.placement, key=lambda rule: rule.cluster):
        state = world.state(rule.cluster, workload.ref)
        if state is None:
            continue
        after = state.wanted - given_up.get(rule.cluster, 0)
        if rule.cluster in case.candidates and rule.cluster not in given_up:
            after = max(state.wanted, totals.get(rule.cluster, regrown.get(rule.cluster, state.wanted)))
        reason, bound, change = _why(world, case, rule, state, after, together, targets)
        if rule.cluster in case.candidates and case.loss.replicas and after < rule.min_replicas:
            reason = f"{reason}; {rule.min_replicas - after} below its minimum of {rule.min_replicas}"
        rows.append(
            Placement(
                workload=workload.ref,
                cluster=rule.cluster,
                before=state.wanted,
                after=after,
                ready=min(state.ready, state.wanted),
                reason=reason,
                rule=bound,
                would_change=change,
            )
        )
    return tuple(rows)


def _why(
    world: World,
    case: Case,
    rule: PlacementRule,
    state: WorkloadState,
    after: int,
    together: Together,
    targets: Targets,
) -> tuple[str, str, str]:
    """(sentence, the rule that bound it, what would change the answer)."""
    if rule.cluster in world.sources:
        return "source: its objects are left alone", "source", ""
    refusal = targets.get(rule.cluster)
    if refusal is not None:
        return f"keeps {state.wanted}; no target: {refusal.sentence}", refusal.code, ""
    refusal = broken_there(world, case.application, rule.cluster)
    if refusal is not None and after == state.wanted:
        return f"keeps {state.wanted}; no target: {refusal.sentence}", refusal.code, ""
    if case.closed:
        return f"keeps {state.wanted}: it has a single writer, and no second is started", "single-writer", ""
    if together.solution is None or (case.key not in together.totals and after == state.wanted):
        # Nothing of it was lost, or nothing of it can be placed anywhere: nobody was asked.
        return f"keeps {state.wanted}", "", ""
    why = together.solution.why(case.key, rule.cluster)
    if after < state.wanted:
        takers = ", ".join(_takers(case, rule.cluster, together))
        return f"gives up {state.wanted - after} for {takers}", "shed", why.would_change
    added = after - state.wanted
    what = f"keeps {state.wanted}, takes {added}" if added else f"keeps {state.wanted}"
    limit = None if rule.max_replicas is None else max(rule.max_replicas, state.wanted)
    if why.rule == "maximum" and after != limit:  # the bound was ours: what fits node by node
        return (
            f"{what}: no node there has room for one more",
            "full",
            "a node with room for one more replica there",
        )
    return told(what, why.sentence), why.rule, why.would_change


def _takers(case: Case, cluster: ClusterName, together: Together) -> list[str]:
    """Applications that it makes room for there."""
    return sorted(
        application
        for application, rows in together.sheds.items()
        if any(
            (row.owner, row.workload, row.cluster) == (case.application.name, case.workload.ref, cluster)
            for row in rows
        )
    )


def told(what: str, sentence: str) -> str:
    """What a cluster does and why; the engine's sentences begin with the number that it holds, which is said already."""
    if sentence.startswith(("keeps", "takes", "gives")):
        return sentence
    return f"{what}: {re.sub(r'^holds [0-9]+[:,] ', '', sentence)}"

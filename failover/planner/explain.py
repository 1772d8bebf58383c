"""A plan in sentences: who gets what and why, and how far it reaches."""

from failover.model.plan import ApplicationPlan, ChangeRecordsStep, Phase, Plan, RunKind, ScaleStep, Shed
from failover.model.policy import Policy
from failover.planner.world import published_values


def explain_placement(plan: Plan) -> tuple[str, ...]:
    """One sentence for each workload in each cluster that changes, and why an application is left out."""
    sentences: list[str] = []
    for part in plan.applications:
        if part.left_out is not None:
            sentences.append(
                f"{part.application} is left out: {part.left_out.sentence} ({part.left_out.code})"
            )
        else:
            sentences.append(_summary(plan, part))
            sentences += [
                f"{part.application}: {row.workload} in {row.cluster} {row.before} -> {row.after}: {row.reason}"
                for row in part.placements
                if row.before != row.after
            ]
            sentences += [_shed(part, row) for row in part.sheds]
        sentences += [f"{part.application}: {note}" for note in part.notes]
    return tuple(sentences)


def _shed(part: ApplicationPlan, row: Shed) -> str:
    verb = "gives up" if row.after < row.before else "gets back"
    return (
        f"{part.application}: {row.workload} of {row.owner} in {row.cluster} {row.before} -> {row.after}: {verb} "
        f"{abs(row.before - row.after)} for {row.made_room_for}"
    )


def _summary(plan: Plan, part: ApplicationPlan) -> str:
    names = len(part.records)
    verb = {RunKind.FAILBACK: "return", RunKind.REBALANCE: "move"}.get(plan.run_kind, "are placed again")
    rest = f"{part.capacity_after} of {part.demand} replicas wanted are then ready or added elsewhere"
    if plan.run_kind.about_names:
        return f"{part.application}: {names} record set{'' if names == 1 else 's'}"
    moved = f"{part.replaced} of {part.lost} replicas {verb}" if part.lost else "no replica has to be ordered"
    return (
        f"{part.application}: {moved}, {rest}; "
        f"{names} record set{'' if names == 1 else 's'} change{'s' if names == 1 else ''}"
    )


def blast_radius(plan: Plan, policy: Policy) -> tuple[str, ...]:
    """How far the plan reaches: domains, applications, replicas, names, and its share of the fleet."""
    entries = {entry.name: entry for entry in policy.fleet.clusters}
    sources = [entries[name] for name in plan.sources if name in entries]
    regions = sorted({entry.region for entry in sources})
    acting = [part for part in plan.applications if part.left_out is None]
    scales = [step for step in plan.steps if isinstance(step, ScaleStep)]
    grown = sum(step.after - step.before for step in scales if step.after > step.before)
    shrunk = sum(step.before - step.after for step in scales if step.after < step.before)
    touched = {step.cluster for step in scales}
    names = {
        change.after.name
        for step in plan.steps
        if isinstance(step, ChangeRecordsStep)
        for change in step.changes
    }
    share = round(100 * len(sources) / max(1, len(entries)))
    if plan.run_kind.about_names:
        verb = "get our fence and stay as they are" if plan.run_kind is RunKind.ADOPTION else "change"
        listed = ", ".join(sorted(names)) or "none"
        return (
            f"{plan.run_kind} of {plan.domain}: {len(names)} names {verb} ({listed}); no replica moves",
            *_last_serving(plan, policy),
        )
    sentences = [
        (
            f"{plan.run_kind} of {plan.domain}: {len(sources)} of {len(entries)} clusters ({share} % of the fleet) "
            f"in {len(regions)} of {len(policy.fleet.regions())} regions ({', '.join(regions) or 'none'})"
        ),
        (
            f"{len(acting)} of {len(policy.applications)} applications move; "
            f"{len(plan.applications) - len(acting)} left out"
        ),
        (
            f"{grown} replicas are added and {shrunk} taken away, in {len(touched)} clusters "
            f"({', '.join(sorted(touched)) or 'none'})"
        ),
        f"{len(names)} name{'s change' if len(names) != 1 else ' changes'} in DNS ({', '.join(sorted(names)) or 'none'})",
    ]
    emptied = sorted({step.cluster for step in scales if step.phase is Phase.RELEASE and step.after == 0})
    if emptied:
        sentences.append(f"workloads stop in {', '.join(emptied)}")
    sentences += _last_serving(plan, policy)
    return tuple(sentences)


def _last_serving(plan: Plan, policy: Policy) -> list[str]:
    """Names that hang on one cluster afterwards: the next loss would be an outage."""
    owner = {
        (record_type, value): cluster
        for (record_type, cluster), values in published_values(policy.fleet.clusters).items()
        for value in values
    }
    sentences = []
    for record in plan.after_records():
        clusters = {
            owner[(record.record_type, value)]
            for value in record.values
            if (record.record_type, value) in owner
        }
        if len(clusters) == 1:
            sentences.append(f"{record.name} {record.record_type} then hangs on {min(clusters)} alone")
    return sentences

"""When the policy's resolvers are asked what they give: once the old TTL of a served change is over. Pure.

It is outside the run, which is done when every authoritative server serves the change: nobody waits for a cache that no
one here controls, and the report carries what was seen.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from failover.model.ids import RunId, StepId, ZoneName
from failover.model.journal import Run, StepState
from failover.model.plan import ChangeRecordsStep
from failover.model.policy import Zone
from failover.model.records import RecordSet

MARGIN_S = 5.0
"""Resolvers count the TTL from their own answer, which may be as young as the last server's change."""

GRACE_S = 60.0
"""How long a resolver may give another answer after that before it is told: some keep what they have a little longer."""

LATE_MAX_S = 3600.0
"""Later than that nobody is asked any more: a controller that was away has more to do than to look at old changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a zone's resolvers are to be asked for. After `until` their answer counts as it is."""

    run: RunId
    step: StepId
    zone: ZoneName
    record_sets: tuple[RecordSet, ...]
    until: datetime


def due_questions(runs: Iterable[Run], zones: Iterable[Zone], now: datetime) -> tuple[Question, ...]:
    """Every question that is due and has no answer in the journal yet. What was changed again since is not asked for."""
    asked = {zone.name for zone in zones if zone.resolvers}
    if not asked:
        return ()
    landed = [item for run in runs for item in _landed(run) if item[1].zone in asked]
    latest: dict[tuple[ZoneName, str, str], datetime] = {}
    for run, step in landed:
        for change in step.changes:
            key = (step.zone, *change.after.key)
            latest[key] = max(run.steps[step.id].since, latest.get(key, run.steps[step.id].since))
    found = []
    for run, step in landed:
        progress = run.steps[step.id]
        current = tuple(
            change.after
            for change in step.changes
            if not change.after.same_data(change.before)
            and latest[step.zone, *change.after.key] == progress.since
        )
        over = progress.since + timedelta(seconds=_old_ttl_s(step) + MARGIN_S)
        if progress.state is not StepState.DONE or progress.resolvers or not current:
            continue
        if over <= now <= over + timedelta(seconds=LATE_MAX_S):
            until = over + timedelta(seconds=GRACE_S)
            found.append(Question(run=run.id, step=step.id, zone=step.zone, record_sets=current, until=until))
    return tuple(found)


def _landed(run: Run) -> Iterator[tuple[Run, ChangeRecordsStep]]:
    """Changes of record sets that are served, or on their way."""
    for step in run.plan.steps:
        if isinstance(step, ChangeRecordsStep) and run.steps[step.id].state in (
            StepState.INTENDED,
            StepState.EFFECTED,
            StepState.DONE,
        ):
            yield run, step


def _old_ttl_s(step: ChangeRecordsStep) -> float:
    """Of what was there before; of what is new, its own, for the zone's negative TTL is not ours to know."""
    return float(max((change.before or change.after).ttl for change in step.changes))

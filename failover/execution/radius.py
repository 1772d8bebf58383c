"""How much at once, fleet-wide (I8): regions that are away now, moves an hour and a day, and patience after failures."""

from collections.abc import Iterable, Iterator
from datetime import timedelta

from failover.execution.moves import RunSummary, is_whole
from failover.execution.rules import refuse
from failover.execution.situation import Situation
from failover.model.ids import ApplicationName
from failover.model.journal import RunState
from failover.model.plan import Plan, RunKind
from failover.model.reasons import Refusal

UNPLANNED = (RunKind.EVACUATION, RunKind.STEERING)
RETRY_FIRST_S = 15.0
RETRY_MAX_S = 900.0
RETRY_WINDOW_S = 3600.0


def blast_radius(plan: Plan, situation: Situation, *, automatic: bool) -> Iterator[Refusal]:
    """I8. A failback gives back and never counts; a rebalancing moves away from nothing.

    A steering of one application that is broken at one cluster is no steering of a region: it counts for that
    application alone, so that one broken application never holds up another, nor a region's evacuation.
    """
    if plan.run_kind in (RunKind.FAILBACK, RunKind.REBALANCE) or plan.run_kind.about_names:
        return
    history = tuple(_relevant(plan, situation.history))
    regions = {situation.region_of(name) for name in plan.sources}
    yield from _at_once(regions, history, situation)
    if automatic:
        yield from _rate(regions, history, situation)
        yield from _patience(regions, history, situation)


def _relevant(plan: Plan, history: Iterable[RunSummary]) -> Iterator[RunSummary]:
    """Moves away from whole clusters count for everybody, moves of an application for itself; failbacks always."""
    own = frozenset(part.application for part in plan.applications if part.left_out is None)
    for item in history:
        if item.whole or (not is_whole(plan) and own & set(item.applications)):
            yield item


def _at_once(regions: set[str], history: tuple[RunSummary, ...], situation: Situation) -> Iterator[Refusal]:
    limit = situation.policy.guards.regions_at_once
    away = regions_away(history, situation) - regions
    if len(away | regions) > limit:
        already = ", ".join(sorted(away)) or "none"
        yield refuse(
            "regions-at-once",
            f"{len(away | regions)} regions would be moved away from at once, at most {limit} may "
            f"(already away: {already}); fail back first",
            *sorted(away),
        )


def regions_away(history: Iterable[RunSummary], situation: Situation) -> set[str]:
    """Regions that a run has moved away from, or is moving away from, and that have not got everything back.

    Applications that left the policy are not waited for.
    """
    history = tuple(history)
    known = {application.name for application in situation.policy.applications}
    away: set[str] = set()
    for item in history:
        if item.run_kind in (RunKind.FAILBACK, RunKind.REBALANCE) or item.run_kind.about_names:
            continue
        if not item.state.final or (known & set(item.moved)) - _brought_home(item, history):
            away |= set(item.regions)
    return away


def _brought_home(item: RunSummary, history: Iterable[RunSummary]) -> set[ApplicationName]:
    return {name for other in history if item.id in other.undoes for name in other.returned}


def _rate(regions: set[str], history: tuple[RunSummary, ...], situation: Situation) -> Iterator[Refusal]:
    """Automatic moves that changed something. Going on with a region that is away already is not another move; one away from
    clusters that have left the policy since is.
    """
    guards = situation.policy.guards
    moves = [
        item
        for item in history
        if _counts(item)
        and (not item.regions or _brought_home(item, history) or not set(item.regions) <= regions)
    ]
    for seconds, limit, word in ((3600, guards.per_hour, "hour"), (86400, guards.per_day, "day")):
        recent = [item for item in moves if situation.now.wall - item.opened_at < timedelta(seconds=seconds)]
        if len(recent) >= limit:
            ids = [item.id for item in recent]
            free = sorted(item.opened_at for item in recent)[len(recent) - limit] + timedelta(seconds=seconds)
            yield refuse(
                "rate",
                f"{len(recent)} automatic moves in the last {word}, at most {limit} may start; the next may at "
                f"{free:%H:%M:%S} UTC, a person's `failover evacuate` may at once",
                *ids,
            )


def _counts(item: RunSummary) -> bool:
    """Only finished automatic moves that changed something (I21); an unfinished one counts as at once."""
    finished = item.state in (RunState.DONE, RunState.PARTIAL, RunState.ABORTED, RunState.FAILED)
    return item.automatic and item.run_kind in UNPLANNED and finished and item.changed


def _patience(regions: set[str], history: tuple[RunSummary, ...], situation: Situation) -> Iterator[Refusal]:
    """After a run for the same regions that did not get through, wait: 15 s, doubled by each within the hour.

    What a person aborted is left alone for the whole hour, unless it was brought home since. A person's `resume` or `ack`
    forgives what was before it.
    """
    now, since = situation.now.wall, situation.patience_from
    troubled = [
        item
        for item in history
        if item.automatic
        and item.run_kind in UNPLANNED
        and item.state in (RunState.PARTIAL, RunState.FAILED, RunState.ABORTED)
        and set(item.regions) & regions
        and item.closed_at is not None
        and now - item.closed_at < timedelta(seconds=RETRY_WINDOW_S)
        and (since is None or item.closed_at > since)
        and not _brought_home(item, history)
    ]
    for item in troubled:
        if item.aborted_by and item.closed_at is not None:
            until = item.closed_at + timedelta(seconds=RETRY_WINDOW_S)
            sentence = (
                f"{item.aborted_by} aborted run {item.id}: automation leaves this alone until {until:%H:%M:%S} UTC; "
                "`failover resume` or `failover ack` lets it act again, `failover evacuate` acts now"
            )
            yield refuse("retry-later", sentence, item.id)
            return
    if not troubled:
        return
    last = max(item.closed_at for item in troubled if item.closed_at is not None)
    wait = min(RETRY_FIRST_S * 2 ** (len(troubled) - 1), RETRY_MAX_S)
    left = wait - (now - last).total_seconds()
    if left > 0:
        yield refuse(
            "retry-later",
            f"{len(troubled)} runs for {', '.join(sorted(regions))} did not get through in the last hour; "
            f"automation tries again in {left:.0f} s, a person's `failover evacuate` may at once",
            *(item.id for item in troubled),
        )

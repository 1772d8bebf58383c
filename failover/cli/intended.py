"""What runs decided, as the journal of a state directory has it, beside what zones hold now: for looks without a controller."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from failover.cli.exits import Stop
from failover.controller.drift import drifted
from failover.model.ids import ZoneName
from failover.model.journal import Run
from failover.model.policy import Policy
from failover.model.records import ZoneState

Drift = dict[ZoneName, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """Every run that a journal tells of. `unknown`: why it could not be read, "" if it was; then nothing is known of drift
    from what runs made, which is not the same as none.
    """

    runs: tuple[Run, ...] = ()
    unknown: str = ""


def decided_by_runs(state: Path) -> Decided:
    """The runs of the state directory's journal. Never raises for one that is missing or cannot be read."""
    from failover.cli.runs import load_entries
    from failover.execution.runs import fold
    from failover.store.reader import NoStore

    try:
        return Decided(runs=tuple(fold(load_entries(state)).values()))
    except (NoStore, Stop) as error:
        return Decided(unknown=f"what runs decided is not known, only what the primary holds: {error}")


def lags_of(runs: Iterable[Run]) -> dict[tuple[ZoneName, str], float]:
    """By zone and server: how many seconds after a change was acknowledged the last run that looked first saw it served there."""
    found: dict[tuple[ZoneName, str], float] = {}
    seen = (
        verification
        for run in runs
        for progress in run.steps.values()
        if (verification := progress.verification) is not None
    )
    for verification in sorted(seen, key=lambda item: item.checked_at):
        for answer in verification.servers:
            if answer.lag_s is not None:
                found[verification.zone, answer.server] = answer.lag_s
    return found


def drift_since(policy: Policy, zones: Mapping[ZoneName, ZoneState], decided: Decided, state: Path) -> Drift:
    """By zone, what differs from what runs made and from the policy's TTLs. `decided`: read before the zones were.

    What differs is compared once more with the journal of now: a run that ended meanwhile explains it.
    """
    found = drifted(policy, decided.runs, zones)
    if not found or decided.unknown:
        return found
    now = drifted(policy, decided_by_runs(state).runs, zones)
    both = {
        zone: tuple(sentence for sentence in sentences if sentence in now.get(zone, ()))
        for zone, sentences in found.items()
    }
    return {zone: sentences for zone, sentences in both.items() if sentences}

"""Controllers whose guards are broken, and what the guards keep from happening: too few witnesses, evidence that ran out."""

from collections.abc import Iterator
from typing import Any

from failover.execution import evidence, safety
from failover.health import detector
from failover.model.verdict import SignalView, Vote

from .breaking import Patch, nothing


def goes_on() -> list[Patch]:
    return [(safety, "returned_sources", nothing), (safety, "stale_evidence", nothing)]


def _majority(voting: int) -> int:
    return voting // 2 + 1


def _of_those_that_answer(view: SignalView) -> int:
    return _majority(sum(vote.vote is not Vote.UNKNOWN for vote in view.votes))


def quorum_of_those_that_answer() -> list[Patch]:
    """Whoever says nothing is not counted: by the detector, and by the guards that count again."""
    tally, dissent = detector.tally, evidence.without_dissent

    def counted(*arguments: Any, **named: Any) -> Any:
        voting = _of_those_that_answer(tally(*arguments, **named).view)
        return tally(*arguments, **{**named, "quorum": voting})

    def without_dissent(*arguments: Any) -> Iterator[Any]:
        return (item for item in dissent(*arguments) if any(fact.startswith("up=") for fact in item.evidence))

    def stale_evidence(name: str, verdict: Any, situation: Any) -> Iterator[Any]:
        limit = situation.policy.fleet.timing.evidence_max_age_s
        fresh = {
            item.vantage for item in verdict.evidence if situation.now.mono - item.measured_mono <= limit
        }
        if len(fresh) < _of_those_that_answer(verdict.data):
            yield evidence.refuse("stale-evidence", f"{name}: {len(fresh)} of those that answer saw it fail")

    return [
        (detector, "tally", counted),
        (evidence, "without_dissent", without_dissent),
        (evidence, "stale_evidence", stale_evidence),
        (safety, "stale_evidence", stale_evidence),
    ]

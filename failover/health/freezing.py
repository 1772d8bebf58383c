"""Correlated failure: when more regions look wrong than the policy allows, all automation freezes (I6)."""

from collections.abc import Mapping
from dataclasses import replace

from failover.health.state import HealthState
from failover.health.suspicion import suspect_regions
from failover.model.ids import ClusterName, RegionName
from failover.model.policy import Policy
from failover.model.time import Now
from failover.model.verdict import Freeze, Judgement, Verdict, VerdictKind


def wrong_regions(
    judgement: Judgement, policy: Policy, up_votes: Mapping[ClusterName, int]
) -> dict[RegionName, str]:
    """Regions that count, each with the reason. A region counts once, whatever its ancestors and children look like."""
    found: dict[RegionName, str] = {}
    for entry in policy.fleet.clusters:
        verdict = judgement.of_cluster(entry.name)
        if verdict is None:
            continue
        if verdict.kind.no_longer_serves:
            found.setdefault(entry.region, f"{entry.name} is {verdict.kind}")
        elif verdict.kind is VerdictKind.UNKNOWN and up_votes.get(entry.name, 0) == 0:
            found.setdefault(entry.region, f"{entry.name} is UNKNOWN without a single up vote")
    for region in _suspects(judgement, policy):
        found.setdefault(region, "no sign of life since the other region failed")
    return found


def _suspects(judgement: Judgement, policy: Policy) -> tuple[RegionName, ...]:
    victims: dict[RegionName, Verdict] = {}
    for entry in policy.fleet.clusters:
        verdict = judgement.of_cluster(entry.name)
        if verdict is not None and verdict.confirmed and verdict.kind.no_longer_serves:
            victims.setdefault(entry.region, verdict)
    firsts = [
        verdict.first_failure_mono for verdict in victims.values() if verdict.first_failure_mono is not None
    ]
    return suspect_regions(judgement, policy.fleet, victims, min(firsts)) if firsts else ()


def update_freeze(
    state: HealthState, judgement: Judgement, policy: Policy, up_votes: Mapping[ClusterName, int], now: Now
) -> HealthState:
    """Freeze above the limit; thaw after one evidence limit at or below it. Nothing is counted during warm-up."""
    if state.warm_cause is not None:
        return state
    wrong = wrong_regions(judgement, policy, up_votes)
    limit = policy.correlated_limit
    if len(wrong) > limit:
        regions = tuple(sorted(wrong))
        sentence = f"{len(wrong)} regions look wrong at once, at most {limit} may: " + "; ".join(
            f"{region} ({wrong[region]})" for region in regions
        )
        since = state.freeze.since if state.freeze else now.wall
        return replace(
            state, freeze=Freeze(since=since, regions=regions, sentence=sentence), calm_since_mono=None
        )
    if state.freeze is None:
        return state
    if state.calm_since_mono is None:
        return replace(state, calm_since_mono=now.mono)
    if now.mono - state.calm_since_mono < policy.fleet.timing.evidence_max_age_s:
        return state
    return replace(state, freeze=None, calm_since_mono=None)

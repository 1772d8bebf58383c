"""Correlated failure: when more regions look wrong at this moment than the policy allows, all automation freezes (I6)."""

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
    """Regions that count, each with the reason. A region counts once, whatever its ancestors and children look like.

    `up_votes`: fresh ones on each cluster's data plane: an UNKNOWN cluster that somebody still sees up does not count.
    """
    region_of = {entry.name: entry.region for entry in policy.fleet.clusters}
    found: dict[RegionName, str] = {}
    victims: dict[RegionName, list[Verdict]] = {}
    for verdict in judgement.verdicts:
        cluster = verdict.subject.cluster
        region = region_of.get(cluster)
        if region is None or verdict.subject.application is not None:
            continue
        if verdict.kind.no_longer_serves:
            found.setdefault(region, f"{cluster} is {verdict.kind}")
            if verdict.confirmed:
                victims.setdefault(region, []).append(verdict)
        elif verdict.kind is VerdictKind.UNKNOWN and not up_votes.get(cluster):
            found.setdefault(region, f"{cluster} is UNKNOWN without a single fresh up vote")
    for region, victim in _suspects(judgement, policy, victims).items():
        found.setdefault(region, f"no sign of life since {victim} failed")
    return found


def _suspects(
    judgement: Judgement, policy: Policy, victims: Mapping[RegionName, list[Verdict]]
) -> dict[RegionName, RegionName]:
    """Suspect regions, each with the victim whose first failure no success of it outlives."""
    found: dict[RegionName, RegionName] = {}
    for victim, verdicts in victims.items():
        firsts = [item.first_failure_mono for item in verdicts if item.first_failure_mono is not None]
        for region in suspect_regions(judgement, policy.fleet, tuple(victims), min(firsts, default=None)):
            found.setdefault(region, victim)
    return found


def update_freeze(
    state: HealthState, judgement: Judgement, policy: Policy, up_votes: Mapping[ClusterName, int], now: Now
) -> HealthState:
    """Freeze above the limit; thaw after one evidence limit at or below it. Nothing is counted during warm-up."""
    if state.warm_cause is not None:
        return state if state.calm_since_mono is None else replace(state, calm_since_mono=None)
    wrong = wrong_regions(judgement, policy, up_votes)
    limit = policy.correlated_limit
    if len(wrong) > limit:
        regions = tuple(sorted(wrong))
        grounds = "; ".join(f"{region} ({wrong[region]})" for region in regions)
        sentence = f"{len(wrong)} regions look wrong at once, at most {limit} may: {grounds}"
        since = state.freeze.since if state.freeze else now.wall
        freeze = Freeze(since=since, regions=regions, sentence=sentence)
        return replace(state, freeze=freeze, calm_since_mono=None)
    if state.freeze is None:
        return state
    if state.calm_since_mono is None:
        return replace(state, calm_since_mono=now.mono)
    if now.mono - state.calm_since_mono < policy.fleet.timing.evidence_max_age_s:
        return state
    return replace(state, freeze=None, calm_since_mono=None)

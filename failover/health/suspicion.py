"""Proof that the others are alive: a region that shows no success newer than the victim's first failure is suspect."""

from collections.abc import Collection, Mapping

from failover.model.ids import RegionName
from failover.model.policy import Fleet
from failover.model.verdict import Judgement

NEVER = float("-inf")


def suspect_regions(
    judgement: Judgement, fleet: Fleet, victims: Collection[RegionName], first_failure: float | None
) -> tuple[RegionName, ...]:
    """Regions other than the victims without any cluster that succeeded after `first_failure` (monotonic seconds).

    The success is one of the data plane, seen from outside the region. Without a first failure nothing is asked.
    """
    if first_failure is None:
        return ()
    newest = newest_success(judgement, fleet)
    return tuple(
        region
        for region in fleet.regions()
        if region not in victims and newest.get(region, NEVER) <= first_failure
    )


def newest_success(judgement: Judgement, fleet: Fleet) -> Mapping[RegionName, float]:
    """Newest outside success of any cluster of each region (monotonic seconds); a region without one is absent."""
    region_of = {entry.name: entry.region for entry in fleet.clusters}
    newest: dict[RegionName, float] = {}
    for verdict in judgement.verdicts:
        region = region_of.get(verdict.subject.cluster)
        if region is None or verdict.subject.application is not None or verdict.last_success_mono is None:
            continue
        newest[region] = max(newest.get(region, NEVER), verdict.last_success_mono)
    return newest

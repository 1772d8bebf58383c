"""What a profile means: seconds to a confirmed verdict, and expected false evacuations, in closed form.

Model (facts/reliability 2.2): each path from a vantage to a region goes dark on its own, once a day, for an exponential
time of mean 30 s. A false evacuation needs a quorum dark at once for as long as `fall` failures and `confirm` take, and
every other outside vantage without a success in that time. With dissent, that is *all* m outside vantages dark together:
rate = m * (rate of one) * (share of time dark)^(m-1) * P(the overlap lasts T) with the minimum of m exponentials.
"""

import math

from failover.model.policy import Policy

BLIPS_PER_YEAR = 365.25
BLIP_MEAN_S = 30.0
YEAR_S = 365.25 * 86400


def detection_s(policy: Policy, *, silent: bool) -> float:
    """Longest usual time from a region's death to its confirmed verdict, without transport (seconds)."""
    timing = policy.fleet.timing
    pace = timing.interval_s * (1 + timing.jitter)
    return timing.fall * pace + (timing.timeout_s if silent else 0.0) + timing.confirm_s


def false_evacuations(policy: Policy, outside: int) -> float:
    """Expected false evacuations per 1,000 region-years with `outside` vantages outside the region."""
    timing = policy.fleet.timing
    if outside < policy.fleet.quorum:
        return 0.0
    confirm = timing.confirm_s
    if outside < policy.fleet.quorum + 1:
        confirm = max(confirm, timing.confirm_without_dissent_s)
    lasting = (timing.fall - 1) * timing.interval_s + confirm
    dark = BLIPS_PER_YEAR * BLIP_MEAN_S / YEAR_S
    together_per_year = outside * BLIPS_PER_YEAR * dark ** (outside - 1)
    return 1000 * together_per_year * math.exp(-outside * lasting / BLIP_MEAN_S)


def expected(policy: Policy) -> tuple[str, ...]:
    """Sentences for `failover validate`."""
    fleet = policy.fleet
    outside = min((len(fleet.outside_vantages(region)) for region in fleet.regions()), default=0)
    rate = false_evacuations(policy, outside)
    return (
        f"profile {fleet.timing.profile}: a dead region has a confirmed verdict within "
        f"{detection_s(policy, silent=False):.1f} s where connections are refused, "
        f"{detection_s(policy, silent=True):.1f} s where it is silent",
        f"{len(fleet.vantages)} vantages, quorum {fleet.quorum}, at least {outside} outside every region: expect "
        f"{rate:.2g} false evacuations per 1,000 region-years at one path blip a day (mean 30 s)",
    )

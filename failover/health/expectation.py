"""What a profile means, in closed form: seconds to a confirmed verdict, and expected false evacuations.

Model of paths (facts/reliability 2.2): the path from each of the `m` vantages outside a region goes dark by itself, `L` times
a year, for an exponential time of mean `u` seconds; it is then dark for the share `d = L u / year` of the time.

A false evacuation needs the whole panel: with dissent one fresh success stops it, so *all* m paths must be dark at once and
stay so until the verdict is confirmed. The last of them goes dark `m L d^(m-1)` times a year. From then on its first failing
probe starts after a wait `U` (uniform over one interval `i`); `fall` failures take `(fall-1) i` more and the timeout `t`, then
`confirm` runs: `T = U + (fall-1) i + t + confirm`. A path that comes back before `T` is noticed only by its next probe, so it
must be dark until its last probe starts, `R` (again uniform over `i`) before `T`. With exponential darkness the chance is

    P = E[exp(-m U / u)] * exp(-m ((fall-1) i + t + confirm) / u) * E[exp(R / u)]^m

and the rate is `m L d^(m-1) P` a region-year. For three vantages, all outside, this gives 0.002 (balanced) and 0.08 (fast)
per 1,000 region-years: the figures simulated for DESIGN section 4. It holds for independent paths only.
"""

import math

from failover.model.ids import RegionName
from failover.model.policy import Fleet, Policy, Timing

BLIPS_PER_YEAR = 365.25
BLIP_MEAN_S = 30.0
YEAR_S = 365.25 * 86_400.0


def confirm_s(timing: Timing, *, outside: int, quorum: int) -> float:
    """How long `confirm` takes with so many votes outside: longer where nobody could dissent (seconds)."""
    return timing.confirm_s if outside > quorum else max(timing.confirm_s, timing.confirm_without_dissent_s)


def typical_detection_s(timing: Timing, *, outside: int, quorum: int, silent: bool) -> float:
    """Mean time from a region's death to its confirmed verdict, without transport (seconds).

    The last of the `outside` vantages' D and C series begins to fail after 2n/(2n+1) of an interval, on average.
    """
    series = 2 * max(1, outside)
    first = timing.interval_s * series / (series + 1)
    timeout = timing.timeout_s if silent else 0.0
    confirm = confirm_s(timing, outside=outside, quorum=quorum)
    return first + (timing.fall - 1) * timing.interval_s + timeout + confirm


def longest_detection_s(timing: Timing, *, outside: int, quorum: int, silent: bool) -> float:
    """The same at worst: every interval at its longest (seconds)."""
    timeout = timing.timeout_s if silent else 0.0
    confirm = confirm_s(timing, outside=outside, quorum=quorum)
    return timing.fall * timing.interval_s * (1 + timing.jitter) + timeout + confirm


def false_evacuations(timing: Timing, *, outside: int, quorum: int) -> float:
    """Expected false evacuations per 1,000 region-years with `outside` working vantages outside the region."""
    if outside < quorum:
        return 0.0
    confirm = confirm_s(timing, outside=outside, quorum=quorum)
    lasting = (timing.fall - 1) * timing.interval_s + timing.timeout_s + confirm
    step, mean = timing.interval_s, BLIP_MEAN_S
    wait = mean / (outside * step) * (1 - math.exp(-outside * step / mean))
    unnoticed = mean / step * (math.exp(step / mean) - 1)
    chance = wait * math.exp(-outside * lasting / mean) * unnoticed**outside
    dark = BLIPS_PER_YEAR * BLIP_MEAN_S / YEAR_S
    return 1000 * outside * BLIPS_PER_YEAR * dark ** (outside - 1) * chance


def expected(policy: Policy) -> tuple[str, ...]:
    """Sentences for `failover validate`: what the timing means for the vantages at hand."""
    fleet, timing = policy.fleet, policy.fleet.timing
    region, outside = _weakest(fleet)
    if outside < fleet.quorum:
        return (
            (
                f"{len(fleet.vantages)} vantages, quorum {fleet.quorum}, but only {outside} outside {region}: no verdict "
                "against it can fall, so automation cannot move anything away from it"
            ),
        )
    kinds = ", ".join(_detection(fleet, outside, silent=silent) for silent in (False, True))
    sentences = [
        f"profile {timing.profile}: a dead region has a confirmed verdict after {kinds}, plus transport",
        _rate(fleet, region, outside),
    ]
    if outside == fleet.quorum:
        sentences.append(
            f"exactly a quorum of vantages lies outside {region}: nobody could dissent, so confirm takes "
            f"{confirm_s(timing, outside=outside, quorum=fleet.quorum):g} s there, and one silent vantage stops automation"
        )
    else:
        without = false_evacuations(timing, outside=outside - 1, quorum=fleet.quorum)
        sentences.append(f"with one of them silent: {_figure(without)} per 1,000 region-years")
    return tuple(sentences)


def _weakest(fleet: Fleet) -> tuple[RegionName, int]:
    """The region with the fewest vantages outside it."""
    counted = [(len(fleet.outside_vantages(region)), region) for region in fleet.regions()]
    if not counted:
        return RegionName("any region"), len(fleet.vantages)
    count, region = min(counted)
    return region, count


def _detection(fleet: Fleet, outside: int, *, silent: bool) -> str:
    usual = typical_detection_s(fleet.timing, outside=outside, quorum=fleet.quorum, silent=silent)
    longest = longest_detection_s(fleet.timing, outside=outside, quorum=fleet.quorum, silent=silent)
    how = "where it is silent" if silent else "where it refuses connections"
    return f"{usual:.1f} s ({longest:.1f} s at most) {how}"


def _rate(fleet: Fleet, region: RegionName, outside: int) -> str:
    rate = false_evacuations(fleet.timing, outside=outside, quorum=fleet.quorum)
    return (
        f"{len(fleet.vantages)} vantages, quorum {fleet.quorum}, at least {outside} outside each region ({region} has the "
        f"fewest): {_figure(rate)} false evacuations per 1,000 region-years, if each path fails by itself once a day for "
        f"{BLIP_MEAN_S:g} s on average; vantages that share a network or a provider count as one"
    )


def _figure(rate: float) -> str:
    """Two significant digits, written out."""
    if rate <= 0:
        return "0"
    if rate < 1e-9:
        return "less than 0.000000001"
    return f"{rate:.{max(0, 1 - math.floor(math.log10(rate)))}f}"

"""What a profile means, in closed form: seconds to a confirmed verdict, and expected false alarms. No random number is drawn.

`n` vantages lie outside a region, `q` is the quorum, `i` the interval, `t` the timeout; `judge` begins the confirm clock when
`q` of them vote down and none votes up (DESIGN section 4). Counted from the start of the first probe that fails, a vantage

* votes down after `g = (fall-1) i + t` (where probes are refused instead of lost: `(fall-1) i`);
* ceases to vote up after `e = i + t` or `g`, whichever is less: its last success began one interval before, and an up vote
  lives two intervals and the timeout. So the last to notice need not fail `fall` times to stop dissenting.

**Detection.** In a dead region the first probe that fails begins after a wait that is uniform over `i`. A vantage votes down by
`z` with chance `a(z)`, and is past voting up with chance `b(z)`; the `fall-1` jittered steps between are taken as normal.
The clock runs by `z` with chance `sum over k >= q of C(n,k) a^k (b-a)^(n-k)`, for D and for C alike (their phases are
independent), and `DOWN` is confirmed `confirm` later: the product of both gives every quantile.

**False alarms.** The path from each outside vantage goes dark by itself, `L` times a year, for an exponential time of mean `u`;
it is dark for the share `d = L u / (1 + L u)` of the time. With dissent any fresh success stops the verdict, so *all* `n` paths
must be dark at once and stay so; the last of them goes dark `n L (1-d) d^(n-1)` times a year. The others then have been dark
for exponential ages `A`, and each fails first at `Y = U - A` after that moment (the last one at its own `U`), `U` uniform over
`i`. The clock begins at `T0`, when `q` have reached `Y + g` and all have reached `Y + e`:

    P(T0 <= z) = sum over those that have reached `Y + g`, at least q of them, the rest at least `Y + e`

from `F(y) = P(U - A <= y)` and `G(y) = P(U <= y)`. A path that comes back before `T0 + confirm` is noticed only by its next
probe, so it must be dark until its last probe starts, `R` (uniform over `i`) before. All rests of darkness are again
exponential, so a false alarm follows with chance

    P = E[exp(-n T0 / u)] * exp(-n confirm / u) * E[exp(R / u)]^n,    E[exp(-n T0 / u)] = int (n/u) exp(-n z / u) P(T0 <= z) dz.

The rate counts what makes automation *steer* (D confirmed); an evacuation needs C as well and is rarer. Without the rule of
dissent, for comparison, `q` dark paths are enough: `n C(n-1, q-1)` ways for the last one and the others, and `q` for `n` in
`P`. Three vantages, quorum 2, give 0.003 (`balanced`) and 0.09 (`fast`) per 1,000 region-years, without dissent 43 and 550.

Taken as independent or left out, each worth a few per cent at most: the phases of probes, the interval's jitter, transport
and ticks, a blip that follows another within `rise` intervals (and, in a policy whose `confirm` is shorter than `fall-2`
intervals, waiting for the vote of one more than the quorum). `make quality` plays the shipped judge over sampled blips against
these figures. It all holds for independent paths only.
"""

import math
from statistics import NormalDist

from failover.model.ids import RegionName
from failover.model.policy import Fleet, Policy, Timing

BLIPS_PER_YEAR = 365.25
BLIP_MEAN_S = 30.0
YEAR_S = 365.25 * 86_400.0
STEPS = 400
"""Of the quadratures: the integrands are smooth but for a few kinks."""
_NORMAL = NormalDist()


def confirm_s(timing: Timing, *, outside: int, quorum: int) -> float:
    """How long `confirm` takes with so many votes outside: longer where nobody could dissent (seconds)."""
    return timing.confirm_s if outside > quorum else max(timing.confirm_s, timing.confirm_without_dissent_s)


# -- detection -------------------------------------------------------------------------------------------------------------


def detection_s(timing: Timing, *, outside: int, quorum: int, silent: bool, share: float) -> float:
    """Seconds from a region's death to its confirmed verdict in this share of cases, without transport and ticks."""
    low, high = 0.0, (timing.fall + 1) * (timing.interval_s * (1 + timing.jitter) + timing.timeout_s)
    for _ in range(50):
        middle = (low + high) / 2
        # The control plane is judged like the data plane, from phases of its own.
        if _clock_runs(timing, outside, quorum, silent, middle) ** 2 < share:
            low = middle
        else:
            high = middle
    return high + confirm_s(timing, outside=outside, quorum=quorum)


def _clock_runs(timing: Timing, outside: int, quorum: int, silent: bool, second: float) -> float:
    """Chance that the confirm clock of one signal runs, so many seconds after the region's death."""
    down_after = (timing.fall - 1) * _pace_s(timing, silent=silent) + (timing.timeout_s if silent else 0.0)
    spread = math.sqrt((timing.fall - 1) / 3) * timing.interval_s * timing.jitter
    down = _uniform_and_normal(second - down_after, timing.interval_s, spread)
    past_up = _clamp((second - timing.interval_s - timing.timeout_s) / timing.interval_s)
    undecided = max(0.0, past_up - down)
    return sum(
        math.comb(outside, count) * down**count * undecided ** (outside - count)
        for count in range(quorum, outside + 1)
    )


def _uniform_and_normal(value: float, width: float, spread: float) -> float:
    """P(U + N <= value), U uniform over the width, N normal around 0."""
    if spread <= 0:
        return _clamp(value / width)

    def mass(at: float) -> float:
        return at * _NORMAL.cdf(at) + _NORMAL.pdf(at)

    return _clamp(spread / width * (mass(value / spread) - mass((value - width) / spread)))


# -- false alarms ----------------------------------------------------------------------------------------------------------


def false_evacuations(
    timing: Timing,
    *,
    outside: int,
    quorum: int,
    blips_per_year: float = BLIPS_PER_YEAR,
    dissent: bool = True,
) -> float:
    """Expected false alarms per 1,000 region-years with `outside` working vantages outside the region.

    `dissent`: as shipped; without it, for comparison, a quorum of failing vantages would be enough.
    """
    if outside < quorum:
        return 0.0
    paths = outside if dissent else quorum
    busy = blips_per_year / YEAR_S * BLIP_MEAN_S
    dark = busy / (1 + busy)
    overlaps = outside * math.comb(outside - 1, paths - 1) * blips_per_year * (1 - dark) * dark ** (paths - 1)
    step, mean = _pace_s(timing, silent=True), BLIP_MEAN_S
    unnoticed = mean / step * (math.exp(step / mean) - 1)
    confirm = confirm_s(timing, outside=outside, quorum=quorum)
    begins = _mean_of_lasting(timing, paths=paths, quorum=quorum)
    return 1000 * overlaps * begins * math.exp(-paths * confirm / mean) * unnoticed**paths


def _mean_of_lasting(timing: Timing, *, paths: int, quorum: int) -> float:
    """E[exp(-n T0 / u)]: the chance that all dark paths stay dark until the confirm clock begins."""
    down_after = (timing.fall - 1) * _pace_s(timing, silent=True) + timing.timeout_s
    past_up_after = min(down_after, timing.interval_s + timing.timeout_s)
    rate = paths / BLIP_MEAN_S

    def begun(second: float) -> float:
        down, past_up = _failing_by(timing, second - down_after), _failing_by(timing, second - past_up_after)
        last_down = _clamp((second - down_after) / timing.interval_s)
        last_past_up = _clamp((second - past_up_after) / timing.interval_s)
        return _at_least(quorum - 1, paths - 1, down, past_up) * last_down + _at_least(
            quorum, paths - 1, down, past_up
        ) * (last_past_up - last_down)

    # Before `past_up_after` nothing can have begun; one interval after `down_after` everything has.
    start, end = past_up_after, down_after + timing.interval_s
    width = (end - start) / STEPS
    middles = (start + (number + 0.5) * width for number in range(STEPS))
    return rate * width * sum(math.exp(-rate * at) * begun(at) for at in middles) + math.exp(-rate * end)


def _failing_by(timing: Timing, second: float) -> float:
    """P(U - A <= second): a path that has been dark for an exponential age, U uniform over one interval."""
    step, mean = timing.interval_s, BLIP_MEAN_S
    if second >= step:
        return 1.0
    if second >= 0:
        return (second + mean * (1 - math.exp((second - step) / mean))) / step
    return mean / step * math.exp(second / mean) * (1 - math.exp(-step / mean))


def _at_least(wanted: int, paths: int, down: float, past_up: float) -> float:
    """Chance that so many of the paths are down and the others at least past voting up."""
    return sum(
        math.comb(paths, count) * down**count * (past_up - down) ** (paths - count)
        for count in range(max(0, wanted), paths + 1)
    )


def _pace_s(timing: Timing, *, silent: bool) -> float:
    """Mean seconds between two probes of a series; a probe that waits for its timeout delays the next."""
    shortest, longest = timing.interval_s * (1 - timing.jitter), timing.interval_s * (1 + timing.jitter)
    if not silent or timing.timeout_s <= shortest:
        return timing.interval_s
    if timing.timeout_s >= longest:
        return timing.timeout_s
    late = (timing.timeout_s - shortest) * timing.timeout_s + (longest**2 - timing.timeout_s**2) / 2
    return late / (longest - shortest)


def _clamp(share: float) -> float:
    return min(1.0, max(0.0, share))


# -- sentences -------------------------------------------------------------------------------------------------------------


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
    usual, nearly_all = (
        detection_s(fleet.timing, outside=outside, quorum=fleet.quorum, silent=silent, share=share)
        for share in (0.5, 0.99)
    )
    how = "where it is silent" if silent else "where it refuses connections"
    return f"{usual:.1f} s ({nearly_all:.1f} s in 99 of 100 cases) {how}"


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

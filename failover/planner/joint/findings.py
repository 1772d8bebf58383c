"""What a problem holds that the engine cannot take as it is: each a sentence, never an exception, never a guess."""

from collections import Counter

import numpy as np

from failover.planner.joint.arrays import Prepared
from failover.planner.joint.problem import Demand, Finding, Site
from failover.planner.joint.state import segment_sums

UTILISATION_MAX = 1.0


def check(prepared: Prepared) -> tuple[Finding, ...]:
    """Sites first, then demands, each by name."""
    found = [finding for site in prepared.sites for finding in _of_site(site)]
    names = segment_sums(prepared.named, prepared.start)
    minimums = segment_sums(prepared.minimum, prepared.start)
    asks_nothing = prepared.request.max(axis=1, initial=0) <= 0
    odd = asks_nothing | (names == 0) | (minimums > prepared.replicas)
    for at in np.flatnonzero(odd).tolist():
        found += _of_demand(prepared.demands[at], bool(asks_nothing[at]), int(names[at]), int(minimums[at]))
    if len(prepared.demand_index) < len(prepared.demands):
        twice = [
            key for key, number in Counter(demand.key for demand in prepared.demands).items() if number > 1
        ]
        found += [
            Finding(code="demand-twice", subject=key, sentence=f"{key} is in the problem more than once")
            for key in twice
        ]
    return tuple(sorted(found, key=lambda finding: (finding.code, finding.subject)))


def _of_site(site: Site) -> list[Finding]:
    found: list[Finding] = []
    if site.free is None:
        found.append(
            Finding(
                code="unknown-capacity",
                subject=site.name,
                sentence=f"what is free in {site.name} is not known, so it takes no replica",
            )
        )
    for name, price in sorted(site.price.items()):
        if not np.isfinite(price) or price < 0:
            found.append(
                Finding(
                    code="absurd-price",
                    subject=site.name,
                    sentence=f"the price of {name} in {site.name} is {price}; it counts as 0",
                )
            )
    if site.utilisation is not None and not 0 <= site.utilisation <= UTILISATION_MAX:
        found.append(
            Finding(
                code="absurd-utilisation",
                subject=site.name,
                sentence=f"the utilisation of {site.name} is {site.utilisation}, which is not between 0 and 1",
            )
        )
    return found


def _of_demand(demand: Demand, asks_nothing: bool, names: int, minimums: int) -> list[Finding]:
    """`names`: clusters that its rules name and that there are. `minimums`: their sum."""
    found: list[Finding] = []
    if asks_nothing:
        found.append(
            Finding(
                code="no-request",
                subject=demand.key,
                sentence=f"{demand.key} names no resources that one replica needs, so it is not placed",
                amount=demand.replicas,
            )
        )
    if names == 0:
        found.append(
            Finding(
                code="no-site",
                subject=demand.key,
                sentence=f"the rules of {demand.key} name no cluster that there is",
                amount=demand.replicas,
            )
        )
    if minimums > demand.replicas:
        found.append(
            Finding(
                code="minimum-above-total",
                subject=demand.key,
                sentence=f"the minimums of {demand.key} sum up to {minimums}, it wants {demand.replicas}",
                amount=minimums - demand.replicas,
            )
        )
    return found

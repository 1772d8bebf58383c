"""Preferences that a plan could not keep, as findings: each names the demand, the rule and by how much."""

import numpy as np

from failover.planner.joint.problem import Finding
from failover.planner.joint.spread import domain_at, percent_of
from failover.planner.joint.state import State, segment_sums


def shortfalls(state: State) -> tuple[Finding, ...]:
    """Minimums, standby, spread; by demand."""
    prepared = state.prepared
    found: list[Finding] = []
    owed = segment_sums(np.maximum(prepared.minimum - state.held, 0), prepared.start)
    for index in np.flatnonzero(owed).tolist():
        key = prepared.demands[index].key
        found.append(
            Finding(
                code="minimum-short",
                subject=key,
                sentence=f"the minimums of {key} are short of {owed[index]} replicas",
                amount=int(owed[index]),
            )
        )
    warm = segment_sums(state.held * (prepared.group > 0), prepared.start)
    for index in np.flatnonzero(warm < np.minimum(prepared.standby, prepared.replicas)).tolist():
        key, lacks = prepared.demands[index].key, int(prepared.standby[index] - warm[index])
        found.append(
            Finding(
                code="standby-short",
                subject=key,
                sentence=f"the warm standby of {key} is short of {lacks} replicas",
                amount=lacks,
            )
        )
    for index, demand in enumerate(prepared.demands):
        if demand.rules.spread:
            found += _spread(state, index)
    return tuple(sorted(found, key=lambda finding: (finding.subject, finding.code, finding.sentence)))


def _spread(state: State, index: int) -> list[Finding]:
    prepared = state.prepared
    rows = prepared.rows_of(index)
    key = prepared.demands[index].key
    found: list[Finding] = []
    for spread in prepared.demands[index].rules.spread:
        held: dict[str, int] = {}
        for site, number in zip(prepared.site[rows].tolist(), state.held[rows].tolist(), strict=True):
            name = domain_at(prepared, site, spread.kind)
            held[name] = held.get(name, 0) + number
        total, used = sum(held.values()), sum(number > 0 for number in held.values())
        if spread.at_least is not None and used < min(spread.at_least, total):
            found.append(
                Finding(
                    code="spread-too-few",
                    subject=key,
                    sentence=f"{key} runs in {used} of at least {spread.at_least} domains of kind {spread.kind}",
                    amount=spread.at_least - used,
                )
            )
        if spread.at_most_percent is None or not total:
            continue
        most = percent_of(spread.at_most_percent, total)
        for name, number in sorted(held.items()):
            if number > most:
                found.append(
                    Finding(
                        code="spread-too-much",
                        subject=key,
                        sentence=(
                            f"{number} of {total} replicas of {key} are in {spread.kind} {name}, "
                            f"more than {spread.at_most_percent:g} % ({most})"
                        ),
                        amount=number - most,
                    )
                )
    return found

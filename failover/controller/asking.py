"""One fresh probe of everything that a person's command concerns: what they cite in place of the quorum's evidence."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace

from failover.controller.ports import Ports
from failover.health import HealthState, Inputs, initial_state, judge
from failover.model.ids import ClusterName
from failover.model.observation import Observation, ProbeDefinition, ProbeResult, Received
from failover.model.policy import Policy
from failover.model.time import Now
from failover.model.verdict import Judgement

Asked = tuple[ProbeDefinition, ProbeResult]


async def probe_once(
    ports: Ports, definitions: Iterable[ProbeDefinition], clusters: Iterable[ClusterName] | None = None
) -> tuple[Asked, ...]:
    """Run every definition once (of these clusters, or of all), all at the same time."""
    wanted = None if clusters is None else set(clusters)
    chosen = [item for item in definitions if wanted is None or item.subject.cluster in wanted]
    results = await asyncio.gather(*(ports.prober.probe(item) for item in chosen))
    return tuple(zip(chosen, results, strict=True))


def citations(actor: str, asked: Iterable[Asked]) -> tuple[str, ...]:
    """The person and what their probe saw, as a run's evidence."""
    seen = tuple(f"{item.subject} {item.signal} {result.outcome} (own probe)" for item, result in asked)
    return (f"person={actor}", *seen)


def own_judgement(policy: Policy, asked: Iterable[Asked], known: HealthState, now: Now) -> Judgement:
    """What one look from here says: a quorum of one, without hysteresis. Only for a person's command.

    `known`: what outlived the last controller; what flapped stays held down.
    """
    alone = next(
        (vantage for vantage in policy.fleet.vantages if vantage.controller), policy.fleet.vantages[0]
    )
    outside = replace(alone, region="")
    timing = replace(policy.fleet.timing, fall=1, rise=1, confirm_s=0.0, confirm_without_dissent_s=0.0)
    lone = replace(policy, fleet=replace(policy.fleet, vantages=(outside,), timing=timing))
    received = tuple(
        Received(
            observation=_observation(outside.name, number, pair),
            measured_mono=now.mono,
            received_mono=now.mono,
        )
        for number, pair in enumerate(asked)
    )
    definitions = {item.key: item.definition_hash for item, _ in asked}
    state = replace(initial_state(now), warm_cause=None, histories=known.histories)
    _, judgement = judge(state, Inputs(policy=lone, definitions=definitions, received=received), now)
    return replace(judgement, freeze=None, alerts=())


def _observation(vantage: str, number: int, pair: Asked) -> Observation:
    definition, result = pair
    return Observation(
        vantage=vantage,  # type: ignore[arg-type]
        boot_id="once",
        sequence=number,
        subject=definition.subject,
        signal=definition.signal,
        outcome=result.outcome,
        age_s=0.0,
        latency_ms=result.latency_ms,
        definition=definition.definition_hash,
        detail=result.detail,
        partly=result.partly,
    )

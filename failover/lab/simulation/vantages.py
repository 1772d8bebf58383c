"""The simulated vantages: what they probe, when, and how their reports reach the controllers.

A vantage elsewhere is another process than the controller, so it is the world's part: it keeps the shipped prober's pace
(its interval with jitter, never two probes of a series at once), but one timer begins a probe and one delivers what it saw.
"""

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from failover.model.observation import Observation, Outcome, ProbeDefinition, VantageReport

from . import trace
from .layers import Layers

if TYPE_CHECKING:
    from .world import World

LATENCY_S = 0.02
TRANSPORT_S = 0.05


@dataclass(slots=True)
class VantageState:
    """One vantage: it probes unless dead or stuck; reports may be lost, late, doubled, out of order."""

    name: str
    region: str
    boot: int = 1
    reports: int = 0
    probing: "Probing | None" = None
    faults: Layers = field(default_factory=Layers)


class Probing:
    """The probe series of one boot of a vantage."""

    def __init__(self, world: "World", state: VantageState, definitions: tuple[ProbeDefinition, ...]) -> None:
        self._world, self._state = world, state
        self._loop = asyncio.get_running_loop()
        self._boot_id = f"{state.name}-{state.boot}"
        self._generation = str(world.policy.generation)
        self._jitter = world.policy.fleet.timing.jitter
        self._sequence = 0
        self._stopped = False
        for definition in definitions:
            wait = world.random.uniform(0, definition.interval_s)
            self._loop.call_later(wait, self._probe, definition, definition.definition_hash)

    def stop(self) -> None:
        """Nothing is probed any more; what is under way is lost."""
        self._stopped = True

    def _probe(self, definition: ProbeDefinition, digest: str) -> None:
        """One probe: a timeout takes the whole timeout, everything else the path's latency."""
        if self._stopped:
            return
        world, now = self._world, self._loop.time()
        outcome, latency_s = world.takes(self._state.name, definition)
        self._sequence += 1
        observation = Observation(
            vantage=self._state.name,  # type: ignore[arg-type]
            boot_id=self._boot_id,
            sequence=self._sequence,
            subject=definition.subject,
            signal=definition.signal,
            outcome=world.says(self._state.name, definition, outcome),
            age_s=0.0,
            started_age_s=latency_s,
            latency_ms=latency_s * 1000,
            generation=self._generation,
            definition=digest,
        )
        self._send(observation, now + latency_s)
        pace = definition.interval_s * world.random.uniform(1 - self._jitter, 1 + self._jitter)
        self._loop.call_at(now + max(pace, latency_s), self._probe, definition, digest)

    def _send(self, observation: Observation, ended: float) -> None:
        faults, random = self._state.faults, self._world.random
        late_s = TRANSPORT_S + faults.top("late", 0.0) + random.random() * faults.top("reorder", 0.0)
        for turn in range(2 if faults.has("double") else 1):
            self._loop.call_at(ended + late_s * (turn + 1), self._deliver, observation, ended)

    def _deliver(self, observation: Observation, ended: float) -> None:
        world, state = self._world, self._state
        if self._stopped or world.is_cut_off(state):
            return
        told = replace(observation, age_s=max(0.0, self._loop.time() - ended))
        state.reports += 1
        for life in world.lives:
            if life.controller is None or not life.alive or not life.clock.running.is_set():
                continue
            head = world.heads.get(state.name, 0)
            report = VantageReport(
                vantage=observation.vantage,
                boot_id=observation.boot_id,
                sequence=state.reports,
                generation=observation.generation,
                suspect="its references do not answer" if state.faults.has("suspect") else "",
                journal_head=head,
                observations=(told,),
            )
            life.controller.receive(report)
            if life.controller.acting:
                world.heads[state.name] = max(head, life.controller.journal_head)
            world.note(
                trace.Heard(
                    at=self._loop.time(),
                    holder=life.holder,
                    observation=told,
                    measured=ended,
                    truly=world.truly(told),
                )
            )


def probe_of(world: "World", vantage: str, definition: ProbeDefinition) -> tuple[Outcome, float]:
    """Outcome and seconds of one probe that begins now."""
    outcome, slow_s = world.meets(vantage, definition.subject, definition.signal)
    latency_s = LATENCY_S + slow_s
    if outcome is Outcome.TIMEOUT or latency_s >= definition.timeout_s:
        return Outcome.TIMEOUT, definition.timeout_s
    return outcome, latency_s

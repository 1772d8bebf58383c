"""The in-memory twin of the probers: what a vantage would see of a world of regions and paths, on any clock."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from failover.model.observation import Outcome, ProbeDefinition, ProbeResult, Signal
from failover.model.ports import Clock


@dataclass(slots=True)
class PathWorld:
    """The truth that probes meet. `data` / `control`: cluster -> outcome other than ok; `dark`: (vantage, cluster) paths.

    `errors`: cluster -> share of data-plane probes that get a server error (a gray failure).
    """

    data: dict[str, Outcome] = field(default_factory=dict)
    control: dict[str, Outcome] = field(default_factory=dict)
    dark: set[tuple[str, str]] = field(default_factory=set)
    errors: dict[str, float] = field(default_factory=dict)
    applications: dict[tuple[str, str], Outcome] = field(default_factory=dict)

    def kill(self, *clusters: str, outcome: Outcome = Outcome.REFUSED) -> None:
        """Both planes of these clusters stop answering."""
        for name in clusters:
            self.data[name] = self.control[name] = outcome

    def revive(self, *clusters: str) -> None:
        for name in clusters:
            self.data.pop(name, None)
            self.control.pop(name, None)


class TwinProber:
    """The Prober port of one vantage over a PathWorld."""

    def __init__(
        self,
        vantage: str,
        world: PathWorld,
        clock: Clock,
        source_of_random: random.Random,
        latency_s: float = 0.02,
    ) -> None:
        self._vantage = vantage
        self._world = world
        self._clock = clock
        self._random = source_of_random
        self._latency_s = latency_s
        self.on_probe: Callable[[ProbeDefinition], None] | None = None

    async def probe(self, definition: ProbeDefinition) -> ProbeResult:
        """Waits as long as the outcome takes: a timeout takes the whole timeout, everything else the path's latency."""
        if self.on_probe is not None:
            self.on_probe(definition)
        outcome = self._outcome(definition)
        silent = outcome is Outcome.TIMEOUT
        await self._clock.sleep(
            definition.timeout_s if silent else self._latency_s * self._random.uniform(0.5, 1.5)
        )
        return ProbeResult(
            outcome=outcome, latency_ms=1000 * (definition.timeout_s if silent else self._latency_s)
        )

    def _outcome(self, definition: ProbeDefinition) -> Outcome:
        subject, world = definition.subject, self._world
        if (self._vantage, subject.cluster) in world.dark:
            return Outcome.TIMEOUT
        if definition.signal is Signal.CONTROL_PLANE:
            return world.control.get(subject.cluster, Outcome.OK)
        if subject.application is not None and (subject.application, subject.cluster) in world.applications:
            return world.applications[subject.application, subject.cluster]
        if self._random.random() < world.errors.get(subject.cluster, 0.0):
            return Outcome.SERVER_ERROR
        return world.data.get(subject.cluster, Outcome.OK)

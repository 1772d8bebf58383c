"""The simulated vantages: what they probe, when, and how their reports reach the controllers.

A vantage elsewhere is another process than the controller, so it is the world's part. It keeps the shipped prober's pace (its
interval with jitter, never two probes of a series at once) and the shipped post's habit of sending what came in together; all
of that happens in steps of `STEP_S`, because two timers for each of some fifteen probes a second are half of a simulation.
"""

import heapq
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from failover.model.observation import Observation, Outcome, ProbeDefinition, VantageReport

from . import trace
from .layers import Layers

if TYPE_CHECKING:
    from .world import World

LATENCY_S = 0.02
TRANSPORT_S = 0.05
STEP_S = 0.5
PULL_EVERY_S = 10.0


@dataclass(slots=True)
class VantageState:
    """One vantage: it probes unless dead or stuck; reports may be lost, late, doubled, out of order."""

    name: str
    region: str
    boot: int = 1
    reports: int = 0
    probing: "Probing | None" = None
    faults: Layers = field(default_factory=Layers)


class Series(NamedTuple):
    """A series' next probe. `number` settles which of two comes first."""

    at: float
    number: int
    definition: ProbeDefinition
    digest: str


class Sent(NamedTuple):
    """What a probe saw, on its way: it ended at `ended` and arrives at `at`. `slept_s`: while the vantage's clock stood."""

    at: float
    number: int
    definition: ProbeDefinition
    digest: str
    met: Outcome
    said: Outcome
    latency_s: float
    ended: float
    slept_s: float = 0.0


class Probing:
    """The probe series of one boot of a vantage."""

    def __init__(self, world: "World", state: VantageState) -> None:
        self._world, self._state = world, state
        self._boot_id = f"{state.name}-{state.boot}"
        self._generation = ""
        self._jitter = world.policy.fleet.timing.jitter
        self._sequence = 0
        self._stopped = False
        self._series: list[Series] = []
        self._sent: list[Sent] = []
        self._pull_at = world.mono
        self._pull()

    def _pull(self) -> None:
        """What is to be probed, from the controller that acts or else from any; without an answer nothing changes. Series that
        did not change go on undisturbed.
        """
        world, now = self._world, self._world.mono
        self._pull_at = now + PULL_EVERY_S
        listed = None if world.is_cut_off(self._state) else world.lists_probes
        if listed is None or listed.policy.generation == self._generation:
            return
        self._generation = str(listed.policy.generation)
        wanted = {item.key: item for item in listed.definitions}
        self._series = [item for item in self._series if wanted.get(item.definition.key) == item.definition]
        kept = {item.definition.key for item in self._series}
        numbers = count(max((item.number for item in self._series), default=-1) + 1)
        self._series += [
            Series(now + world.random.uniform(0, item.interval_s), next(numbers), item, item.definition_hash)
            for key, item in wanted.items()
            if key not in kept
        ]
        heapq.heapify(self._series)

    def stop(self) -> None:
        """Nothing is probed any more; what is under way is lost."""
        self._stopped = True

    def slept(self, seconds: float) -> None:
        """The machine was suspended for so long, and nothing in it knows: what was under way is older than its clock says."""
        self._series = [item._replace(at=item.at + seconds) for item in self._series]
        self._sent = [
            item._replace(at=item.at + seconds, slept_s=item.slept_s + seconds) for item in self._sent
        ]

    def step(self, now: float) -> None:
        """Begin the probes that are due, and deliver together what has arrived."""
        faults = self._state.faults
        if self._stopped or (faults and (faults.has("asleep") or faults.has("dead"))):
            return
        if now >= self._pull_at:
            self._pull()
        stuck = bool(faults) and faults.has("stuck")
        while not stuck and self._series and self._series[0].at <= now:
            due = self._series[0]
            latency_s = self._probe(due.definition, due.digest, now)
            pace = due.definition.interval_s * self._world.random.uniform(1 - self._jitter, 1 + self._jitter)
            heapq.heapreplace(self._series, Series(max(due.at + pace, now + latency_s), *due[1:]))
        arrived: list[Sent] = []
        while self._sent and self._sent[0].at <= now:
            arrived.append(heapq.heappop(self._sent))
        if arrived and not self._world.is_cut_off(self._state):
            self._deliver(arrived, now)

    def _probe(self, definition: ProbeDefinition, digest: str, now: float) -> float:
        """One probe: a timeout takes the whole timeout, everything else the path's latency."""
        world, faults = self._world, self._state.faults
        outcome, latency_s = world.takes(self._state.name, definition)
        self._sequence += 1
        ended = now + latency_s
        late_s, times = TRANSPORT_S, 1
        if faults:
            late_s += faults.top("late", 0.0)
            if faults.has("reorder"):
                late_s += world.random.random() * faults.top("reorder", 0.0)
            times = 2 if faults.has("double") else 1
        said = world.says(self._state.name, definition, outcome)
        for turn in range(times):
            at = ended + late_s * (turn + 1)
            heapq.heappush(
                self._sent, Sent(at, self._sequence, definition, digest, outcome, said, latency_s, ended)
            )
        return latency_s

    def _deliver(self, arrived: list[Sent], now: float) -> None:
        """One post with everything that arrived, to every controller that lives."""
        world, state = self._world, self._state
        state.reports += 1
        told = tuple(self._told(item, now) for item in arrived)
        for life in world.lives:
            if life.controller is None or not life.alive or not life.clock.running.is_set():
                continue
            head, mark = world.heads.get(state.name, (0, ""))
            report = VantageReport(
                vantage=told[0].vantage,
                boot_id=self._boot_id,
                sequence=state.reports,
                generation=self._generation,
                suspect="its references do not answer" if state.faults.has("suspect") else "",
                journal_head=head,
                journal_mark=mark,
                observations=told,
            )
            life.controller.receive(report)
            if life.controller.policy.generation != self._generation:
                self._pull_at = now  # the answer to a report says so
            if life.controller.journal_head > head:
                world.heads[state.name] = (life.controller.journal_head, life.controller.journal_mark)
            for item, observation in zip(arrived, told, strict=True):
                world.hear(trace.Heard(now, life.holder, observation, item.ended, item.met))

    def _told(self, item: Sent, now: float) -> Observation:
        age_s = max(0.0, now - item.ended - item.slept_s + self._state.faults.top("clock", 0.0))
        return Observation(
            vantage=self._state.name,  # type: ignore[arg-type]
            boot_id=self._boot_id,
            sequence=item.number,
            subject=item.definition.subject,
            signal=item.definition.signal,
            outcome=item.said,
            age_s=age_s,
            started_age_s=age_s + item.latency_s,
            latency_ms=item.latency_s * 1000,
            generation=self._generation,
            definition=item.digest,
        )


def probe_of(world: "World", vantage: str, definition: ProbeDefinition) -> tuple[Outcome, float]:
    """Outcome and seconds of one probe that begins now."""
    outcome, slow_s = world.meets(vantage, definition.subject, definition.signal)
    latency_s = LATENCY_S + slow_s
    if outcome is Outcome.TIMEOUT or latency_s >= definition.timeout_s:
        return Outcome.TIMEOUT, definition.timeout_s
    return outcome, latency_s

"""Plays the shipped `judge` over what the vantages send, on the controller's grid of ticks.

A tick at which nothing can change is skipped: nothing came in, no vote grows stale, no clock runs full, no patience ends.
`judge` looks back at the judgement before in one place only: a confirm clock cannot begin before it. Where one began, the
step is taken again with the tick before it. A past in which no verdict can fall, and that is played for its votes alone, may be
judged once an interval. So what is played is what every tick would have played (tests/quality/test_quality.py holds the two
against each other).
"""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from failover.controller.pace import Pace
from failover.health import HealthState, Inputs, judge
from failover.health.alerts import PATIENCE_INTERVALS
from failover.model.ids import VantageName
from failover.model.observation import Received
from failover.model.verdict import Judgement, Verdict

from .panels import CLUSTER, DEFINITIONS, FIRST_SEQUENCE, WARM_MONO, Bench, now_at, received
from .probing import Heard

TICK_S = Pace().tick_s
HAIR_S = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One judgement. `second`: of the play's own time."""

    second: float
    judgement: Judgement
    verdict: Verdict

    def told(self, code: str) -> bool:
        """Whether an alert says so."""
        return any(alert.code == code for alert in self.judgement.alerts)

    def paged(self, code: str) -> bool:
        """Whether somebody is woken for this."""
        return any(alert.code == code and alert.page for alert in self.judgement.alerts)


class Play:
    """One play from the warm state on. `cordoned` may be changed while it runs.

    `hurry_until`: before this second no verdict can fall; `every_tick`: skip none.
    """

    def __init__(
        self,
        bench: Bench,
        heard: Sequence[Heard],
        *,
        begin: float,
        hurry_until: float = -math.inf,
        every_tick: bool = False,
    ) -> None:
        self._begin = begin
        self._bench = bench
        self._every_tick = every_tick
        hurried = max(0.0, (hurry_until - begin - bench.timing.interval_s) / TICK_S)
        self._hurry_until, self._stride = math.floor(hurried), math.floor(bench.timing.interval_s / TICK_S)
        self._heard = deque(self._number(heard))
        self._tick = 0
        self.state: HealthState = bench.warm
        self.cordoned: frozenset[VantageName] = frozenset()

    def steps(self, end: float) -> Iterator[Step]:
        """Judgement after judgement until a second of the play's time."""
        last = math.floor((end - self._begin) / TICK_S)
        while (tick := self._next_tick()) <= last:
            judgement = self._advance(tick)
            verdict = judgement.of(CLUSTER)
            assert verdict is not None
            yield Step(second=self._begin + tick * TICK_S, judgement=judgement, verdict=verdict)

    def _number(self, heard: Sequence[Heard]) -> Iterator[Received]:
        numbers: dict[VantageName, int] = {}
        for item in heard:
            numbers[item.vantage] = numbers.get(item.vantage, FIRST_SEQUENCE) + 1
            yield received(
                item.vantage,
                item.signal,
                item.outcome,
                mono=self._mono(item.arrival),
                sequence=numbers[item.vantage],
                age_s=item.age_s,
            )

    def _mono(self, second: float) -> float:
        return WARM_MONO + second - self._begin

    def _next_tick(self) -> int:
        if self._every_tick:
            return self._tick + 1
        if self._tick + self._stride <= self._hurry_until:
            return self._tick + self._stride
        ticks = [_tick_at(moment) for moment in self._moments()]
        if self._heard:
            ticks.append(_tick_at(self._heard[0].received_mono))
        return max(self._tick + 1, min(ticks))

    def _moments(self) -> Iterator[float]:
        """When the verdict or an alert would change although nothing came in."""
        state, timing = self.state, self._bench.timing
        yield state.judged_mono + timing.evidence_max_age_s / 2
        judged = state.judged.get(CLUSTER)
        if judged is None:
            return
        yield min(judged.data.fresh_until, judged.control.fresh_until)
        later = state.histories[CLUSTER].since_mono + PATIENCE_INTERVALS * timing.interval_s
        needed = judged.verdict.confirm_needed_s
        for moment in (later, *(clock + needed for clock in state.clocks.values())):
            if moment > state.judged_mono - HAIR_S:
                yield moment

    def _advance(self, tick: int) -> Judgement:
        mono = WARM_MONO + tick * TICK_S
        arrived = []
        while self._heard and self._heard[0].received_mono <= mono:
            arrived.append(self._heard.popleft())
        inputs = Inputs(
            policy=self._bench.policy,
            definitions=DEFINITIONS,
            received=tuple(arrived),
            cordoned=self.cordoned,
        )
        state, judgement = judge(self.state, inputs, now_at(mono))
        if tick > self._tick + 1 and state.clocks.keys() - self.state.clocks.keys():
            idle = replace(inputs, received=(), cordoned=self.state.cordoned)
            between, _ = judge(self.state, idle, now_at(mono - TICK_S))
            state, judgement = judge(between, inputs, now_at(mono))
        self.state, self._tick = state, tick
        return judgement


def _tick_at(mono: float) -> int:
    return math.ceil((mono - WARM_MONO) / TICK_S - HAIR_S)

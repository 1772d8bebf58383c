"""Runs probes at their pace: one task (bulkhead) per target, monotonic time, jitter, never two at once of a series.

A prober that is stuck, late or dead yields no observation, never `down` (I1).
"""

import asyncio
import random
from collections.abc import Callable, Iterable

from failover.model.ids import VantageName
from failover.model.observation import (
    Observation,
    Outcome,
    ProbeDefinition,
    ProbeResult,
)
from failover.model.ports import Clock, Prober
from failover.probes.classify import printable
from failover.probes.lag import LagMeter

STUCK_MARGIN_S = 1.0

Sink = Callable[[Observation, float], None]
"""Takes an observation (ages 0) and the monotonic second at which its probe ended."""


class ProbeRunner:
    """All probe series of one vantage. `boot_id` and the running sequence number make its observations idempotent.

    `meter`: watch our own event loop's lag; one on a virtual clock cannot lag.
    """

    def __init__(
        self,
        *,
        vantage: VantageName,
        boot_id: str,
        prober: Prober,
        clock: Clock,
        source_of_random: random.Random,
        sink: Sink,
        jitter: float = 0.1,
        meter: bool = True,
    ) -> None:
        self._vantage = vantage
        self._boot_id = boot_id
        self._prober = prober
        self._clock = clock
        self._random = source_of_random
        self._sink = sink
        self._jitter = jitter
        self._sequence = 0
        self._generation = ""
        self._series: dict[tuple[str, str, str], tuple[ProbeDefinition, asyncio.Task[None]]] = {}
        self.lag = LagMeter(clock)
        self._lag_task: asyncio.Task[None] | None = None
        self._meter = meter

    def update(self, definitions: Iterable[ProbeDefinition], generation: str) -> None:
        """Run exactly these from now on; an unchanged series goes on undisturbed."""
        self._generation = generation
        if self._lag_task is None and self._meter:
            self._lag_task = asyncio.ensure_future(self.lag.run())
        wanted = {definition.key: definition for definition in definitions}
        for key, (definition, task) in list(self._series.items()):
            if wanted.get(key) != definition:
                task.cancel()
                del self._series[key]
        for key, definition in wanted.items():
            if key not in self._series:
                self._series[key] = (definition, asyncio.ensure_future(self._run_series(definition)))

    def stop(self) -> None:
        """Cancel every series."""
        for _, task in self._series.values():
            task.cancel()
        self._series.clear()
        if self._lag_task is not None:
            self._lag_task.cancel()
            self._lag_task = None

    async def _run_series(self, definition: ProbeDefinition) -> None:
        digest = definition.definition_hash
        next_at = self._clock.now().mono + self._random.uniform(0, definition.interval_s)
        while True:
            await self._clock.sleep(next_at - self._clock.now().mono)
            started = self._clock.now().mono
            result = await self._probe_bounded(definition)
            self._emit(definition, digest, result, started)
            step = definition.interval_s * self._random.uniform(1 - self._jitter, 1 + self._jitter)
            # After a stall the series starts anew instead of catching up with a burst.
            next_at = max(next_at + step, self._clock.now().mono)

    async def _probe_bounded(self, definition: ProbeDefinition) -> ProbeResult:
        """Supervises every prober: one that does not keep its deadline, or breaks, is our fault, and its series goes on."""
        try:
            async with asyncio.timeout(definition.timeout_s + STUCK_MARGIN_S):
                return await self._prober.probe(definition)
        except TimeoutError:
            return ProbeResult(outcome=Outcome.LOCAL, detail="the prober did not keep its own deadline")
        except Exception as error:
            detail = printable(f"the prober broke: {type(error).__name__}: {error}")
            return ProbeResult(outcome=Outcome.LOCAL, detail=detail)

    def _emit(self, definition: ProbeDefinition, digest: str, result: ProbeResult, started: float) -> None:
        outcome, detail = result.outcome, result.detail
        if outcome.counts_as_failure and self.lag.excuses(started, definition.timeout_s):
            outcome, detail = Outcome.LOCAL, f"our event loop lagged while this failed ({result.outcome})"
        self._sequence += 1
        ended = self._clock.now().mono
        self._sink(
            Observation(
                vantage=self._vantage,
                boot_id=self._boot_id,
                sequence=self._sequence,
                subject=definition.subject,
                signal=definition.signal,
                outcome=outcome,
                age_s=0.0,
                started_age_s=ended - started,
                latency_ms=result.latency_ms,
                generation=self._generation,
                definition=digest,
                detail=detail,
                partly=result.partly,
            ),
            ended,
        )

"""How late our own event loop is: a probe that failed while the loop lagged failed because of us (class `local`)."""

from collections import deque

from failover.model.ports import Clock

SAMPLE_S = 0.05
KEEP_S = 60.0
LAG_FLOOR_S = 0.25
LAG_SHARE = 0.1


class LagMeter:
    """Sleeps a little, again and again, and remembers by how much each sleep overshot."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lags: deque[tuple[float, float]] = deque()

    async def run(self) -> None:
        """For ever."""
        while True:
            before = self._clock.now().mono
            await self._clock.sleep(SAMPLE_S)
            after = self._clock.now().mono
            lag = after - before - SAMPLE_S
            if lag > LAG_FLOOR_S / 5:
                self._lags.append((after, lag))
            while self._lags and self._lags[0][0] < after - KEEP_S:
                self._lags.popleft()

    def worst(self, since_mono: float) -> float:
        """The longest overshoot in seconds of any sleep that ended after `since_mono`."""
        return max((lag for ended, lag in self._lags if ended >= since_mono), default=0.0)

    def excuses(self, started_mono: float, timeout_s: float) -> bool:
        """Whether a failure of a probe that began at `started_mono` is ours: lag above 250 ms or 10 % of the timeout."""
        return self.worst(started_mono) > max(LAG_FLOOR_S, LAG_SHARE * timeout_s)

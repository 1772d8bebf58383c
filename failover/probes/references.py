"""A vantage checks itself first: named references outside the judged region; with fewer than two answering it abstains."""

import asyncio
from collections.abc import Sequence

from failover.model.ids import ClusterName, Subject
from failover.model.observation import ProbeDefinition, Reference, Signal
from failover.model.ports import Clock, Prober

ANSWERING_MIN = 2


class SelfCheck:
    """Asks every reference each interval. `suspect` is the sentence why this vantage abstains, "" while it trusts itself."""

    def __init__(
        self,
        *,
        references: Sequence[Reference],
        prober: Prober,
        clock: Clock,
        interval_s: float,
        timeout_s: float,
    ) -> None:
        self._definitions = [_definition(item, interval_s, timeout_s) for item in references]
        self._names = [item.name for item in references]
        self._prober = prober
        self._clock = clock
        self._interval_s = interval_s
        self.suspect = ""

    async def check(self) -> str:
        """One round. A vantage without enough references cannot check itself and says nothing against itself."""
        if len(self._definitions) < ANSWERING_MIN:
            self.suspect = ""
            return ""
        probes = (self._prober.probe(item) for item in self._definitions)
        results = await asyncio.gather(*probes, return_exceptions=True)
        silent = [
            name
            for name, result in zip(self._names, results, strict=True)
            if isinstance(result, BaseException) or not result.outcome.is_success
        ]
        answering = len(results) - len(silent)
        self.suspect = (
            ""
            if answering >= ANSWERING_MIN
            else f"only {answering} of {len(results)} references answer (silent: {', '.join(silent)})"
        )
        return self.suspect

    async def run(self) -> None:
        """For ever, at the probes' interval."""
        while True:
            await self.check()
            await self._clock.sleep(self._interval_s)


def _definition(item: Reference, interval_s: float, timeout_s: float) -> ProbeDefinition:
    return ProbeDefinition(
        subject=Subject(cluster=ClusterName(f"reference/{item.name}")),
        signal=Signal.DATA_PLANE,
        probe=item.probe,
        address=item.address,
        port=item.port,
        server_name=item.server_name,
        host=item.server_name,
        path=item.path,
        statuses=tuple(range(100, 600)),  # any answer proves our path; what it says does not matter
        ca_pem=item.ca_pem,
        interval_s=interval_s,
        timeout_s=timeout_s,
    )

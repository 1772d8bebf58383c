"""A vantage elsewhere: pulls its probe list, runs the probers, checks itself, and posts what it saw.

It keeps observing while a controller is away; the backlog is bounded by number and by age, and what is dropped is simply
no data (I1). Ages are measured here, on this machine's monotonic clock; no wall clock is involved.
"""

import asyncio
import json
import random
import secrets
import ssl
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp

from failover.model.codec import DecodeError, canonical_json, from_plain
from failover.model.ids import VantageName
from failover.model.observation import Observation, VantageReport
from failover.model.ports import Clock
from failover.probes import ProberSet, ProbeRunner, SelfCheck
from failover.web.protocol import (
    OBSERVATIONS_PER_REPORT_MAX,
    PROBES_PATH,
    REPORT_PATH,
    VANTAGE_HEADER,
    ProbeList,
    ReportReceipt,
)

BACKLOG_MAX = 20_000
BACKLOG_AGE_MAX_S = 300.0
POST_EVERY_S = 0.1
HEARTBEAT_S = 1.0
PULL_EVERY_S = 10.0
REQUEST_TIMEOUT_S = 5.0
RETRY_FIRST_S = 0.2
RETRY_MAX_S = 5.0
LIST_BYTES_MAX = 16 * 1024 * 1024


@dataclass(slots=True, kw_only=True)
class Link:
    """One controller that this vantage reports to. `backlog`: (monotonic second of the probe's end, observation)."""

    url: str
    backlog: deque[tuple[float, Observation]] = field(default_factory=lambda: deque(maxlen=BACKLOG_MAX))
    listed: ProbeList | None = None
    pull: asyncio.Event = field(default_factory=asyncio.Event)
    trouble: str = ""


class Vantage:
    """One vantage process. `run()` ends only by cancellation."""

    def __init__(
        self,
        *,
        name: str,
        controllers: list[str],
        token: str,
        clock: Clock,
        tls: ssl.SSLContext | bool = True,
        source: str = "",
        on_event: Any = None,
    ) -> None:
        self._name = VantageName(name)
        self._token = token
        self._clock = clock
        self._tls = tls
        self._source = source
        self._boot_id = secrets.token_hex(8)
        self._reports = 0
        self._links = [Link(url=url.rstrip("/")) for url in controllers]
        self._journal_head = 0
        self._journal_mark = ""
        self._in_force: ProbeList | None = None
        self._prober: ProberSet | None = None
        self._runner: ProbeRunner | None = None
        self._check: SelfCheck | None = None
        self._check_task: asyncio.Task[None] | None = None
        self._tell = on_event or (lambda sentence: None)

    async def run(self) -> None:
        """Probe and report until cancelled."""
        headers = {"Authorization": f"Bearer {self._token}", VANTAGE_HEADER: self._name}
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
        connector = aiohttp.TCPConnector(
            ssl=self._tls, local_addr=(self._source, 0) if self._source else None
        )
        session = aiohttp.ClientSession(
            headers=headers,
            timeout=timeout,
            connector=connector,
            trust_env=False,
            read_bufsize=LIST_BYTES_MAX,
        )
        try:
            async with session, asyncio.TaskGroup() as group:
                for link in self._links:
                    group.create_task(self._pull_forever(session, link))
                    group.create_task(self._post_forever(session, link))
        finally:
            await self._stop()

    async def _stop(self) -> None:
        """Nothing is probed any more, and every connection is closed."""
        if self._runner is not None:
            self._runner.stop()
        if self._check_task is not None:
            self._check_task.cancel()
        if self._prober is not None:
            await self._prober.close()

    # -- pulling -------------------------------------------------------------------------------------------------------

    async def _pull_forever(self, session: aiohttp.ClientSession, link: Link) -> None:
        delay = RETRY_FIRST_S
        while True:
            try:
                async with session.get(link.url + PROBES_PATH) as response:
                    if response.status != 200:
                        raise DecodeError(f"HTTP {response.status} from {link.url}")
                    listed: ProbeList = from_plain(ProbeList, json.loads(await response.text()))
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
                self._note(link, f"cannot pull the probe list from {link.url}: {error}")
                await self._clock.sleep(delay)
                delay = min(delay * 2, RETRY_MAX_S)
                continue
            delay = RETRY_FIRST_S
            self._note(link, "")
            link.listed = listed
            self._learn_head(listed.journal_head, listed.journal_mark)
            await self._use_best_list()
            link.pull.clear()
            try:
                async with asyncio.timeout(PULL_EVERY_S):
                    await link.pull.wait()
            except TimeoutError:
                pass

    async def _use_best_list(self) -> None:
        """The acting controller's list, else any; probes that did not change go on undisturbed."""
        lists = [link.listed for link in self._links if link.listed is not None]
        best = next((item for item in lists if item.acting), lists[0])
        previous, self._in_force = self._in_force, best
        if previous is None or _paths(previous) != _paths(best):
            await self._restart_runner(best)
        elif _checks(previous) != _checks(best):
            self._restart_check(best)
        if self._runner is not None:
            self._runner.update(best.definitions, best.generation)

    async def _restart_runner(self, best: ProbeList) -> None:
        if self._runner is not None:
            self._runner.stop()
        if self._prober is not None:
            await self._prober.close()
        self._prober = ProberSet(allow_cidrs=best.allow_cidrs, source=self._source)
        self._boot_id = secrets.token_hex(8)  # sequences begin anew
        self._runner = ProbeRunner(
            vantage=self._name,
            boot_id=self._boot_id,
            prober=self._prober,
            clock=self._clock,
            source_of_random=random.Random(),  # noqa: S311 - jitter, not secrecy
            sink=self._keep,
            jitter=best.jitter,
        )
        self._restart_check(best)

    def _restart_check(self, best: ProbeList) -> None:
        if self._check_task is not None:
            self._check_task.cancel()
        if self._prober is None:
            return
        self._check = SelfCheck(
            references=best.references,
            prober=self._prober,
            clock=self._clock,
            interval_s=best.interval_s,
            timeout_s=best.timeout_s,
        )
        self._check_task = asyncio.ensure_future(self._check.run())

    def _keep(self, observation: Observation, ended_mono: float) -> None:
        for link in self._links:
            link.backlog.append((ended_mono, observation))

    # -- posting -------------------------------------------------------------------------------------------------------

    async def _post_forever(self, session: aiohttp.ClientSession, link: Link) -> None:
        delay = RETRY_FIRST_S
        last_posted = float("-inf")
        while True:
            await self._clock.sleep(POST_EVERY_S)
            due = self._clock.now().mono - last_posted >= HEARTBEAT_S
            if not link.backlog and not due:
                continue
            batch = self._take_batch(link)
            try:
                receipt = await self._post(session, link, batch)
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
                # Sequence numbers make it safe to send the same observations again.
                _put_back(link, batch)
                self._note(link, f"cannot report to {link.url}: {error}")
                await self._clock.sleep(delay)
                delay = min(delay * 2, RETRY_MAX_S)
                continue
            delay, last_posted = RETRY_FIRST_S, self._clock.now().mono
            self._note(link, "")
            self._learn_head(receipt.journal_head, receipt.journal_mark)
            if link.listed is None or receipt.generation != link.listed.generation:
                link.pull.set()

    def _take_batch(self, link: Link) -> list[tuple[float, Observation]]:
        now = self._clock.now().mono
        while link.backlog and now - link.backlog[0][0] > BACKLOG_AGE_MAX_S:
            link.backlog.popleft()
        return [link.backlog.popleft() for _ in range(min(len(link.backlog), OBSERVATIONS_PER_REPORT_MAX))]

    async def _post(
        self, session: aiohttp.ClientSession, link: Link, batch: list[tuple[float, Observation]]
    ) -> ReportReceipt:
        now = self._clock.now().mono
        self._reports += 1
        report = VantageReport(
            vantage=self._name,
            boot_id=self._boot_id,
            sequence=self._reports,
            generation=self._in_force.generation if self._in_force else "",
            suspect=self._check.suspect if self._check else "",
            journal_head=self._journal_head,
            journal_mark=self._journal_mark,
            observations=tuple(aged(observation, ended, now) for ended, observation in batch),
        )
        body = canonical_json(report).encode()
        async with session.post(
            link.url + REPORT_PATH, data=body, headers={"Content-Type": "application/json"}
        ) as response:
            if response.status != 200:
                raise DecodeError(f"HTTP {response.status}: {(await response.text())[:200]}")
            return from_plain(ReportReceipt, json.loads(await response.text()))

    # -- small things --------------------------------------------------------------------------------------------------

    def _learn_head(self, head: int, mark: str) -> None:
        if head > self._journal_head:
            self._journal_head, self._journal_mark = head, mark

    def _note(self, link: Link, sentence: str) -> None:
        if sentence != link.trouble:
            link.trouble = sentence
            self._tell(sentence or f"reporting to {link.url}")


def _paths(listed: ProbeList) -> tuple[object, ...]:
    """What of a list needs new probers."""
    return (listed.allow_cidrs, listed.jitter)


def _checks(listed: ProbeList) -> tuple[object, ...]:
    """What of a list needs a new check of the references."""
    return (listed.references, listed.interval_s, listed.timeout_s)


def _put_back(link: Link, batch: list[tuple[float, Observation]]) -> None:
    """Before what came meanwhile; where there is no room for all, the oldest are dropped."""
    room = BACKLOG_MAX - len(link.backlog)
    link.backlog.extendleft(reversed(batch[max(0, len(batch) - room) :]))


def aged(observation: Observation, ended_mono: float, now_mono: float) -> Observation:
    """The observation with its ages as of `now_mono` (the probe ended at `ended_mono`)."""
    age = max(0.0, now_mono - ended_mono)
    return replace(observation, age_s=round(age, 4), started_age_s=round(observation.started_age_s + age, 4))

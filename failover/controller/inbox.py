"""Where observations wait for the next tick. Bounded: when the loop cannot keep up the oldest are dropped, visibly.

Dropped observations are no data, and no data is never down (I1).
"""

from collections import deque

from failover.model.ids import VantageName
from failover.model.observation import Observation, Received, VantageReport
from failover.model.time import Now

INBOX_MAX = 50_000
REPORT_AGE_MAX_S = 3600.0


class Inbox:
    """Stamps what arrives and hands it over in order of arrival."""

    def __init__(self) -> None:
        self._received: deque[Received] = deque(maxlen=INBOX_MAX)
        self._reports: dict[VantageName, VantageReport] = {}
        self.seen: dict[VantageName, float] = {}
        self.dropped = 0

    def put(self, observation: Observation, now: Now) -> None:
        """One observation of this process's own vantage."""
        self._append(observation, now)
        self.seen[observation.vantage] = now.mono

    def receive(self, report: VantageReport, now: Now) -> int:
        """A vantage's post; returns how many observations were taken. Ages beyond an hour are of no use."""
        self.seen[report.vantage] = now.mono
        self._reports[report.vantage] = report
        taken = 0
        for observation in report.observations:
            if observation.vantage == report.vantage and 0.0 <= observation.age_s <= REPORT_AGE_MAX_S:
                self._append(observation, now)
                taken += 1
        return taken

    def note_self(self, report: VantageReport, now: Now) -> None:
        """The controller's own vantage tells whether it trusts itself."""
        self.seen[report.vantage] = now.mono
        self._reports[report.vantage] = report

    def drain(self) -> tuple[tuple[Received, ...], tuple[VantageReport, ...]]:
        """Everything since the last drain; reports without their observations (those are in the first part)."""
        received = tuple(self._received)
        self._received.clear()
        reports = tuple(self._reports[name] for name in sorted(self._reports))
        self._reports.clear()
        return received, reports

    def _append(self, observation: Observation, now: Now) -> None:
        if len(self._received) == INBOX_MAX:
            self.dropped += 1
        self._received.append(
            Received(
                observation=observation, measured_mono=now.mono - observation.age_s, received_mono=now.mono
            )
        )

"""Where observations wait for the next tick. Bounded: when the loop cannot keep up the oldest are dropped, visibly.

Dropped observations are no data, and no data is never down (I1).
"""

from collections import OrderedDict, deque

from failover.model.ids import ClusterName, VantageName
from failover.model.observation import Observation, Received, VantageReport
from failover.model.time import Now

INBOX_MAX = 50_000
BOOTS_REMEMBERED = 32
REPORT_AGE_MAX_S = 3600.0


class Numbered:
    """Tells what is newer from what is sent again: by boot and by sequence within it."""

    def __init__(self) -> None:
        self._boots: OrderedDict[str, int] = OrderedDict()

    def newer(self, boot_id: str, sequence: int) -> bool:
        """Whether this was never heard and nothing later was; an earlier boot says nothing any more."""
        current = next(reversed(self._boots), None)
        if boot_id in self._boots and (boot_id != current or sequence <= self._boots[boot_id]):
            return False
        self._boots[boot_id] = sequence
        while len(self._boots) > BOOTS_REMEMBERED:
            self._boots.popitem(last=False)
        return True


class Inbox:
    """Stamps what arrives and hands it over in order of arrival. `heartbeats`: when each cluster's newest one came."""

    def __init__(self) -> None:
        self._received: deque[Received] = deque(maxlen=INBOX_MAX)
        self._reports: dict[VantageName, VantageReport] = {}
        self.seen: dict[VantageName, float] = {}
        self.heartbeats: dict[ClusterName, float] = {}
        self._numbered: dict[str, Numbered] = {}
        self.dropped = 0

    def put(self, observation: Observation, now: Now) -> None:
        """One observation of this process's own vantage."""
        self._append(observation, now)
        self.seen[observation.vantage] = now.mono

    def receive(self, report: VantageReport, now: Now) -> int:
        """A vantage's post; returns how many observations were taken. Ages beyond an hour are of no use.

        Of a post that is sent again only the observations are looked at, which have numbers of their own.
        """
        if self._newer(f"vantage/{report.vantage}", report.boot_id, report.sequence):
            self.seen[report.vantage] = now.mono
            self._reports[report.vantage] = report
        taken = 0
        for observation in report.observations:
            if observation.vantage == report.vantage and 0.0 <= observation.age_s <= REPORT_AGE_MAX_S:
                self._append(observation, now)
                taken += 1
        return taken

    def beat(self, cluster: ClusterName, boot_id: str, sequence: int, now: Now) -> bool:
        """A heartbeat that a cluster pushed out; False for one that is sent again."""
        if not self._newer(f"cluster/{cluster}", boot_id, sequence):
            return False
        self.heartbeats = {**self.heartbeats, cluster: now.mono}
        return True

    def _newer(self, who: str, boot_id: str, sequence: int) -> bool:
        return self._numbered.setdefault(who, Numbered()).newer(boot_id, sequence)

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

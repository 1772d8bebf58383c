"""A small world for the detector: vantages probe clusters at random phases, and a test says what each of them sees.

Time is a number that the test moves; nothing here sleeps. The same seed gives the same probes.
"""

import random
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from failover.health import HealthState, Inputs, initial_state, judge
from failover.model.ids import (
    ApplicationName,
    ClusterName,
    DatacenterName,
    ProviderName,
    RegionName,
    Subject,
    VantageName,
)
from failover.model.observation import Observation, Outcome, Received, Signal, VantageReport
from failover.model.policy import (
    Application,
    ClusterEntry,
    Fleet,
    GuardSettings,
    OnShortage,
    Policy,
    Profile,
    Timing,
    VantageEntry,
)
from failover.model.time import Now
from failover.model.verdict import Judgement, SignalState, Verdict, VerdictKind

BALANCED = Timing()
FAST = Timing(profile=Profile.FAST, interval_s=1.0, timeout_s=1.0, confirm_s=2.0)

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
BOOTED_S = 5000.0
"""What the monotonic clock shows when a world begins: it does not begin at 0 on a real machine either."""

D, C, H = Signal.DATA_PLANE, Signal.CONTROL_PLANE, Signal.HEARTBEAT
DEFINITION = "d0d0d0d0d0d0d0d0"

FIVE = ("north", "south", "east", "far-1", "far-2")
THREE = ("far-1", "far-2", "far-3")


def at(seconds: float, *, jump_s: float = 0.0) -> Now:
    """Both clocks, `seconds` after the world began; `jump_s`: how far somebody has set the wall clock."""
    return Now(mono=BOOTED_S + seconds, wall=START + timedelta(seconds=seconds + jump_s))


def fleet_policy(
    *,
    regions: Iterable[str] = ("north", "south", "east"),
    clusters: int = 1,
    vantages: Iterable[str] = FIVE,
    timing: Timing = FAST,
    applications: Iterable[str] = (),
    correlated_limit: int | None = None,
) -> Policy:
    """One datacenter a region; a vantage named like a region sits in it, any other outside every region."""
    names = tuple(regions)
    entries = tuple(
        ClusterEntry(
            name=ClusterName(f"{region}-{number}"),
            provider=ProviderName("p"),
            region=RegionName(region),
            datacenter=DatacenterName(f"{region}-a"),
        )
        for region in names
        for number in range(1, clusters + 1)
    )
    seats = tuple(
        VantageEntry(name=VantageName(name), region=name if name in names else "", controller=index == 0)
        for index, name in enumerate(vantages)
    )
    return Policy(
        generation="g1",
        fleet=Fleet(name="test", clusters=entries, vantages=seats, timing=timing),
        applications=tuple(
            Application(name=ApplicationName(name), on_shortage=OnShortage.HOLD) for name in applications
        ),
        guards=GuardSettings(correlated_limit=correlated_limit),
    )


def definitions_of(policy: Policy, definition: str = DEFINITION) -> dict[tuple[str, str, str], str]:
    """D and C of every cluster, and D of every application at every cluster."""
    found = {}
    for entry in policy.fleet.clusters:
        for signal in (D, C):
            found[entry.name, "", signal.value] = definition
        for application in policy.applications:
            found[entry.name, application.name, D.value] = definition
    return found


Sight = Callable[[str, Subject, Signal, float], Outcome | None]
"""What a vantage gets for a probe that starts at a second; None: the probe yields no observation at all."""


class World:
    """Probes, transport and ticks. `sees` may be replaced by a test at any moment."""

    def __init__(
        self,
        policy: Policy | None = None,
        *,
        seed: int = 1,
        tick_s: float = 0.1,
        transport_s: float = 0.0,
        definitions: dict[tuple[str, str, str], str] | None = None,
    ) -> None:
        self.policy = policy or fleet_policy()
        self.definitions = definitions or definitions_of(self.policy)
        self.random = random.Random(seed)
        self.tick_s, self.transport_s = tick_s, transport_s
        self.seconds = 0.0
        self.jump_s = 0.0
        self.state: HealthState = initial_state(at(0.0))
        self.judgement = Judgement(verdicts=())
        self.cordoned: frozenset[VantageName] = frozenset()
        self.suspects: dict[str, str] = {}
        self.boots: dict[str, str] = {}
        self.silent: set[str] = set()
        self.beating: set[str] = set()
        self.heartbeats: dict[ClusterName, float] = {}
        self.log: list[tuple[float, Judgement]] = []
        self._sights: list[Sight] = []
        self._sequence: dict[str, int] = {}
        self._next: dict[tuple[str, Subject, Signal], float] = {}
        self._due: list[tuple[float, Received]] = []
        for vantage in self.policy.fleet.vantages:
            for cluster, application, signal in self.definitions:
                subject = Subject(
                    cluster=ClusterName(cluster),
                    application=ApplicationName(application) if application else None,
                )
                key = (vantage.name, subject, Signal(signal))
                self._next[key] = self.random.uniform(0, self.timing.interval_s)

    @property
    def timing(self) -> Timing:
        return self.policy.fleet.timing

    def now(self) -> Now:
        return at(self.seconds, jump_s=self.jump_s)

    # -- what the vantages see -----------------------------------------------------------------------------------------

    def see(
        self,
        outcome: Outcome | None,
        *,
        cluster: str = "",
        region: str = "",
        signals: Iterable[Signal] = (D, C),
        vantages: Iterable[str] = (),
        application: str | None = None,
        from_s: float | None = None,
    ) -> None:
        """From now on (or from `from_s`) these vantages (all) get this outcome there; the last word wins.

        Without `application` only the clusters' own subjects are meant; None as the outcome: no observation at all.
        """
        begin = self.seconds if from_s is None else from_s
        chosen, looked_at = frozenset(vantages), frozenset(signals)

        def sight(vantage: str, subject: Subject, signal: Signal, second: float) -> Outcome | None:
            if second < begin or signal not in looked_at or (chosen and vantage not in chosen):
                raise LookupError
            if subject.application != application:
                raise LookupError
            if cluster not in ("", subject.cluster) or not subject.cluster.startswith(region):
                raise LookupError
            return outcome

        self._sights.append(sight)

    def sicken(self, cluster: str, share: float, *, vantages: Iterable[str] = ()) -> None:
        """From now on this share of the data-plane probes there fails."""
        begin, chosen = self.seconds, frozenset(vantages)

        def sight(vantage: str, subject: Subject, signal: Signal, second: float) -> Outcome | None:
            if second < begin or signal is not D or subject.cluster != cluster:
                raise LookupError
            if chosen and vantage not in chosen:
                raise LookupError
            return Outcome.SERVER_ERROR if self.random.random() < share else Outcome.OK

        self._sights.append(sight)

    def silence(self, *vantages: str) -> None:
        """These vantages are gone: nothing comes from them any more."""
        self.silent.update(vantages)

    def kill(self, region: str, outcome: Outcome = Outcome.REFUSED) -> None:
        """The region dies with its clusters, its endpoint and its vantage."""
        self.see(outcome, region=region)
        for application in self.policy.applications:
            self.see(outcome, region=region, application=application.name)
        if region in {vantage.name for vantage in self.policy.fleet.vantages}:
            self.silence(region)

    def _outcome(self, vantage: str, subject: Subject, signal: Signal, second: float) -> Outcome | None:
        if vantage in self.silent:
            return None
        for sight in reversed(self._sights):
            try:
                return sight(vantage, subject, signal, second)
            except LookupError:
                continue
        return Outcome.OK

    # -- time ----------------------------------------------------------------------------------------------------------

    def run(self, seconds: float) -> Judgement:
        """Let the world go on, with a judgement each tick."""
        end = self.seconds + seconds
        while self.seconds + self.tick_s <= end + 1e-9:
            self.seconds += self.tick_s
            self.probe()
            self.tick()
        return self.judgement

    def until(self, condition: Callable[[Judgement], bool], *, seconds: float = 600.0) -> float:
        """Let it go on until something holds; how long that took. Fails the test when it never does."""
        begin = self.seconds
        while self.seconds - begin < seconds:
            self.run(self.tick_s)
            if condition(self.judgement):
                return self.seconds - begin
        raise AssertionError(
            f"not within {seconds:g} s; last: {[str(v.kind) for v in self.judgement.verdicts]}"
        )

    def warm(self) -> "World":
        """Past the warm-up, everything healthy."""
        self.until(lambda judgement: judgement.warm_up is None)
        self.run(2 * self.timing.interval_s)
        return self

    def tick(self, received: Iterable[Received] = ()) -> Judgement:
        """One judgement now, of what has arrived and of `received`."""
        self.heartbeats |= {ClusterName(name): self.now().mono for name in self.beating}
        inputs = Inputs(
            policy=self.policy,
            definitions=self.definitions,
            received=(*self.arrived(), *received),
            reports=self.reports(),
            cordoned=self.cordoned,
            heartbeats=dict(self.heartbeats),
        )
        self.state, self.judgement = judge(self.state, inputs, self.now())
        self.log.append((self.seconds, self.judgement))
        return self.judgement

    def arrived(self) -> tuple[Received, ...]:
        """What has come in since this was asked last."""
        found = tuple(item for arrival, item in self._due if arrival <= self.seconds)
        self._due = [pair for pair in self._due if pair[0] > self.seconds]
        return found

    def reports(self) -> tuple[VantageReport, ...]:
        return tuple(
            VantageReport(
                vantage=vantage.name,
                boot_id=self.boots.get(vantage.name, "boot-1"),
                generation=self.policy.generation,
                suspect=self.suspects.get(vantage.name, ""),
            )
            for vantage in self.policy.fleet.vantages
        )

    def probe(self) -> None:
        """Every probe that starts before this tick; its observation arrives when it has ended."""
        for key, start in self._next.items():
            while start <= self.seconds:
                self._start(*key, start)
                jitter = self.timing.jitter
                start += self.timing.interval_s * self.random.uniform(1 - jitter, 1 + jitter)
            self._next[key] = start

    def _start(self, vantage: str, subject: Subject, signal: Signal, start: float) -> None:
        outcome = self._outcome(vantage, subject, signal, start)
        if outcome is None:
            return
        ended = start + (self.timing.timeout_s if outcome is Outcome.TIMEOUT else 0.0)
        arrival = ended + self.transport_s
        item = self.observation(vantage, subject, signal, outcome, ended=ended, arrival=arrival)
        self._due.append((arrival, item))

    def observation(
        self,
        vantage: str,
        subject: Subject,
        signal: Signal,
        outcome: Outcome,
        *,
        ended: float | None = None,
        arrival: float | None = None,
        sequence: int | None = None,
        definition: str | None = None,
        generation: str = "g1",
    ) -> Received:
        """One observation as the controller receives it."""
        if sequence is None:
            sequence = self._sequence.get(vantage, 0) + 1
            self._sequence[vantage] = sequence
        ended = self.seconds if ended is None else ended
        arrival = ended if arrival is None else arrival
        in_force = self.definitions.get((*subject.key, signal.value), "")
        return Received(
            observation=Observation(
                vantage=VantageName(vantage),
                boot_id=self.boots.get(vantage, "boot-1"),
                sequence=sequence,
                subject=subject,
                signal=signal,
                outcome=outcome,
                age_s=arrival - ended,
                latency_ms=20.0,
                generation=generation,
                definition=in_force if definition is None else definition,
            ),
            measured_mono=BOOTED_S + ended,
            received_mono=BOOTED_S + arrival,
        )

    def lose_in_flight(self) -> None:
        """Whatever is on its way is lost."""
        self._due.clear()

    def sleep(self, seconds: float) -> None:
        """The detector sleeps: nobody judges, and what was probed meanwhile is lost."""
        self.lose_in_flight()
        self.seconds += seconds
        for key in self._next:
            self._next[key] = self.seconds + self.random.uniform(0, self.timing.interval_s)

    # -- looking -------------------------------------------------------------------------------------------------------

    def verdict(self, cluster: str, application: str | None = None) -> Verdict:
        name = ApplicationName(application) if application else None
        found = self.judgement.of(Subject(cluster=ClusterName(cluster), application=name))
        assert found is not None
        return found

    def kind(self, cluster: str, application: str | None = None) -> VerdictKind:
        return self.verdict(cluster, application).kind

    def data(self, cluster: str) -> SignalState:
        return self.verdict(cluster).data.state

    def kinds_since(self, cluster: str, second: float) -> list[VerdictKind]:
        """The verdicts of a cluster from a second on, without repetitions."""
        found: list[VerdictKind] = []
        for moment, judgement in self.log:
            verdict = judgement.of_cluster(ClusterName(cluster))
            if moment >= second and verdict is not None and found[-1:] != [verdict.kind]:
                found.append(verdict.kind)
        return found

    def alert_codes(self) -> list[str]:
        return [alert.code for alert in self.judgement.alerts]

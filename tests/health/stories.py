"""A small story teller for the detectors: five vantages look at three regions, second by second, in plain code."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from failover.health import HealthState, Inputs, initial_state, judge
from failover.model.ids import ClusterName, Subject, VantageName
from failover.model.observation import Observation, Outcome, Received, Signal, VantageReport
from failover.model.policy import Policy
from failover.model.time import Now
from failover.model.verdict import Judgement, Verdict
from tests.support.policies import policy

BORN = datetime(2026, 3, 1, 12, tzinfo=UTC)
START = 1000.0
D, C, H = Signal.DATA_PLANE, Signal.CONTROL_PLANE, Signal.HEARTBEAT
NORTH, SOUTH, WEST = ClusterName("north-1"), ClusterName("south-1"), ClusterName("west-1")
CLUSTERS = (NORTH, SOUTH, WEST)
OUTSIDE_NORTH = tuple(VantageName(name) for name in ("control", "elsewhere", "v-south", "v-west"))
INSIDE_NORTH = VantageName("v-north")
VANTAGES = (*OUTSIDE_NORTH, INSIDE_NORTH)
REFUSED, TIMEOUT, OK, LOCAL = Outcome.REFUSED, Outcome.TIMEOUT, Outcome.OK, Outcome.LOCAL


def definitions_for(made: Policy, signals: Iterable[Signal] = (D, C)) -> dict[tuple[str, str, str], str]:
    """One definition a cluster and signal, all with the same hash."""
    return {(entry.name, "", signal.value): "hash" for entry in made.fleet.clusters for signal in signals}


@dataclass(slots=True)
class Story:
    """`outcomes`: what (cluster, signal) answers; `seen_by`: exceptions for one vantage, None: it does not look."""

    policy: Policy = field(default_factory=policy)
    mono: float = START
    jumped: timedelta = timedelta(0)
    signals: tuple[Signal, ...] = (D, C)
    outcomes: dict[tuple[str, Signal], Outcome] = field(default_factory=dict)
    seen_by: dict[tuple[str, str, Signal], Outcome | None] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    suspects: dict[str, str] = field(default_factory=dict)
    cordoned: frozenset[VantageName] = frozenset()
    boots: dict[str, str] = field(default_factory=dict)
    sequence: int = 0
    state: HealthState = field(init=False)
    judgement: Judgement = field(init=False)
    sent: list[Received] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.definitions = definitions_for(self.policy, self.signals)
        self.state = initial_state(self.now)
        self.judge()

    definitions: dict[tuple[str, str, str], str] = field(init=False)

    @property
    def now(self) -> Now:
        return Now(mono=self.mono, wall=BORN + timedelta(seconds=self.mono - START) + self.jumped)

    def look(
        self, vantage: str, cluster: str, signal: Signal, outcome: Outcome, **changes: object
    ) -> Received:
        """One observation that ends now."""
        self.sequence += 1
        observation = Observation(
            vantage=VantageName(vantage),
            boot_id=self.boots.get(vantage, "boot-1"),
            sequence=self.sequence,
            subject=Subject(cluster=ClusterName(cluster)),
            signal=signal,
            outcome=outcome,
            age_s=0.0,
            definition="hash",
        )
        received = Received(observation=observation, measured_mono=self.mono, received_mono=self.mono)
        return replace(received, **changes)  # type: ignore[arg-type]

    def judge(self, *received: Received) -> Judgement:
        inputs = Inputs(
            policy=self.policy,
            definitions=self.definitions,
            received=received,
            reports=tuple(
                VantageReport(
                    vantage=VantageName(name),
                    boot_id=self.boots.get(name, "boot-1"),
                    generation="",
                    suspect=self.suspects.get(name, ""),
                )
                for name in (vantage.name for vantage in self.policy.fleet.vantages)
                if name not in self.silent
            ),
            cordoned=self.cordoned,
        )
        self.state, self.judgement = judge(self.state, inputs, self.now)
        return self.judgement

    def second(self) -> Judgement:
        """A second passes, every vantage that is not silent looks at everything once."""
        self.mono += self.policy.fleet.timing.interval_s
        received = []
        for vantage in (item.name for item in self.policy.fleet.vantages):
            if vantage in self.silent:
                continue
            for entry in self.policy.fleet.clusters:
                for signal in self.signals:
                    outcome = self.outcomes.get((entry.name, signal), OK)
                    seen = self.seen_by.get((vantage, entry.name, signal), outcome)
                    if seen is not None:
                        received.append(self.look(vantage, entry.name, signal, seen))
        self.sent += received
        return self.judge(*received)

    def run(self, seconds: int) -> Judgement:
        for _ in range(seconds):
            self.second()
        return self.judgement

    def warm(self) -> "Story":
        """Until the warm-up is over and all is well."""
        self.run(self.policy.fleet.timing.rise + 1)
        assert self.judgement.warm_up is None
        return self

    def fail(self, cluster: str, *signals: Signal, outcome: Outcome = REFUSED) -> None:
        for signal in signals or (D, C):
            self.outcomes[cluster, signal] = outcome

    def heal(self, cluster: str) -> None:
        for signal in self.signals:
            self.outcomes.pop((cluster, signal), None)

    def of(self, cluster: str) -> Verdict:
        found = self.judgement.of_cluster(ClusterName(cluster))
        assert found is not None
        return found

    @property
    def north(self) -> Verdict:
        return self.of(NORTH)

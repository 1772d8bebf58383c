"""Who looks: panels of vantages around one region, and the shipped judge's state once it is warm.

One region with one cluster is judged. Regions fail independently here, so that more of them would only cost time; the
correlated freeze, which sees all regions at once and can only hold automation back, is left out.
"""

from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from failover.health import HealthState, Inputs, initial_state, judge
from failover.model.ids import Subject, VantageName
from failover.model.observation import Observation, Outcome, Received, Signal
from failover.model.policy import Policy, Profile, Timing
from failover.model.time import Now
from tests.health.world import BALANCED, FAST, START, fleet_policy

REGION = "north"
CLUSTER = Subject(cluster=fleet_policy(regions=(REGION,)).fleet.clusters[0].name)
D, C = Signal.DATA_PLANE, Signal.CONTROL_PLANE
SIGNALS = (D, C)
DEFINITIONS = {(*CLUSTER.key, signal.value): "definition" for signal in SIGNALS}
WARM_MONO = 5000.0
"""What the monotonic clock shows when a play begins."""
FIRST_SEQUENCE = 1000
PROFILES = {Profile.BALANCED.value: BALANCED, Profile.FAST.value: FAST}


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """`outside`: vantages outside the judged region; `inside`: in it (seen on C, counting for nothing on D)."""

    name: str
    outside: int
    inside: int = 0

    @property
    def configured(self) -> int:
        return self.outside + self.inside

    @property
    def quorum(self) -> int:
        return self.configured // 2 + 1

    @property
    def outside_names(self) -> tuple[VantageName, ...]:
        return tuple(VantageName(f"far-{number}") for number in range(1, self.outside + 1))

    @property
    def names(self) -> tuple[VantageName, ...]:
        return self.outside_names + (VantageName(REGION),) * self.inside


ONE = Panel(name="1 vantage", outside=1)
THREE = Panel(name="3 vantages", outside=3)
FIVE = Panel(name="5 vantages", outside=5)
FIVE_ONE_INSIDE = Panel(name="5 vantages, 1 inside", outside=4, inside=1)
PANELS = {panel.name: panel for panel in (ONE, THREE, FIVE_ONE_INSIDE, FIVE)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A panel with a profile's timing. `warm`: the judge's state at `WARM_MONO`, when everyone has long seen all well."""

    panel: Panel
    timing: Timing
    policy: Policy
    warm: HealthState


@cache
def bench_for(panel: str, profile: str) -> Bench:
    """The bench of a panel and a profile, by their names; made once a process."""
    return _bench(PANELS[panel], PROFILES[profile])


def _bench(panel: Panel, timing: Timing) -> Bench:
    policy = fleet_policy(regions=(REGION,), vantages=panel.names, timing=timing)
    state = initial_state(now_at(WARM_MONO - 10 * timing.rise * timing.interval_s))
    rounds = 2 * timing.rise
    for number in range(rounds + 1):
        mono = WARM_MONO - (rounds - number) * timing.interval_s
        seen = tuple(
            received(name, signal, Outcome.OK, mono=mono, sequence=number + 1)
            for name in panel.names
            for signal in SIGNALS
        )
        inputs = Inputs(policy=policy, definitions=DEFINITIONS, received=seen)
        state, judgement = judge(state, inputs, now_at(mono))
    assert judgement.warm_up is None
    return Bench(panel=panel, timing=timing, policy=policy, warm=state)


def now_at(mono: float) -> Now:
    """Both clocks at a monotonic second."""
    return Now(mono=mono, wall=START + timedelta(seconds=mono - WARM_MONO))


def received(
    vantage: VantageName,
    signal: Signal,
    outcome: Outcome,
    *,
    mono: float,
    sequence: int,
    age_s: float = 0.0,
) -> Received:
    """One observation as the controller receives it at `mono`; its probe ended `age_s` before."""
    return Received(
        observation=Observation(
            vantage=vantage,
            boot_id="boot",
            sequence=sequence,
            subject=CLUSTER,
            signal=signal,
            outcome=outcome,
            age_s=age_s,
            definition="definition",
        ),
        measured_mono=mono - age_s,
        received_mono=mono,
    )

"""How fast a true outage is confirmed, in plain code: phases and jitter drawn by seed, time counted by hand.

DESIGN section 4, `fast`: three failures a second apart and two seconds of confirm, so within 5.2 s of the death where
connections are refused, and a timeout later (6.2 s) where nothing answers; a judgement falls once a tick.
"""

import random
from statistics import median

import pytest

from failover.model.observation import Outcome, Signal
from failover.model.policy import Timing
from failover.model.verdict import VerdictKind
from tests.health.stories import NORTH, SOUTH, C, D, Story
from tests.support.policies import FAST, policy

TICK_S = 0.1
SEEDS = range(25)


def seconds_to_confirm(seed: int, outcome: Outcome, timing: Timing = FAST, rtt_s: float = 0.0) -> float:
    """From the death of north to the first judgement that calls it DOWN and confirmed."""
    chance = random.Random(seed)
    story = Story(policy(timing=timing))
    death = story.mono + 3 * timing.rise * timing.interval_s
    keys = [(v.name, c, s) for v in story.policy.fleet.vantages for c in (NORTH, SOUTH) for s in (D, C)]
    starts = {key: story.mono + chance.random() * timing.interval_s for key in keys}
    under_way: dict[tuple[str, str, Signal], tuple[float, Outcome]] = {}
    while story.mono < death + 20 * timing.interval_s + 2 * timing.confirm_s:
        story.mono = round(story.mono + TICK_S, 6)
        received = []
        for key in keys:
            if key in under_way and under_way[key][0] <= story.mono:
                ended, answer = under_way.pop(key)
                received.append(story.look(*key, answer, measured_mono=ended))
            if key not in under_way and starts[key] <= story.mono:
                dead = key[1] == NORTH and starts[key] >= death
                lasts = timing.timeout_s if dead and outcome is Outcome.TIMEOUT else rtt_s
                under_way[key] = (starts[key] + lasts, outcome if dead else Outcome.OK)
                pace = timing.interval_s * chance.uniform(1 - timing.jitter, 1 + timing.jitter)
                starts[key] += max(pace, lasts)
        story.judge(*received)
        if story.mono < death:
            assert story.north.kind in (
                VerdictKind.UNKNOWN,
                VerdictKind.HEALTHY,
                VerdictKind.CONTROL_PLANE_UNKNOWN,
            )
        if story.north.confirmed and story.north.kind is VerdictKind.DOWN:
            return story.mono - death
    raise AssertionError(f"seed {seed}: never confirmed: {story.north.sentence}")


@pytest.mark.parametrize(("outcome", "limit"), [(Outcome.REFUSED, 5.2), (Outcome.TIMEOUT, 6.2)])
def test_fast_confirms_within_what_the_design_promises(outcome: Outcome, limit: float) -> None:
    """An observation waits for the next tick and the confirmation for another, so that two ticks may be added."""
    took = {seed: seconds_to_confirm(seed, outcome) for seed in SEEDS}
    worst = max(took, key=took.__getitem__)
    assert took[worst] <= limit + 2 * TICK_S, f"seed {worst} took {took[worst]:.2f} s"
    assert median(took.values()) <= limit
    assert min(took.values()) >= (FAST.fall - 1) * FAST.interval_s * (1 - FAST.jitter) + FAST.confirm_s


def test_balanced_follows_the_same_sum() -> None:
    timing = Timing()
    promised = timing.fall * timing.interval_s * (1 + timing.jitter) + timing.timeout_s + timing.confirm_s
    took = [seconds_to_confirm(seed, Outcome.TIMEOUT, timing) for seed in range(4)]
    assert max(took) <= promised + 2 * TICK_S

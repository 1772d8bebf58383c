"""A judgement that reuses what nothing touched says the same as one that counts everything again."""

import random
from dataclasses import replace

import pytest

from failover.health import Inputs, judge
from failover.model.ids import VantageName
from failover.model.observation import Outcome
from failover.model.verdict import Judgement, Verdict

from .world import FIVE, World, fleet_policy


def essence(judgement: Judgement) -> list[tuple[object, ...]]:
    """Everything that a verdict says."""
    return [
        (
            verdict.subject,
            verdict.kind,
            verdict.since,
            verdict.confirmed,
            verdict.confirming_s,
            verdict.first_failure_mono,
            verdict.last_success_mono,
            verdict.hold_down_until,
            verdict.dissent_possible,
            verdict.missed_percent,
            verdict.sentence,
            [
                (vote.vantage, vote.vote, vote.failures, vote.successes, vote.reason, vote.measured_mono)
                for view in (verdict.data, verdict.control)
                for vote in view.votes
            ],
            [item.observation for item in verdict.evidence],
        )
        for verdict in judgement.verdicts
    ]


def trouble(world: World, chance: random.Random) -> None:
    """Something changes in the world."""
    what = chance.randrange(6)
    region = chance.choice(("north", "south", "east"))
    some = tuple(name for name in FIVE if chance.random() < 0.5)
    if what == 0:
        world.see(chance.choice(list(Outcome)), region=region, vantages=some)
    elif what == 1:
        world.see(None, region=region, vantages=some)
    elif what == 2:
        world.suspects = {name: "0 of 3 references answer" for name in some if chance.random() < 0.3}
    elif what == 3:
        world.cordoned = frozenset(VantageName(name) for name in some if chance.random() < 0.3)
    else:
        world.see(Outcome.OK)


@pytest.mark.parametrize("seed", range(8))
def test_reuse_changes_nothing(seed: int) -> None:
    chance = random.Random(seed)
    world = World(fleet_policy(applications=("shop",), clusters=2), seed=seed, tick_s=0.25)
    fresh = world.state
    for _ in range(150):
        if chance.random() < 0.15:
            trouble(world, chance)
        world.seconds += world.tick_s
        world.probe()
        inputs = Inputs(
            policy=world.policy,
            definitions=world.definitions,
            received=world.arrived(),
            reports=world.reports(),
            cordoned=world.cordoned,
        )
        fresh = replace(fresh, judged={})
        fresh, recounted = judge(fresh, inputs, world.now())
        world.state, world.judgement = judge(world.state, inputs, world.now())
        assert essence(world.judgement) == essence(recounted)
        assert world.judgement.freeze == recounted.freeze
        assert world.judgement.warm_up == recounted.warm_up
        assert [item.code for item in world.judgement.alerts] == [item.code for item in recounted.alerts]


def test_each_vote_tells_when_its_latest_sample_was_taken() -> None:
    world = World().warm()
    for _ in range(30):
        world.run(0.1)
        for verdict in world.judgement.verdicts:
            for vote in verdict.data.votes:
                held = world.state.series[verdict.subject.cluster, "", "D"][vote.vantage]
                assert vote.measured_mono == held.measured_mono


def test_what_nothing_touched_is_the_very_same_value() -> None:
    world = World().warm()
    inputs = Inputs(policy=world.policy, definitions=world.definitions)
    state, first = judge(world.state, inputs, world.now())
    _, second = judge(state, inputs, world.now())
    assert all(one is other for one, other in zip(first.verdicts, second.verdicts, strict=True))


def _kinds(verdicts: tuple[Verdict, ...]) -> list[str]:
    return [verdict.kind.value for verdict in verdicts]


def test_the_same_input_gives_the_same_output() -> None:
    worlds = [World(seed=7), World(seed=7)]
    for world in worlds:
        world.warm()
        world.kill("east", Outcome.TIMEOUT)
        world.run(20)
    assert worlds[0].judgement == worlds[1].judgement
    assert worlds[0].state == worlds[1].state
    assert _kinds(worlds[0].judgement.verdicts) == ["HEALTHY", "HEALTHY", "DOWN"]

"""What a profile means: the closed form gives the figures that are played (`make quality`), and the sentences say them."""

from dataclasses import replace

import pytest

from failover.health import expected
from failover.health.expectation import (
    BLIP_MEAN_S,
    confirm_s,
    detection_s,
    false_evacuations,
)

from .world import BALANCED, FAST, FIVE, THREE, fleet_policy


def test_three_vantages_with_dissent_give_the_figures_that_are_played() -> None:
    """Per 1,000 region-years. DESIGN's 0.002 and 0.08 were of votes that stay up on a mere fresh sample."""
    assert false_evacuations(BALANCED, outside=3, quorum=2) == pytest.approx(0.0028, rel=0.02)
    assert false_evacuations(FAST, outside=3, quorum=2) == pytest.approx(0.088, rel=0.02)


def test_without_the_rule_of_dissent_it_gives_the_figures_of_the_design() -> None:
    assert false_evacuations(BALANCED, outside=3, quorum=2, dissent=False) == pytest.approx(43, rel=0.05)
    assert false_evacuations(FAST, outside=3, quorum=2, dissent=False) == pytest.approx(558, rel=0.05)


def test_with_nobody_else_to_ask_dissent_changes_nothing() -> None:
    for timing in (BALANCED, FAST):
        alone = false_evacuations(timing, outside=1, quorum=1)
        assert alone == false_evacuations(timing, outside=1, quorum=1, dissent=False)
        assert 80_000 < alone < 130_000


def test_more_vantages_buy_what_no_waiting_can() -> None:
    rates = [false_evacuations(FAST, outside=count, quorum=2) for count in (3, 4, 5, 6)]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] / rates[1] > 1000


def test_blips_that_are_ten_times_as_frequent_are_a_thousand_times_as_bad_for_three() -> None:
    often = false_evacuations(FAST, outside=3, quorum=2, blips_per_year=3652.5)
    assert often / false_evacuations(FAST, outside=3, quorum=2) == pytest.approx(1000, rel=0.02)


def test_without_anybody_to_dissent_confirm_is_longer_and_the_rate_still_worse() -> None:
    assert confirm_s(FAST, outside=3, quorum=3) == 30.0
    assert confirm_s(FAST, outside=4, quorum=3) == 2.0
    assert false_evacuations(FAST, outside=3, quorum=3) > false_evacuations(FAST, outside=4, quorum=3)


def test_without_a_quorum_outside_nothing_is_evacuated_falsely_or_otherwise() -> None:
    assert false_evacuations(FAST, outside=2, quorum=3) == 0.0
    sentence = expected(fleet_policy(vantages=("north", "south", "east", "far-1"), regions=("north",) * 1))[0]
    assert "a dead region has a confirmed verdict" in sentence
    blind = expected(fleet_policy(vantages=("north", "south"), regions=("north", "south")))
    assert len(blind) == 1
    assert "only 1 outside" in blind[0]


def test_the_seconds_are_those_of_the_walk_through() -> None:
    """Three failures a second apart, two seconds of confirm, and a timeout where nothing answers."""
    seconds = [
        detection_s(FAST, outside=4, quorum=3, silent=silent, share=share)
        for silent in (False, True)
        for share in (0.5, 0.99)
    ]
    assert seconds == pytest.approx([4.9, 5.0, 5.8, 6.1], abs=0.05)


def test_without_jitter_the_slowest_case_is_the_sum_of_its_parts() -> None:
    even = replace(BALANCED, jitter=0.0)
    slowest = detection_s(even, outside=3, quorum=2, silent=True, share=1 - 1e-9)
    assert slowest == pytest.approx(even.fall * even.interval_s + even.timeout_s + even.confirm_s, abs=0.01)


def test_the_recommended_fleet_is_told_its_figures() -> None:
    sentences = expected(fleet_policy(vantages=FIVE, timing=FAST))
    assert "profile fast" in sentences[0]
    assert "4.9 s (5.0 s in 99 of 100 cases) where it refuses connections" in sentences[0]
    assert "5.8 s (6.1 s in 99 of 100 cases) where it is silent" in sentences[0]
    assert sentences[1].startswith("5 vantages, quorum 3, at least 4 outside each region")
    assert "0.000036 false evacuations per 1,000 region-years" in sentences[1]
    assert f"{BLIP_MEAN_S:g} s on average" in sentences[1]
    assert "count as one" in sentences[1]
    assert "with one of them silent: 0.0049 per" in sentences[2]


def test_exactly_a_quorum_outside_is_told_what_it_costs() -> None:
    policy = fleet_policy(vantages=("north", "far-1", "far-2"), regions=("north", "south"), timing=FAST)
    sentences = expected(policy)
    assert "32.8 s" in sentences[0]
    assert (
        "nobody could dissent, so confirm takes 30 s there, and one silent vantage stops automation"
        in sentences[2]
    )


def test_three_vantages_outside_every_region_are_the_least_that_can_dissent() -> None:
    sentences = expected(fleet_policy(vantages=THREE, timing=BALANCED))
    assert "0.0028 false evacuations" in sentences[1]

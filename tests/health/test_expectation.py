"""What a profile means: the closed form gives the figures that DESIGN simulated, and the sentences say them."""

import pytest

from failover.health import expected
from failover.health.expectation import (
    BLIP_MEAN_S,
    confirm_s,
    false_evacuations,
    longest_detection_s,
    typical_detection_s,
)

from .world import BALANCED, FAST, FIVE, THREE, fleet_policy


def test_three_vantages_with_dissent_give_the_figures_of_the_design() -> None:
    """0.002 in `balanced`, 0.08 in `fast`, per 1,000 region-years (DESIGN section 4)."""
    assert false_evacuations(BALANCED, outside=3, quorum=2) == pytest.approx(0.002, rel=0.15)
    assert false_evacuations(FAST, outside=3, quorum=2) == pytest.approx(0.08, rel=0.15)


def test_more_vantages_buy_what_no_waiting_can() -> None:
    rates = [false_evacuations(FAST, outside=count, quorum=2) for count in (3, 4, 5, 6)]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] / rates[1] > 1000


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
    for silent, more in ((False, 0.0), (True, 1.0)):
        usual = typical_detection_s(FAST, outside=4, quorum=3, silent=silent)
        assert usual == pytest.approx(4.9 + more, abs=0.05)
        assert longest_detection_s(FAST, outside=4, quorum=3, silent=silent) == pytest.approx(5.3 + more)


def test_the_recommended_fleet_is_told_its_figures() -> None:
    sentences = expected(fleet_policy(vantages=FIVE, timing=FAST))
    assert "profile fast" in sentences[0]
    assert "4.9 s (5.3 s at most) where it refuses connections" in sentences[0]
    assert "5.9 s (6.3 s at most) where it is silent" in sentences[0]
    assert sentences[1].startswith("5 vantages, quorum 3, at least 4 outside each region")
    assert "0.000031 false evacuations per 1,000 region-years" in sentences[1]
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
    assert "0.0018 false evacuations" in sentences[1]

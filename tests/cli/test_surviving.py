"""`failover survivability` as people read it, and its exit code."""

import pytest

from failover.cli import render
from failover.cli.surviving import tell
from failover.controller.surviving import sentence_of, survivability_row
from failover.model.ids import ApplicationName, ClusterName
from failover.planner import Survivability
from tests.telemetry.test_sinks import FOUND, outcome


def told(found: Survivability, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = tell(survivability_row(found), render.Format.WIDE)
    return code, capsys.readouterr().out


def test_a_promise_that_nobody_can_show_to_hold_does_not_hold(capsys: pytest.CaptureFixture[str]) -> None:
    unseen = outcome("west", unseen=(ClusterName("west-1"),), unshown=(ApplicationName("shop"),))
    code, text = told(Survivability(outcomes=(outcome("east"), unseen)), capsys)
    assert code == 3
    assert "unknown" in text
    assert "not seen lately, may run more than is counted: west-1" in text
    assert "nobody knows whether it would survive the loss of region/west" in text
    assert "every promise holds" not in text


def test_who_waits_for_a_person_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    shop = ApplicationName("shop")
    code, text = told(
        Survivability(outcomes=(outcome("west", replaced=0, waiting=4, waits=(shop,), broken=(shop,)),)),
        capsys,
    )
    assert code == 3
    assert "BY A PERSON" in text
    assert "which only a person moves: shop" in text
    assert "shop would not survive the loss of region/west" in text


def test_an_unseen_cluster_without_a_promise_is_no_alarm(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = told(Survivability(outcomes=(outcome("west", unseen=(ClusterName("west-1"),)),)), capsys)
    assert code == 0
    assert "every promise holds" in text


def test_the_calendar_says_in_a_sentence_what_is_broken_and_what_is_unknown() -> None:
    assert sentence_of(FOUND) == "promises are broken: shop would not survive the loss of region/north"
    assert sentence_of(Survivability(outcomes=FOUND.outcomes[::2])) == (
        "promises cannot be shown to hold: shop is not known to survive the loss of region/west; not seen lately: west-1"
    )
    unseen = outcome("west", unseen=(ClusterName("west-1"),))
    assert sentence_of(Survivability(outcomes=(outcome("east"), unseen))) == (
        "every promise holds; of region/west nobody knows: not seen lately: west-1"
    )

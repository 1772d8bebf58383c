"""The verdict table is total: all sixteen pairs of signal states, with and without heartbeats."""

import pytest

from failover.health.table import application_verdict_of, verdict_of
from failover.model.verdict import SignalState, VerdictKind

UP, DOWN, SPLIT, UNKNOWN = SignalState.UP, SignalState.DOWN, SignalState.SPLIT, SignalState.UNKNOWN
V = VerdictKind

TABLE = {
    (UP, UP): V.HEALTHY,
    (UP, DOWN): V.CONTROL_PLANE_DOWN,
    (UP, SPLIT): V.CONTROL_PLANE_UNKNOWN,
    (UP, UNKNOWN): V.CONTROL_PLANE_UNKNOWN,
    (DOWN, UP): V.DATA_PLANE_DOWN,
    (DOWN, DOWN): V.DOWN,
    (DOWN, SPLIT): V.DATA_PLANE_DOWN,
    (DOWN, UNKNOWN): V.DATA_PLANE_DOWN,
    (SPLIT, UP): V.PATH_PROBLEM,
    (SPLIT, DOWN): V.PATH_PROBLEM,
    (SPLIT, SPLIT): V.PATH_PROBLEM,
    (SPLIT, UNKNOWN): V.PATH_PROBLEM,
    (UNKNOWN, UP): V.UNKNOWN,
    (UNKNOWN, DOWN): V.UNKNOWN,
    (UNKNOWN, SPLIT): V.UNKNOWN,
    (UNKNOWN, UNKNOWN): V.UNKNOWN,
}


def test_the_table_names_every_pair() -> None:
    assert set(TABLE) == {(data, control) for data in SignalState for control in SignalState}


@pytest.mark.parametrize(("pair", "kind"), TABLE.items(), ids=lambda item: str(item))
def test_a_pair_of_signals_makes_its_verdict(
    pair: tuple[SignalState, SignalState], kind: VerdictKind
) -> None:
    assert verdict_of(*pair) is kind


@pytest.mark.parametrize("control", SignalState)
def test_fresh_heartbeats_make_a_silent_cluster_isolated_whatever_its_control_plane(
    control: SignalState,
) -> None:
    assert verdict_of(DOWN, control, heartbeat=True) is V.ISOLATED


@pytest.mark.parametrize(("pair", "kind"), [item for item in TABLE.items() if item[0][0] is not DOWN])
def test_heartbeats_change_nothing_else(pair: tuple[SignalState, SignalState], kind: VerdictKind) -> None:
    assert verdict_of(*pair, heartbeat=True) is kind


def test_a_breached_objective_degrades_only_what_is_up_in_both_signals() -> None:
    for pair, kind in TABLE.items():
        expected = V.DEGRADED if pair == (UP, UP) else kind
        assert verdict_of(*pair, slo_breached=True) is expected


@pytest.mark.parametrize("pair", TABLE, ids=str)
def test_only_a_data_plane_that_is_down_no_longer_serves(pair: tuple[SignalState, SignalState]) -> None:
    kind = verdict_of(*pair)
    assert kind.no_longer_serves == (pair[0] is DOWN)
    assert kind.serves == (pair[0] is UP), (
        "I4: what a quorum sees up is serving, whatever its API server does"
    )


@pytest.mark.parametrize("pair", TABLE, ids=str)
def test_an_application_is_never_down_and_otherwise_as_the_table_says(
    pair: tuple[SignalState, SignalState],
) -> None:
    kind = application_verdict_of(*pair)
    assert kind is (V.DATA_PLANE_DOWN if pair[0] is DOWN else TABLE[pair])

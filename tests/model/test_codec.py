"""One codec for journal, wire, store and hashes: what goes in comes out, and what does not fit names its place."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from failover.model.codec import DecodeError, canonical_json, digest, from_plain, to_plain
from failover.model.inventory import ClusterInventory
from failover.model.journal import Entry, JournalEntry
from failover.model.observation import Observation, ProbeDefinition, VantageReport
from failover.model.plan import Plan
from failover.model.records import ZoneState
from failover.model.verdict import Judgement, Verdict
from tests.support.policies import policy

ON_THE_WIRE = (*get_args(Entry), JournalEntry, Observation, ProbeDefinition, VantageReport, Plan, ZoneState)
ALSO = (ClusterInventory, Verdict, Judgement)

st.register_type_strategy(datetime, st.datetimes(timezones=st.just(UTC)))
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))
st.register_type_strategy(str, st.text(st.characters(exclude_categories=["Cs"]), max_size=8))


@pytest.mark.parametrize("kind", [*ON_THE_WIRE, *ALSO], ids=lambda kind: kind.__name__)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_everything_survives_the_journey_through_json(kind: type, data: st.DataObject) -> None:
    value = data.draw(st.from_type(kind))
    text = canonical_json(value)
    again = from_plain(kind, json.loads(text))
    assert again == value
    assert canonical_json(again) == text
    assert digest(again) == digest(value)


def test_a_whole_policy_survives_it() -> None:
    made = policy()
    assert from_plain(type(made), json.loads(canonical_json(made))) == made


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True, kw_only=True)
class Left:
    kind: ClassVar[str] = "left"
    number: int = 0


@dataclass(frozen=True, kw_only=True)
class Right:
    kind: ClassVar[str] = "right"
    share: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Sample:
    name: str
    count: int = 0
    share: float = 0.0
    sure: bool = False
    colour: Colour = Colour.RED
    at: datetime | None = None
    lasting: timedelta = timedelta()
    parts: tuple[str, ...] = ()
    pair: tuple[int, str] = (0, "")
    names: frozenset[str] = frozenset()
    either: Left | Right = field(default_factory=Left)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ([], "$: expected an object"),
        ({}, "$: name is missing"),
        ({"name": "x", "more": 1}, "$: unknown field 'more'"),
        ({"name": 1}, "$.name: expected str, not int"),
        ({"name": None}, "$.name: expected str, not NoneType"),
        ({"name": "x", "count": True}, "$.count: expected int, not a boolean"),
        ({"name": "x", "count": 1.5}, "$.count: expected int, not float"),
        ({"name": "x", "share": "1"}, "$.share: expected float, not str"),
        ({"name": "x", "sure": 1}, "$.sure: expected bool, not int"),
        ({"name": "x", "colour": "blue"}, "$.colour: 'blue' is not a valid Colour"),
        ({"name": "x", "at": "yesterday"}, "$.at: Invalid isoformat string: 'yesterday'"),
        ({"name": "x", "at": "2026-03-01T12:00:00"}, "$.at: 2026-03-01T12:00:00 names no time zone"),
        ({"name": "x", "parts": "abc"}, "$.parts: expected a list"),
        ({"name": "x", "parts": ["a", 2]}, "$.parts[1]: expected str, not int"),
        ({"name": "x", "pair": [1]}, "$.pair: expected 2 items"),
        ({"name": "x", "names": {}}, "$.names: expected a list"),
        ({"name": "x", "either": {"kind": "up"}}, "$.either: unknown kind 'up'"),
        ({"name": "x", "either": {"kind": "right", "number": 1}}, "$.either: unknown field 'number'"),
        ({"name": "x", "either": None}, "$.either: must not be null"),
        ({"name": "x", "either": {}}, "$.either: fits none of the kinds"),
    ],
)
def test_what_does_not_fit_names_its_place(data: Any, sentence: str) -> None:
    with pytest.raises(DecodeError) as caught:
        from_plain(Sample, data)
    assert str(caught.value) == sentence


def test_the_same_value_gives_the_same_bytes_whatever_the_order_it_was_made_in() -> None:
    one = Sample(name="x", names=frozenset({"b", "a"}), either=Right(share=1))
    assert '"names":["a","b"]' in canonical_json(one)
    assert canonical_json({"b": 1, "a": 2}) == canonical_json({"a": 2, "b": 1}) == '{"a":2,"b":1}'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_json_cannot_say_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(Sample(name="x", share=value))


def test_what_the_codec_does_not_know_is_an_error_and_never_a_guess() -> None:
    with pytest.raises(TypeError, match="does not know object"):
        to_plain({"x": object()})

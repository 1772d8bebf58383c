"""Whatever a policy file holds, loading it gives a policy or sentences with their places: nothing else ever comes out."""

import json
import re
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from failover.model.errors import PolicyError
from failover.model.reasons import Problem
from failover.policy import load
from tests.policy.test_broken_input import POLICIES, copy_of_the_example


def problems_of(folder: Path) -> tuple[Problem, ...]:
    try:
        load(folder)
    except PolicyError as error:
        return error.problems
    return ()


def only_problems(folder: Path) -> None:
    """A policy, or sentences on one line each."""
    for problem in problems_of(folder):
        assert problem.sentence
        assert len(str(problem).splitlines()) == 1, problem


NO_RESET = [HealthCheck.function_scoped_fixture]


@given(st.binary(max_size=200))
@settings(max_examples=150, deadline=None, suppress_health_check=NO_RESET)
def test_any_bytes_give_a_policy_or_problems(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "any.yaml").write_bytes(data)
    only_problems(tmp_path)


SYNTAX = [
    "[",
    "{",
    "- ",
    ": ",
    "*a",
    "&a ",
    "!!x ",
    "<<: ",
    "---\n",
    "...\n",
    "%YAML 9.9\n",
    '"',
    "\\",
    "\t",
    "\r",
    "\x00",
    "\u2028",
]
WORDS = [
    "~",
    "~x/y",
    "null",
    "true",
    "-1",
    "1e999",
    "9" * 30,
    "300d",
    "0s",
    "2026-01-01",
    "*/90 * * * *",
    "Europe",
    "x" * 300,
]
PLACES = [
    "::1",
    "10.0.0.1/8",
    "fe80::1%eth0",
    "../../etc/passwd",
    "é",
    "\ufeff",
    '"\\U99999999"',
    '"\\ud800"',
    '"\\x00"',
]
SPLINTERS = st.sampled_from([*SYNTAX, *WORDS, *PLACES])  # fmt: skip


@given(
    st.sampled_from(sorted(path.name for path in POLICIES.glob("*.yaml"))),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 30), SPLINTERS), min_size=1, max_size=3),
)
@settings(max_examples=60, deadline=None, suppress_health_check=NO_RESET)
def test_any_change_of_the_example_gives_a_policy_or_problems(
    tmp_path: Path, name: str, changes: list[tuple[int, int, str]]
) -> None:
    copy_of_the_example(tmp_path)
    text = (POLICIES / name).read_text()
    for at, length, splinter in changes:
        at %= len(text)
        text = text[:at] + splinter + text[at + length :]
    (tmp_path / name).write_text(text)
    only_problems(tmp_path)


@given(
    st.sampled_from(sorted(path.name for path in POLICIES.glob("*.yaml"))),
    st.integers(0, 10_000),
    SPLINTERS | st.text(max_size=20),
)
@settings(max_examples=60, deadline=None, suppress_health_check=NO_RESET)
def test_any_value_in_the_place_of_another_gives_a_policy_or_problems(
    tmp_path: Path, name: str, at: int, value: str
) -> None:
    """Whatever a person may write after a key: as a plain value, or quoted."""
    copy_of_the_example(tmp_path)
    text = (POLICIES / name).read_text()
    values = list(re.finditer(r"(?<=: )[^\s{\[][^,}\]#\n]*", text))
    chosen = values[at % len(values)]
    for written in (value, json.dumps(value)):
        (tmp_path / name).write_text(text[: chosen.start()] + written + text[chosen.end() :])
        only_problems(tmp_path)

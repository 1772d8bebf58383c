"""Post-mortems of others, played against the shipped controller: each holds, and each check can fail."""

import random
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import pytest

from failover.controller.policies import PolicySource
from failover.lab.scenario import ScenarioError
from failover.lab.simulation.expecting import Ledger, failures
from failover.lab.simulation.fleet import build_policy
from failover.lab.simulation.mutants import MUTANTS
from failover.lab.simulation.script import Expect, known_scripts, load_script, parse_script
from failover.lab.simulation.staging import Staged, stage
from failover.lab.simulation.world import World

SCRIPTS = known_scripts()
BY_NAME = {mutant.name: mutant for mutant in MUTANTS}


@dataclass
class Played:
    """One play, with every expectation's contrary asked where it was asked. `believed`: contraries that held as well."""

    result: Staged
    asked: int = 0
    believed: list[str] = field(default_factory=list)


@cache
def played(name: str) -> Played:
    """Once a process."""
    found = Played(result=Staged())

    def ask_the_contrary(expect: Expect, world: World, ledger: Ledger) -> None:
        for what, contrary in contradicted(expect):
            found.asked += 1
            if not list(failures(contrary, world, ledger)):
                found.believed.append(f"{world.mono:.0f} s: {what}")

    found.result = stage(SCRIPTS[name], beside=ask_the_contrary)
    return found


def test_every_post_mortem_of_the_issue_is_told() -> None:
    told = {name.rsplit("-longer", 1)[0] for name in SCRIPTS}
    assert {"aws-2025-10-stale-plan", "aws-2025-10-health-check-flap", "github-2018", "facebook-2021"} <= told
    assert {"dyn-2016", "google-2025-06", "cloudflare-2025", "openai-2024"} <= told
    for script in SCRIPTS.values():
        assert len(script.story.strip().splitlines()) == 5


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_the_scenario_holds_with_every_oracle_watching(name: str) -> None:
    result = played(name).result
    assert result.unmet == []
    assert [str(item) for item in result.violations] == []
    assert result.checks > 0


def test_the_same_scenario_gives_the_same_log() -> None:
    assert stage(SCRIPTS["google-2025-06"]).digest == played("google-2025-06").result.digest


# -- each check can fail -----------------------------------------------------------------------------------------------------


def contradicted(expect: Expect) -> Iterator[tuple[str, Expect]]:
    """Every expectation that is asked, by name, each with its contrary alone (a limit on changes is exceeded by the broken
    controllers below).
    """
    contrary: dict[str, Any] = {
        "verdicts": lambda was: dict.fromkeys(was, "DEGRADED"),
        "runs": lambda was: [*was, "drill done"],
        "records": lambda was: {name: clusters[:-1] for name, clusters in was.items()},
        "changes_max": lambda was: None,
        "ready_min": lambda was: {name: count + 100 for name, count in was.items()},
        "single_writer": lambda was: "west-a1",
        "duplicates": lambda was: ["west-a1"],
        "refusals": lambda was: ["off-plan"],
        "alerts": lambda was: ["never-raised"],
        "frozen": lambda was: not was,
        "held_down": lambda was: ["west-a1"],
        "doubt": lambda was: "" if was else "a doubt that nobody has",
        "waits": lambda was: "a wait that nobody has",
        "problems": lambda was: "" if was else "a problem that nobody has",
        "acts": lambda was: "controller-9",
        "said": lambda was: ["never said"],
        "unsaid": lambda was: ["controller-1"],
    }
    for name in sorted(expect.model_fields_set):
        value = contrary[name](getattr(expect, name))
        if value is not None:
            yield name, Expect.model_construct(**{name: value})


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_each_expectation_of_it_can_fail(name: str) -> None:
    found = played(name)
    assert found.asked >= 4
    assert found.believed == []


BROKEN = {
    "aws-2025-10-stale-plan": ("forgets-the-fence",),
    "aws-2025-10-health-check-flap": ("home-too-soon",),
    "cloudflare-2025": ("ignores-doubt",),
    "dyn-2016": ("no-read-back",),
    "facebook-2021": ("unknown-is-down", "no-freeze"),
    "github-2018-longer": ("tidies-up",),
    "openai-2024": ("control-plane-is-enough",),
}
"""For each scenario a controller that is broken in the way in which the story's was."""


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_a_controller_that_is_broken_as_the_storys_was_does_not_pass(name: str) -> None:
    with ExitStack() as stack:
        for mutant in BROKEN[name]:
            stack.enter_context(BY_NAME[mutant].alive())
        assert not stage(SCRIPTS[name]).holds


def test_with_a_shorter_confirm_the_43_seconds_of_github_move_a_region() -> None:
    script = SCRIPTS["github-2018"]
    hasty = script.model_copy(update={"policy": script.policy.model_copy(update={"timing": "simulation"})})
    assert any("changes were made" in sentence for _, sentence in stage(hasty).unmet)


def test_a_loader_that_takes_a_blank_file_does_not_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = build_policy(random.Random(1))
    blank = replace(
        taken, generation="000000000000b1a0", fleet=replace(taken.fleet, clusters=()), applications=()
    )
    monkeypatch.setattr(PolicySource, "load", lambda source: blank)
    unmet = [sentence for _, sentence in stage(SCRIPTS["google-2025-06"]).unmet]
    assert any(sentence.startswith("policy problems") for sentence in unmet)
    assert any("is not judged" in sentence for sentence in unmet)


# -- files that are wrong ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("story: [", "is not YAML"),
        ("[]", "the document"),
        ("story: s\ndoes: d\ntimeline: []\nexpect: {runs: []}", "timeline"),
        ("story: s\ndoes: d\ntimeline: [{at: 1, fault: earthquake}]\nexpect: {runs: []}", "no fault 'earthquake'"),
        ("story: s\ndoes: d\ntimeline: [{at: 1}]\nexpect: {runs: []}", "exactly one of"),
        ("story: s\ndoes: d\ntimeline: [{at: 1, fault: ack, until: 3}]\nexpect: {runs: []}", "timeline.0.until"),
        ("story: s\ndoes: d\ntimeline: [{at: -1, fault: ack}]\nexpect: {runs: []}", "timeline.0.at"),
        ("story: s\ndoes: d\ntimeline: [{at: 1, fault: ack}]\nexpect: {}", "asks nothing"),
        ("story: s\ndoes: d\ntimeline: [{at: 1, fault: ack}]\nexpect: {verdicts: {east: DOWN}}", "'east'"),
        ("story: s\ndoes: d\ntimeline: [{at: 1, fault: ack}]\nexpect: {records: {shop: [x]}}", "no cluster 'x'"),
        ("story: s\ndoes: d\ntimeline: [{at: 1, command: {kind: drain}}]\nexpect: {runs: []}", "a verb"),
    ],
)  # fmt: skip
def test_a_file_that_is_wrong_is_told_in_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ScenarioError, match=re.escape(sentence)):
        parse_script("mine.yaml", text)


def test_a_scenario_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(ScenarioError, match=r"there is no scenario 'atlantis'; there are .*dyn-2016"):
        load_script("atlantis")


@pytest.mark.parametrize(
    ("moment", "sentence"),
    [
        ("{at: 1, fault: region-killed, of: [atlantis], lasts: 3}", "has no atlantis to choose"),
        ("{at: 1, fault: ack, lasts: 3}", "leave out `lasts`"),
    ],
)
def test_what_a_fault_cannot_do_is_told_when_it_is_played(moment: str, sentence: str) -> None:
    text = f"story: s\ndoes: d\nrest: 0\ntimeline: [{moment}]\nexpect: {{runs: []}}"
    with pytest.raises(ScenarioError, match=re.escape(sentence)):
        stage(parse_script("mine.yaml", text))

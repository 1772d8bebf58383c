"""Scenarios: YAML files that say what happens in a lab and what must hold at the end."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from failover.model.errors import UsageError

FOLDER = Path(__file__).parent / "scenarios"
STEPS = (
    "wait-healthy",
    "fault",
    "clear",
    "wait-run",
    "wait-verdict",
    "sleep",
    "kill-controller",
    "start-controller",
    "freeze-controller",
    "wait-asleep",
    "start-standby",
    "thaw-controller",
    "command",
    "wait-frozen",
    "wait-placed",
    "wait-unnamed",
)
EXPECTATIONS = (
    "verdict",
    "runs",
    "state",
    "moved",
    "frozen",
    "held-down",
    "home",
    "resumed",
    "paused",
    "placed",
    "fenced",
    "shares",
)


class ScenarioError(UsageError):
    """A scenario file cannot be used; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """`lab`: arguments of `presets.make_lab`. `steps`: one-key mappings in order. `expect`: what must hold at the end.

    `victim`: the domain that the report speaks of.
    """

    name: str
    story: str
    victim: str
    steps: tuple[tuple[str, Any], ...]
    expect: dict[str, Any]
    lab: dict[str, Any] = field(default_factory=dict)

    @property
    def sleeps(self) -> bool:
        """Its first controller falls asleep as it is about to change DNS."""
        return any(name == "wait-asleep" for name, _ in self.steps)


def load_scenario(name: str) -> Scenario:
    """By name, or from a file. Raises ScenarioError."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError:
        known = ", ".join(row[0] for row in known_scenarios())
        raise ScenarioError(f"there is no scenario {name!r}; there are {known}") from None
    except yaml.YAMLError as error:
        raise ScenarioError(f"{path} is not YAML: {error}") from None
    return parse_scenario(path.stem, data)


def parse_scenario(name: str, data: Any) -> Scenario:
    """Check the shape; unknown steps and expectations are errors."""
    if not isinstance(data, dict) or not {"story", "victim", "steps", "expect"} <= set(data):
        raise ScenarioError(f"{name}: a scenario has story, victim, steps and expect")
    steps: list[tuple[str, Any]] = []
    for item in data["steps"]:
        pair = (item, None) if isinstance(item, str) else next(iter(item.items()))
        if pair[0] not in STEPS:
            raise ScenarioError(f"{name}: there is no step {pair[0]!r}; there are {', '.join(STEPS)}")
        steps.append(pair)
    for key in data["expect"]:
        if key not in EXPECTATIONS:
            raise ScenarioError(
                f"{name}: there is no expectation {key!r}; there are {', '.join(EXPECTATIONS)}"
            )
    return Scenario(
        name=name,
        story=str(data["story"]).strip(),
        victim=str(data["victim"]),
        steps=tuple(steps),
        expect=dict(data["expect"]),
        lab=dict(data.get("lab", {})),
    )


def known_scenarios() -> list[tuple[str, str]]:
    """(name, story) of every scenario that ships with the lab."""
    return list(_known())


def _known() -> Iterator[tuple[str, str]]:
    for path in sorted(FOLDER.glob("*.yaml")):
        yield path.stem, str(yaml.safe_load(path.read_text(encoding="utf-8")).get("story", "")).split("\n")[0]

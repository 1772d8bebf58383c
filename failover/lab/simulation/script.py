"""Scripted scenarios of the simulation: YAML files that tell what breaks when, what people say, and what must then hold.

Times are seconds of the simulation from the moment at which the fleet is healthy and the first controller acts.
"""

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from failover.lab.scenario import ScenarioError
from failover.model.policy import Mode, OnShortage

from .faults import FAULTS
from .faults.registry import Fault
from .faults.scripted import SCRIPTED
from .fleet import PLACES

FOLDER = Path(__file__).parent / "scenarios"
SIZE_MAX = 64 * 1024
SECONDS_MAX = 7200.0
CLUSTERS = frozenset(place[3] for place in PLACES)
REGIONS = frozenset(place[1] for place in PLACES)
KINDS: dict[str, Fault] = {**FAULTS, **SCRIPTED}
Application = Literal["shop", "ledger"]


def _kebab(name: str) -> str:
    return name.replace("_", "-")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=_kebab)


class Expect(_Strict):
    """What must hold at a moment, by the truth of the world and by what `status` says. What is left out is not asked.

    `verdicts`: by cluster or region. `runs`: "KIND STATE" of all runs, in order. `records`: the clusters to which each
    application's name leads, at every server that answers. `changes_max`: changes that clusters and zones took so far.
    `ready_min`: replicas ready where clients are served. `duplicates`: clusters that run what has moved away. `refusals`,
    `alerts`: codes that stand in `status`; `doubt`, `waits` (of runs), `problems` (of the policy): words that stand there ("": none does). `said`,
    `unsaid`: words of the log so far.
    """

    verdicts: dict[str, str | list[str]] = Field(default_factory=dict)
    runs: list[str] | None = None
    records: dict[Application, list[str]] = Field(default_factory=dict)
    changes_max: int | None = Field(default=None, ge=0)
    ready_min: dict[Application, int] = Field(default_factory=dict)
    single_writer: str | None = None
    duplicates: list[str] | None = None
    refusals: list[str] = Field(default_factory=list)
    alerts: list[str] = Field(default_factory=list)
    frozen: bool | None = None
    held_down: list[str] | None = None
    doubt: str | None = None
    waits: str | None = None
    problems: str | None = None
    acts: str | None = None
    said: list[str] = Field(default_factory=list)
    unsaid: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _known_places(self) -> "Expect":
        for name in self.verdicts:
            if name not in CLUSTERS | REGIONS:
                raise ValueError(f"there is no cluster or region {name!r}")
        clusters = [name for names in self.records.values() for name in names]
        for name in [*clusters, *(self.duplicates or ()), *(self.held_down or ())]:
            if name not in CLUSTERS:
                raise ValueError(f"there is no cluster {name!r}; there are {', '.join(sorted(CLUSTERS))}")
        return self


class Moment(_Strict):
    """Something at a second: a fault (`of`: what it befalls; `lasts`: seconds), a person's command, or a look."""

    at: float = Field(ge=0, le=SECONDS_MAX)
    fault: str | None = None
    of: list[str] = Field(default_factory=list)
    lasts: float | None = Field(default=None, gt=0, le=SECONDS_MAX)
    command: dict[str, Any] | None = None
    expect: Expect | None = None

    @model_validator(mode="after")
    def _one_thing(self) -> "Moment":
        if sum(item is not None for item in (self.fault, self.command, self.expect)) != 1:
            raise ValueError("a moment has exactly one of fault, command and expect")
        if self.fault is not None and self.fault not in KINDS:
            raise ValueError(f"there is no fault {self.fault!r}; `failover simulate --list-faults` shows all")
        if self.fault is None and (self.of or self.lasts is not None):
            raise ValueError("`of` and `lasts` belong to a fault")
        if self.command is not None and not isinstance(self.command.get("verb"), str):
            raise ValueError("a command has a verb")
        return self


class Settings(_Strict):
    """What differs from the simulated fleet's policy. `timing`: `simulation` (five-second probes, compressed windows), or the
    shipped `balanced` profile as it is.
    """

    timing: Literal["simulation", "balanced"] = "simulation"
    mode: Mode = Mode.AUTO
    floor: int = Field(default=60, ge=0, le=100)
    on_shortage: OnShortage = OnShortage.PARTIAL
    per_hour: int = Field(default=1, ge=1)
    per_day: int = Field(default=2, ge=1)


class Script(_Strict):
    """One scenario. `rest`: how long the world is given to come to rest after the last moment, seconds."""

    story: str = Field(min_length=1)
    does: str = Field(min_length=1)
    seed: int = 1
    policy: Settings = Field(default_factory=Settings)
    timeline: list[Moment] = Field(min_length=1)
    rest: float = Field(default=70.0, ge=0, le=SECONDS_MAX)
    expect: Expect

    @model_validator(mode="after")
    def _asks_something(self) -> "Script":
        if not self.expect.model_fields_set:
            raise ValueError("`expect` asks nothing: a scenario without a check proves nothing")
        return self


def load_script(name: str) -> Script:
    """By name, or from a file. Raises ScenarioError with a sentence."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{Path(name).name}.yaml"
    try:
        if path.stat().st_size > SIZE_MAX:
            raise ScenarioError(f"{path} is larger than {SIZE_MAX // 1024} KiB: that is no scenario")
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ScenarioError(f"{path} is not text in UTF-8") from None
    except OSError as error:
        if path.parent != FOLDER:
            raise ScenarioError(f"{path} cannot be read: {error.strerror}") from None
        known = ", ".join(known_scripts())
        raise ScenarioError(f"there is no scenario {name!r}; there are {known}") from None
    return parse_script(str(path), text)


def parse_script(where: str, text: str) -> Script:
    """Check the shape; raises ScenarioError that names every field that is wrong."""
    try:
        data = yaml.safe_load(text)
        return Script.model_validate(data)
    except (yaml.YAMLError, RecursionError) as error:
        words = " ".join(str(error).split())
        raise ScenarioError(f"{where} is not YAML: {words}") from None
    except ValidationError as error:
        wrong = [
            f"{'.'.join(str(part) for part in item['loc']) or 'the document'}: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors()
        ]
        raise ScenarioError(f"{where}: {'; '.join(wrong)}") from None


def known_scripts() -> dict[str, Script]:
    """Every scenario that ships with the simulation, by name."""
    return {path.stem: load_script(str(path)) for path in sorted(FOLDER.glob("*.yaml"))}

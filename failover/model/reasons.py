"""Reasons: why something was refused, why something was done, what is wrong with a file."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a rule says no. Never a bare bool: this is the CLI's text, the event, and a test's assertion.

    `code`: stable, kebab-case, names the rule (what `--override` takes), e.g. `capacity-floor`.
    `sentence`: one sentence for a person. `evidence`: facts it rests on, each a short `name=value` or sentence.
    `application`: the application that it concerns, "" for all. `overridable`: a person may override it by name.
    """

    code: str
    sentence: str
    evidence: tuple[str, ...] = ()
    application: str = ""
    overridable: bool = True

    def __str__(self) -> str:
        return f"{self.code}: {self.sentence}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something wrong in a policy file: `file:line:column: path: sentence` (line and column from 1; 0: whole file)."""

    file: str
    line: int = 0
    column: int = 0
    path: str = ""
    sentence: str
    warning: bool = False

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        path = f" {self.path}:" if self.path else ""
        return f"{place}:{path} {'warning: ' if self.warning else ''}{self.sentence}"

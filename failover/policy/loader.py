"""Loads a policy directory: every error of every file in one go, or one Policy."""

import difflib
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from failover.model.errors import PolicyError
from failover.model.policy import Policy
from failover.model.reasons import Problem
from failover.policy.compile import Parsed, compile_policy
from failover.policy.documents import API_VERSION, KINDS
from failover.policy.fields import shown
from failover.policy.lint import NO_FLEET, check_all
from failover.policy.yaml_reader import Marked, Path_, read_file

FILES_MAX = 500
SENTENCE_MAX = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadResult:
    """A valid policy, what is questionable about it, and the files that it came from."""

    policy: Policy
    warnings: tuple[Problem, ...]
    files: tuple[Path, ...]


def load_directory(directory: Path) -> Policy:
    """The policy of all YAML files of a directory (or of one file). Raises PolicyError with every problem."""
    return load(directory).policy


def load(directory: Path) -> LoadResult:
    """As `load_directory`, with warnings."""
    files = policy_files(directory)
    read = _Read()
    for path in files:
        read.file(path)
    found = check_all(read.parsed, read.broken)
    echoes = {echo for marked in read.marked for echo in marked.echoes}
    problems = {*read.problems, *(item for item in found if not item.warning and item not in echoes)}
    if not read.parsed and not problems:
        problems.add(Problem(file=str(files[0]), line=1, column=1, sentence=NO_FLEET))
    if problems:
        raise PolicyError(
            sorted(
                (_on_one_line(item) for item in problems),
                key=lambda item: (item.file, item.line, item.column, item.sentence),
            )
        )
    warnings = tuple(item for item in found if item.warning)
    return LoadResult(policy=compile_policy(read.parsed), warnings=warnings, files=tuple(files))


def policy_files(directory: Path) -> list[Path]:
    """The YAML files of a directory, or the one file. Raises PolicyError where there is none."""

    def refuse(sentence: str) -> PolicyError:
        return PolicyError([Problem(file=str(directory), sentence=sentence)])

    try:
        if directory.is_file():
            return [directory]
        if not directory.is_dir():
            raise refuse("there is no such directory")
        files = sorted(path for path in directory.iterdir() if path.suffix in (".yaml", ".yml"))
    except OSError as error:
        raise refuse(f"cannot be read: {error.strerror or error}") from None
    if not files:
        raise refuse("holds no *.yaml file")
    if len(files) > FILES_MAX:
        raise refuse(f"holds more than {FILES_MAX} files")
    return files


@dataclass(slots=True)
class _Read:
    """What all files hold. `broken`: documents that are not valid by themselves, and cannot be read as if they were."""

    parsed: list[Parsed] = field(default_factory=list)
    broken: list[Marked] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    marked: list[Marked] = field(default_factory=list)

    def file(self, path: Path) -> None:
        """Read one file's documents."""
        documents, wrong = read_file(path)
        self.problems += wrong
        self.marked += documents
        for marked in documents:
            found, wrong = _parse(marked)
            self.problems += wrong
            if found is not None:
                self.parsed.append(found)
            else:
                self.broken.append(marked)


def _parse(marked: Marked) -> tuple[Parsed | None, list[Problem]]:
    data = marked.data
    if not isinstance(data, dict):
        sentence = "a document is a mapping with apiVersion, kind, metadata and spec"
        return None, [] if () in marked.holes else [marked.problem((), sentence)]
    version = data.get("apiVersion")
    if version != API_VERSION:
        return None, [marked.problem(("apiVersion",), f"must be {API_VERSION}, not {shown(version)}")]
    kind = data.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        sentence = f"{shown(kind)} is no kind{did_you_mean(str(kind)[:60], KINDS)}"
        return None, [marked.problem(("kind",), sentence)]
    try:
        return Parsed(document=KINDS[kind].model_validate(data), marked=marked), []
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        problems = [
            _problem(marked, kind, item)
            for item in found
            if not marked.follows(tuple(item["loc"]), missing=item["type"] == "missing")
        ]
        return _repaired(marked, kind, found), problems


def _repaired(marked: Marked, kind: str, found: list[ErrorDetails]) -> Parsed | None:
    """The document without the single fields that are wrong, so that the rest of it is checked as well; None where that
    would take away what it cannot do without.
    """
    data, taken = deepcopy(marked.data), set()
    for item in found:
        *above, last = item["loc"]
        node = data
        try:
            for part in above:
                node = node[part]
        except (KeyError, IndexError, TypeError):
            return None
        if item["type"] == "missing" or not isinstance(node, dict):
            return None
        node.pop(last, None)
        taken.add(tuple(item["loc"]))
    try:
        document = KINDS[kind].model_validate(data)
    except ValidationError:
        return None
    marked.holes |= taken
    return Parsed(document=document, marked=marked, repaired=True)


def _on_one_line(problem: Problem) -> Problem:
    """As it can be shown: a key or a value may hold anything, and no sentence is longer than a screen."""
    sentence = " ".join(problem.sentence.split())
    if len(sentence) > SENTENCE_MAX:
        sentence = f"{sentence[:SENTENCE_MAX]}…"
    path = "".join(char if char.isprintable() else "?" for char in problem.path[:SENTENCE_MAX])
    return replace(problem, sentence=sentence, path=path)


def did_you_mean(text: str, known: Any) -> str:
    """`; did you mean "x"?` or the names that there are."""
    names = sorted(str(item) for item in known)
    close = difflib.get_close_matches(text, names, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f" (there are: {', '.join(names[:12])}{', …' if len(names) > 12 else ''})" if names else ""


def _problem(marked: Marked, kind: str, item: ErrorDetails) -> Problem:
    path: Path_ = tuple(item["loc"])
    if item["type"] == "extra_forbidden":
        name = str(path[-1])[:60]
        known = _known_keys(kind, path[:-1])
        return marked.problem(path, f"there is no field {name!r} here{did_you_mean(name, known)}", key=True)
    if item["type"] == "missing":
        return marked.problem(path, "is missing")
    message, value = item["msg"].removeprefix("Value error, "), item.get("input")
    # Sentences of our own field types name the value themselves.
    tell = item["type"] != "value_error" and isinstance(value, str | int | float | bool)
    return marked.problem(path, message[:1].lower() + message[1:] + (f", not {shown(value)}" if tell else ""))


def _known_keys(kind: str, path: Path_) -> list[str]:
    """The keys that the schema allows at a path."""
    schema = _schema(kind)
    node: Any = schema
    for part in path:
        node = _resolve(schema, node)
        node = node.get("items", {}) if isinstance(part, int) else node.get("properties", {}).get(part, {})
    return sorted(_resolve(schema, node).get("properties", {}))


@lru_cache
def _schema(kind: str) -> Any:
    return KINDS[kind].model_json_schema(by_alias=True)


def _resolve(schema: Any, node: Any) -> Any:
    for option in node.get("anyOf", []):
        if "$ref" in option:
            node = option
    reference = node.get("$ref", "") or next((part.get("$ref", "") for part in node.get("allOf", [])), "")
    return schema["$defs"][reference.rsplit("/", 1)[-1]] if reference else node

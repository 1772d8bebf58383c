"""Loads a policy directory: every error of every file in one go, or one Policy."""

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from failover.model.errors import PolicyError
from failover.model.policy import Policy
from failover.model.reasons import Problem
from failover.policy.compile import Parsed, compile_policy
from failover.policy.documents import API_VERSION, KINDS
from failover.policy.lint import check_all
from failover.policy.yaml_reader import Marked, Path_, read_file

FILES_MAX = 500


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
    files = _files(directory)
    problems: list[Problem] = []
    parsed: list[Parsed] = []
    for path in files:
        documents, wrong = read_file(path)
        problems += wrong
        for marked in documents:
            found, wrong = _parse(marked)
            problems += wrong
            if found is not None:
                parsed.append(found)
    found_problems = check_all(parsed)
    # What only repeats that a document could not be read is left out.
    echoes = ("there is no zone '", "no document of kind Fleet") if problems else ()
    problems += [item for item in found_problems if not item.warning and not item.sentence.startswith(echoes)]
    if problems:
        raise PolicyError(
            sorted(problems, key=lambda item: (item.file, item.line, item.column, item.sentence))
        )
    warnings = tuple(item for item in found_problems if item.warning)
    return LoadResult(policy=compile_policy(parsed), warnings=warnings, files=tuple(files))


def _files(directory: Path) -> list[Path]:
    if directory.is_file():
        return [directory]
    if not directory.is_dir():
        raise PolicyError([Problem(file=str(directory), sentence="there is no such directory")])
    files = sorted([*directory.glob("*.yaml"), *directory.glob("*.yml")])
    if not files:
        raise PolicyError([Problem(file=str(directory), sentence="holds no *.yaml file")])
    if len(files) > FILES_MAX:
        raise PolicyError([Problem(file=str(directory), sentence=f"holds more than {FILES_MAX} files")])
    return files


def _parse(marked: Marked) -> tuple[Parsed | None, list[Problem]]:
    data = marked.data
    if not isinstance(data, dict):
        return None, [marked.problem((), "a document is a mapping with apiVersion, kind, metadata and spec")]
    version = data.get("apiVersion")
    if version != API_VERSION:
        return None, [marked.problem(("apiVersion",), f"must be {API_VERSION}, not {version!r}")]
    kind = data.get("kind")
    if kind not in KINDS:
        return None, [marked.problem(("kind",), f"{kind!r} is no kind{did_you_mean(str(kind), KINDS)}")]
    try:
        return Parsed(document=KINDS[kind].model_validate(data), marked=marked), []
    except ValidationError as error:
        return None, [_problem(marked, kind, item) for item in error.errors()]


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
        known = _known_keys(kind, path[:-1])
        return marked.problem(
            path, f"there is no field {str(path[-1])!r} here{did_you_mean(str(path[-1]), known)}", key=True
        )
    if item["type"] == "missing":
        return marked.problem(path, "is missing")
    message = item["msg"].removeprefix("Value error, ")
    value = item.get("input")
    shown = (
        f", not {value!r}"
        if isinstance(value, str | int | float | bool) and "no " not in message[:20]
        else ""
    )
    return marked.problem(path, message[0].lower() + message[1:] + shown)


def _known_keys(kind: str, path: Path_) -> list[str]:
    """The keys that the schema allows at a path."""
    schema = KINDS[kind].model_json_schema(by_alias=True)
    node: Any = schema
    for part in path:
        node = _resolve(schema, node)
        node = node.get("items", {}) if isinstance(part, int) else node.get("properties", {}).get(part, {})
    return sorted(_resolve(schema, node).get("properties", {}))


def _resolve(schema: Any, node: Any) -> Any:
    for option in node.get("anyOf", []):
        if "$ref" in option:
            node = option
    reference = node.get("$ref", "") or next((part.get("$ref", "") for part in node.get("allOf", [])), "")
    return schema["$defs"][reference.rsplit("/", 1)[-1]] if reference else node

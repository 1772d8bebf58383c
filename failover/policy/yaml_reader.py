"""YAML 1.2 core scalars with marks; no aliases, no merge keys, no duplicate keys; bounded in size, depth and number.

Why: PyYAML's `safe_load` reads `no` as False, lets the last duplicate win, and a 702-byte merge bomb costs 800 MB.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from failover.model.reasons import Problem

BYTES_MAX = 1024 * 1024
DEPTH_MAX = 32
DOCUMENTS_MAX = 2000

Path_ = tuple[str | int, ...]


@dataclass(slots=True)
class Marked:
    """One document as plain data, and where each of its paths stands (line and column from 1)."""

    file: str
    data: Any
    places: dict[Path_, tuple[int, int]] = field(default_factory=dict)
    keys: dict[Path_, tuple[int, int]] = field(default_factory=dict)

    def place(self, path: Path_) -> tuple[int, int]:
        """Of a value, or of the nearest parent that exists."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, (1, 1))

    def problem(self, path: Path_, sentence: str, *, key: bool = False, warning: bool = False) -> Problem:
        """A located problem. `key`: about the key itself, not its value."""
        line, column = self.keys.get(path, self.place(path)) if key else self.place(path)
        return Problem(
            file=self.file, line=line, column=column, path=dotted(path), sentence=sentence, warning=warning
        )


def dotted(path: Path_) -> str:
    """`spec.vantages[2].name`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


class _Refused(Exception):
    def __init__(self, mark: Any, sentence: str) -> None:
        self.mark, self.sentence = mark, sentence
        super().__init__(sentence)


def read_file(path: Path) -> tuple[list[Marked], list[Problem]]:
    """All documents of one file, and what is wrong with its text. Never raises for what the file holds."""
    name = str(path)
    try:
        stat = path.stat()
        if not path.is_file():
            return [], [Problem(file=name, sentence="is not a regular file")]
        if stat.st_mode & 0o002:
            return [], [Problem(file=name, sentence="may be written by everybody; `chmod o-w` it first")]
        if stat.st_size > BYTES_MAX:
            return [], [Problem(file=name, sentence=f"is larger than {BYTES_MAX >> 20} MiB")]
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return [], [Problem(file=name, sentence=f"cannot be read: {error}")]
    return read_text(name, text)


def read_text(name: str, text: str) -> tuple[list[Marked], list[Problem]]:
    """As `read_file`, of a text."""
    documents: list[Marked] = []
    try:
        for node in _documents(text):
            marked = Marked(file=name, data=None)
            marked.data = _value(node, (), marked)
            if marked.data is not None:
                documents.append(marked)
    except _Refused as error:
        return documents, [_located(name, error.mark, error.sentence)]
    except yaml.MarkedYAMLError as error:
        sentence = " ".join(part for part in (error.context, error.problem) if part)
        return documents, [
            _located(name, error.problem_mark or error.context_mark, f"is not YAML: {sentence}")
        ]
    except yaml.YAMLError as error:
        return documents, [Problem(file=name, sentence=f"is not YAML: {error}")]
    except RecursionError:
        return documents, [Problem(file=name, sentence=f"is nested more than {DEPTH_MAX} levels deep")]
    return documents, []


def _located(name: str, mark: Any, sentence: str) -> Problem:
    if mark is None:
        return Problem(file=name, sentence=sentence)
    return Problem(file=name, line=mark.line + 1, column=mark.column + 1, sentence=sentence)


def _documents(text: str) -> Iterator[yaml.Node]:
    """Compose without aliases; depth is counted on the events, before any recursion."""
    _check_events(text)
    count = 0
    loader = yaml.SafeLoader(text)
    try:
        while loader.check_node():
            count += 1
            if count > DOCUMENTS_MAX:
                raise _Refused(None, f"holds more than {DOCUMENTS_MAX} documents")
            node = loader.get_node()
            if node is not None:
                yield node
    finally:
        loader.dispose()


def _check_events(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise _Refused(event.start_mark, "aliases (*name) are not allowed: write the value out")
        if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            depth += 1
            if depth > DEPTH_MAX:
                raise _Refused(event.start_mark, f"is nested more than {DEPTH_MAX} levels deep")
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            depth -= 1


_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)([eE][-+]?[0-9]+)?")


def _value(node: yaml.Node, path: Path_, marked: Marked) -> Any:
    mark = node.start_mark
    marked.places[path] = (mark.line + 1, mark.column + 1)
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, marked)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*path, number), marked) for number, item in enumerate(node.value)]
    if node.tag.startswith("!") or (node.tag not in _PLAIN_TAGS):
        raise _Refused(mark, f"the tag {node.tag} is not allowed")
    assert isinstance(node, yaml.ScalarNode)
    return _scalar(node)


_PLAIN_TAGS = {
    f"tag:yaml.org,2002:{name}"
    for name in ("str", "int", "float", "bool", "null", "timestamp", "merge", "value")
}


def _scalar(node: yaml.ScalarNode) -> Any:
    """YAML 1.2 core: `true`, `false`, `null` and decimal numbers; `no`, `on`, `017`, `12:30` stay what they look like."""
    text = node.value
    if node.style is not None:
        return text
    if text in ("", "null", "~", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE"):
        return True
    if text in ("false", "False", "FALSE"):
        return False
    if _INTEGER.fullmatch(text) and len(text) < 20:
        return int(text)
    if _FLOAT.fullmatch(text) and len(text) < 40 and not text.lstrip("+-").startswith("0" * 2):
        return float(text) if not text.lstrip("+-").isdigit() else text
    return text


def _mapping(node: yaml.MappingNode, path: Path_, marked: Marked) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        mark = key_node.start_mark
        if not isinstance(key_node, yaml.ScalarNode):
            raise _Refused(mark, "a key must be a plain name")
        key = key_node.value
        if key == "<<" and key_node.style is None:
            raise _Refused(mark, "merge keys (<<) are not allowed: write the values out")
        if key in found:
            raise _Refused(mark, f"the key {key!r} stands twice")
        here = (*path, key)
        marked.keys[here] = (mark.line + 1, mark.column + 1)
        found[key] = _value(value_node, here, marked)
    return found

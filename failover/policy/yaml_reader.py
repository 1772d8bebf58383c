"""YAML 1.2 core scalars with marks; no aliases, no merge keys, no duplicate keys; bounded in size, depth and number.

Why: PyYAML's `safe_load` reads `no` as False, lets the last duplicate win, and a 702-byte merge bomb costs 800 MB.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
import yaml.reader

from failover.model.reasons import Problem

BYTES_MAX = 1024 * 1024
DEPTH_MAX = 32
DOCUMENTS_MAX = 2000
PROBLEMS_MAX = 200
"""Of one file; who sees that many begins with the first."""

Path_ = tuple[str | int, ...]


@dataclass(slots=True)
class Marked:
    """One document as plain data, and where each of its paths stands (line and column from 1).

    `holes`: values that were refused and read as nothing; `partial`: mappings of which a part was refused. What is missing
    or wrong there for that reason alone need not be told again: such problems are `echoes`. A document that could not be
    read at all is one hole.
    """

    file: str
    data: Any
    places: dict[Path_, tuple[int, int]] = field(default_factory=dict)
    keys: dict[Path_, tuple[int, int]] = field(default_factory=dict)
    holes: set[Path_] = field(default_factory=set)
    partial: set[Path_] = field(default_factory=set)
    echoes: set[Problem] = field(default_factory=set)

    def place(self, path: Path_) -> tuple[int, int]:
        """Of a value, or of the nearest parent that exists."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, (1, 1))

    def problem(self, path: Path_, sentence: str, *, key: bool = False, warning: bool = False) -> Problem:
        """A located problem. `key`: about the key itself, not its value."""
        line, column = self.keys.get(path, self.place(path)) if key else self.place(path)
        made = Problem(
            file=self.file, line=line, column=column, path=dotted(path), sentence=sentence, warning=warning
        )
        below = (hole for hole in self.holes if hole[: len(path)] == path and len(hole) > len(path))
        if self.follows(path) or any(str(hole[-1]) in sentence for hole in below):
            self.echoes.add(made)
        return made

    def get(self, *path: str) -> Any:
        """The value at a path of keys, None where there is none."""
        value = self.data
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    def follows(self, path: Path_, *, missing: bool = False) -> bool:
        """Whether a problem at a path only follows from something that was refused when the text was read."""
        if missing and path[:-1] in self.partial:
            return True
        return any(path[:length] in self.holes for length in range(len(path) + 1))


def dotted(path: Path_) -> str:
    """`spec.vantages[2].name`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def unread(file: str) -> Marked:
    """Stands for a document that could not be read: what it would have said, nobody knows."""
    return Marked(file=file, data=None, holes={()})


def read_file(path: Path) -> tuple[list[Marked], list[Problem]]:
    """As `read_text`, of a file. Never raises for what the file holds."""
    name = str(path)

    def refuse(sentence: str, line: int = 0, column: int = 0) -> tuple[list[Marked], list[Problem]]:
        return [unread(name)], [Problem(file=name, line=line, column=column, sentence=sentence)]

    try:
        stat = path.stat()
        if not path.is_file():
            return refuse("is not a regular file")
        if stat.st_mode & 0o002:
            return refuse("may be written by everybody; `chmod o-w` it first")
        if stat.st_size > BYTES_MAX:
            return refuse(f"is larger than {BYTES_MAX >> 20} MiB")
        data = path.read_bytes()
    except OSError as error:
        return refuse(f"cannot be read: {error.strerror or error}")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line, column = _place(data[: error.start].decode("utf-8"))
        return refuse(f"is not UTF-8 text: byte 0x{data[error.start]:02x} stands here", line, column)
    return read_text(name, text)


def read_text(name: str, text: str) -> tuple[list[Marked], list[Problem]]:
    """All documents of a text, and everything that is wrong with it.

    What is not YAML costs its own document (it is there as `unread`); reading goes on at the next `---`.
    """
    reading = _Reading(name)
    reading.read(reading.without_control_characters(text))
    return reading.documents, reading.problems


_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_DOCUMENT = re.compile(r"^---(?=[ \t\r\n]|\Z)", re.MULTILINE)
_SURROGATE = re.compile("[\ud800-\udfff]")


def _place(before: str) -> tuple[int, int]:
    """Line and column, from 1, of what follows a text (lines as YAML counts them)."""
    ends = [match.end() for match in _BREAK.finditer(before)]
    return len(ends) + 1, len(before) - (ends[-1] if ends else 0) + 1


class _Stop(Exception):
    """Nothing of this file is read any further."""


class _Reading:
    """One text as it is read: what was found, and what is wrong."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lines_before = 0
        self.documents: list[Marked] = []
        self.problems: list[Problem] = []

    def refuse(self, mark: Any, sentence: str) -> None:
        """Note what is wrong at a mark (None: with the whole text). Raises _Stop where there is too much."""
        line, column = (self._lines_before + mark.line + 1, mark.column + 1) if mark else (0, 0)
        self.problems.append(Problem(file=self._name, line=line, column=column, sentence=sentence))
        if len(self.problems) >= PROBLEMS_MAX:
            raise _Stop

    def without_control_characters(self, text: str) -> str:
        """The text with a space for each character that YAML does not allow; each line that has one is told."""
        unwanted = yaml.reader.Reader.NON_PRINTABLE
        if unwanted.search(text) is None:
            return text
        for number, line in enumerate(_BREAK.split(text)):
            match = unwanted.search(line)
            if match is not None and len(self.problems) < PROBLEMS_MAX - 1:
                sentence = (
                    f"holds the control character U+{ord(match.group()):04X}, which no YAML file may hold"
                )
                self.problems.append(
                    Problem(file=self._name, line=number + 1, column=match.start() + 1, sentence=sentence)
                )
        return unwanted.sub(" ", text)

    def read(self, text: str) -> None:
        """Every document; after one that is not YAML, on from the next `---`."""
        try:
            while True:
                again = self._read_from(text)
                if again is None:
                    return
                self._lines_before += len(_BREAK.findall(text[:again]))
                text = text[again:]
        except _Stop:
            self.documents.append(unread(self._name))

    def _read_from(self, text: str) -> int | None:
        """Documents up to the end (None) or to what is not YAML: then where the next document may begin."""
        loader = _Composer(text, self)
        try:
            while loader.check_node():
                node = loader.get_node()
                if node is not None:
                    self._take(node)
            return None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark or loader.get_mark()
            sentence = " ".join(part for part in (error.context, error.problem) if part)
            self.refuse(mark, f"is not YAML: {sentence}")
        except (yaml.YAMLError, ValueError, OverflowError):
            mark = loader.get_mark()  # PyYAML leaves the numbers of escapes and directives to `chr` and `int`
            self.refuse(mark, "is not YAML: a number in an escape or a directive is out of range")
        except _TooDeep as error:
            mark = error.mark
            self.refuse(mark, f"is nested more than {DEPTH_MAX} levels deep")
        finally:
            loader.dispose()
        self.documents.append(unread(self._name))
        following = _DOCUMENT.search(text, max(loader.begun + 1, mark.index))
        return following.start() if following else None

    def _take(self, node: yaml.Node) -> None:
        if len(self.documents) >= DOCUMENTS_MAX:
            self.refuse(None, f"holds more than {DOCUMENTS_MAX} documents")
            raise _Stop
        marked = Marked(file=self._name, data=None)
        marked.data = self._value(node, (), marked)
        if marked.data is not None or () in marked.holes:
            self.documents.append(marked)

    # -- values --------------------------------------------------------------------------------------------------------

    def _value(self, node: yaml.Node, path: Path_, marked: Marked) -> Any:
        mark = node.start_mark
        marked.places[path] = (self._lines_before + mark.line + 1, mark.column + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, marked)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*path, number), marked) for number, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        if node.tag == _HOLE:
            marked.holes.add(path)
            return None
        if _SURROGATE.search(node.value):
            self.refuse(mark, "holds half of a character (a lone surrogate)")
            marked.holes.add(path)
            return None
        return _scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: Path_, marked: Marked) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            mark = key_node.start_mark
            wrong = _wrong_key(key_node, found)
            if wrong is not None:
                marked.partial.add(path)
                if wrong:
                    self.refuse(mark, wrong)
                continue
            here = (*path, key_node.value)
            marked.keys[here] = (self._lines_before + mark.line + 1, mark.column + 1)
            found[key_node.value] = self._value(value_node, here, marked)
        return found


def _wrong_key(node: yaml.Node, found: dict[str, Any]) -> str | None:
    """Why a key is refused; "" where that was told already, None for a good one."""
    if not isinstance(node, yaml.ScalarNode):
        return "a key must be a plain name"
    if node.tag == _HOLE:
        return ""
    if node.value == "<<" and node.style is None:
        return "merge keys (<<) are not allowed: write the values out"
    if node.value in found:
        return f"the key {node.value!r} stands twice"
    return "holds half of a character (a lone surrogate)" if _SURROGATE.search(node.value) else None


_HOLE = "tag:failover,2026:refused"


class _TooDeep(Exception):
    def __init__(self, mark: Any) -> None:
        self.mark = mark
        super().__init__()


class _Composer(yaml.SafeLoader):
    """Composes without following aliases and without tags: each is told, and read as nothing. Bounded in depth.

    `begun`: the index in the text at which the document that is being read began.
    """

    def __init__(self, text: str, reading: _Reading) -> None:
        super().__init__(text)
        self._reading = reading
        self._depth = 0
        self.begun = 0

    def compose_document(self) -> yaml.Node | None:
        self.begun = self.peek_event().start_mark.index  # type: ignore[no-untyped-call]
        return super().compose_document()

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            self.get_event()  # type: ignore[no-untyped-call]
            self._reading.refuse(event.start_mark, "aliases (*name) are not allowed: write the value out")
            return _hole(event)
        self.anchors = {}
        collection = isinstance(event, yaml.CollectionStartEvent)
        if collection and self._depth >= DEPTH_MAX:
            raise _TooDeep(event.start_mark)
        tag = getattr(event, "tag", None)
        if tag is not None:
            self._reading.refuse(event.start_mark, f"the tag {tag} is not allowed")
        self._depth += collection
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= collection
        return _hole(event) if tag is not None and not collection else node


def _hole(event: Any) -> yaml.ScalarNode:
    return yaml.ScalarNode(tag=_HOLE, value="", start_mark=event.start_mark, end_mark=event.end_mark)


_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)([eE][-+]?[0-9]+)?")


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

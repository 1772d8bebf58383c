"""The one place that writes: data to stdout in the format asked for, talk to stderr."""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any


class Format(StrEnum):
    """What `-o` takes."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"


def machine(output: Format) -> bool:
    """Whether a program reads it."""
    return output in (Format.JSON, Format.YAML)


def data(value: Any, output: Format) -> bool:
    """Write JSON or YAML; False where a table is wanted instead."""
    if output is Format.JSON:
        line(json.dumps(value, indent=2, ensure_ascii=False, sort_keys=False))
        return True
    if output is Format.YAML:
        import yaml

        line(yaml.safe_dump(value, sort_keys=False, allow_unicode=True).rstrip())
        return True
    return False


def one_of_many(value: Any, output: Format) -> str:
    """A document of several: JSON on a line of its own, YAML after a `---`; "" for tables."""
    if output is Format.JSON:
        return json.dumps(value, ensure_ascii=False, sort_keys=False) + "\n"
    if output is Format.YAML:
        import yaml

        return "---\n" + str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True))
    return ""


def bare(sentence: str, name: str) -> str:
    """A sentence without the name that it begins with, for a place where that name stands already."""
    for prefix in (f"{name}: ", f"zone {name}: ", f"cluster {name}: "):
        if sentence.startswith(prefix):
            return bare(sentence.removeprefix(prefix), name)
    return sentence


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Aligned columns, as kubectl writes them: no frames, so that they paste and grep well."""
    texts = [[_cell(item) for item in row] for row in rows]
    widths = [max([len(head), *(len(row[at]) for row in texts)]) for at, head in enumerate(headings)]
    for row in [list(headings), *texts]:
        line("   ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def _cell(item: object) -> str:
    if item is None or item == "":
        return "-"
    return ", ".join(map(str, item)) if isinstance(item, list | tuple) else str(item)


def line(text: str = "") -> None:
    """One line of data."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def out(text: str) -> None:
    """Data that has its line ends already."""
    sys.stdout.write(text)
    sys.stdout.flush()


def talk(text: str) -> None:
    """One line for the person, never data."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def hang_up() -> None:
    """The reader of our data has gone away (`| head`): nothing more is written, also not at the end of the process."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def duration(seconds: float | None) -> str:
    """`3 s`, `5 min`, `2 h`, `4 d`: short, for tables."""
    if seconds is None:
        return "-"
    for limit, size, unit in ((120, 1, "s"), (7200, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86400:.0f} d"

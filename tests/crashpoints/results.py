"""Results on disk, a line a cycle as they come, so that an interrupted run goes on where it was; and the table."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.crashpoints.cycle import Outcome, Strike
from tests.crashpoints.judging import DIFFERS, NOT_REACHED, SAME, judge
from tests.crashpoints.points import kind_of

VARIANTS = ("kill", "standby", "stop")
Key = tuple[str, tuple[str, ...], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One cycle. `code`: of the controller that was struck; `struck`: the points that were."""

    code: str
    variant: str
    points: tuple[str, ...]
    repeat: int
    word: str
    reasons: tuple[str, ...]
    refused_by: tuple[str, ...]
    struck: tuple[str, ...]
    sends: tuple[str, ...]
    seconds: float

    @property
    def key(self) -> Key:
        return (self.variant, self.points, self.repeat)


def key_of(strike: Strike) -> Key:
    """What tells a cycle from all others."""
    return (strike.variant, strike.points, strike.repeat)


def row_of(outcome: Outcome, code: str) -> Row:
    judged = judge(outcome)
    return Row(
        code=code,
        variant=outcome.strike.variant,
        points=outcome.strike.points,
        repeat=outcome.strike.repeat,
        word=judged.word,
        reasons=judged.reasons,
        refused_by=judged.refused_by,
        struck=outcome.struck,
        sends=outcome.sends,
        seconds=round(outcome.seconds, 2),
    )


NOT_STRUCK = ("lab/simulation", "lab/twins", "cli/simulating.py")
"""No process of a cycle runs these."""


def code_of(tree: Path) -> str:
    """Digest of a package's source: what was proven of other code is not proven of this one."""
    digest = hashlib.sha256()
    for path in sorted(tree.rglob("*.py")):
        if path.relative_to(tree).as_posix().startswith(NOT_STRUCK):
            continue
        digest.update(f"{path.relative_to(tree)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def read(path: Path) -> list[Row]:
    """Rows so far; a last line that was cut off is no row. For the same cycle the later one counts."""
    rows: dict[tuple[str, Key], Row] = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            found = json.loads(line)
        except ValueError:
            continue
        row = _row(found)
        rows[row.code, row.key] = row
    return list(rows.values())


def _row(found: dict[str, Any]) -> Row:
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in found.items()
    }
    return Row(**values)


def append(path: Path, row: Row) -> None:
    with path.open("a") as out:
        out.write(json.dumps(asdict(row)) + "\n")


def table(rows: Sequence[Row]) -> str:
    """Kinds down, variants across: points struck, cycles in the same world of all cycles."""
    kinds = list(dict.fromkeys(kind_of(point) for row in rows for point in row.points))
    lines = [f"{'kind':32} {'points':>6}" + "".join(f"  {name:>12}" for name in VARIANTS) + "  refused by"]
    for kind in [*kinds, ""]:
        mine = [row for row in rows if not kind or kind in map(kind_of, row.points)]
        points = {point for row in mine for point in row.points if kind in ("", kind_of(point))}
        cells = "".join(f"  {_cell(row for row in mine if row.variant == name):>12}" for name in VARIANTS)
        refused = ", ".join(sorted({place for row in mine for place in row.refused_by}))
        lines.append(f"{kind or 'all':32} {len(points):>6}{cells}  {refused}".rstrip())
    return "\n".join(lines)


def _cell(rows: Iterable[Row]) -> str:
    words = [row.word for row in rows]
    return f"{words.count(SAME)} of {len(words)}" if words else "-"


def summary(rows: Sequence[Row], code: str) -> tuple[str, int]:
    """(sentences, exit code): 1 where a cycle ended in another world, or a point was not reached, or nothing was played."""
    mine = [row for row in rows if row.code == code]
    wrong = [row for row in mine if row.word == DIFFERS]
    missed = [row for row in mine if row.word == NOT_REACHED]
    struck = {point for row in mine for point in row.struck}
    text = (
        f"{len(mine)} cycles struck at {len(struck)} points: {len(mine) - len(wrong) - len(missed)} ended in the same "
        f"world, {len(wrong)} in another one, {len(missed)} did not come by their point"
    )
    return text, 1 if wrong or missed or not struck else 0

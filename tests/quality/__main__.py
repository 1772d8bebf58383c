"""Asks every question, writes the tables and the picture, and exits 1 when a figure is missed."""

import argparse
import os
import sys
import time
from pathlib import Path

from failover.cli import render

from .figures import Results, figures
from .picture import draw
from .plan import Effort, answer_all, questions
from .report import as_json, figure_rows, markdown

HERE = Path(__file__).parent
SEED = "2026"


def main(arguments: list[str]) -> int:
    """Returns 1 when a figure is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.quality", description=__doc__)
    parser.add_argument("--seed", default=SEED, help="the same seed gives the same figures")
    parser.add_argument("--into", type=Path, default=HERE, help="folder for quality.md, .json and .svg")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    chosen = parser.parse_args(arguments)
    began = time.monotonic()
    asked = questions(Effort(), chosen.seed)
    results = Results.of(answer_all(asked, processes=chosen.processes))
    found = figures(results)
    text = markdown(results, found, chosen.seed)
    (chosen.into / "quality.md").write_text(text)
    (chosen.into / "quality.json").write_text(as_json(results, found, chosen.seed))
    (chosen.into / "quality.svg").write_text(draw(results))
    print(text)
    render.table(["FIGURE", "VALUE", "LIMIT", ""], figure_rows(found))
    missed = sum(not figure.ok for figure in found)
    render.talk(f"{len(found) - missed} of {len(found)} figures are met; {time.monotonic() - began:.0f} s")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

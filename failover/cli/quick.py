"""`failover status` without the frame of the command line, which costs more than the answer: typer brings pydantic along.

Understands the plain forms of the options of `status`; a command line with anything else in it is the frame's.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from failover.cli import render

TAKES_VALUE = {"--state": "state", "-o": "output", "--output": "output"}
SWITCHES = {"-w": "watch", "--watch": "watch", "--exit-code": "exit_code"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusAsked:
    """The options of `status`, as the frame has them."""

    state: Path | None = None
    output: render.Format = render.Format.TABLE
    watch: bool = False
    exit_code: bool = False


def parse(arguments: list[str]) -> StatusAsked | None:
    """What is asked of `status`; None for another command, for help, and for what only the frame can explain."""
    if not arguments or arguments[0] != "status":
        return None
    found: dict[str, Any] = {}
    rest = arguments[1:]
    while rest:
        word, rest = rest[0], rest[1:]
        if word in SWITCHES:
            found[SWITCHES[word]] = True
            continue
        name, glued, value = word.partition("=")
        if name not in TAKES_VALUE or (glued and not name.startswith("--")):
            return None
        if not glued:
            if not rest or rest[0].startswith("-"):
                return None
            value, rest = rest[0], rest[1:]
        found[TAKES_VALUE[name]] = value
    if found.get("output", "table") not in list(render.Format):
        return None
    if "state" in found:
        found["state"] = Path(found["state"])
    return StatusAsked(**found | {"output": render.Format(found.get("output", "table"))})


def answer(asked: StatusAsked) -> None:
    """Carry it out. Raises Stop."""
    from failover.cli.places import state_directory
    from failover.cli.status import status

    status(state_directory(asked.state), output=asked.output, watch=asked.watch, exit_code=asked.exit_code)

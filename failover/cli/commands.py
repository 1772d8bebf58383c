"""Every command, registered in the frame; not on the path of a plain `failover status`."""

import os
import sys
from typing import Any

import typer

from failover.cli import (
    commands_dns,
    commands_lab,
    commands_look,
    commands_move,
    commands_rule,
    commands_setup,
    exits,
)
from failover.cli.frame import app

# typer carries a click of its own and exports BadParameter only; its base is every error of the command line.
UsageError: Any = typer.BadParameter.__mro__[1]
REGISTERED = (commands_look, commands_dns, commands_move, commands_rule, commands_setup, commands_lab)
COMPLETION = ("--show-completion", "--install-completion")


def run(name: str) -> int:
    """Run the command line as this program; returns the exit code. Stop and our own errors pass through."""
    try:
        result = app(prog_name=_program(name), standalone_mode=False)
    except UsageError as error:
        error.message = str(error.message).replace("Value error, ", "")
        error.show()
        return exits.USAGE
    except typer.Abort:
        return exits.INTERRUPTED
    return int(result) if isinstance(result, int) else exits.DONE


def _program(name: str) -> str:
    """`kubectl failover` for a person; for a shell that completes, the one word by which it knows the program."""
    word = name.replace(" ", "-")
    completing = f"_{word.replace('-', '_').upper()}_COMPLETE" in os.environ
    return word if completing or any(item in COMPLETION for item in sys.argv) else name

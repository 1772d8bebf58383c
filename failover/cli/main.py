"""The `failover` command: registers every command, runs one, and turns every end into one of the exit codes."""

import sys
from typing import Any

import typer

from failover.cli import (
    commands_lab,
    commands_look,
    commands_move,
    commands_rule,
    commands_setup,
    exits,
    render,
)
from failover.cli.exits import Stop
from failover.cli.frame import app

# typer carries a click of its own and exports BadParameter only; its base is every error of the command line.
UsageError: Any = typer.BadParameter.__mro__[1]
REGISTERED = (commands_look, commands_move, commands_rule, commands_setup, commands_lab)


def main() -> None:
    """Entry point of `failover`."""
    sys.exit(run_command("failover"))


def main_kubectl() -> None:
    """Entry point of `kubectl failover`."""
    sys.exit(run_command("kubectl failover"))


def run_command(name: str) -> int:
    """Run the command line; every end has one of the exit codes of `exits`."""
    try:
        result = app(prog_name=name, standalone_mode=False)
        return int(result) if isinstance(result, int) else exits.DONE
    except Stop as stop:
        if stop.sentence:
            render.talk(stop.sentence)
        return stop.code
    except UsageError as error:
        error.show()
        return exits.USAGE
    except (typer.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        return exits.DONE
    except Exception as error:
        code = _sentence_for(error)
        if code is None:
            raise
        return code


def _sentence_for(error: Exception) -> int | None:
    """Exit code for an error of our own tree, told as a sentence; None for a defect."""
    from failover.model import errors
    from failover.store.reader import NoStore

    if isinstance(error, errors.PolicyError):
        for problem in error.problems:
            render.talk(str(problem))
        return exits.ERROR
    if isinstance(error, errors.FailoverError | NoStore):
        render.talk(str(error))
        return (
            exits.REFUSED
            if isinstance(error, errors.Refused)
            else exits.USAGE
            if isinstance(error, errors.UsageError)
            else exits.ERROR
        )
    return None

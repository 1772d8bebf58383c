"""The `failover` command: registers every command, runs one, and turns every end into one of the exit codes."""

import sys

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

REGISTERED = (commands_look, commands_move, commands_rule, commands_setup, commands_lab)


def main() -> None:
    """Entry point of `failover`."""
    sys.exit(run_command("failover"))


def main_kubectl() -> None:
    """Entry point of `kubectl failover`."""
    sys.exit(run_command("kubectl failover"))


def run_command(name: str) -> int:
    """Run the command line; every end has one of the exit codes of `exits`."""
    import click

    try:
        result = app(prog_name=name, standalone_mode=False)
        return int(result) if isinstance(result, int) else exits.DONE
    except Stop as stop:
        if stop.sentence:
            render.talk(stop.sentence)
        return stop.code
    except click.UsageError as error:
        error.show()
        return exits.USAGE
    except (click.Abort, KeyboardInterrupt):
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
    from failover.model.errors import FailoverError, PolicyError, Refused, UsageError
    from failover.store.reader import NoStore

    if isinstance(error, PolicyError):
        for problem in error.problems:
            render.talk(str(problem))
        return exits.ERROR
    if isinstance(error, FailoverError | NoStore):
        render.talk(str(error))
        return (
            exits.REFUSED
            if isinstance(error, Refused)
            else exits.USAGE
            if isinstance(error, UsageError)
            else exits.ERROR
        )
    return None

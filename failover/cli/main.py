"""The entry points of `failover` and `kubectl failover`: runs one command, and turns every end into one of the exit codes."""

import sys

from failover.cli import exits, quick, render
from failover.cli.exits import Stop


def main() -> None:
    """Entry point of `failover`."""
    sys.exit(run_command("failover"))


def main_kubectl() -> None:
    """Entry point of `kubectl failover`."""
    sys.exit(run_command("kubectl failover"))


def run_command(name: str) -> int:
    """Run the command line; every end has one of the exit codes of `exits`."""
    try:
        asked = quick.parse(sys.argv[1:])
        if asked is not None:
            quick.answer(asked)
            return exits.DONE
        from failover.cli.commands import run

        return run(name)
    except Stop as stop:
        if stop.sentence:
            render.talk(stop.sentence)
        return stop.code
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except BrokenPipeError:
        render.hang_up()
        return exits.DONE
    except Exception as error:
        code = _sentence_for(error)
        if code is None:
            raise
        return code


def _sentence_for(error: Exception) -> int | None:
    """Exit code for an error of our own tree, told as a sentence; None for a defect."""
    from failover.model import errors
    from failover.model.codec import DecodeError
    from failover.store.reader import NoStore

    if isinstance(error, errors.PolicyError):
        for problem in error.problems:
            render.talk(str(problem))
        return exits.ERROR
    if isinstance(error, DecodeError):
        render.talk(
            f"the journal holds what this version cannot read: {error}; run the version that wrote it"
        )
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

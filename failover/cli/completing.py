"""`kubectl_complete-failover`: by this name on PATH kubectl asks a plugin what may come next (kubectl 1.26 and later).

Called with the words after `kubectl failover`, the last one unfinished; prints one candidate a line and then the directive
of cobra: `:4` for these and nothing else, `:0` where the shell may offer files.
"""

import contextlib
import io
import os
import shlex
import sys

FILES, THESE_ONLY = ":0", ":4"
PROGRAM = "kubectl-failover"


def main() -> None:
    """Entry point of `kubectl_complete-failover`."""
    os.environ["_KUBECTL_FAILOVER_COMPLETE"] = "complete_bash"
    os.environ["COMP_WORDS"] = shlex.join([PROGRAM, *sys.argv[1:]])
    os.environ["COMP_CWORD"] = str(max(1, len(sys.argv) - 1))
    from failover.cli.commands import run

    with contextlib.redirect_stdout(io.StringIO()) as told, contextlib.suppress(SystemExit):
        run(PROGRAM)
    words = told.getvalue().split()
    sys.stdout.write("\n".join([*words, THESE_ONLY if words else FILES]) + "\n")


if __name__ == "__main__":
    main()

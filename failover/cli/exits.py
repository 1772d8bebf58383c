"""Exit codes, the same for every command, and the errors that carry them."""

DONE = 0
ERROR = 1
CHANGES_PENDING = 2
UNHEALTHY = 3
REFUSED = 4
PARTIAL = 5
USAGE = 64
INTERRUPTED = 130
"""Ctrl-C, as every shell counts it."""


class Stop(Exception):
    """End the command with this code; `sentence` goes to stderr."""

    def __init__(self, code: int, sentence: str = "") -> None:
        self.code = code
        self.sentence = sentence
        super().__init__(sentence)

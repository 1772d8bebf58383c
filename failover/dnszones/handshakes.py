"""Whether a TLS error came before a request could leave: the vendors' libraries give one name to both."""

import ssl
from collections.abc import Iterator

HANDSHAKE = "do_handshake"


def failed_in_handshake(error: BaseException) -> bool:
    """True only where the TLS layer's own error was raised by the handshake: nothing of a request leaves before that.

    Any other TLS error (a record that cannot be read, a connection cut without notice) may come after a request was sent.
    """
    return any(isinstance(item, ssl.SSLError) and HANDSHAKE in _functions(item) for item in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and all that it was made of: causes, contexts, and what libraries keep among their arguments."""
    left, seen = [error], set()
    while left:
        item = left.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        yield item
        kept = (item.__cause__, item.__context__, getattr(item, "reason", None), *item.args)
        left += [one for one in kept if isinstance(one, BaseException)]


def _functions(error: BaseException) -> Iterator[str]:
    """Names of the functions that it came through."""
    step = error.__traceback__
    while step is not None:
        yield step.tb_frame.f_code.co_name
        step = step.tb_next

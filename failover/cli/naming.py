"""Names that a person types: the nearest one that there is, and a usage error for one that there is not."""

import difflib
from collections.abc import Iterable

from failover.cli import exits
from failover.cli.exits import Stop


def no_such(what: str, name: str, known: Iterable[str]) -> str:
    """`there is no application 'shp'; did you mean 'shop'?`, or what there is."""
    names = sorted(known)
    close = difflib.get_close_matches(name[:120], names, n=1, cutoff=0.6)
    if close:
        return f"there is no {what} {name!r}; did you mean {close[0]!r}?"
    more = f", and {len(names) - 20} more" if len(names) > 20 else ""
    return f"there is no {what} {name!r}; there are {', '.join(names[:20]) or 'none'}{more}"


def one_of(option: str, value: str, known: Iterable[str]) -> str:
    """The value of an option that takes one of some words. Raises Stop (64)."""
    names = list(known)
    if value not in names:
        raise Stop(exits.USAGE, f"{option} {value}: {no_such('kind', value, names)}")
    return value

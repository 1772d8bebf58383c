"""Checks of the files that documents name: home directories that exist, CA bundles that can be used."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from failover.model.errors import LocalFault
from failover.model.reasons import Problem
from failover.policy.certificates import read_certificates
from failover.policy.compile import Parsed, path_of

Place = tuple[str | int, ...]


def check_path(item: Parsed, place: Place, text: str) -> Iterator[Problem]:
    """A path that begins with `~` names a home directory that there is."""
    if not text.startswith("~"):
        return
    try:
        Path(text).expanduser()
    except RuntimeError:
        sentence = f"there is no home directory {text.split('/', 1)[0]!r}; write the path out"
        yield item.marked.problem(place, sentence)


def check_probe(item: Parsed, place: Place, probe: Any, told: dict[str, str]) -> Iterator[Problem]:
    """A probe's CA bundle is there and holds certificates: without it every probe would be our own fault.

    `told`: what was found out about each bundle already, "" for a good one.
    """
    here = (*place, "caFile")
    wrong = list(check_path(item, here, probe.ca_file))
    if wrong:
        yield from wrong
        return
    bundle = path_of(item, probe.ca_file)
    if bundle not in told:
        try:
            read_certificates(bundle)
            told[bundle] = ""
        except LocalFault as error:
            told[bundle] = str(error)
    if told[bundle]:
        yield item.marked.problem(here, told[bundle])

"""Checks of DNS zones."""

from collections.abc import Iterator, Sequence

from failover.model.reasons import Problem
from failover.policy.compile import Parsed, absolute
from failover.policy.lint_paths import check_path


def check_zones(items: Sequence[Parsed]) -> Iterator[Problem]:
    """Every problem of all zones."""
    owners: dict[str, str] = {}
    for item in items:
        yield from _zone(item)
        apex, name = absolute(item.document.spec.apex), item.document.metadata.name
        if owners.setdefault(apex, name) != name:
            sentence = f"{apex} is the apex of zone {owners[apex]} already"
            yield item.marked.problem(("spec", "apex"), sentence)


def _zone(item: Parsed) -> Iterator[Problem]:
    spec = item.document.spec
    seen: set[tuple[str, int]] = set()
    for number, server in enumerate(spec.authoritative):
        if (server.address, server.port) in seen:
            path = ("spec", "authoritative", number)
            yield item.marked.problem(path, f"{server.address} port {server.port} stands twice")
        seen.add((server.address, server.port))
    if len(seen) < 2:
        sentence = "has one authoritative server: with it the zone is gone"
        yield item.marked.problem(("spec", "authoritative"), sentence, warning=True)
    if not 0.1 <= spec.timeout <= 30:
        yield item.marked.problem(("spec", "timeout"), "must be between 100ms and 30s")
    yield from check_path(item, ("spec", "tsigKeyFile"), spec.tsig_key_file)

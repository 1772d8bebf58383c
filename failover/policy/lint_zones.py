"""Checks of a DNS zone."""

from collections.abc import Iterator

from failover.model.reasons import Problem
from failover.policy.compile import Parsed


def check_zone(item: Parsed) -> Iterator[Problem]:
    """Every problem of one zone."""
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

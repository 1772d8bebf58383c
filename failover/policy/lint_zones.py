"""Checks of DNS zones: what each provider needs, and what it cannot do."""

from collections.abc import Iterator, Sequence
from datetime import date
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from failover.model.reasons import Problem
from failover.policy.compile import Parsed, absolute
from failover.policy.lint_paths import check_path

NEEDED = {
    "rfc2136": ("primary", "tsigKeyFile"),
    "route53": ("hostedZone",),
    "clouddns": ("project", "managedZone"),
}
OWN = {
    "rfc2136": NEEDED["rfc2136"],
    "route53": ("hostedZone", "profile", "prepare", "credentialsFile", "endpoint", "requestsPerSecond"),
    "clouddns": ("project", "managedZone", "credentialsFile", "endpoint", "requestsPerSecond"),
}


def check_zones(items: Sequence[Parsed]) -> Iterator[Problem]:
    """Every problem of all zones."""
    places: dict[tuple[object, ...], str] = {}
    for item in items:
        yield from _zone(item)
        name, place = item.document.metadata.name, _place(item.document.spec)
        if places.setdefault(place, name) != name:
            sentence = f"{place[0]} is the apex of zone {places[place]} already, at the same provider: two would fence each other"
            yield item.marked.problem(("spec", "apex"), sentence)


def _place(spec: Any) -> tuple[object, ...]:
    """Where a zone is written to. Two documents with one apex are two providers, and never one place."""
    primary = (spec.primary.address, spec.primary.port) if spec.primary is not None else ()
    where = (spec.hosted_zone, spec.project, spec.managed_zone, *primary)
    return (absolute(spec.apex), spec.provider, *where)


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
    if spec.patience is not None and not 30 <= spec.patience <= 3600:
        yield item.marked.problem(("spec", "patience"), "must be between 30s and 1h")
    yield from _fields(item)
    yield from check_path(item, ("spec", "tsigKeyFile"), spec.tsig_key_file)
    yield from check_path(item, ("spec", "credentialsFile"), spec.credentials_file)
    yield from _endpoint(item)
    if spec.credentials_expire:
        try:
            date.fromisoformat(spec.credentials_expire)
        except ValueError:
            yield item.marked.problem(("spec", "credentialsExpire"), "is a date as YYYY-MM-DD")


def _fields(item: Parsed) -> Iterator[Problem]:
    """What the provider needs is there, and what is another's is not: nothing that is written is passed over."""
    spec = item.document.spec
    written = {
        "primary": spec.primary is not None,
        "tsigKeyFile": spec.tsig_key_file,
        "hostedZone": spec.hosted_zone,
        "project": spec.project,
        "managedZone": spec.managed_zone,
        "credentialsFile": spec.credentials_file,
        "profile": spec.profile,
        "endpoint": spec.endpoint,
        "requestsPerSecond": spec.requests_per_second,
        "prepare": spec.prepare,
    }
    for name in NEEDED[spec.provider]:
        if not written[name]:
            yield item.marked.problem(("spec",), f"{name} is missing: a zone at {spec.provider} needs it")
    for name, value in written.items():
        if value and name not in OWN[spec.provider]:
            sentence = f"means nothing to {spec.provider}"
            if name == "prepare":
                sentence += ", which has no records that the provider checks itself; only route53 has"
            yield item.marked.problem(("spec", name), sentence)


def _endpoint(item: Parsed) -> Iterator[Problem]:
    """HTTPS, except to this machine."""
    text = item.document.spec.endpoint
    if not text:
        return
    try:
        found = urlsplit(text)
        host = found.hostname or ""
        fine = found.scheme == "https" or (found.scheme == "http" and ip_address(host).is_loopback)
    except ValueError:
        host, fine = "", False
    if not host or not fine:
        yield item.marked.problem(
            ("spec", "endpoint"), "is an https URL, or an http one of this machine (127.0.0.1)"
        )

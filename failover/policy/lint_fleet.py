"""Checks of the fleet: unique domains, timings that can be, vantages that can judge, probes that may go where they go."""

import ipaddress
from collections.abc import Iterator

from failover.model.policy import Timing
from failover.model.reasons import Problem
from failover.policy.compile import Parsed, timing_of
from failover.policy.documents import ReferenceDocument
from failover.policy.lint_names import Known, clusters_with_paths, unknown
from failover.policy.lint_paths import check_path, check_probe

VANTAGES_FOR_AUTO = 3
REFERENCES_NEEDED = 2
INTERVAL_MAX_S = 600.0
CONFIRM_MAX_S = 3600.0
PRICES_APART = 100.0
"""The same resource costs hardly this many times more in one place than in another: then it is another unit."""


def check_fleet(item: Parsed, known: Known, *, auto: bool) -> Iterator[Problem]:
    """Every problem of the fleet. `auto`: some application lets automation act."""
    yield from _domains(item)
    yield from _clusters(item)
    yield from _prices(item, known)
    yield from _timing(item, timing_of(item.document.spec))
    yield from _vantages(item, known, auto=auto)
    yield from _references(item, known, auto=auto)


def _domains(item: Parsed) -> Iterator[Problem]:
    seen: dict[tuple[str, str], str] = {}

    def once(kind: str, name: str, path: tuple[str | int, ...]) -> Iterator[Problem]:
        line = f"line {item.marked.place(path)[0]}"
        if (kind, name) in seen:
            yield item.marked.problem(
                (*path, "name"), f"the {kind} {name!r} stands twice ({seen[kind, name]})"
            )
        seen.setdefault((kind, name), line)

    for p, provider in enumerate(item.document.spec.providers):
        base: tuple[str | int, ...] = ("spec", "providers", p)
        yield from once("provider", provider.name, base)
        for r, region in enumerate(provider.regions):
            yield from once("region", region.name, (*base, "regions", r))
            for d, datacenter in enumerate(region.datacenters):
                here = (*base, "regions", r, "datacenters", d)
                yield from once("datacenter", datacenter.name, here)
                for c, one in enumerate(datacenter.clusters):
                    yield from once("cluster", one.name, (*here, "clusters", c))


def _prices(item: Parsed, known: Known) -> Iterator[Problem]:
    """A price that is a thousand times another's is told: an hour of a core, not a month of a machine."""
    cheapest: dict[str, tuple[float, str]] = {}
    entries = known.fleet.clusters if known.fleet is not None else ()
    for entry in entries:
        for resource, price in entry.price:
            if price > 0:
                cheapest[resource] = min(cheapest.get(resource, (price, entry.name)), (price, entry.name))
    for (path, _), entry in zip(clusters_with_paths(item), entries, strict=False):
        for resource, price in entry.price:
            least, other = cheapest.get(resource, (price, entry.name))
            if price > least * PRICES_APART:
                sentence = (
                    f"{resource} costs {price:g} an hour in {entry.name} and {least:g} in {other}, "
                    f"{price / least:.0f} times less: is it the same unit?"
                )
                yield item.marked.problem(path, sentence, warning=True)


def _clusters(item: Parsed) -> Iterator[Problem]:
    addresses: dict[str, str] = {}
    bundles: dict[str, str] = {}
    tokens: dict[str, str] = {}
    allowed = [ipaddress.ip_network(text) for text in item.document.spec.probes.allow_cidrs]
    for path, one in clusters_with_paths(item):
        endpoint = one.endpoint
        if not endpoint.ipv4 and not endpoint.ipv6:
            yield item.marked.problem(
                (*path, "endpoint"), "has neither ipv4 nor ipv6: probes go to an address"
            )
        for family in ("ipv4", "ipv6"):
            for number, address in enumerate(getattr(endpoint, family)):
                here = (*path, "endpoint", family, number)
                if address in addresses:
                    yield item.marked.problem(
                        here, f"{address} is the endpoint of {addresses[address]} already"
                    )
                addresses[address] = one.name
                sentence = _may_probe(address, allowed)
                if sentence:
                    yield item.marked.problem(here, sentence)
        access = one.access
        if access.in_cluster == bool(access.kubeconfig):
            yield item.marked.problem((*path, "access"), "name either a kubeconfig or inCluster: true")
        if one.heartbeat_sha256 and tokens.setdefault(one.heartbeat_sha256, one.name) != one.name:
            yield item.marked.problem(
                (*path, "heartbeatSHA256"),
                f"{tokens[one.heartbeat_sha256]} has the same token; each cluster has its own",
            )
        yield from check_path(item, (*path, "access", "kubeconfig"), access.kubeconfig)
        yield from check_probe(item, (*path, "probe"), one.probe, bundles)


def _may_probe(address: str, allowed: list[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> str:
    ip = ipaddress.ip_address(address)
    if ip.is_link_local or ip.is_multicast or ip.is_unspecified:
        return f"{address} is no address that clients reach a cluster by"
    documentation = any(ip in net for net in _DOCUMENTATION if net.version == ip.version)
    named = any(ip in net for net in allowed if net.version == ip.version)
    if (ip.is_private or ip.is_loopback) and not documentation and not named:
        return f"{address} is private or loopback; name its range in spec.probes.allowCidrs if probes may go there"
    return ""


_DOCUMENTATION = tuple(
    ipaddress.ip_network(text)
    for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
)


def _timing(item: Parsed, timing: Timing) -> Iterator[Problem]:
    """Relations that must hold, as Patroni enforces `loop_wait + 2 * retry_timeout <= ttl`."""
    rules = (
        (0.1 <= timing.interval_s <= INTERVAL_MAX_S, "interval", "interval must be between 100ms and 10m"),
        (timing.timeout_s <= timing.interval_s, "timeout", f"timeout ({timing.timeout_s:g} s) must not exceed the interval ({timing.interval_s:g} s): probes of a series never overlap"),
        (timing.timeout_s > 0, "timeout", "timeout must be more than nothing"),
        (timing.rise >= timing.fall, "rise", f"rise ({timing.rise}) must be at least fall ({timing.fall}): returning is slower than leaving"),
        (timing.lease_renew_s + timing.lease_margin_s < timing.lease_s, "lease", f"leaseRenew ({timing.lease_renew_s:g} s) and leaseMargin ({timing.lease_margin_s:g} s) together must be less than lease ({timing.lease_s:g} s)"),
        (timing.lease_margin_s > 0 and timing.lease_renew_s > 0, "leaseMargin", "leaseRenew and leaseMargin must be more than nothing"),
        (timing.inventory_interval_s > 0, "inventoryInterval", "inventoryInterval must be more than nothing"),
        (timing.inventory_max_age_s >= 2 * timing.inventory_interval_s, "inventoryMaxAge", "inventoryMaxAge must be at least two inventoryIntervals"),
        (timing.confirm_s <= CONFIRM_MAX_S, "confirm", "confirm must not exceed 1h: until then nothing is done about a loss"),
        (timing.hold_down_window_s > 0, "holdDown", "holdDown.window must be more than nothing: no verdict could change in it"),
        (timing.hold_down_base_s <= timing.hold_down_max_s, "holdDown", "holdDown.base must not exceed holdDown.max"),
    )  # fmt: skip
    for holds, name, sentence in rules:
        if not holds:
            yield item.marked.problem(("spec", "timing", name), sentence)
    if timing.confirm_s < timing.interval_s:
        sentence = "confirm is shorter than one interval: a quorum need not hold for a second look"
        yield item.marked.problem(("spec", "timing", "confirm"), sentence, warning=True)


def _vantages(item: Parsed, known: Known, *, auto: bool) -> Iterator[Problem]:
    spec, fleet = item.document.spec, known.fleet
    assert fleet is not None
    names: set[str] = set()
    tokens: dict[str, str] = {}
    regions = fleet.regions()
    for number, one in enumerate(spec.vantages):
        path = ("spec", "vantages", number)
        if one.name in names:
            yield item.marked.problem((*path, "name"), f"the vantage {one.name!r} stands twice")
        names.add(one.name)
        if one.region is not None and one.region not in regions:
            yield item.marked.problem((*path, "region"), unknown("region", one.region, regions))
        if one.controller == bool(one.token_sha256):
            sentence = (
                "the controller's own vantage needs no token"
                if one.controller
                else "needs tokenSHA256 (`failover vantage-token`)"
            )
            yield item.marked.problem(path, sentence)
        if one.token_sha256 and tokens.setdefault(one.token_sha256, one.name) != one.name:
            sentence = (
                f"is the token of vantage {tokens[one.token_sha256]} already: one voice must not vote twice"
            )
            yield item.marked.problem((*path, "tokenSHA256"), sentence)
    controllers = sum(1 for one in spec.vantages if one.controller)
    if controllers != 1:
        yield item.marked.problem(
            ("spec", "vantages"), f"exactly one vantage is the controller's, not {controllers}"
        )
    quorum, configured = fleet.quorum, len(fleet.vantages)
    if auto and configured < VANTAGES_FOR_AUTO:
        sentence = f"mode auto needs at least {VANTAGES_FOR_AUTO} vantages, there are {configured}"
        yield item.marked.problem(("spec", "vantages"), sentence)
    for region in regions:
        outside = len(fleet.outside_vantages(region))
        if outside < quorum:
            sentence = (
                f"only {outside} of {configured} vantages lie outside region {region}; a quorum is {quorum}"
            )
            yield item.marked.problem(("spec", "vantages"), sentence, warning=not auto)
        elif outside == quorum:
            sentence = f"exactly a quorum ({quorum}) lies outside region {region}: one silent vantage stops automation; five are recommended"
            yield item.marked.problem(("spec", "vantages"), sentence, warning=True)


def _references(item: Parsed, known: Known, *, auto: bool) -> Iterator[Problem]:
    """For each judged region, and any other lost with it, at least two references lie outside both."""
    assert known.fleet is not None
    regions = known.fleet.regions()
    for number, one in enumerate(item.document.spec.vantages):
        path = ("spec", "vantages", number, "references")
        yield from _same_references(item, path, one.references)
        for at, reference in enumerate(one.references):
            if reference.region is not None and reference.region not in regions:
                yield item.marked.problem((*path, at, "region"), unknown("region", reference.region, regions))
        worst = min(
            (
                sum(1 for reference in one.references if reference.region not in (first, second))
                for first in regions
                for second in regions
            ),
            default=0,
        )
        if worst < REFERENCES_NEEDED:
            sentence = (
                f"only {worst} references lie outside two regions that are lost together; {REFERENCES_NEEDED} are needed, "
                "or this vantage cannot tell its own trouble from theirs"
            )
            yield item.marked.problem(path, sentence, warning=not auto)


def _same_references(
    item: Parsed, path: tuple[str | int, ...], references: list[ReferenceDocument]
) -> Iterator[Problem]:
    """Two references that are one fail together, and prove nothing together."""
    names: set[str] = set()
    targets: dict[tuple[str, int], str] = {}
    for at, one in enumerate(references):
        target = (one.address, one.port)
        if one.name in names:
            yield item.marked.problem((*path, at, "name"), f"the reference {one.name!r} stands twice")
        elif targets.setdefault(target, one.name) != one.name:
            sentence = f"{one.address} port {one.port} is reference {targets[target]!r} already"
            yield item.marked.problem((*path, at, "address"), sentence)
        names.add(one.name)

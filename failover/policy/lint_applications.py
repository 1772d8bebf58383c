"""Checks of applications: everything they name exists, no two own the same name, and `auto` is earned."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from failover.model.parts import in_parts
from failover.model.reasons import Problem
from failover.model.records import CAPABILITIES, TTL_MAX_S, RecordChange, RecordSet, RecordType
from failover.policy.compile import Parsed, absolute, zones_of
from failover.policy.lint_names import Known
from failover.policy.lint_paths import check_probe
from failover.policy.lint_placement import check_placement, check_promise
from failover.policy.lint_windows import check_windows
from failover.policy.placing import rules_of

FENCE_PREFIX = "_failover-fence."


def check_applications(items: Sequence[Parsed], known: Known) -> Iterator[Problem]:
    """Every problem of all applications."""
    last = max((item.document.spec.tier for item in items), default=0)
    owners: dict[tuple[str, str], tuple[str, str]] = {}
    workloads: dict[tuple[str, str, str], str] = {}
    bundles: dict[str, str] = {}
    for item in items:
        yield from _mode(item, known)
        for number, one in enumerate(item.document.spec.workloads):
            yield from _workload(item, number, one, known, workloads)
        for number, one in enumerate(item.document.spec.dns):
            yield from _dns(item, number, one, known, owners)
        yield from _atomic(item, known)
        yield from _whole(item)
        if item.document.spec.on_shortage == "shed" and item.document.spec.tier == last:
            sentence = f"shed, and no application has a tier after {last}: nobody could make room"
            yield item.marked.problem(("spec", "onShortage"), sentence, warning=True)
        yield from check_promise(item, known)
        yield from check_windows(item, known)
        if item.document.spec.probe is not None:
            yield from check_probe(item, ("spec", "probe"), item.document.spec.probe, bundles)


def _whole(item: Parsed) -> Iterator[Problem]:
    spec = item.document.spec
    if not spec.workloads and not spec.dns:
        yield item.marked.problem(("spec",), "has neither workloads nor dns: there is nothing to protect")
    if spec.on_shortage is None:
        yield item.marked.problem(
            ("spec",),
            "onShortage is missing: choose partial (move what fits), hold (move nothing) or shed (later tiers make room)",
        )
    steps = spec.failback_steps
    if not steps or steps[-1] != 100 or sorted(set(steps)) != steps:
        yield item.marked.problem(("spec", "failbackSteps"), "must rise and end with 100")


def _mode(item: Parsed, known: Known) -> Iterator[Problem]:
    spec = item.document.spec
    if spec.mode != "auto":
        return
    used = placed_in(spec, known)
    for name in sorted(used & set(known.fences)):
        if known.fences[name] is None:
            sentence = (
                f"mode auto needs the fence in {name}: say fence: policy, or fence: best-effort, in its entry"
            )
            yield item.marked.problem(("spec", "mode"), sentence)


def _workload(
    item: Parsed, number: int, one: Any, known: Known, seen: dict[tuple[str, str, str], str]
) -> Iterator[Problem]:
    path = ("spec", "workloads", number)
    owner = item.document.metadata.name
    if not one.name and not one.names:
        yield item.marked.problem(path, "name is missing")
    for name in [*([one.name] if one.name else []), *one.names]:
        key = (one.kind, one.namespace, name)
        if key in seen:
            yield item.marked.problem(
                path, f"{one.kind} {one.namespace}/{name} belongs to {seen[key]} already"
            )
        seen.setdefault(key, owner)
    yield from check_placement(item, path, one, known)


def placed_in(spec: Any, known: Known) -> set[str]:
    """Every cluster that a workload may run in; of a fleet that cannot be read, those that are named themselves."""
    if known.fleet is not None:
        return {rule.cluster for one in spec.workloads for rule in rules_of(known.fleet, one)}
    return {rule.cluster for one in spec.workloads for rule in one.placement if rule.cluster is not None}


def _dns(
    item: Parsed, number: int, one: Any, known: Known, owners: dict[tuple[str, str], tuple[str, str]]
) -> Iterator[Problem]:
    path = ("spec", "dns", number)
    name = absolute(one.name)
    yield from _zones(item, path, one, known)
    if name.startswith(FENCE_PREFIX):
        yield item.marked.problem((*path, "name"), "names under _failover-fence are the fence's own")
    if one.ttl < 1 or one.ttl != int(one.ttl):
        yield item.marked.problem((*path, "ttl"), "a TTL is a whole number of seconds, at least 1s")
    if one.ttl > TTL_MAX_S:
        sentence = (
            "a TTL is a week (7d) at most: that long clients may hold the address of a region that is gone"
        )
        yield item.marked.problem((*path, "ttl"), sentence)
    if one.type == "CNAME" and one.publish == "all":
        yield item.marked.problem((*path, "publish"), "a CNAME has one target: publish: first")
    yield from _overlap(item, path, name, one.type, owners)
    yield from _published(item, path, one, known)


def _zones(item: Parsed, path: tuple[str | int, ...], one: Any, known: Known) -> Iterator[Problem]:
    """One zone, or the same zone at several providers: then at all of them, for clients ask any."""
    written = zones_of(one)
    if one.zone is not None and one.zones:
        yield item.marked.problem((*path, "zones"), "say zone, or zones, one of them")
    if not written:
        yield item.marked.problem(path, "zone is missing")
    for at, zone in enumerate(written):
        here = (*path, "zone") if one.zone is not None else (*path, "zones", at)
        if zone in written[:at]:
            yield item.marked.problem(here, f"{zone} stands twice")
            continue
        yield from _in_zone(item, path, here, one, zone, known)
        yield from _can(item, path, one, zone, known)
    apexes = {known.zones.get(zone, "") for zone in written}
    if len(apexes - {""}) > 1:
        yield item.marked.problem((*path, "zones"), "are the same zone at several providers: one apex")
    elif apexes and (apex := next(iter(apexes))):
        others = [zone for zone, found in known.zones.items() if found == apex and zone not in written]
        if others:
            field = "zone" if one.zone is not None else "zones"
            sentence = (
                f"{apex} is served by {', '.join(sorted(others))} as well, and clients ask any of them: "
                f"zones: [{', '.join(sorted({*written, *others}))}]"
            )
            yield item.marked.problem((*path, field), sentence)


def _can(item: Parsed, path: tuple[str | int, ...], one: Any, zone: str, known: Known) -> Iterator[Problem]:
    """What the provider cannot do is refused here, with the reason, and never emulated in silence."""
    able = CAPABILITIES.get(known.providers.get(zone, ""))
    if able is None:
        return
    if one.weights and not able.weights:
        sentence = (
            f"zone {zone} is at {able.provider}, whose plain record sets have no weights; without weights a ramp "
            "gives a share by a subset of the addresses, and says which"
        )
        yield item.marked.problem((*path, "weights"), sentence)
    elif one.weights and one.publish == "first":
        yield item.marked.problem((*path, "weights"), "weigh several clusters, and publish: first has one")
    if one.type not in able.record_types:
        yield item.marked.problem((*path, "type"), f"{able.provider} cannot hold {one.type} records")
    if one.ttl < able.minimum_ttl:
        yield item.marked.problem((*path, "ttl"), f"{able.provider} takes {able.minimum_ttl}s at least")
    most = able.weighted_max if one.weights else able.values_max
    count = len(_values(item, one, known))
    if most and count > most:
        what = "weighted records" if one.weights else "values"
        sentence = (
            f"{count} values of its clusters, and {able.provider} holds {most} {what} under one name and type"
        )
        if able.raisable:
            sentence += " unless the project's quota was raised"
        yield item.marked.problem((*path, "clusters"), sentence, warning=able.raisable)


def _atomic(item: Parsed, known: Known) -> Iterator[Problem]:
    """By zone, whether all of the application's names move at once, or in parts between which clients see more."""
    for zone, provider in known.providers.items():
        able, apex = CAPABILITIES[provider], known.zones.get(zone, "")
        held = [
            RecordSet(name=absolute(one.name), record_type=RecordType(one.type), ttl=1, values=values)
            for one in item.document.spec.dns
            if zone in zones_of(one) and (values := _values(item, one, known))
        ]
        moves = tuple(RecordChange(before=one, after=replace(one, ttl=2)) for one in held)
        if apex and moves and len(in_parts(moves, able, apex)) > 1:
            sentence = (
                f"has {len(held)} names in zone {zone}, more than one atomic change at {provider} holds "
                f"({able.atomic_names} names of one short address, fewer of more or longer ones): they are changed in "
                "several parts, additions first and removals last"
            )
            yield item.marked.problem(("spec", "dns"), sentence, warning=True)


def _values(item: Parsed, one: Any, known: Known) -> tuple[str, ...]:
    """What a name holds when every cluster that it may publish serves; () where the fleet cannot be read."""
    used = set(one.clusters) or placed_in(item.document.spec, known)
    each = [
        {"A": entry.ipv4, "AAAA": entry.ipv6, "CNAME": (entry.hostname,)}[one.type]
        for entry in (known.fleet.clusters if known.fleet else ())
        if entry.name in used
    ]
    if one.publish == "all" and one.type != "CNAME":
        return tuple(value for values in each for value in values)
    return max(each, key=len, default=())


def _in_zone(
    item: Parsed,
    path: tuple[str | int, ...],
    here: tuple[str | int, ...],
    one: Any,
    zone: str,
    known: Known,
) -> Iterator[Problem]:
    """The zone is there, holds the name, and no other zone that is declared lies between them."""
    if sentence := known.no_zone(zone):
        yield item.marked.problem(here, sentence)
    zones, name = known.zones, absolute(one.name)
    apex = zones.get(zone)
    if not apex:
        return
    if not _lies_in(name, apex):
        yield item.marked.problem((*path, "name"), f"{name} does not lie in zone {zone} ({apex})")
        return
    if name == apex and one.type == "CNAME":
        yield item.marked.problem((*path, "type"), "the apex of a zone cannot be a CNAME")
    nearest = max((other for other in zones.values() if other and _lies_in(name, other)), key=len)
    if nearest != apex:
        other = next(item for item, found in zones.items() if found == nearest)
        sentence = f"{name} lies in zone {other} ({nearest}): what {zone} says about it is never asked"
        yield item.marked.problem(here, sentence)


def _lies_in(name: str, apex: str) -> bool:
    return name == apex or name.endswith("." + apex)


def _overlap(
    item: Parsed,
    path: tuple[str | int, ...],
    name: str,
    kind: str,
    owners: dict[tuple[str, str], tuple[str, str]],
) -> Iterator[Problem]:
    owner = item.document.metadata.name
    for other in ("A", "AAAA", "CNAME"):
        found = owners.get((name, other))
        if found and (other == kind or "CNAME" in (other, kind)):
            yield item.marked.problem(
                (*path, "name"), f"{name} {other} belongs to {found[0]} already ({found[1]})"
            )
    line = f"{item.marked.file}:{item.marked.place(path)[0]}"
    owners.setdefault((name, kind), (owner, line))


def _published(item: Parsed, path: tuple[str | int, ...], one: Any, known: Known) -> Iterator[Problem]:
    """Every cluster that may be published has an address of the record's family."""
    for at, name in enumerate(one.clusters):
        if sentence := known.no_cluster(name):
            yield item.marked.problem((*path, "clusters", at), sentence)
    used = set(one.clusters) or placed_in(item.document.spec, known)
    if not used and (one.clusters or not item.document.spec.workloads):
        yield item.marked.problem(path, "names no clusters, and there is no placement to take them from")
    field = {"A": "ipv4", "AAAA": "ipv6", "CNAME": "hostname"}[one.type]
    for entry in known.fleet.clusters if known.fleet else ():
        if entry.name not in used:
            continue
        if not getattr(entry, field):
            yield item.marked.problem(
                (*path, "type"), f"{entry.name} has no {field} that an {one.type} record could publish"
            )
        elif one.type == "CNAME" and absolute(entry.hostname) == absolute(one.name):
            sentence = f"would point at itself: {one.name} is the hostname of {entry.name}"
            yield item.marked.problem((*path, "name"), sentence)

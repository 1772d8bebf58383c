"""Checks of where a workload may go: every entry means some cluster, bounds and spreads can be had, prices are there."""

from collections.abc import Iterator
from typing import Any

from failover.model.ids import ClusterName, DomainKind
from failover.model.policy import Fleet, PlacementRule
from failover.model.reasons import Problem
from failover.policy.compile import Parsed
from failover.policy.fields import shown
from failover.policy.lint_names import Known, unknown
from failover.policy.placing import clusters_of, excluded, rules_of

WAYS = ("cluster", "domain", "labels")
Path = tuple[str | int, ...]


def check_placement(item: Parsed, path: Path, one: Any, known: Known) -> Iterator[Problem]:
    """Every problem of one workload's placement."""
    yield from _entries(item, path, one, known)
    for at, text in enumerate(one.exclude):
        if sentence := no_domain(text, known):
            yield item.marked.problem((*path, "exclude", at), sentence)
    if one.placement and not any(rule.weight for rule in one.placement):
        yield item.marked.problem((*path, "placement"), "every weight is 0: nothing could be placed")
    if one.standby and not any(rule.group for rule in one.placement):
        sentence = "standby keeps replicas warm in later groups, and placement has one group only"
        yield item.marked.problem((*path, "standby"), sentence)
    yield from _requests(item, path, one)
    if known.fleet is not None:
        rules = rules_of(known.fleet, one)
        yield from _single(item, path, one, rules)
        yield from _spreads(item, path, one, rules, known.fleet)
        yield from _prices(item, path, one, rules, known.fleet)


def no_domain(text: str, known: Known) -> str:
    """What to say about a domain's name, "" if it means exactly one or nobody can tell."""
    if known.domains is None:
        return ""
    found = [domain for domain in known.domains if text in (domain.name, str(domain))]
    if not found:
        return unknown("domain", text, [str(domain) for domain in known.domains])
    if len(found) > 1:
        return f"{shown(text)} may mean {' or '.join(map(str, found))}: name it with its kind"
    return ""


def _entries(item: Parsed, path: Path, one: Any, known: Known) -> Iterator[Problem]:
    covered: set[ClusterName] = set(excluded(known.fleet, one)) if known.fleet else set()
    never = frozenset(covered)
    for at, rule in enumerate(one.placement):
        here = (*path, "placement", at)
        ways = [way for way in WAYS if getattr(rule, way) is not None]
        if len(ways) != 1:
            said = " and ".join(ways) or "none of them"
            yield item.marked.problem(
                here, f"names its clusters by cluster, domain or labels: one, not {said}"
            )
            continue
        if rule.max is not None and rule.max < rule.min:
            yield item.marked.problem((*here, "max"), f"max ({rule.max}) is less than min ({rule.min})")
        if sentence := _unknown(rule, known):
            yield item.marked.problem((*here, ways[0]), sentence)
            continue
        if known.fleet is None:
            continue
        meant = {entry.name for entry in clusters_of(known.fleet, rule)}
        if not meant:
            sentence = f"matches no cluster: none has {shown(rule.labels)}"
            yield item.marked.problem((*here, "labels"), sentence)
        elif meant <= covered:
            yield item.marked.problem((*here, ways[0]), _covered(rule, meant <= never))
        covered |= meant


def _unknown(rule: Any, known: Known) -> str:
    if rule.cluster is not None:
        return known.no_cluster(rule.cluster)
    return no_domain(rule.domain, known) if rule.domain is not None else ""


def _covered(rule: Any, excluded_all: bool) -> str:
    if excluded_all:
        return "matches no cluster: exclude names all of them"
    if rule.cluster is not None:
        return f"{rule.cluster} stands twice"
    return "matches no cluster that an earlier entry does not name already"


def _single(item: Parsed, path: Path, one: Any, rules: tuple[PlacementRule, ...]) -> Iterator[Problem]:
    single = one.writers == "single" or (one.writers is None and one.kind == "StatefulSet")
    if single and sum(1 for rule in rules if rule.min_replicas > 0) > 1:
        yield item.marked.problem(
            (*path, "placement"), "a single writer has a min above 0 in one cluster at most"
        )
    if single and (one.spread or one.standby):
        field = "spread" if one.spread else "standby"
        yield item.marked.problem((*path, field), "a single writer runs in one cluster only")


def _requests(item: Parsed, path: Path, one: Any) -> Iterator[Problem]:
    if not one.requests:
        return
    if "pods" in one.requests:
        yield item.marked.problem((*path, "requests", "pods"), "a replica is one pod; leave pods out")
    if not any(amount for name, amount in one.requests.items() if name != "pods"):
        sentence = "ask for nothing: how many replicas a cluster holds could not be told"
        yield item.marked.problem((*path, "requests"), sentence)


def _spreads(
    item: Parsed, path: Path, one: Any, rules: tuple[PlacementRule, ...], fleet: Fleet
) -> Iterator[Problem]:
    """What can never be had is an error where it would leave replicas without a place, and a warning otherwise."""
    seen: set[str] = set()
    for at, spread in enumerate(one.spread):
        here = (*path, "spread", at)
        if spread.over in seen:
            yield item.marked.problem((*here, "over"), f"{spread.over} stands twice")
        seen.add(spread.over)
        if not spread.at_least and spread.at_most is None:
            yield item.marked.problem(here, "says neither atLeast nor atMost: it would change nothing")
            continue
        warning = spread.when_unsatisfiable == "ScheduleAnyway"
        domains = len(_domains(rules, fleet, DomainKind(spread.over)))
        if spread.at_least > domains:
            sentence = f"asks for {spread.at_least} domains, and placement lies in {domains} ({spread.over})"
            yield item.marked.problem((*here, "atLeast"), sentence, warning=warning)
        if spread.at_most is not None and spread.at_most * domains < 100:
            sentence = (
                f"at most {spread.at_most} % in each of {domains} domains ({spread.over}) is {spread.at_most * domains} % "
                "in all: the rest would have no place"
            )
            yield item.marked.problem((*here, "atMost"), sentence, warning=warning)


def _domains(rules: tuple[PlacementRule, ...], fleet: Fleet, kind: DomainKind) -> set[str]:
    """Names of the domains of a kind that a placement lies in."""
    used = {rule.cluster for rule in rules}
    return {
        domain.name
        for entry in fleet.clusters
        if entry.name in used
        for domain in entry.domains()
        if domain.kind is kind
    }


def _prices(
    item: Parsed, path: Path, one: Any, rules: tuple[PlacementRule, ...], fleet: Fleet
) -> Iterator[Problem]:
    if one.strategy != "cost":
        return
    used = {rule.cluster for rule in rules}
    free = sorted(entry.name for entry in fleet.clusters if entry.name in used and not entry.price)
    if free:
        sentence = f"cost needs a price, and {', '.join(free)} {'has' if len(free) == 1 else 'have'} none"
        yield item.marked.problem((*path, "strategy"), sentence)


def check_promise(item: Parsed, known: Known) -> Iterator[Problem]:
    """`survives: region` is no promise where there is one region only."""
    spec = item.document.spec
    if spec.survives is None or known.fleet is None:
        return
    if not spec.workloads:
        yield item.marked.problem(("spec", "survives"), "has no workloads that could survive anything")
    for number, one in enumerate(spec.workloads):
        found = _domains(rules_of(known.fleet, one), known.fleet, DomainKind(spec.survives))
        if len(found) == 1:
            sentence = f"promises to outlive the loss of a {spec.survives}, and may run in {min(found)} only"
            yield item.marked.problem(("spec", "workloads", number, "placement"), sentence)

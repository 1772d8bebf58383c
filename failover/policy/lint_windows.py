"""Checks of time windows: they come due, change something, never hold at once, and begin at times that there are."""

from collections.abc import Iterator
from typing import Any

from failover.model.policy import Fleet, Window
from failover.model.reasons import Problem
from failover.policy.compile import Parsed
from failover.policy.cron import CronError, translated, zone_of
from failover.policy.lint_names import Known
from failover.policy.lint_placement import no_domain
from failover.policy.overlaps import overlap
from failover.policy.placing import rules_of, window_of
from failover.policy.windows import in_gap

DURATION_MIN_S, DURATION_MAX_S = 60.0, 7 * 86400.0


def check_windows(item: Parsed, known: Known) -> Iterator[Problem]:
    """Every problem of an application's windows."""
    spec, sound, names = item.document.spec, [], set()
    for number, one in enumerate(spec.windows):
        path = ("spec", "windows", number)
        if one.name in names:
            yield item.marked.problem((*path, "name"), f"the window {one.name!r} stands twice")
        names.add(one.name)
        wrong = [*_times(item, path, one), *_changes(item, path, one, known)]
        yield from wrong
        if not wrong:
            made = window_of(known.fleet or Fleet(name="", clusters=(), vantages=()), one)
            sound.append((number, made))
            if known.fleet is not None:
                yield from _leaves_nothing(item, path, made, known.fleet)
    found = overlap(tuple(window for _, window in sound))
    if found is not None:
        first, second, at = found
        number = next(number for number, window in sound if window is second)
        sentence = (
            f"runs into its own next beginning ({at:%Y-%m-%d %H:%M} UTC, for example)"
            if first is second
            else f"begins while {first.name} holds ({at:%Y-%m-%d %H:%M} UTC, for example): one may hold at a time"
        )
        yield item.marked.problem(("spec", "windows", number), sentence)


def _times(item: Parsed, path: tuple[str | int, ...], one: Any) -> Iterator[Problem]:
    wrong = False
    for field, read in (("cron", translated), ("timezone", zone_of)):
        try:
            read(getattr(one, field))
        except CronError as error:
            wrong = True
            yield item.marked.problem((*path, field), str(error))
    if not DURATION_MIN_S <= one.duration <= DURATION_MAX_S:
        yield item.marked.problem((*path, "duration"), "a window holds for 1m to 7d")
    if wrong:
        return
    gap = in_gap(Window(name=one.name, cron=one.cron, timezone=one.timezone, duration_s=one.duration))
    if gap is not None:
        sentence = (
            f"would begin at {gap:%Y-%m-%d %H:%M}, which the clocks of {one.timezone} skip that day: "
            "choose a time that there is"
        )
        yield item.marked.problem((*path, "cron"), sentence)


def _changes(item: Parsed, path: tuple[str | int, ...], one: Any, known: Known) -> Iterator[Problem]:
    if not one.weights and not one.groups:
        yield item.marked.problem(path, "has neither weights nor groups: it would change nothing")
    for field in ("weights", "groups"):
        for text in getattr(one, field):
            if sentence := no_domain(text, known):
                yield item.marked.problem((*path, field, text), sentence)


def _leaves_nothing(
    item: Parsed, path: tuple[str | int, ...], window: Window, fleet: Fleet
) -> Iterator[Problem]:
    """It has to name clusters that some workload may use, and must leave each a cluster with a weight."""
    weights, touched = dict(window.weights), {*dict(window.weights), *dict(window.groups)}
    used = False
    for document in item.document.spec.workloads:
        rules = rules_of(fleet, document)
        used = used or any(rule.cluster in touched for rule in rules)
        if rules and not any(weights.get(rule.cluster, rule.weight) for rule in rules):
            name = document.name or ", ".join(document.names)
            yield item.marked.problem((*path, "weights"), f"leaves no cluster with a weight for {name}")
    if not used:
        yield item.marked.problem(path, "names no cluster that a workload may use: it would change nothing")

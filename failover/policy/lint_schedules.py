"""Checks of a calendar entry: what the calendar itself would refuse, and its domain."""

from collections.abc import Iterator

from failover.model.reasons import Problem
from failover.policy.compile import ASKED_ANYWAY, Parsed
from failover.policy.cron import CronError, translated, trigger_of, zone_of
from failover.policy.fields import shown
from failover.policy.lint_names import Known, unknown


def check_schedule(item: Parsed, known: Known) -> Iterator[Problem]:
    """Every problem of one schedule."""
    spec, name = item.document.spec, item.document.metadata.name
    if name == ASKED_ANYWAY.name and spec.job != ASKED_ANYWAY.job:
        yield item.marked.problem(
            ("metadata", "name"),
            f"is the calendar's own name for the job {ASKED_ANYWAY.job}; give this {spec.job} another",
        )
    yield from _times(item)
    if spec.job in ("drain", "failback"):
        yield from _domain(item, known)
    elif spec.domain:
        yield item.marked.problem(
            ("spec", "domain"), f"a {spec.job} concerns the whole fleet; leave the domain out"
        )


def _times(item: Parsed) -> Iterator[Problem]:
    """The very trigger that the calendar would run is built here."""
    spec, wrong = item.document.spec, False
    for field, read in (("cron", translated), ("timezone", zone_of)):
        try:
            read(getattr(spec, field))
        except CronError as error:
            wrong = True
            yield item.marked.problem(("spec", field), str(error))
    if wrong:
        return
    try:
        trigger_of(spec.cron, spec.timezone, spec.jitter)
    except CronError as error:
        yield item.marked.problem(("spec", "jitter" if spec.jitter else "cron"), str(error))


def _domain(item: Parsed, known: Known) -> Iterator[Problem]:
    spec = item.document.spec
    if not spec.domain:
        yield item.marked.problem(("spec",), f"a scheduled {spec.job} names its domain")
        return
    if known.domains is None:
        return
    found = [domain for domain in known.domains if spec.domain in (domain.name, str(domain))]
    if not found:
        names = [str(domain) for domain in known.domains]
        yield item.marked.problem(("spec", "domain"), unknown("domain", spec.domain, names))
    elif len(found) > 1:
        sentence = f"{shown(spec.domain)} may mean {' or '.join(map(str, found))}: name it with its kind"
        yield item.marked.problem(("spec", "domain"), sentence)

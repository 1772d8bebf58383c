"""Checks of a calendar entry: the shape of its expression, its time zone, its domain."""

import re
import zoneinfo
from collections.abc import Iterator

from failover.model.reasons import Problem
from failover.policy.compile import Parsed
from failover.policy.lint_names import Known, unknown

_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7))
_WORDS = {
    "month": ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    "weekday": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
}
_PART = re.compile(r"(\*|[0-9a-z]+(?:-[0-9a-z]+)?)(?:/([0-9]+))?")


def check_schedule(item: Parsed, known: Known) -> Iterator[Problem]:
    """Every problem of one schedule."""
    spec = item.document.spec
    sentence = cron_problem(spec.cron)
    if sentence:
        yield item.marked.problem(("spec", "cron"), sentence)
    try:
        zoneinfo.ZoneInfo(spec.timezone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        yield item.marked.problem(
            ("spec", "timezone"),
            f"there is no time zone {spec.timezone!r} (IANA names, such as Europe/Berlin)",
        )
    if spec.job in ("drain", "failback"):
        found = known.fleet.find_domains(spec.domain)
        if not spec.domain:
            yield item.marked.problem(("spec",), f"a scheduled {spec.job} names its domain")
        elif not found:
            names = [str(domain) for domain in known.fleet.domains()]
            yield item.marked.problem(("spec", "domain"), unknown("domain", spec.domain, names))
        elif len(found) > 1:
            sentence = f"{spec.domain!r} may mean {' or '.join(map(str, found))}: name it with its kind"
            yield item.marked.problem(("spec", "domain"), sentence)
    elif spec.domain:
        yield item.marked.problem(
            ("spec", "domain"), f"a {spec.job} concerns the whole fleet; leave the domain out"
        )


def cron_problem(text: str) -> str:
    """What is wrong with a five-field cron expression, "" if nothing is."""
    parts = text.lower().split()
    if len(parts) != len(_FIELDS):
        return f"{text!r} has {len(parts)} fields; a cron expression has five: minute hour day month weekday"
    for part, (name, low, high) in zip(parts, _FIELDS, strict=True):
        for piece in part.split(","):
            match = _PART.fullmatch(piece)
            if match is None:
                return f"{piece!r} is no {name}"
            ends = [] if match[1] == "*" else match[1].split("-")
            numbers = [_number(end, name) for end in ends]
            if any(number is None or not low <= number <= high for number in numbers):
                return f"{piece!r} is no {name} ({low}-{high})"
            if len(numbers) == 2 and (numbers[0] or 0) > (numbers[1] or 0):
                return f"{piece!r} runs backwards"
            if match[2] is not None and int(match[2]) == 0:
                return f"{piece!r} has a step of 0"
    return ""


def _number(text: str, name: str) -> int | None:
    if text.isdigit():
        return int(text)
    words = _WORDS.get(name, [])
    return words.index(text) + (1 if name == "month" else 0) if text in words else None

"""`failover survivability`: what the loss of every domain would mean, as a table or data; exit 3 for a promise that
is broken, or that nobody can show to hold.
"""

from typing import Any

from failover.cli import exits, render
from failover.cli.client import command
from failover.cli.places import Place, actor
from failover.cli.telling import workload

SHOWN = 3
ANSWERS = {True: "yes", False: "NO", None: "unknown"}


def survivability(place: Place, domains: list[str], *, pairs: bool, output: render.Format) -> int:
    """Ask, show, and return the exit code."""
    request: dict[str, Any] = {
        "verb": "survivability",
        "domains": domains,
        "pairs": pairs,
        "actor": actor(),
    }
    return tell(command(place, request, looks_only=True), output)


def tell(found: dict[str, Any], output: render.Format) -> int:
    """Show the answer; the exit code."""
    if not render.data(found, output):
        _show(found, wide=output is render.Format.WIDE)
    return exits.DONE if found["holds"] else exits.UNHEALTHY


def _show(found: dict[str, Any], *, wide: bool) -> None:
    rows = [
        [
            " + ".join(item["domains"]),
            ANSWERS[item["survives"]],
            item["lost"],
            item["replaced"],
            item["waiting"] or "-",
            item["unplaced"] or "-",
            item["shed"] or "-",
            f"{item['headroom_percent']:g} % {item['tightest']}" if item["tightest"] else "-",
            _short(item["short"], wide=wide),
        ]
        for item in found["outcomes"]
    ]
    headings = [
        "IF LOST",
        "SURVIVES",
        "LOST",
        "PLACED AGAIN",
        "BY A PERSON",
        "NO PLACE",
        "SHED",
        "LEFT OVER",
        "WHO ENDS WITH LESS",
    ]
    render.table(headings, rows)
    for sentence in found["unknown"]:
        render.line(f"! takes nothing: {sentence}")
    if unseen := sorted({name for item in found["outcomes"] for name in item["unseen"]}):
        render.line(f"! not seen lately, may run more than is counted: {', '.join(unseen)}")
    if waits := sorted({name for item in found["outcomes"] for name in item["waits"]}):
        render.line(f"! has a single writer, which only a person moves: {', '.join(waits)}")
    render.line()
    for item in found["broken"]:
        render.line(
            f"! {item['application']} would not survive the loss of {item['domain']}: its promise is broken "
            f"(`failover plan --assume-down {item['domain']}` says why)"
        )
    for item in found["unshown"]:
        render.line(
            f"! {item['application']}: nobody knows whether it would survive the loss of {item['domain']}: its promise "
            "cannot be shown to hold"
        )
    if found["holds"]:
        render.line("every promise holds")


def _short(short: list[dict[str, Any]], *, wide: bool) -> str:
    rows = [f"{item['application']} {workload(item['workload'])} -{item['missing']}" for item in short]
    more = len(rows) - SHOWN
    if wide or more <= 0:
        return ", ".join(rows)
    return f"{', '.join(rows[:SHOWN])} and {more} more"

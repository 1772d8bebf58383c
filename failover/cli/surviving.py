"""`failover survivability`: what the loss of every domain would mean, as a table or data; exit 3 for a broken promise."""

from typing import Any

from failover.cli import exits, render
from failover.cli.client import command
from failover.cli.places import Place, actor
from failover.cli.telling import workload

SHOWN = 3


def survivability(place: Place, domains: list[str], *, pairs: bool, output: render.Format) -> int:
    """Ask, show, and return the exit code."""
    request: dict[str, Any] = {
        "verb": "survivability",
        "domains": domains,
        "pairs": pairs,
        "actor": actor(),
    }
    found = command(place, request, looks_only=True)
    if not render.data(found, output):
        _show(found, wide=output is render.Format.WIDE)
    return exits.DONE if found["holds"] else exits.UNHEALTHY


def _show(found: dict[str, Any], *, wide: bool) -> None:
    rows = [
        [
            " + ".join(item["domains"]),
            "yes" if item["survives"] else "NO",
            item["lost"],
            item["replaced"],
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
        "NO PLACE",
        "SHED",
        "LEFT OVER",
        "WHO ENDS WITH LESS",
    ]
    render.table(headings, rows)
    for sentence in found["unknown"]:
        render.line(f"! takes nothing: {sentence}")
    if found["broken"]:
        render.line()
        for item in found["broken"]:
            render.line(
                f"! {item['application']} would not survive the loss of {item['domain']}: its promise is broken "
                f"(`failover plan --assume-down {item['domain']}` says why)"
            )
    else:
        render.line("\nevery promise holds")


def _short(short: list[dict[str, Any]], *, wide: bool) -> str:
    rows = [f"{item['application']} {workload(item['workload'])} -{item['missing']}" for item in short]
    more = len(rows) - SHOWN
    if wide or more <= 0:
        return ", ".join(rows)
    return f"{', '.join(rows[:SHOWN])} and {more} more"

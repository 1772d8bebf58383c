"""`pause`, `resume`, `ack`, `cordon`, `uncordon`: hold automation back, and release it."""

from collections.abc import Callable
from typing import Annotated, Any

import typer

from failover.cli import render
from failover.cli.frame import RULE, Policies, Reason, State, TakeOver, app, place_of
from failover.cli.places import actor


def _say(verb: str, *, target: str | None = None) -> Callable[..., None]:
    def say(
        state: State = None, policies: Policies = None, take_over: TakeOver = False, reason: Reason = ""
    ) -> None:
        _tell(verb, "", reason, place_of(state, policies, take_over))

    def say_about(
        name: Annotated[str, typer.Argument(metavar=target or "NAME")] = "",
        state: State = None,
        policies: Policies = None,
        take_over: TakeOver = False,
        reason: Reason = "",
    ) -> None:
        _tell(verb, name, reason, place_of(state, policies, take_over))

    return say if target is None else say_about


def _tell(verb: str, target: str, reason: str, place: Any) -> None:
    from failover.cli.client import command

    answer = command(place, {"verb": verb, "target": target, "actor": actor(), "reason": reason})
    render.talk(", ".join(f"{key}: {_word(value)}" for key, value in answer.items()))


def _word(value: Any) -> str:
    if isinstance(value, dict):
        return f"by {value.get('by')} since {value.get('at')}"
    return (", ".join(value) or "nothing was held back") if isinstance(value, list) else str(value)


app.command("pause", rich_help_panel=RULE, help="Stop automation, durably. People's commands still work.")(
    _say("pause")
)
app.command("resume", rich_help_panel=RULE, help="End a pause, a freeze or a doubt: somebody has looked.")(
    _say("resume")
)
app.command(
    "ack", rich_help_panel=RULE, help="Release a hold-down after flapping (of one domain, or of all)."
)(_say("ack", target="[DOMAIN]"))
app.command(
    "cordon", rich_help_panel=RULE, help="Keep a domain from being a target, or a vantage from voting."
)(_say("cordon", target="DOMAIN|vantage/NAME"))
app.command("uncordon", rich_help_panel=RULE, help="Undo a cordon.")(
    _say("uncordon", target="DOMAIN|vantage/NAME")
)

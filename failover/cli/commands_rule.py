"""`pause`, `resume`, `ack`, `cordon`, `uncordon`: hold automation back, and release it."""

from collections.abc import Callable
from typing import Annotated, Any

import typer

from failover.cli import render
from failover.cli.frame import RULE, Policies, Reason, State, TakeOver, app, place_of
from failover.cli.places import Place, actor


def _say(verb: str) -> Callable[..., None]:
    def say(
        state: State = None, policies: Policies = None, take_over: TakeOver = False, reason: Reason = ""
    ) -> None:
        _tell(verb, "", reason, place_of(state, policies, take_over))

    return say


def _say_about(verb: str) -> Callable[..., None]:
    def say_about(
        name: Annotated[str, typer.Argument(metavar="DOMAIN|vantage/NAME")],
        state: State = None,
        policies: Policies = None,
        take_over: TakeOver = False,
        reason: Reason = "",
    ) -> None:
        _tell(verb, name, reason, place_of(state, policies, take_over))

    return say_about


def _tell(verb: str, target: str, reason: str, place: Place, **more: Any) -> None:
    from failover.cli.client import command

    answer = command(place, {"verb": verb, "target": target, "actor": actor(), "reason": reason, **more})
    render.talk(_outcome(verb, answer))


def _outcome(verb: str, answer: dict[str, Any]) -> str:
    """What became of it, as one sentence."""
    from failover.cli.table import paused_by

    if verb == "pause":
        return f"automation is paused {paused_by(answer['paused'])}; `failover resume` ends it"
    if verb == "resume":
        return f"ended: {', '.join(answer['ended'])}" if answer["ended"] else "nothing was held back"
    if "accepted" in answer:
        return f"{answer['cluster']} is now the cluster whose kube-system has UID {answer['accepted']}"
    return ", ".join(f"{word}: {target}" for word, target in answer.items() if isinstance(target, str))


app.command("pause", rich_help_panel=RULE, help="Stop automation, durably. People's commands still work.")(
    _say("pause")
)
app.command("resume", rich_help_panel=RULE, help="End a pause, a freeze or a doubt: somebody has looked.")(
    _say("resume")
)


@app.command(rich_help_panel=RULE)
def ack(
    name: Annotated[str, typer.Argument(metavar="[DOMAIN]")] = "",
    identity: Annotated[
        bool,
        typer.Option(
            "--identity", help="The one cluster named was rebuilt: the one that answers now is right."
        ),
    ] = False,
    state: State = None,
    policies: Policies = None,
    take_over: TakeOver = False,
    reason: Reason = "",
) -> None:
    """Release a hold-down after flapping (of one domain, or of all), or accept a cluster that was rebuilt."""
    more = {"identity": True} if identity else {}
    _tell("ack", name, reason, place_of(state, policies, take_over), **more)


app.command(
    "cordon", rich_help_panel=RULE, help="Keep a domain from being a target, or a vantage from voting."
)(_say_about("cordon"))
app.command("uncordon", rich_help_panel=RULE, help="Undo a cordon.")(_say_about("uncordon"))

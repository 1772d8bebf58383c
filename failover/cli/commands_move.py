"""`plan`, `apply`, `evacuate`, `drain`, `failback`, `approve`, `abort`, `resume-run`."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from failover.cli import exits, render
from failover.cli.exits import Stop
from failover.cli.frame import (
    MOVE,
    Applications,
    DomainArgument,
    DryRun,
    Output,
    Overrides,
    Policies,
    Reason,
    State,
    TakeOver,
    Wait,
    Yes,
    app,
    place_of,
)
from failover.cli.places import actor


@app.command(rich_help_panel=MOVE)
def plan(
    domain: DomainArgument,
    kind: Annotated[
        str, typer.Option("--kind", help="evacuation, drain, failback or steering.")
    ] = "evacuation",
    assume_down: Annotated[
        bool,
        typer.Option(
            "--assume-down", help="What if it were down? The plan is hypothetical: never carried out."
        ),
    ] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Save the plan for `failover apply`.")] = None,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit 2 when there would be changes.")
    ] = False,
    override: Overrides = None,
    application: Applications = None,
    state: State = None,
    policies: Policies = None,
    take_over: TakeOver = False,
    output: Output = render.Format.TABLE,
) -> None:
    """What would be done about a domain, and why. Changes nothing."""
    from failover.cli.client import command
    from failover.cli.plans import show_plan, write_plan

    request = {
        "verb": "plan",
        "kind": kind,
        "domain": domain,
        "actor": actor(),
        "overrides": override or [],
        "applications": application or [],
        "assume_down": assume_down,
    }
    answer = command(place_of(state, policies, take_over), request)
    show_plan(answer, output)
    if out is not None:
        write_plan(answer, out)
    if detailed_exitcode and not answer["empty"]:
        raise Stop(exits.CHANGES_PENDING)


@app.command(rich_help_panel=MOVE)
def apply(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A plan that `plan --out` saved.")],
    reason: Reason = "",
    yes: Yes = False,
    wait: Wait = True,
    state: State = None,
    policies: Policies = None,
    take_over: TakeOver = False,
) -> None:
    """Carry out a saved plan, if every assumption of it still holds."""
    from failover.cli.client import command
    from failover.cli.plans import confirm, finish, read_plan

    saved = read_plan(file)
    place = place_of(state, policies, take_over)
    confirm(str((saved.get("domain") or {}).get("name", "")), yes=yes)
    started = command(place, {"verb": "apply", "plan": saved, "actor": actor(), "reason": reason})
    raise Stop(finish(place, started, wait=wait))


def _mover(kind: str) -> Callable[..., None]:
    def move_domain(
        domain: DomainArgument,
        reason: Reason = "",
        override: Overrides = None,
        application: Applications = None,
        yes: Yes = False,
        dry_run: DryRun = False,
        wait: Wait = True,
        state: State = None,
        policies: Policies = None,
        take_over: TakeOver = False,
        output: Output = render.Format.TABLE,
    ) -> None:
        from failover.cli.plans import move

        code = move(
            place_of(state, policies, take_over),
            kind=kind,
            domain=domain,
            person=actor(),
            reason=reason,
            overrides=override or [],
            applications=application or [],
            yes=yes,
            dry_run=dry_run,
            wait=wait,
            output=output,
        )
        raise Stop(code)

    return move_domain


app.command(
    "evacuate",
    rich_help_panel=MOVE,
    help="Move replicas and traffic off a domain that no longer serves (unplanned).",
)(_mover("evacuation"))
app.command(
    "drain", rich_help_panel=MOVE, help="Move replicas and traffic off a domain, both sides alive (planned)."
)(_mover("drain"))
app.command("failback", rich_help_panel=MOVE, help="Bring home what was moved away from a domain.")(
    _mover("failback")
)


def _on_run(verb: str) -> Callable[..., None]:
    def act_on_run(
        run: Annotated[str, typer.Argument(metavar="RUN")],
        reason: Reason = "",
        wait: Wait = True,
        state: State = None,
        policies: Policies = None,
        take_over: TakeOver = False,
    ) -> None:
        from failover.cli.client import command, follow
        from failover.cli.runs import journal_head

        place = place_of(state, policies, take_over)
        head = journal_head(place.state)
        answer = command(place, {"verb": verb, "run": run, "actor": actor(), "reason": reason})
        if answer.get("note"):
            render.talk(str(answer["note"]))
        if wait:
            raise Stop(follow(place.state, run, after=head))

    return act_on_run


app.command("approve", rich_help_panel=MOVE, help="Approve a run that waits for a person (mode approve).")(
    _on_run("approve")
)
app.command(
    "abort", rich_help_panel=MOVE, help="Stop a run for good at the next safe point; what was added stays."
)(_on_run("abort"))
app.command("resume-run", rich_help_panel=MOVE, help="Let a halted run go on.")(_on_run("resume-run"))

"""`plan`, `apply`, `evacuate`, `drain`, `failback`, `rebalance`, `approve`, `abort`, `resume-run`."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from failover.cli import exits, render
from failover.cli.exits import Stop
from failover.cli.frame import (
    MOVE,
    Applications,
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
from failover.cli.movers import mover
from failover.cli.places import Place, actor

KINDS = ("evacuation", "drain", "failback", "steering")
RunArgument = Annotated[str, typer.Argument(metavar="RUN")]
Moves = Annotated[
    int,
    typer.Option(
        "--moves",
        min=0,
        max=100_000,
        help="At most so many replicas; rebalanceMoves of the guards by default.",
    ),
]


@app.command(rich_help_panel=MOVE)
def plan(
    domain: Annotated[
        str,
        typer.Argument(
            metavar="[DOMAIN]", help="A provider, region, datacenter or cluster; region/NAME where ambiguous."
        ),
    ] = "",
    of_run: Annotated[
        str,
        typer.Option("--run", metavar="RUN", help="The plan of a run, e.g. of one that waits for approval."),
    ] = "",
    kind: Annotated[str, typer.Option("--kind", help=f"{', '.join(KINDS)}.")] = KINDS[0],
    assume_down: Annotated[
        str,
        typer.Option(
            "--assume-down",
            metavar="DOMAIN[,DOMAIN]",
            help="What if these were down? The plan is hypothetical: never carried out.",
        ),
    ] = "",
    rebalance: Annotated[
        bool, typer.Option("--rebalance", help="What would move for a better placement of what runs.")
    ] = False,
    moves: Moves = 0,
    out: Annotated[Path | None, typer.Option("--out", help="Save the plan for `failover apply`.")] = None,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit 2 when there would be changes.")
    ] = False,
    override: Overrides = None,
    application: Applications = None,
    state: State = None,
    policies: Policies = None,
    output: Output = render.Format.TABLE,
) -> None:
    """What would be done about a domain, and why. Changes nothing. Exit 4 where a guard refuses it."""
    from failover.cli.naming import one_of
    from failover.cli.planfile import write_plan
    from failover.cli.plans import plan_of_run, plan_only, show_plan

    place = place_of(state, policies)
    if sum(map(bool, (of_run, domain, assume_down, rebalance))) != 1:
        raise Stop(exits.USAGE, "name a DOMAIN, or a run by --run, or use --assume-down or --rebalance")
    if of_run:
        answer = plan_of_run(place, of_run)
    else:
        answer = plan_only(
            place,
            kind="rebalance" if rebalance else one_of("--kind", kind, KINDS),
            domain=domain,
            person=actor(),
            overrides=override or [],
            applications=application or [],
            assume_down=[text.strip() for text in assume_down.split(",") if text.strip()],
            moves=moves,
        )
    show_plan(answer, output)
    if out is not None:
        write_plan(answer, out)
    if answer["refusals"]:
        raise Stop(exits.REFUSED)
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
    """Show a saved plan, and carry it out if every assumption of it still holds."""
    from failover.cli.client import command
    from failover.cli.planfile import read_plan
    from failover.cli.plans import confirm, domain_of, finish, show_plan

    saved = read_plan(file)
    place = place_of(state, policies, take_over)
    show_plan({**saved, "empty": not saved["plan"]["steps"], "refusals": []}, render.Format.TABLE)
    confirm(domain_of(saved["plan"]), yes=yes)
    request = {
        "verb": "apply",
        "plan": saved["plan"],
        "hash": saved["hash"],
        "actor": actor(),
        "reason": reason,
    }
    raise Stop(finish(place, command(place, request), wait=wait))


app.command(
    "evacuate",
    rich_help_panel=MOVE,
    help="Move replicas and traffic off a domain that no longer serves (unplanned).",
)(mover("evacuation"))
app.command(
    "drain", rich_help_panel=MOVE, help="Move replicas and traffic off a domain, both sides alive (planned)."
)(mover("drain"))
app.command("failback", rich_help_panel=MOVE, help="Bring home what was moved away from a domain.")(
    mover("failback")
)


@app.command(rich_help_panel=MOVE)
def rebalance(
    reason: Reason = "",
    moves: Moves = 0,
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
    """Move what runs to where weights, groups and prices would have it now: add before remove, within a budget of moves."""
    from failover.cli.plans import move

    code = move(
        place_of(state, policies, take_over),
        kind="rebalance",
        domain="",
        person=actor(),
        reason=reason,
        overrides=override or [],
        applications=application or [],
        yes=yes,
        dry_run=dry_run,
        wait=wait,
        output=output,
        moves=moves,
    )
    raise Stop(code)


@app.command(rich_help_panel=MOVE)
def approve(
    run: RunArgument,
    reason: Reason = "",
    yes: Yes = False,
    wait: Wait = True,
    state: State = None,
    policies: Policies = None,
    take_over: TakeOver = False,
) -> None:
    """Show the plan of a run that waits for a person (mode approve), and start it."""
    from failover.cli.plans import confirm, domain_of, plan_of_run, show_plan

    place = place_of(state, policies, take_over)
    answer = plan_of_run(place, run)
    if answer["run"]["state"] != "awaiting-approval":
        raise Stop(exits.USAGE, f"run {run} is {answer['run']['state']}: only a waiting run can be approved")
    show_plan(answer, render.Format.TABLE)
    confirm(domain_of(answer["plan"]), yes=yes)
    _act_on_run("approve", run, reason, place, wait=wait)


def _act_on_run(verb: str, run: str, reason: str, place: Place, *, wait: bool) -> None:
    from failover.cli.client import command
    from failover.cli.plans import finish
    from failover.cli.runs import journal_head

    head = journal_head(place.state)
    request = {"verb": verb, "run": run, "actor": actor(), "reason": reason, "head": head}
    answer = command(place, request)
    if answer.get("note"):
        render.talk(str(answer["note"]))
    raise Stop(finish(place, answer, wait=wait, verb=verb, after=head))


def _on_run(verb: str) -> Callable[..., None]:
    def act_on_run(
        run: RunArgument,
        reason: Reason = "",
        wait: Wait = True,
        state: State = None,
        policies: Policies = None,
        take_over: TakeOver = False,
    ) -> None:
        _act_on_run(verb, run, reason, place_of(state, policies, take_over), wait=wait)

    return act_on_run


app.command(
    "abort", rich_help_panel=MOVE, help="Stop a run for good at the next safe point; what was added stays."
)(_on_run("abort"))
app.command(
    "resume-run", rich_help_panel=MOVE, help="Let a run go on that is halted, or that nobody drives any more."
)(_on_run("resume-run"))

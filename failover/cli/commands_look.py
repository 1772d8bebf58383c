"""`status`, `explain`, `survivability`, `history`, `report`, `audit`, `probe`: change nothing."""

from typing import Annotated

import typer

from failover.cli import render
from failover.cli.exits import Stop
from failover.cli.frame import LOOK, Output, Policies, State, app, audit_app, place_of
from failover.cli.places import policy_directory, state_directory


@app.command(rich_help_panel=LOOK)
def status(
    state: State = None,
    output: Output = render.Format.TABLE,
    watch: Annotated[
        bool, typer.Option("-w", "--watch", help="Show again whenever something changes.")
    ] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit 3 when something is not healthy.")
    ] = False,
) -> None:
    """What is going on: verdicts, applications, vantages, runs. Works with or without a controller."""
    from failover.cli.status import status as tell

    tell(state_directory(state), output=output, watch=watch, exit_code=exit_code)


@app.command(rich_help_panel=LOOK)
def explain(
    name: Annotated[str, typer.Argument(metavar="DOMAIN|APPLICATION")],
    state: State = None,
    output: Output = render.Format.TABLE,
) -> None:
    """Why things are as they are: which votes, which rule, what would change the answer."""
    from failover.cli.explain import explain as write
    from failover.cli.status import of_this_version, read_status

    found = read_status(state_directory(state))
    with of_this_version():
        write(found, name, output)


@app.command(rich_help_panel=LOOK)
def survivability(
    domain: Annotated[
        list[str] | None, typer.Argument(metavar="[DOMAIN]...", help="Only these; all of them by default.")
    ] = None,
    pairs: Annotated[
        bool, typer.Option("--pairs", help="Also every two domains of one kind at once.")
    ] = False,
    state: State = None,
    policies: Policies = None,
    output: Output = render.Format.TABLE,
) -> None:
    """Could we fail over now? What the loss of each domain would mean. Exit 3 when a promise of the policy is broken."""
    from failover.cli.surviving import survivability as tell

    raise Stop(tell(place_of(state, policies), list(domain or ()), pairs=pairs, output=output))


@app.command(rich_help_panel=LOOK)
def history(
    state: State = None,
    output: Output = render.Format.TABLE,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000)] = 20,
) -> None:
    """Runs that were, newest last."""
    from failover.cli.runs import show_history

    show_history(state_directory(state), limit, output)


@app.command(rich_help_panel=LOOK)
def report(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run, or `last`.")],
    state: State = None,
    output: Output = render.Format.TABLE,
) -> None:
    """The report of a run: phases in seconds, replicas, records, timeline."""
    from failover.cli.runs import show_report

    show_report(state_directory(state), run, output)


@audit_app.command("verify")
def audit_verify(
    state: State = None,
    anchor: Annotated[
        list[str] | None,
        typer.Option("--anchor", metavar="SEQUENCE:HASH", help="A head noted earlier (repeatable)."),
    ] = None,
) -> None:
    """Check the whole hash chain of the journal; names the first entry that does not fit.

    A chain alone cannot show that its end was cut off: note the head that this prints, and give it as --anchor later.
    """
    from failover.cli.runs import verify_chain

    verify_chain(state_directory(state), list(anchor or ()))


@audit_app.command("show")
def audit_show(
    state: State = None,
    output: Output = render.Format.TABLE,
    run: Annotated[str | None, typer.Option("--run", help="Only this run.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100_000)] = 50,
) -> None:
    """The journal's entries: who changed what, when, why, in which epoch."""
    from failover.cli.runs import show_audit

    show_audit(state_directory(state), run, limit, output)


@app.command(rich_help_panel=LOOK)
def probe(policies: Policies = None, output: Output = render.Format.TABLE) -> None:
    """Run every probe once from here; exit 3 when something does not answer (for cron and CronJobs)."""
    from failover.cli.probing import probe_all

    raise Stop(probe_all(policy_directory(policies), output))

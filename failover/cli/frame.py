"""The command line's frame: the application, its panels, and the options that commands share."""

from pathlib import Path
from typing import Annotated

import typer

from failover.cli import render
from failover.cli.places import Place, policy_directory, state_directory

HELP = "Disaster recovery and failover for fleets of Kubernetes clusters."
LOOK, MOVE, RULE, SETUP = "Look", "Move", "Hold back and release", "Set up and run"

app = typer.Typer(
    help=HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
audit_app = typer.Typer(help="The hash-chained journal.", no_args_is_help=True)
lab_app = typer.Typer(
    help="Simulated regions, a name server and faults, on this machine.", no_args_is_help=True
)
dns_app = typer.Typer(
    help="DNS zones: what stands there, who serves it, and putting it right.", no_args_is_help=True
)
app.add_typer(dns_app, name="dns", rich_help_panel=LOOK)
app.add_typer(audit_app, name="audit", rich_help_panel=LOOK)
app.add_typer(lab_app, name="lab", rich_help_panel=SETUP)

State = Annotated[
    Path | None, typer.Option("--state", help="State directory [$FAILOVER_STATE].", show_default=False)
]
Policies = Annotated[
    Path | None,
    typer.Option("--policies", help="Policy directory [$FAILOVER_POLICIES, ./policies].", show_default=False),
]
Output = Annotated[render.Format, typer.Option("-o", "--output", help="table, wide, json or yaml.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the journal.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--override", metavar="RULE", help="Override a rule by its name (repeatable)."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask (for scripts).")]
TakeOver = Annotated[
    bool, typer.Option("--take-over", help="Overrule a controller that lives but cannot be reached.")
]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the run to its end.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the plan and stop.")]
Applications = Annotated[
    list[str] | None, typer.Option("--application", "-a", help="Only this application (repeatable).")
]
DomainArgument = Annotated[
    str,
    typer.Argument(
        metavar="DOMAIN", help="A provider, region, datacenter or cluster; region/NAME where ambiguous."
    ),
]


def place_of(state: Path | None, policies: Path | None, take_over: bool = False) -> Place:
    """Where a command works."""

    return Place(state=state_directory(state), policies=policy_directory(policies), take_over=take_over)

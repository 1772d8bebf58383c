"""`run`, `vantage`, `validate`, `rbac`, `schema`, `version`."""

from pathlib import Path
from typing import Annotated

import typer

from failover.cli import render
from failover.cli.exits import Stop
from failover.cli.frame import SETUP, Output, Policies, State, app
from failover.cli.places import policy_directory, state_directory


@app.command(rich_help_panel=SETUP)
def run(
    state: State = None,
    policies: Policies = None,
    listen: Annotated[
        str, typer.Option("--listen", metavar="HOST:PORT", help="Listen for vantages (TLS).")
    ] = "",
    tls_cert: Annotated[Path | None, typer.Option("--tls-cert", help="PEM certificate for --listen.")] = None,
    tls_key: Annotated[
        Path | None, typer.Option("--tls-key", help="PEM key for --listen, mode 0600.")
    ] = None,
    metrics: Annotated[
        str, typer.Option("--metrics", metavar="HOST:PORT", help="Serve Prometheus metrics.")
    ] = "",
    source: Annotated[
        str, typer.Option("--source-address", help="Local address that probes are sent from.")
    ] = "",
) -> None:
    """Run the controller: probe, judge, lead and act."""
    from failover.cli.daemon import run_controller

    run_controller(
        state_directory(state),
        policy_directory(policies),
        listen=listen,
        certificate=tls_cert,
        key=tls_key,
        metrics=metrics,
        source=source,
    )


@app.command(rich_help_panel=SETUP)
def vantage(
    name: Annotated[str, typer.Option("--name", help="As the policy names it.")],
    controller: Annotated[
        list[str], typer.Option("--controller", metavar="URL", help="https://… (repeatable).")
    ],
    token_file: Annotated[Path, typer.Option("--token-file", help="Bearer token, mode 0600.")],
    ca_file: Annotated[
        Path | None, typer.Option("--ca-file", help="CA of the controller's certificate.")
    ] = None,
    source: Annotated[
        str, typer.Option("--source-address", help="Local address that probes are sent from.")
    ] = "",
) -> None:
    """Run a vantage: probe from here and report to the controllers."""
    from failover.cli.daemon import run_vantage

    run_vantage(name, controller, token_file, ca_file, source)


@app.command(rich_help_panel=SETUP)
def heartbeat(
    cluster: Annotated[str, typer.Option("--cluster", help="As the policy names it.")],
    controller: Annotated[
        list[str], typer.Option("--controller", metavar="URL", help="https://… (repeatable).")
    ],
    token_file: Annotated[Path, typer.Option("--token-file", help="Bearer token, mode 0600.")],
    ca_file: Annotated[
        Path | None, typer.Option("--ca-file", help="CA of the controller's certificate.")
    ] = None,
    every: Annotated[
        float, typer.Option("--every", min=0.2, max=60.0, help="Seconds; the policy's probe interval.")
    ] = 5.0,
) -> None:
    """Run inside a cluster: push heartbeats out, so that one that nobody reaches is ISOLATED and not DOWN."""
    from failover.cli.daemon import run_heartbeat

    run_heartbeat(cluster, controller, token_file, ca_file, every)


@app.command("vantage-token", rich_help_panel=SETUP)
def vantage_token(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Written with mode 0600.")],
) -> None:
    """Make a token for a vantage or for heartbeats; prints its digest for tokenSHA256 or heartbeatSHA256."""
    from failover.cli.setup import make_token

    make_token(file)


@app.command(rich_help_panel=SETUP)
def validate(
    policies: Policies = None,
    live: Annotated[
        bool,
        typer.Option(
            "--live", help="Also ask every cluster for the rights and every name server for the zone."
        ),
    ] = False,
    output: Output = render.Format.TABLE,
) -> None:
    """Check every policy file; says what the profile means in seconds."""
    from failover.cli.setup import validate as check

    raise Stop(check(policy_directory(policies), live=live, output=output))


@app.command(rich_help_panel=SETUP)
def rbac(
    policies: Policies = None,
    fence: Annotated[
        bool, typer.Option("--fence", help="With the admission policy that refuses stale leaders.")
    ] = False,
    user: Annotated[str, typer.Option("--user", help="Bind this user instead of a service account.")] = "",
) -> None:
    """Print the least that each cluster must grant for the loaded policies."""
    from failover.cli.setup import print_rbac

    print_rbac(policy_directory(policies), fence=fence, user=user)


@app.command(rich_help_panel=SETUP)
def schema() -> None:
    """Print the JSON Schema of the policy documents."""
    from failover.policy.schema import schema_text

    render.line(schema_text().rstrip())


@app.command(rich_help_panel=SETUP)
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as version_of

    render.line(version_of("failover"))

"""`dns status`, `dns verify`, `dns history`: look. `dns plan`, `dns repair`, `dns adopt`: put right, fenced like any run."""

from typing import Annotated

import typer

from failover.cli import exits, render
from failover.cli.exits import Stop
from failover.cli.frame import (
    Applications,
    Output,
    Overrides,
    Policies,
    Reason,
    State,
    TakeOver,
    Wait,
    Yes,
    dns_app,
    place_of,
)
from failover.cli.movers import mover
from failover.cli.places import actor, policy_directory, state_directory

ZoneArgument = Annotated[str, typer.Argument(metavar="ZONE", help="As the policy names it.")]
Zones = Annotated[list[str] | None, typer.Argument(metavar="[ZONE]...", help="All where none is named.")]


@dns_app.command("status")
def dns_status(
    zones: Zones = None,
    state: State = None,
    policies: Policies = None,
    output: Output = render.Format.TABLE,
) -> None:
    """Each zone at its provider: what it can do, whose fences, drift from what runs made and between providers, lame servers,
    keys, quota.
    """
    from failover.cli.zones import show_status

    raise Stop(show_status(policy_directory(policies), state_directory(state), list(zones or ()), output))


@dns_app.command("verify")
def dns_verify(
    zones: Zones = None,
    state: State = None,
    policies: Policies = None,
    output: Output = render.Format.TABLE,
) -> None:
    """Ask every authoritative server, and the resolvers that the policy names, for what each zone's primary holds, and compare
    that with what runs made of it. Exit 3 if any differs.
    """
    from failover.cli.zones import show_verification

    raise Stop(
        show_verification(policy_directory(policies), state_directory(state), list(zones or ()), output)
    )


@dns_app.command("history")
def dns_history(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="Only this name, or this zone.")] = "",
    state: State = None,
    policies: Policies = None,
    output: Output = render.Format.TABLE,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000)] = 50,
) -> None:
    """Every change of record sets that the journal holds: when, in which zone, from what to what, by which run and epoch."""
    from failover.cli.zones import show_history

    show_history(policy_directory(policies), state_directory(state), name, limit, output)


@dns_app.command("plan")
def dns_plan(
    zone: ZoneArgument,
    override: Overrides = None,
    application: Applications = None,
    state: State = None,
    policies: Policies = None,
    output: Output = render.Format.TABLE,
) -> None:
    """What `dns repair` would change, and why. Changes nothing."""
    from failover.cli.plans import plan_only, show_plan

    answer = plan_only(
        place_of(state, policies),
        kind="repair",
        domain=zone,
        person=actor(),
        overrides=list(override or ()),
        applications=list(application or ()),
        assume_down=[],
    )
    show_plan(answer, output)
    raise Stop(exits.REFUSED if answer["refusals"] else exits.DONE)


adopt = mover("adoption", ZoneArgument)
dns_app.command(
    "repair",
    help="Make a zone hold what runs have decided: after drift, or after its provider was away.",
)(mover("repair", ZoneArgument))
dns_app.command(
    "adopt", help="Show names that exist and that we never wrote, and make them ours as they are."
)(adopt)


@dns_app.command("prepare")
def dns_prepare(
    zone: ZoneArgument,
    reason: Reason = "",
    yes: Yes = False,
    wait: Wait = True,
    take_over: TakeOver = False,
    state: State = None,
    policies: Policies = None,
    output: Output = render.Format.TABLE,
) -> None:
    """Route 53, `prepare: true`: make a health check for each endpoint, and write it beside the weighted records.

    From then on Route 53 itself stops answering with an endpoint that fails its checks, also while its API is away.
    """
    from failover.cli.zones import prepare_checks

    for line in prepare_checks(policy_directory(policies), zone):
        render.talk(line)
    adopt(
        zone,
        reason=reason,
        yes=yes,
        wait=wait,
        take_over=take_over,
        state=state,
        policies=policies,
        output=output,
    )

"""Commands that start a run about one target: shown, asked for, followed. They differ in the kind of run and of target."""

from collections.abc import Callable
from typing import Any

from failover.cli import render
from failover.cli.exits import Stop
from failover.cli.frame import (
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
    place_of,
)
from failover.cli.places import actor


def mover(kind: str, target: Any = DomainArgument) -> Callable[..., None]:
    """The command for a kind of run; `target`: the annotated argument that names what it is about."""

    def start(
        domain: str,
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

    start.__annotations__["domain"] = target
    return start

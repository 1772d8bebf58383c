"""The `failover` command. Parses, calls, renders; imports what a command needs only when that command runs."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from failover.cli import exits, render
from failover.cli.exits import Stop
from failover.cli.places import actor, policy_directory, state_directory

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


def _place(state: Path | None, policies: Path | None, take_over: bool = False) -> Any:
    from failover.cli.client import Place

    return Place(state=state_directory(state), policies=policy_directory(policies), take_over=take_over)


# -- look --------------------------------------------------------------------------------------------------------------


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
    from failover.cli.status import healthy, read_status, show

    directory = state_directory(state)
    found = read_status(directory)
    show(found, output)
    while watch:
        import time

        time.sleep(1.0)
        latest = read_status(directory)
        if {**latest, "at": "", "age_s": 0} != {**found, "at": "", "age_s": 0}:
            render.line(f"\n--- {latest['at'][11:19]} UTC")
            show(latest, output)
            found = latest
    if exit_code and not healthy(found):
        raise Stop(exits.UNHEALTHY)


@app.command(rich_help_panel=LOOK)
def explain(
    name: Annotated[str, typer.Argument(metavar="DOMAIN|APPLICATION")],
    state: State = None,
    output: Output = render.Format.TABLE,
) -> None:
    """Why things are as they are: which votes, which rule, what would change the answer."""
    from failover.cli.explain import explain as write
    from failover.cli.status import read_status

    write(read_status(state_directory(state)), name, output)


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
def audit_verify(state: State = None) -> None:
    """Check the whole hash chain of the journal; names the first entry that does not fit."""
    from failover.cli.runs import verify_chain

    verify_chain(state_directory(state))


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


# -- move --------------------------------------------------------------------------------------------------------------


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
    answer = command(_place(state, policies, take_over), request)
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
    place = _place(state, policies, take_over)
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
            _place(state, policies, take_over),
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

        place = _place(state, policies, take_over)
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


# -- hold back and release ---------------------------------------------------------------------------------------------


def _say(verb: str, *, target: str | None = None) -> Callable[..., None]:
    def say(
        state: State = None, policies: Policies = None, take_over: TakeOver = False, reason: Reason = ""
    ) -> None:
        _tell(verb, "", reason, _place(state, policies, take_over))

    def say_about(
        name: Annotated[str, typer.Argument(metavar=target or "NAME")] = "",
        state: State = None,
        policies: Policies = None,
        take_over: TakeOver = False,
        reason: Reason = "",
    ) -> None:
        _tell(verb, name, reason, _place(state, policies, take_over))

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


# -- set up and run ----------------------------------------------------------------------------------------------------


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


@app.command("vantage-token", rich_help_panel=SETUP)
def vantage_token(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Written with mode 0600.")],
) -> None:
    """Make a vantage's token; prints the digest for the policy's tokenSHA256."""
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


@lab_app.command("run")
def lab_run(
    scenario: Annotated[
        str, typer.Argument(metavar="SCENARIO", help="A name (see `lab list`) or a YAML file.")
    ],
    output: Output = render.Format.TABLE,
    keep: Annotated[Path | None, typer.Option("--keep", help="Work in this directory and leave it.")] = None,
) -> None:
    """Play a scenario with a live timeline; ends with the report. Exit 0 only if its expectations hold."""
    from failover.lab.play import play

    raise Stop(
        play(
            scenario,
            machine=output is not render.Format.TABLE,
            write=lambda value: render.data(value, output),
            talk=render.talk,
            line=render.line,
            keep=keep,
        )
    )


@lab_app.command("up")
def lab_up(
    directory: Annotated[Path, typer.Argument(metavar="DIRECTORY")] = Path("failover-lab"),
    controller: Annotated[
        bool, typer.Option("--controller/--no-controller", help="Also run the controller.")
    ] = True,
) -> None:
    """Start the lab and leave it running, with a kubeconfig; every command works against it. Ctrl-C ends it."""
    from failover.lab.play import up

    up(directory, controller=controller, line=render.line, talk=render.talk)


@lab_app.command("fault")
def lab_fault(
    fault: Annotated[
        str,
        typer.Argument(
            metavar="FAULT", help="region, datacenter, control-plane, data-plane, path, slow, gray, throttle"
        ),
    ],
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="A domain, a cluster, or vantage:cluster for a path.")
    ],
    off: Annotated[bool, typer.Option("--off", help="Switch it off again.")] = False,
    directory: Annotated[Path, typer.Option("--lab", help="The lab's directory.")] = Path("failover-lab"),
) -> None:
    """Switch a fault on or off in a running lab."""
    from failover.lab.play import switch_fault

    switch_fault(directory, fault, target, on=not off, talk=render.talk)


@lab_app.command("list")
def lab_list() -> None:
    """List the scenarios."""
    from failover.lab.scenario import known_scenarios

    render.table(["SCENARIO", "STORY"], known_scenarios())


# -- entry points ------------------------------------------------------------------------------------------------------


def main() -> None:
    """Entry point of `failover`."""
    sys.exit(run_command("failover"))


def main_kubectl() -> None:
    """Entry point of `kubectl failover`."""
    sys.exit(run_command("kubectl failover"))


def run_command(name: str) -> int:
    """Run the command line; every end has one of the exit codes of `exits`."""
    import click

    try:
        result = app(prog_name=name, standalone_mode=False)
        return int(result) if isinstance(result, int) else exits.DONE
    except Stop as stop:
        if stop.sentence:
            render.talk(stop.sentence)
        return stop.code
    except click.UsageError as error:
        error.show()
        return exits.USAGE
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        return exits.DONE
    except Exception as error:
        code = _sentence_for(error)
        if code is None:
            raise
        return code


def _sentence_for(error: Exception) -> int | None:
    """Exit code for an error of our own tree, told as a sentence; None for a defect."""
    from failover.model.errors import FailoverError, PolicyError, Refused, UsageError
    from failover.store.reader import NoStore

    if isinstance(error, PolicyError):
        for problem in error.problems:
            render.talk(str(problem))
        return exits.ERROR
    if isinstance(error, FailoverError | NoStore):
        render.talk(str(error))
        return (
            exits.REFUSED
            if isinstance(error, Refused)
            else exits.USAGE
            if isinstance(error, UsageError)
            else exits.ERROR
        )
    return None

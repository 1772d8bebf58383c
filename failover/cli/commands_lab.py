"""`lab run`, `lab up`, `lab fault`, `lab list`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from failover.cli import exits, render
from failover.cli.exits import Stop
from failover.cli.frame import SETUP, Output, app, lab_app


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
    dns: Annotated[
        list[str] | None,
        typer.Option(
            "--dns",
            metavar="PROVIDER",
            help="Who serves the zone: rfc2136 (by default), route53, clouddns; given again, several side by side.",
        ),
    ] = None,
    weights: Annotated[
        bool,
        typer.Option("--weights", help="Weighted records; at route53 with prepare: true, for `dns prepare`."),
    ] = False,
) -> None:
    """Start the lab and leave it running, with a kubeconfig; every command works against it. Ctrl-C ends it."""
    from failover.lab.play import up

    up(
        directory,
        controller=controller,
        dns=dns or (),
        weights=weights,
        line=render.line,
        talk=render.talk,
    )


@lab_app.command("fault")
def lab_fault(
    fault: Annotated[
        str,
        typer.Argument(
            metavar="FAULT",
            help="region, datacenter, control-plane, data-plane, path, slow, gray, flapping, throttle, name-server, "
            "dns-provider, never-ready",
        ),
    ],
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="A domain; vantage:domain for a path; primary or secondary for a name server; rfc2136, route53 or clouddns "
            "for a DNS provider.",
        ),
    ],
    off: Annotated[bool, typer.Option("--off", help="Switch it off again.")] = False,
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="How exactly, e.g. silent=true for a region, down=true for a DNS provider's API alone (repeatable).",
        ),
    ] = None,
    directory: Annotated[Path, typer.Option("--lab", help="The lab's directory.")] = Path("failover-lab"),
) -> None:
    """Switch a fault on or off in a running lab."""
    from failover.lab.play import switch_fault

    switch_fault(directory, fault, target, on=not off, options=_options(option or []), talk=render.talk)


def _options(words: list[str]) -> dict[str, Any]:
    """`NAME=VALUE` words; a value is a number or a truth where it reads as one."""
    found: dict[str, Any] = {}
    for word in words:
        name, given, value = word.partition("=")
        if not given or not name:
            raise Stop(exits.USAGE, f"--set {word}: NAME=VALUE is asked for")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


@lab_app.command("list")
def lab_list() -> None:
    """List the scenarios."""
    from failover.lab.scenario import known_scenarios

    render.table(["SCENARIO", "STORY"], known_scenarios())


Kinds = Annotated[
    list[str] | None, typer.Option("--faults", help="Only this kind of fault; may be given again.")
]
Played = Annotated[
    str | None,
    typer.Option(
        "--scenario", metavar="NAME", help="Play a scripted scenario: a name (see --list), or a YAML file."
    ),
]
Kept = Annotated[
    Path | None,
    typer.Option("--save", metavar="FILE", help="With --seed: keep fleet and faults in a file."),
]
Marks = Annotated[
    bool,
    typer.Option("--marks", help="Fail too where a thousand seeds met something too seldom to prove much."),
]
Hours = Annotated[
    float,
    typer.Option(
        "--hours",
        min=0,
        max=48,
        help="Let each world last so long, trouble after trouble; 0: some minutes.",
    ),
]


@app.command("simulate", rich_help_panel=SETUP)
def simulate(
    seeds: Annotated[
        str | None,
        typer.Option("--seeds", metavar="A..B", help="Which seeds; N means 1..N (default 1..100)."),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Play one seed and say what it did.")] = None,
    faults: Kinds = None,
    scenario: Played = None,
    log: Annotated[bool, typer.Option("--log", help="With --seed or --scenario: the whole log.")] = False,
    shrink: Annotated[
        bool, typer.Option("--shrink", help="With --seed: the fewest faults that still fail.")
    ] = False,
    save: Kept = None,
    story: Annotated[
        Path | None, typer.Option("--story", metavar="FILE", help="Play what --save kept.")
    ] = None,
    processes: Annotated[int, typer.Option("--processes", help="0: one a core.")] = 0,
    marks: Marks = False,
    hours: Hours = 0.0,
    list_scenarios: Annotated[bool, typer.Option("--list", help="Name the scripted scenarios.")] = False,
    list_faults: Annotated[bool, typer.Option("--list-faults", help="Name every kind of fault.")] = False,
    output: Output = render.Format.TABLE,
) -> None:
    """Play the shipped controller in simulated worlds under faults, watched by an oracle for every invariant."""
    from failover.cli import simulating, staging

    if list_faults:
        simulating.list_faults(output)
        return
    if list_scenarios:
        staging.list_scenarios(output)
        return
    simulating.check_together(
        scenario=scenario, story=story, seed=seed, seeds=seeds, faults=faults, log=log, shrink=shrink,
        save=save, processes=processes, marks=marks, hours=hours,
    )  # fmt: skip
    if scenario is not None:
        raise Stop(staging.scenario(scenario, log=log, output=output))
    if story is not None:
        raise Stop(simulating.story(story, log=log, output=output))
    raise Stop(
        simulating.simulate(
            seeds or "1..100",
            seed,
            list(faults or []),
            log=log,
            shrink=shrink,
            save=save,
            processes=processes,
            marks=marks,
            hours=hours,
            output=output,
        )
    )

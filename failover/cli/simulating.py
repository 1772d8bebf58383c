"""`failover simulate`: the shipped controller in simulated worlds, from seeds."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from failover.cli import exits, render
from failover.cli.exits import Stop
from failover.cli.naming import no_such

if TYPE_CHECKING:
    from failover.lab.simulation.play import Result
    from failover.lab.simulation.story import Story

SEEDS_MAX = 1_000_000
NAMED = 12
"""So many of what a sweep has never met are named: a small one meets little."""
WHAT_IS_PLAYED = {
    "scenario": {"log"},
    "story": {"log"},
    "seed": {"faults", "log", "shrink", "save", "hours"},
    "seeds": {"faults", "processes", "marks", "hours"},
}
"""By the option that says what is played: which others mean something with it. Without any of them it is `--seeds`."""


def check_together(**asked: Any) -> None:
    """Whether what was asked for belongs together: nothing is left out in silence. Raises Stop (64)."""
    given = [name for name, value in asked.items() if value or (name == "seed" and value is not None)]
    played = next((name for name in WHAT_IS_PLAYED if name in given), "seeds")
    strange = [f"--{name}" for name in given if name not in {played, *WHAT_IS_PLAYED[played]}]
    if strange:
        raise Stop(exits.USAGE, f"{', '.join(strange)} would mean nothing with --{played}; leave it out")


def simulate(
    seeds: str,
    seed: int | None,
    faults: list[str],
    *,
    log: bool,
    shrink: bool,
    save: Path | None,
    processes: int,
    marks: bool,
    hours: float,
    output: render.Format,
) -> int:
    """Play seeds, each for so many `hours` (0: some minutes).

    Returns 1 where an oracle found a violation, or, if `marks` are asked for, something was met too seldom.
    """
    from failover.lab.simulation.faults import FAULTS
    from failover.lab.simulation.sweep import Sweep, sweep

    for name in faults:
        if name not in FAULTS:
            raise Stop(exits.USAGE, _no_fault(name, FAULTS))
    if (shrink or save) and hours:
        raise Stop(exits.USAGE, "--shrink and --save are for short stories; leave --hours away")
    if seed is not None:
        return _one(seed, faults, log=log, shrink=shrink, save=save, hours=hours, output=output)
    wanted = _range(seeds)

    told = 0

    def progress(so_far: Sweep, total: int) -> None:
        nonlocal told
        for one in so_far.failed[told:]:
            render.talk(f"FAILED seed {one.seed}: {one.violations[0]}")
        told = len(so_far.failed)
        if so_far.seeds % max(1, total // 20) == 0 or so_far.seeds == total:
            render.talk(f"{so_far.seeds} of {total} seeds, {told} failed")

    found = sweep(
        wanted, only=faults, least_s=_least_s(hours), processes=processes or None, progress=progress
    )
    summary: dict[str, Any] = {
        "seeds": found.seeds,
        "logs": found.digest,
        "simulated_s": round(found.simulated_s),
        "seconds": round(found.seconds, 1),
        "times_real_time": round(found.simulated_s / max(found.seconds, 1e-9)),
        "failed": [
            {
                "seed": one.seed,
                "violations": [str(item) for item in one.violations],
                "replay": _replay(one.seed, faults, hours),
            }
            for one in found.failed
        ],
        "coverage": {
            name: dict(sorted(getattr(found, name).items()))
            for name in ("fleets", "faults", "verdicts", "refusals", "runs", "steps", "checks")
        },
        "never_met": found.never_met(),
        "below_the_mark": found.below_the_mark(),
    }
    if not render.data(summary, output):
        _show(summary)
    return exits.ERROR if found.failed or (marks and found.below_the_mark()) else exits.DONE


def list_faults(output: render.Format) -> None:
    """Every kind of fault, by area."""
    from failover.lab.simulation.faults import FAULTS
    from failover.lab.simulation.faults.scripted import SCRIPTED

    rows = [[item.area, item.name, f"{item.longest_s:g} s"] for item in FAULTS.values()]
    rows += [[item.area, item.name, "as scripted"] for item in SCRIPTED.values()]
    if not render.data([dict(zip(("area", "fault", "longest"), row, strict=True)) for row in rows], output):
        render.table(["AREA", "FAULT", "LASTS AT MOST"], sorted(rows))


def _no_fault(name: str, faults: Iterable[str]) -> str:
    """Why this kind cannot be drawn."""
    from failover.lab.simulation.faults.scripted import SCRIPTED

    if name in SCRIPTED:
        return f"{name} belongs to scenarios, which say when it comes: no seed draws it (see --scenario)"
    return f"{no_such('fault', name, faults)}; `failover simulate --list-faults` shows all"


def _range(text: str) -> range:
    first, dots, last = text.partition("..")
    if not first.isdigit() or (dots and not last.isdigit()):
        raise Stop(exits.USAGE, f"--seeds takes A..B, not {text!r}")
    found = range(int(first), int(last) + 1) if dots else range(1, int(first) + 1)
    if not 0 < len(found) <= SEEDS_MAX:
        raise Stop(exits.USAGE, f"--seeds {text}: between 1 and {SEEDS_MAX} seeds")
    return found


def _least_s(hours: float) -> float:
    from failover.lab.simulation.play import LEAST_S

    return max(LEAST_S, hours * 3600)


def _replay(seed: int, faults: list[str], hours: float) -> str:
    longer = [f"--hours {hours:g}"] if hours else []
    return " ".join(
        ["failover simulate --seed", str(seed), *longer, "--log", *(f"--faults {name}" for name in faults)]
    )


def _one(
    seed: int,
    faults: list[str],
    *,
    log: bool,
    shrink: bool,
    save: Path | None,
    hours: float,
    output: render.Format,
) -> int:
    from failover.lab.simulation.play import play, schedule_of
    from failover.lab.simulation.story import story_of
    from failover.lab.simulation.sweep import shrink as fewest

    schedule = schedule_of(seed, only=faults)
    result = play(seed, schedule, least_s=_least_s(hours), only=faults, tell=True)
    if shrink and not result.violations:
        render.talk(f"seed {seed} holds: there is nothing to shrink")
    elif shrink:
        schedule = fewest(seed, schedule, result.violations[0].invariant)
        result = play(seed, schedule, tell=True)
    if save is not None:
        about = str(result.violations[0]) if result.violations else ""
        _save(save, story_of(result, schedule, about))
    return _told(result, log=log, output=output)


def story(path: Path, *, log: bool, output: render.Format) -> int:
    """Play what a file holds. Returns 1 where an oracle found a violation."""
    from failover.lab.simulation.story import StoryError, read_story

    try:
        found = read_story(path)
    except OSError as error:
        raise Stop(exits.USAGE, f"--story {path}: {error.strerror or error}") from None
    except StoryError as error:
        raise Stop(exits.USAGE, f"--story {path}: {error}") from None
    return _told(found.play(tell=True), log=log, output=output)


def _save(path: Path, story: "Story") -> None:
    from failover.lab.simulation.story import write_story

    try:
        write_story(path, story)
    except OSError as error:
        raise Stop(exits.USAGE, f"--save {path}: {error.strerror or error}") from None


def _told(result: "Result", *, log: bool, output: render.Format) -> int:
    found = {
        "seed": result.seed,
        "fleet": result.shape,
        "digest": result.digest,
        "simulated_s": round(result.simulated_s, 1),
        "schedule": [
            {
                "fault": item.fault,
                "at": round(item.at, 2),
                "seconds": round(item.seconds, 2),
                "lasts": item.lasts,
            }
            for item in result.schedule
        ],
        "violations": [str(item) for item in result.violations],
        "log": result.lines if log else [],
    }
    if not render.data(found, output):
        for line in found["log"]:  # type: ignore[attr-defined]
            render.line(line)
        rows = [
            [f"{item.at:.1f} s", item.fault, "to the end" if item.lasts else f"{item.seconds:.1f} s"]
            for item in result.schedule
        ]
        render.table(["AT", "FAULT", "FOR"], rows)
        render.line(
            f"seed {result.seed}, fleet {result.shape}: {found['simulated_s']} simulated s, log {result.digest[:12]}, "
            f"{len(result.violations) or 'no'} violation{'s' if len(result.violations) > 1 else ''}"
        )
        for sentence in found["violations"]:  # type: ignore[attr-defined]
            render.line(f"VIOLATION {sentence}")
    return exits.ERROR if result.violations else exits.DONE


def _show(summary: dict[str, Any]) -> None:
    for name in ("fleets", "runs", "steps", "verdicts", "refusals", "checks"):
        cells = ", ".join(f"{key} {count}" for key, count in summary["coverage"][name].items())
        render.line(f"{name}: {cells}")
    met = summary["coverage"]["faults"]
    render.line(f"faults: {len(met)} kinds, {sum(met.values())} times")
    if never := summary["never_met"]:
        more = f", and {len(never) - NAMED} more (-o json names all)" if len(never) > NAMED else ""
        render.line(f"never met: {', '.join(never[:NAMED])}{more}")
    if summary["below_the_mark"]:
        render.line(f"met too seldom: {', '.join(summary['below_the_mark'])}")
    for one in summary["failed"]:
        render.line(f"FAILED seed {one['seed']}: {one['violations'][0]}")
        render.line(f"  {one['replay']}")
    render.line(
        f"{summary['seeds']} seeds, {summary['simulated_s']} simulated s in {summary['seconds']} s "
        f"({summary['times_real_time']} x real time), logs {summary['logs'][:12]}: {len(summary['failed'])} failed"
    )

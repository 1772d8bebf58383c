"""`failover simulate --scenario`: a scripted scenario of the simulation, told and judged."""

import textwrap

from failover.cli import exits, render

TELLING = (
    "fault ",
    "mended ",
    "person ",
    "run.",
    "guard.refused",
    "leader",
    "policy.loaded",
    "held back",
    "frozen before",
)
"""Lines of the log that tell the story; the rest is for `--log`."""
WIDTH = 120


def scenario(name: str, *, log: bool, output: render.Format) -> int:
    """Play it; returns 1 where an expectation does not hold or an oracle found a violation."""
    from failover.lab.simulation.script import load_script
    from failover.lab.simulation.staging import stage

    script = load_script(name)
    result = stage(script)
    unmet = [f"at {second:g} s: {sentence}" for second, sentence in result.unmet]
    violations = [str(item) for item in result.violations]
    found = {
        "scenario": name,
        "story": script.story.strip(),
        "does": script.does.strip(),
        "holds": result.holds,
        "unmet": unmet,
        "violations": violations,
        "looks": result.looks,
        "checks": result.checks,
        "simulated_s": round(result.simulated_s, 1),
        "digest": result.digest,
        "log": result.lines if log else [],
    }
    if not render.data(found, output):
        render.line(script.story.strip())
        render.line()
        render.line(script.does.strip())
        render.line()
        for line in result.lines if log else _telling(result.lines):
            render.line(line if log else textwrap.shorten(line, WIDTH, placeholder=" …"))
        render.line()
        for sentence in unmet:
            render.line(f"UNMET {sentence}")
        for sentence in violations:
            render.line(f"VIOLATION {sentence}")
        render.line(
            f"{name}: {'holds' if result.holds else 'DOES NOT HOLD'}; {result.looks} looks, {result.checks} checks by the "
            f"oracles, {result.simulated_s:.0f} simulated s, log {result.digest[:12]}"
        )
    return exits.DONE if result.holds else exits.ERROR


def list_scenarios(output: render.Format) -> None:
    """Every scenario, with the first sentence of its story."""
    from failover.lab.simulation.script import known_scripts

    rows = [[name, _first_words(script.story)] for name, script in known_scripts().items()]
    if not render.data([dict(zip(("scenario", "story"), row, strict=True)) for row in rows], output):
        render.table(["SCENARIO", "STORY"], rows)


def _first_words(story: str) -> str:
    return textwrap.shorten(" ".join(story.split()), 100, placeholder=" …")


def _telling(lines: list[str]) -> list[str]:
    return [line for line in lines if any(word in line for word in TELLING)]

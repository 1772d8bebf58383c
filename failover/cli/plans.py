"""Showing a plan and its blast radius, and carrying one out after the person has confirmed it."""

import json
import sys
from pathlib import Path
from typing import Any

from failover.cli import exits, render
from failover.cli.client import Place, code_of_state, command, follow, refusal_text
from failover.cli.exits import Stop


def show_plan(answer: dict[str, Any], output: render.Format) -> None:
    """Write a plan: what changes, why, what it rests on, what is left out."""
    if render.data(answer, output):
        return
    plan = answer["plan"]
    domain = plan["domain"]
    render.line(f"plan {answer['hash'][:12]}: {plan['run_kind']} of {domain['kind']}/{domain['name']}")
    for sentence in answer["blast_radius"]:
        render.line(f"  {sentence}")
    for part in plan["applications"]:
        _application(part, wide=output is render.Format.WIDE)
    if plan["steps"] and output is render.Format.WIDE:
        render.line("\nsteps, each after those that it needs:")
        for step in plan["steps"]:
            render.line(f"  {step['id']:<44} {step['phase']:<14} {step['reason']}")
    if plan["reasons"]:
        render.line("\nwhy:")
        for sentence in plan["reasons"]:
            render.line(f"  {sentence}")
    if answer["empty"]:
        render.line("\nnothing would change")
    if answer["refusals"]:
        render.line()
        render.line(refusal_text(answer["refusals"]))


def _application(part: dict[str, Any], *, wide: bool) -> None:
    render.line(f"\n{part['application']} (mode {part['mode']}):")
    if part["left_out"]:
        render.line(f"  left out: {part['left_out']['code']}: {part['left_out']['sentence']}")
    for item in part["placements"]:
        if item["before"] == item["after"] and not wide:
            continue
        ref = item["workload"]
        sign = "+" if item["after"] > item["before"] else "-" if item["after"] < item["before"] else " "
        name = f"{ref['object_kind'].lower()}/{ref['namespace']}/{ref['name']}"
        render.line(
            f"  {sign} {item['cluster']:<18} {name:<32} {item['before']:>4} -> {item['after']:<4} {item['reason']}"
        )
    for change in part["records"]:
        before = ", ".join(change["before"]["values"]) if change["before"] else "(none)"
        after = change["after"]
        render.line(
            f"  ~ {after['name']} {after['record_type']} {after['ttl']}: {before} -> {', '.join(after['values'])}"
        )
    for note in part["notes"]:
        render.line(f"    {note}")


def write_plan(answer: dict[str, Any], path: Path) -> None:
    """Save the plan for `failover apply`."""
    path.write_text(json.dumps(answer["plan"], indent=1, sort_keys=True) + "\n", encoding="utf-8")
    render.talk(f"wrote {path}; `failover apply {path}` carries it out if everything it assumes still holds")


def confirm(name: str, *, yes: bool) -> None:
    """Ask to type the domain's name; without a terminal only `--yes` will do. Raises Stop."""
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Stop(exits.USAGE, "there is no terminal to ask on; --yes confirms what is shown above")
    bare = name.rpartition("/")[2]
    sys.stderr.write(f"type {bare} to go on: ")
    sys.stderr.flush()
    if sys.stdin.readline().strip() not in (bare, name):
        raise Stop(exits.ERROR, "not confirmed; nothing was changed")


def move(
    place: Place,
    *,
    kind: str,
    domain: str,
    person: str,
    reason: str,
    overrides: list[str],
    applications: list[str],
    yes: bool,
    dry_run: bool,
    wait: bool,
    output: render.Format,
) -> int:
    """Plan, show, confirm and start one person's command; follow it to its end. Returns the exit code."""
    request: dict[str, Any] = {
        "verb": "plan",
        "kind": kind,
        "domain": domain,
        "actor": person,
        "reason": reason,
        "overrides": overrides,
        "applications": applications,
    }
    answer = command(place, request)
    show_plan(answer, output)
    if answer["refusals"]:
        return exits.REFUSED
    if answer["empty"] or dry_run:
        return exits.DONE
    confirm(domain, yes=yes)
    started = command(place, {**request, "verb": "start", "hash": answer["hash"]})
    return finish(place, started, wait=wait)


def finish(place: Place, started: dict[str, Any], *, wait: bool) -> int:
    """Follow the run that a command started."""
    run = started.get("run")
    if not run:
        render.talk("nothing to do")
        return exits.DONE
    if "state" in started and "plan" in started:  # carried out without a controller: it is over already
        render.talk(f"run {run}: {started['state']}")
        return code_of_state(started["state"]) if started["state"] != "halted" else exits.PARTIAL
    render.talk(f"run {run} started")
    return follow(place.state, run) if wait else exits.DONE


def read_plan(path: Path) -> dict[str, Any]:
    """A plan file. Raises Stop for what is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Stop(exits.USAGE, f"{path} is not a plan: {error}") from None
    if not isinstance(found, dict):
        raise Stop(exits.USAGE, f"{path} is not a plan")
    return found

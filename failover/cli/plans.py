"""Showing a plan and its blast radius, and carrying one out after the person has confirmed it."""

import json
import sys
from typing import Any

from failover.cli import exits, render
from failover.cli.client import command, refusal_text
from failover.cli.exits import Stop
from failover.cli.following import code_of_state, follow
from failover.cli.places import Place
from failover.cli.telling import record_change, workload


def show_plan(answer: dict[str, Any], output: render.Format) -> None:
    """Write a plan: what changes, why, what it rests on, what is left out."""
    if render.data(answer, output):
        return
    plan = answer["plan"]
    wide = output is render.Format.WIDE
    render.line(f"plan {answer['hash'][:12]}: {plan['run_kind']} of {domain_of(plan)}")
    for sentence in answer["blast_radius"]:
        render.line(f"  {sentence}")
    for part in plan["applications"]:
        _application(part, plan["steps"], wide=wide)
    if plan["steps"] and wide:
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


def domain_of(plan: dict[str, Any]) -> str:
    """`region/north`."""
    return f"{plan['domain']['kind']}/{plan['domain']['name']}"


def _application(part: dict[str, Any], steps: list[dict[str, Any]], *, wide: bool) -> None:
    name = part["application"]
    render.line(f"\n{name} (mode {part['mode']}):")
    if part["left_out"]:
        render.line(
            f"  left out, nothing of it changes: {part['left_out']['code']}: {part['left_out']['sentence']}"
        )
        return
    for item in part["placements"]:
        if item["before"] == item["after"] and not wide:
            continue
        sign = "+" if item["after"] > item["before"] else "-" if item["after"] < item["before"] else " "
        render.line(
            f"  {sign} {item['cluster']:<18} {workload(item['workload']):<32} "
            f"{item['before']:>4} -> {item['after']:<4} {item['reason']}"
        )
        if wide and item["would_change"]:
            render.line(f"      would change it: {item['would_change']}")
    for item in part["sheds"]:
        sign, word = ("-", "given up") if item["after"] < item["before"] else ("+", "given back")
        render.line(
            f"  {sign} {item['cluster']:<18} {workload(item['workload']):<32} {item['before']:>4} -> {item['after']:<4} "
            f"{word} by {item['owner']} for {workload(item['made_room_for'])}"
            if sign == "-"
            else f"  {sign} {item['cluster']:<18} {workload(item['workload']):<32} {item['before']:>4} -> "
            f"{item['after']:<4} {word} to {item['owner']}"
        )
    stages = [
        step
        for step in steps
        if step["kind"] == "change-records"
        and step["application"] == name
        and step["traffic_percent"] is not None
    ]
    if stages:
        _stages(stages)
    else:
        for change in part["records"]:
            render.line(f"  ~ {record_change(change)}   (ttl {change['after']['ttl']})")
    for note in part["notes"]:
        render.line(f"    {note}")


def _stages(stages: list[dict[str, Any]]) -> None:
    """Clients that return by stages: what each publishes, and the real share of clients that come home with it."""
    for number, step in enumerate(stages, 1):
        for change in step["changes"]:
            render.line(
                f"  ~ stage {number}, {step['traffic_percent']} % of clients then go home: {record_change(change)}   "
                f"(ttl {change['after']['ttl']})"
            )


def confirm(name: str, *, yes: bool) -> None:
    """Ask to type the domain's name; without a terminal only `--yes` will do. Raises Stop."""
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Stop(exits.USAGE, "there is no terminal to ask on; --yes confirms what is shown above")
    bare = name.rpartition("/")[2]
    sys.stderr.write(f"type {bare} to go on: ")
    sys.stderr.flush()
    try:
        typed = sys.stdin.readline().strip()
    except KeyboardInterrupt:
        raise Stop(exits.INTERRUPTED, "\nnot confirmed; nothing was changed") from None
    if typed not in (bare, name):
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
    moves: int = 0,
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
        "moves": moves,
    }
    answer = command(place, request, looks_only=dry_run)
    show_plan(answer, output)
    if answer["refusals"]:
        return exits.REFUSED
    if answer["empty"] or dry_run:
        return exits.DONE
    confirm(domain or domain_of(answer["plan"]), yes=yes)
    started = command(place, {**request, "verb": "start", "hash": answer["hash"]})
    return finish(place, started, wait=wait)


def plan_only(
    place: Place,
    *,
    kind: str,
    domain: str,
    person: str,
    overrides: list[str],
    applications: list[str],
    assume_down: list[str],
    moves: int = 0,
) -> dict[str, Any]:
    """A plan that is shown and no more: it takes no lease and overrules nobody."""
    request: dict[str, Any] = {
        "verb": "plan",
        "kind": kind,
        "domain": domain,
        "actor": person,
        "overrides": overrides,
        "applications": applications,
        "assume_down": assume_down,
        "moves": moves,
    }
    return command(place, request, looks_only=True)


def plan_of_run(place: Place, name: str) -> dict[str, Any]:
    """The plan of a run as the journal has it, with the run's line. The blast radius needs policies that are valid."""
    from failover.cli.runs import find_run, load_entries
    from failover.controller.run_rows import run_row
    from failover.model.errors import PolicyError
    from failover.planner import blast_radius
    from failover.policy import load_directory

    run = find_run(load_entries(place.state), name)
    try:
        radius = list(blast_radius(run.plan, load_directory(place.policies)))
    except PolicyError:
        radius = ["the policies are not valid at present: how far this reaches cannot be said"]
    return {
        "plan": json.loads(run.plan.to_json()),
        "hash": run.plan.hash,
        "empty": run.plan.is_empty,
        "refusals": [],
        "blast_radius": radius,
        "run": run_row(run),
    }


def finish(place: Place, answer: dict[str, Any], *, wait: bool, verb: str = "", after: int = 0) -> int:
    """Follow the run of a command, or say how it ended where it was carried out here. Returns the exit code."""
    run = answer.get("run")
    if not run:
        render.talk("nothing to do")
        return exits.DONE
    if answer.get("alone"):
        render.talk(f"run {run}: {answer['state']}")
        return code_of_state(answer["state"], verb=verb)
    if not after:
        render.talk(f"run {run} started")
    return follow(place.state, run, after=after, verb=verb) if wait else exits.DONE

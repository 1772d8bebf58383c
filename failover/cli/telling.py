"""What the journal's entries say to a person: who changed what, where, and why."""

from collections.abc import Callable, Sequence
from typing import Any

Row = dict[str, Any]
"""An entry as the store's reader gives it; `entry` is the event."""
VERBS = {
    "pause": "paused automation",
    "resume": "ended",
    "ack": "released the hold-down of",
    "cordon": "cordoned",
    "uncordon": "uncordoned",
}
LANDED = ("applied", "unchanged")


class Teller:
    """Remembers the steps of each run, so that a change names its cluster and its workload.

    `entries_of`: a run's own entries, asked for where the first that is told of it is not its opening.
    """

    def __init__(self, entries_of: Callable[[str], Sequence[Row]]) -> None:
        self._entries_of = entries_of
        self._steps: dict[str, dict[str, Row]] = {}
        self._actors: dict[str, str] = {}

    def progress(self, row: Row) -> str:
        """One line for what a person follows; "" for bookkeeping."""
        kind, event = row["entry"]["kind"], row["entry"]
        step = self._step(row)
        quiet = kind == "intent" or (kind == "step-done" and step.get("kind") == "scale")
        if quiet or (kind == "step-done" and not event["note"] and not event.get("verification")):
            return ""
        return self.sentence(row)

    def sentence(self, row: Row) -> str:
        """One line for any entry."""
        event = row["entry"]
        teller = _TELLERS.get(event["kind"])
        return teller(row, event, self._step(row)) if teller is not None else str(event["kind"])

    def actor(self, row: Row) -> str:
        """Who did it: the person or automation, also for what a run of theirs changed."""
        event = row["entry"]
        self._step(row)
        named = event.get("actor") or event.get("holder") or event.get("schedule")
        return str(named or self._actors.get(row["run"], ""))

    def _step(self, row: Row) -> Row:
        """The step that an entry is about, {} for none."""
        run, event = row["run"], row["entry"]
        if run and run not in self._steps and event["kind"] != "run-opened":
            self._steps[run] = {}
            for earlier in self._entries_of(run):
                self._learn(earlier)
        self._learn(row)
        step = event["intent"]["step"] if event["kind"] == "intent" else event.get("step", "")
        return self._steps.get(run, {}).get(step, {"id": step})

    def _learn(self, row: Row) -> None:
        event = row["entry"]
        if event["kind"] in ("run-opened", "run-widened"):
            known = self._steps.setdefault(row["run"], {})
            known.update({step["id"]: step for step in event["plan"]["steps"]})
        if event["kind"] == "run-opened":
            self._actors[row["run"]] = event["actor"]


def what(step: Row) -> str:
    """A step in words: `south-1: deployment/shop/web replicas 6 -> 9`."""
    kind = step.get("kind")
    if kind == "scale":
        word = "replicas" if step["field"] == "replicas" else "minReplicas"
        return f"{step['cluster']}: {workload(step['workload'])} {word} {step['before']} -> {step['after']}"
    if kind == "change-records":
        return f"zone {step['zone']}: " + "; ".join(record_change(item) for item in step["changes"])
    if kind == "prove-gone":
        return f"{step['cluster']}: {workload(step['workload'])} is gone"
    if kind in ("wait", "wait-ready"):
        return f"{step['application']}: {step['reason']}"
    name = str(step["id"])
    return f"{name.removeprefix('fence/')}: fence" if name.startswith("fence/") else name


def workload(ref: Row) -> str:
    """`deployment/shop/web`."""
    return f"{ref['object_kind'].lower()}/{ref['namespace']}/{ref['name']}"


def record_change(change: Row) -> str:
    """`shop.example. A: 192.0.2.1, 192.0.2.2 -> 192.0.2.2`, each value with its weight where it has one."""
    before = _values(change["before"]) if change["before"] else "(none)"
    after = change["after"]
    return f"{after['name']} {after['record_type']}: {before} -> {_values(after)}"


def _values(held: Row) -> str:
    weights = held.get("weights") or ()
    if not weights:
        return ", ".join(held["values"])
    return ", ".join(f"{value} (weight {w})" for value, w in zip(held["values"], weights, strict=True))


def _why(text: str) -> str:
    return f": {text}" if text else ""


def _opened(row: Row, event: Row, _: Row) -> str:
    plan = event["plan"]
    waits = "" if event["approved"] else ", waits for approval"
    domain = f"{plan['domain']['kind']}/{plan['domain']['name']}"
    return f"run {row['run']} opened by {event['actor']}: {plan['run_kind']} of {domain}{waits}{_why(event['reason'])}"


def _intent(row: Row, event: Row, step: Row) -> str:
    del row
    return f"intends {what(step)}{_why(event['intent']['reason'])}"


def _effect(row: Row, event: Row, step: Row) -> str:
    about = what(step)
    if about.endswith(": fence"):
        about += f" raised to epoch {row['epoch']}"
    if event["result"] in LANDED:
        return about + (" (it was so already)" if event["result"] == "unchanged" else "")
    again = f"; tries again at {event['not_before'][11:19]} UTC" if event["not_before"] else ""
    return f"{about}: {event['result']}{_why(event['detail'])}{again}"


def _step_done(row: Row, event: Row, step: Row) -> str:
    del row
    if event.get("verification"):
        servers = event["verification"]["servers"]
        agree = sum(1 for item in servers if item["matches"])
        names = ", ".join(change["after"]["name"] for change in step.get("changes", ()))
        return f"{names or step['id']} read back at {agree} of {len(servers)} name servers"
    if step.get("kind") == "wait":
        return f"{step['application']}: {event['note']}: {step['reason']}"
    if step.get("kind") == "wait-ready":
        return f"{step['application']}: {event['note']}"
    return f"{what(step)}{_why(event['note'])}"


def _resolvers(row: Row, event: Row, step: Row) -> str:
    del row
    giving = sum(1 for item in event["answers"] if item["matches"])
    names = ", ".join(change["after"]["name"] for change in step.get("changes", ()))
    return f"{names or step['id']} given by {giving} of {len(event['answers'])} resolvers after the old TTL"


def _said(row: Row, event: Row, step: Row) -> str:
    del row, step
    verb = VERBS.get(event["verb"], event["verb"])
    nothing = {"ack": "every domain", "resume": "what was held back"}
    target = event["target"] or nothing.get(event["verb"], "")
    return f"{event['actor']} {verb}{f' {target}' if target else ''}{_why(event['reason'])}"


_TELLERS: dict[str, Callable[[Row, Row, Row], str]] = {
    "run-opened": _opened,
    "run-approved": lambda row, event, step: f"approved by {event['actor']}",
    "run-widened": lambda row, event, step: f"widened: {event['reason']}",
    "intent": _intent,
    "effect": _effect,
    "step-done": _step_done,
    "resolvers-asked": _resolvers,
    "step-failed": lambda row, event, step: f"{what(step)} failed: {event['refusal']['sentence']}",
    "run-halted": lambda row, event, step: f"halted: {event['refusal']['sentence']}",
    "run-resumed": lambda row, event, step: f"resumed by {event['actor']}",
    "abort-requested": lambda row, event, step: f"abort asked for by {event['actor']}{_why(event['reason'])}",
    "run-closed": lambda row, event, step: f"{event['state']}: {event['sentence']}",
    "person-said": _said,
    "leader-changed": lambda row, event, step: f"{event['holder']} acts with epoch {event['epoch']}",
    "policy-loaded": lambda row, event, step: (
        f"policy {event['generation']} in force, before it {event['previous']}"
    ),
    "job-finished": lambda row, event, step: (
        f"schedule {event['schedule']}: {event['result']}{_why(event['sentence'])}"
    ),
    "clock-jumped": lambda row, event, step: f"the wall clock jumped by {event['by_s']:+.1f} s",
}

"""How a command reaches a controller: over its socket, or, where none lives, as the controller for one command.

A controller that lives but cannot be reached is not overruled without `--take-over`.
"""

import http.client
import json
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from failover.cli import exits
from failover.cli.exits import Stop
from failover.cli.render import talk
from failover.store.reader import NoStore, StatusReader

SOCKET_NAME = "control.sock"
TIMEOUT_S = 20.0
CONNECT_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a command works: state and policy directories, and whether it may overrule a silent controller."""

    state: Path
    policies: Path
    take_over: bool = False


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(CONNECT_TIMEOUT_S)
        self.sock.connect(str(self._path))
        self.sock.settimeout(TIMEOUT_S)


_SILENT: set[Path] = set()
"""State directories whose controller did not answer this command once: it is not asked, and waited for, again."""


class Unreachable(Exception):
    """No controller answers on the socket."""


def ask_controller(state: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Send one command over the socket. Raises Unreachable, or Stop with the right exit code for its answer."""
    connection = _UnixConnection(state / SOCKET_NAME)
    try:
        body = json.dumps(request)
        connection.request("POST", "/v1/commands", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = json.loads(response.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unreachable(str(error)) from None
    finally:
        connection.close()
    if response.status == 200:
        return dict(answer)
    raise stop_for(answer)


def stop_for(answer: dict[str, Any]) -> Stop:
    """The exit that a refusal or an error stands for."""
    if "refusals" in answer:
        return Stop(exits.REFUSED, refusal_text(answer["refusals"]))
    return Stop(
        exits.USAGE if answer.get("usage") else exits.ERROR, str(answer.get("error", "the controller failed"))
    )


def refusal_text(refusals: list[dict[str, Any]]) -> str:
    """Every reason, and which may be overridden by name."""
    lines = ["refused:"]
    for item in refusals:
        about = f"{item['application']}: " if item["application"] else ""
        lines.append(f"  {about}{item['code']}: {item['sentence']}")
        lines += [f"    {fact}" for fact in item["evidence"]]
    named = sorted({item["code"] for item in refusals if item["overridable"]})
    if named:
        lines.append("  to override by name: " + " ".join(f"--override {code}" for code in named))
    return "\n".join(lines)


def command(place: Place, request: dict[str, Any]) -> dict[str, Any]:
    """Have a command carried out. With a controller it returns at once; without one, when its run is over."""
    if place.state not in _SILENT:
        try:
            return ask_controller(place.state, request)
        except Unreachable as error:
            _may_act_alone(place, str(error))
            _SILENT.add(place.state)
    from failover.cli.alone import act_alone

    talk("no controller runs with this state directory: acting without one")
    return act_alone(place, request)


def _may_act_alone(place: Place, trouble: str) -> None:
    """Raises Stop where a controller lives that cannot be reached."""
    if not (place.state / "failover.db").exists():
        return
    try:
        reader = StatusReader(place.state)
        leader = reader.leader()
        reader.close()
    except NoStore as error:
        raise Stop(exits.ERROR, str(error)) from None
    if leader is None or leader["gone"] or place.take_over:
        return
    left = leader["expires_wall"] - time.time()
    if left > 0:
        raise Stop(
            exits.REFUSED,
            f"{leader['holder']} (process {leader['process']}, epoch {leader['epoch']}) holds the lease for {left:.0f} s more "
            f"and does not answer ({trouble}). If you are sure that it must not act: --take-over",
        )


def follow(state: Path, run: str, *, after: int = 0) -> int:
    """Show a run's progress until it is over; returns the exit code that its end stands for."""
    reader = StatusReader(state)
    seen = after
    try:
        while True:
            for entry in reader.entries(after=seen, run=run):
                seen = entry["sequence"]
                sentence = progress_sentence(entry)
                if sentence:
                    talk(f"{entry['at'][11:19]}  {sentence}")
                if entry["entry"]["kind"] == "run-closed":
                    return code_of_state(entry["entry"]["state"])
                if entry["entry"]["kind"] == "run-halted":
                    talk(f"the run halts here; `failover resume-run {run}` or `failover abort {run}`")
            time.sleep(0.1)
    finally:
        reader.close()


def code_of_state(state: str) -> int:
    """Exit code of a finished run."""
    return {"done": exits.DONE, "partial": exits.PARTIAL, "refused": exits.REFUSED}.get(state, exits.ERROR)


def progress_sentence(entry: dict[str, Any]) -> str:
    """One line for an event that a person follows; "" for bookkeeping."""
    event = entry["entry"]
    kind = event["kind"]
    if kind == "run-opened":
        return f"run {entry['run']} opened by {event['actor']}"
    if kind == "effect" and event["result"] in ("applied", "unchanged"):
        return f"{event['step'].split(':')[0]} {event['before']} -> {event['after'] or event['detail']}"
    if kind == "effect":
        return f"{event['step']}: {event['result']}: {event['detail']}"
    if kind == "step-failed":
        return f"{event['step']} failed: {event['refusal']['sentence']}"
    if kind == "step-done" and event.get("verification"):
        servers = event["verification"]["servers"]
        agree = sum(1 for item in servers if item["matches"])
        return f"DNS read back at {agree} of {len(servers)} name servers"
    if kind == "run-halted":
        return f"halted: {event['refusal']['sentence']}"
    if kind == "run-closed":
        return f"{event['state']}: {event['sentence']}"
    return "" if kind in ("intent", "effect", "step-done") else kind

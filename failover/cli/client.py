"""How a command reaches a controller: over its socket, or, where none lives, as the controller for one command.

A controller that lives but cannot be reached is not overruled without `--take-over`.
"""

import http.client
import json
import select
import socket
import time
from pathlib import Path
from typing import Any

from failover.cli import exits, render
from failover.cli.exits import Stop
from failover.cli.places import Place
from failover.cli.render import talk
from failover.store.reader import NoStore, StatusReader

SOCKET_NAME = "control.sock"
OPENS_WITHIN_S = 2.0
"""How long nobody may listen although the lease is held: shorter than `FIRST_BYTE_S`, so one that is frozen is asked once."""
FIRST_BYTE_S = 3.0
"""A living controller answers a question about nothing at once, however busy it is with a command."""
PATIENCE_S = 5.0
"""How long a command is waited for before it is asked again whether anybody lives there."""
ANSWER_S = 20.0
"""From the first byte of an answer to its last."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


_SILENT: dict[Path, str] = {}
"""State directories whose controller did not answer this command once, and what was said of it: it is not asked, and waited
for, again.
"""


class Unreachable(Exception):
    """No controller answers on the socket; `str()` says how."""


def ask_controller(state: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Send one command over the socket. Raises Unreachable, or Stop with the right exit code for its answer.

    A command may take long to be answered (it looks at every cluster first): what tells that from a controller that is
    frozen is whether it answers anything at all.
    """
    _find(state)
    connection = _UnixConnection(state / SOCKET_NAME, ANSWER_S)
    try:
        body = json.dumps(request)
        connection.request("POST", "/v1/commands", body, {"Content-Type": "application/json"})
        while not select.select([connection.sock], [], [], PATIENCE_S)[0]:
            _ping(state)
        response = connection.getresponse()
        answer = json.loads(response.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unreachable(str(error)) from None
    finally:
        connection.close()
    if response.status == 200:
        return dict(answer)
    raise stop_for(answer)


def _find(state: Path) -> None:
    """Wait a moment for one that has only just taken the lease, and opens its socket next. Nothing was asked of it yet."""
    ends = time.monotonic() + OPENS_WITHIN_S
    while True:
        try:
            return _ping(state)
        except Unreachable:
            leader = _leader_of(state)
            if leader is None or leader["released"] or _lease_left(leader) <= 0 or time.monotonic() > ends:
                raise
        time.sleep(0.2)


def _ping(state: Path) -> None:
    """Ask for nothing: any answer, the refusal of such a question included, comes from a process that lives."""
    connection = _UnixConnection(state / SOCKET_NAME, FIRST_BYTE_S)
    try:
        connection.request("GET", "/")
        connection.getresponse().read()
    except TimeoutError:
        raise Unreachable(f"nothing came back within {FIRST_BYTE_S:g} s") from None
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(str(error)) from None
    finally:
        connection.close()


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
        lines.append(f"  {about}{item['code']}: {render.bare(item['sentence'], item['application'])}")
        lines += [f"    {fact}" for fact in item["evidence"]]
    named = sorted({item["code"] for item in refusals if item["overridable"]})
    if named:
        lines.append("  to override by name: " + " ".join(f"--override {code}" for code in named))
    return "\n".join(lines)


def command(place: Place, request: dict[str, Any], *, looks_only: bool = False) -> dict[str, Any]:
    """Have a command carried out. With a controller it returns at once; without one, when its run is over.

    `looks_only`: nothing is changed for it, now or next, so that no lease is needed and nobody is overruled. The answer of
    a command that was carried out here, and not by a controller, says `alone`.
    """
    trouble = ""
    if place.state not in _SILENT:
        try:
            return ask_controller(place.state, request)
        except Unreachable as error:
            trouble = str(error)
    leader = _leader_of(place.state)
    if not looks_only:
        _may_act_alone(place, leader, trouble)
    why = _why_alone(leader, looks_only=looks_only)
    if _SILENT.get(place.state) != why:
        talk(why)
    _SILENT[place.state] = why
    from failover.cli.alone import act_alone

    return {**act_alone(place, request), "alone": True}


def _leader_of(state: Path) -> dict[str, Any] | None:
    if not (state / "failover.db").exists():
        return None
    try:
        with StatusReader(state) as reader:
            return reader.leader()
    except NoStore as error:
        raise Stop(exits.ERROR, str(error)) from None


def _lease_left(leader: dict[str, Any]) -> float:
    """Seconds for which the holder of the lease may still act."""
    return 0.0 if leader["gone"] else max(0.0, leader["expires_wall"] - time.time())


def _named(leader: dict[str, Any]) -> str:
    return f"{leader['holder']} (process {leader['process']}, epoch {leader['epoch']})"


def _may_act_alone(place: Place, leader: dict[str, Any] | None, trouble: str) -> None:
    """Raises Stop where a controller lives that cannot be reached."""
    if leader is None or place.take_over:
        return
    left = _lease_left(leader)
    if left > 0:
        raise Stop(
            exits.REFUSED,
            f"{_named(leader)} holds the lease for {left:.0f} s more and does not answer"
            f"{f' ({trouble})' if trouble else ''}. Make sure that it cannot act (stop it, or cut it off), then: --take-over",
        )


def _why_alone(leader: dict[str, Any] | None, *, looks_only: bool) -> str:
    """One sentence about why this command is its own controller."""
    if leader is None or leader["released"]:
        return "no controller runs with this state directory: acting without one"
    if leader["gone"]:
        return f"the controller {_named(leader)} is dead: acting without it"
    if _lease_left(leader) <= 0:
        return f"{_named(leader)} does not answer, and its lease ran out: acting without it"
    word = (
        "this is worked out without it, and changes nothing"
        if looks_only
        else "it is overruled (--take-over)"
    )
    return f"{_named(leader)} holds the lease and does not answer: {word}"

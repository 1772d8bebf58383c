"""Plays a scenario: starts a lab, tells a live timeline, and ends with the report and whether its expectations hold."""

import json
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from failover.lab.director import Director
from failover.lab.faults import switch
from failover.lab.presets import make_lab
from failover.lab.processes import LabError, LabProcesses
from failover.lab.scenario import Scenario, ScenarioError, load_scenario
from failover.lab.topology import Lab, LabApplication, LabCluster, LabVantage
from failover.model.codec import from_plain, to_plain
from failover.model.records import CAPABILITIES

Talk = Callable[[str], None]
LAB_FILE = "lab.json"
"""In a lab's folder as long as `lab up` runs there."""


def play(
    name: str,
    *,
    machine: bool,
    write: Callable[[Any], object],
    talk: Talk,
    line: Talk,
    keep: Path | None = None,
) -> int:
    """Play a scenario by name or file. Returns the exit code: 0 only if its expectations hold."""
    try:
        scenario = load_scenario(name)
    except ScenarioError as error:
        talk(str(error))
        return 64
    with tempfile.TemporaryDirectory(prefix="failover-lab-") as temporary:
        folder = keep.resolve() if keep is not None else Path(temporary)
        director = Director(
            scenario, LabProcesses(make_lab(**scenario.lab), folder), talk if machine else line
        )
        try:
            found = director.play()
        except LabError as error:
            talk(f"the lab failed: {error}")
            return 1
        finally:
            director.lab.stop()
    if machine:
        write(found)
    else:
        _show(scenario, found, line)
    return 0 if found["holds"] else 1


def _show(scenario: Scenario, found: dict[str, Any], line: Talk) -> None:
    line("")
    line(f"scenario {scenario.name}: {'as expected' if found['holds'] else 'NOT as expected'}")
    line(f"  {scenario.story}")
    line(f"  verdict of {scenario.victim}: {found['verdict']}")
    words = {
        "detect_s": "death to confirmed verdict",
        "decide_s": "verdict to decision",
        "capacity_s": "decision to lost replicas ready elsewhere",
        "dns_change_s": "decision to DNS change acknowledged",
        "dns_effective_s": "decision to DNS read back at every name server",
    }
    for key, text in words.items():
        value = found["phases"][key]
        line(f"  {key[:-2].replace('_', '-'):<14} {'-' if value is None else f'{value:7.2f} s'}   {text}")
    replicas, records = found["replicas"], found["records"]
    line(
        f"  replicas: {replicas['lost']} lost, {replicas['replaced']} ordered elsewhere, {replicas['ready']} ready"
    )
    line(f"  record sets: {records['changed']} changed, {records['verified']} verified")
    for run in found["runs"]:
        line(f"  run {run['id']}: {run['run_kind']} of {run['domain']}: {run['state']}")
    for sentence in found["violations"]:
        line(f"  ! {sentence}")
    line(f"  answers checked: {found['answers_checked']}, none empty" if not found["violations"] else "")


def up(
    directory: Path,
    *,
    controller: bool,
    dns: Sequence[str] = (),
    weights: bool = False,
    line: Talk,
    talk: Talk,
) -> None:
    """Start a lab in a directory and leave it running until Ctrl-C. `dns`: its providers, all serving the one zone.

    Raises ScenarioError for providers that there are not, or that cannot do what is asked.
    """
    lab = LabProcesses(make_lab(**dns_of(dns, weights=weights)), directory.resolve())
    try:
        lab.prepare()
        for name in ("fault.request", "fault.answer"):  # asked of a lab that is gone
            (lab.folder / name).unlink(missing_ok=True)
        (lab.folder / LAB_FILE).write_text(json.dumps(to_plain(lab.lab), indent=1))
        lab.start_world()
        if controller:
            lab.start_controller()
        lab.start_vantages()
        line(f"export KUBECONFIG={lab.folder}/kubeconfig.yaml")
        line(f"export FAILOVER_STATE={lab.state} FAILOVER_POLICIES={lab.policies}")
        talk(
            "the lab runs; copy the two lines above into another terminal, then try `failover status`. Ctrl-C ends it."
        )
        _until_stopped(lab, talk)
    finally:
        (lab.folder / LAB_FILE).unlink(missing_ok=True)
        lab.stop()


def dns_of(dns: Sequence[str], *, weights: bool) -> dict[str, Any]:
    """Arguments of `make_lab`. Weighted records at Route 53 are prepared: health checks may stand beside them."""
    chosen = list(dns) or ["rfc2136"]
    for name in chosen:
        if name not in CAPABILITIES:
            raise ScenarioError(f"there is no DNS provider {name!r}; there are {', '.join(CAPABILITIES)}")
        if weights and not CAPABILITIES[name].weights:
            raise ScenarioError(f"{name} has no weighted records; leave out --weights, or take another")
    if len(set(chosen)) != len(chosen):
        raise ScenarioError("each DNS provider once: several serve the same zone side by side")
    return {"dns": chosen, "weights": weights, "prepare": weights and "route53" in chosen}


def _until_stopped(lab: LabProcesses, talk: Talk) -> None:
    """Serve requests of `lab fault` (which needs the process table) until a signal."""
    ended = False

    def end(number: int, frame: object) -> None:
        nonlocal ended
        ended = True

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    asked = lab.folder / "fault.request"
    while not ended:
        if asked.exists():
            text = asked.read_text()
            asked.unlink(missing_ok=True)
            _serve(lab, text, talk)
        time.sleep(0.05)


def _serve(lab: LabProcesses, text: str, talk: Talk) -> None:
    """One request; whatever is wrong with it is its answer, and never the lab's end."""
    answer = {"id": 0, "error": ""}
    try:
        request = json.loads(text)
        answer["id"] = request["id"]
        switch(lab, request["kind"], request["target"], on=request["on"], options=request.get("options"))
        talk(f"{request['kind']} {request['target']} {'on' if request['on'] else 'off'}")
    except LabError as error:
        answer["error"] = str(error)
    except (ValueError, TypeError, KeyError, OSError) as error:
        answer["error"] = f"the lab cannot do this: {error!r}"
    draft = lab.folder / "fault.answering"
    draft.write_text(json.dumps(answer))
    draft.rename(lab.folder / "fault.answer")


def switch_fault(
    directory: Path, kind: str, target: str, *, on: bool, options: dict[str, Any], talk: Talk
) -> None:
    """Ask the `lab up` of a directory for a fault. Raises ScenarioError where there is none or it refuses."""
    folder = directory.resolve()
    if not (folder / LAB_FILE).exists():
        raise ScenarioError(f"no lab runs in {folder}; `failover lab up {directory}` starts one")
    number = time.time_ns()
    pending, request = folder / f"fault.{number}", folder / "fault.request"
    asked = {"id": number, "kind": kind, "target": target, "on": on, "options": options}
    pending.write_text(json.dumps(asked))
    pending.rename(request)
    deadline = time.monotonic() + 10.0
    while time.monotonic() < deadline:
        answer = folder / "fault.answer"
        if answer.exists():
            found = json.loads(answer.read_text())
            if found["id"] == number:
                if found["error"]:
                    raise ScenarioError(found["error"])
                talk(f"{kind} {target}: {'on' if on else 'off'}")
                return
        time.sleep(0.05)
    request.unlink(missing_ok=True)  # what nobody has taken by now must not come true later
    raise ScenarioError("the lab does not answer; does `failover lab up` still run?")


def read_lab(folder: Path) -> Lab:
    """The lab of a directory."""
    found: Lab = from_plain(Lab, json.loads((folder / LAB_FILE).read_text()))
    return found


__all__ = ["LabApplication", "LabCluster", "LabVantage", "play", "read_lab", "switch_fault", "up"]

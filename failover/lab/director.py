"""Carries out a scenario's steps against a running lab and judges its end by the truth, not by the controller's word."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from failover.execution.report import report
from failover.execution.runs import fold
from failover.lab.faults import switch
from failover.lab.processes import LabError, LabProcesses
from failover.lab.scenario import Scenario
from failover.lab.truth import (
    Watch,
    check_fenced_off,
    check_home,
    check_moved,
    check_placed,
    check_unnamed,
    fence_epoch,
)
from failover.model.codec import from_plain, to_plain
from failover.model.journal import JournalEntry, Run
from failover.model.plan import ChangeRecordsStep, RunKind
from failover.store.reader import NoStore, StatusReader

POLL_S = 0.05
HEALTHY_WITHIN_S = 60.0
EMPTY: dict[str, Any] = {
    "phases": dict.fromkeys(("detect_s", "decide_s", "capacity_s", "dns_change_s", "dns_effective_s")),
    "replicas": {"lost": 0, "replaced": 0, "ready": 0},
    "records": {"changed": 0, "verified": 0},
}


class Director:
    """One play of one scenario."""

    def __init__(self, scenario: Scenario, lab: LabProcesses, tell: Callable[[str], None]) -> None:
        self.scenario, self.lab = scenario, lab
        self._tell = tell
        self._began = time.monotonic()
        self._watch = Watch(lab)
        self._verdicts: dict[str, str] = {}
        self._worst: dict[str, str] = {}
        self._told_entries = 0
        self._fault_at: float | None = None
        self._kills = 0
        self._reader: StatusReader | None = None

    # -- telling -------------------------------------------------------------------------------------------------------

    def say(self, sentence: str) -> None:
        """One line of the timeline."""
        self._tell(f"{time.monotonic() - self._began:7.2f} s  {sentence}")

    def _look(self) -> dict[str, Any] | None:
        """The status, after telling what changed since the last look."""
        try:
            if self._reader is None:
                self._reader = StatusReader(self.lab.state)
            status = self._reader.document("status")
            entries = self._reader.entries(after=self._told_entries)
        except NoStore:
            self._reader = None
            return None
        for entry in entries:
            self._told_entries = entry["sequence"]
            self._tell_entry(entry)
        for item in (status or {}).get("clusters", []):
            name, verdict = item["name"], item["verdict"]
            if self._verdicts.get(name) != verdict:
                if name in self._verdicts:
                    self.say(f"{name}: {verdict} ({item['sentence']})")
                self._verdicts[name] = verdict
                if self._fault_at is not None:
                    self._worst[name] = _worse(self._worst.get(name), verdict)
        return dict(status) if status else None

    def _tell_entry(self, entry: dict[str, Any]) -> None:
        event = entry["entry"]
        kind = event["kind"]
        if kind == "run-opened":
            plan = event["plan"]
            self.say(
                f"run {entry['run']} opened by {event['actor']}: {plan['run_kind']} of {plan['domain']['name']}"
            )
        elif kind == "effect" and event["result"] == "applied":
            self.say(
                f"  {event['before'] or '…'} -> {event['after'] or event['detail']}   [{event['step'].split(':')[0]} {_where(event['step'])}]"
            )
        elif kind == "step-done" and event.get("verification"):
            servers = event["verification"]["servers"]
            agreeing = sum(1 for item in servers if item["matches"])
            self.say(f"  DNS read back at {agreeing} of {len(servers)} name servers")
        elif kind == "step-done" and event["note"].endswith("ready"):
            self.say(f"  {event['note']}")
        elif kind in ("run-halted", "step-failed"):
            self.say(f"  {kind}: {event['refusal']['sentence']}")
        elif kind == "run-closed":
            self.say(f"run {entry['run']} {event['state']}: {event['sentence']}")
        elif kind == "leader-changed":
            self.say(f"controller acts with epoch {event['epoch']}")

    # -- playing -------------------------------------------------------------------------------------------------------

    def play(self) -> dict[str, Any]:
        """Everything, from preparing the lab to the report. Raises LabError where a step does not come about."""
        self.say(
            f"starting {len(self.lab.lab.regions)} regions, two name servers, {len(self.lab.lab.vantages)} vantages"
        )
        self.lab.prepare()
        self.lab.start_world()
        self.lab.start_controller(sleeps=self.scenario.sleeps)
        self.lab.start_vantages()
        self._watch.start()
        try:
            for name, argument in self.scenario.steps:
                getattr(self, "_" + name.replace("-", "_"))(argument)
            return self._judge()
        finally:
            self._watch.stop()
            if self._reader is not None:
                self._reader.close()

    def _until(self, what: Callable[[dict[str, Any]], bool], within: float, sentence: str) -> dict[str, Any]:
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            status = self._look()
            if status is not None and what(status):
                return status
            controller = self.lab.running.get("controller")
            if controller is not None and controller.poll() is not None:
                raise LabError(f"the controller ended by itself:\n{self.lab.log_tail('controller')}")
            time.sleep(POLL_S)
        raise LabError(f"not within {within:g} s: {sentence}\n{self.lab.log_tail('controller')[-1500:]}")

    def _wait_healthy(self, _: Any) -> None:
        count = len(self.lab.lab.clusters)

        def healthy(status: dict[str, Any]) -> bool:
            clusters = status["clusters"]
            seen = sum(1 for item in clusters if item["verdict"] == "HEALTHY" and item["inventory_at"])
            ready = all(item["replicas_ready"] == item["replicas_wanted"] for item in clusters)
            vantages = all(item["state"] == "ok" for item in status["vantages"])
            return seen == count and ready and vantages and status["warm_up"] is None

        self._until(healthy, HEALTHY_WITHIN_S, "every cluster HEALTHY, every vantage reporting")
        self.say(f"{count} clusters are healthy, seen from {len(self.lab.lab.vantages)} vantages")

    def _fault(self, argument: dict[str, Any]) -> None:
        options = {key: value for key, value in argument.items() if key not in ("kind", "target")}
        self._fault_at = time.monotonic()
        self.say(f"FAULT {argument['kind']} {argument['target']}")
        switch(self.lab, argument["kind"], str(argument["target"]), on=True, options=options)

    def _clear(self, argument: dict[str, Any]) -> None:
        options = {key: value for key, value in argument.items() if key not in ("kind", "target")}
        self.say(f"the fault ends: {argument['kind']} {argument['target']}")
        switch(self.lab, argument["kind"], str(argument["target"]), on=False, options=options)

    def _wait_run(self, argument: dict[str, Any]) -> None:
        wanted, within, count = argument["state"], float(argument["within"]), int(argument.get("runs", 1))

        def reached(status: dict[str, Any]) -> bool:
            del status
            runs = self._runs()
            return len(runs) >= count and runs[-1].state.value == wanted

        self._until(reached, within, f"a run that is {wanted}")

    def _wait_verdict(self, argument: dict[str, Any]) -> None:
        def reached(status: dict[str, Any]) -> bool:
            return any(
                item["name"] == argument["cluster"] and item["verdict"] == argument["verdict"]
                for item in status["clusters"]
            )

        self._until(reached, float(argument["within"]), f"{argument['cluster']} {argument['verdict']}")

    def _wait_frozen(self, argument: dict[str, Any]) -> None:
        self._until(
            lambda status: status["freeze"] is not None, float(argument["within"]), "automation frozen"
        )
        self.say("all automation is frozen")

    def _wait_placed(self, argument: dict[str, Any]) -> None:
        wanted = {name: rows for name, rows in argument.items() if name != "within"}
        deadline = time.monotonic() + float(argument["within"])
        while wrong := check_placed(self.lab, wanted):
            if time.monotonic() > deadline:
                raise LabError(f"not within {argument['within']:g} s: {'; '.join(wrong)}")
            self._look()
            time.sleep(POLL_S)
        for name, rows in wanted.items():
            told = ", ".join(f"{count} in {where}" for where, count in rows.items())
            self.say(f"{name} is ready: {told}")

    def _wait_unnamed(self, argument: dict[str, Any]) -> None:
        deadline = time.monotonic() + float(argument["within"])
        while wrong := check_unnamed(self.lab, str(argument["domain"])):
            if time.monotonic() > deadline:
                raise LabError(f"not within {argument['within']:g} s: {'; '.join(wrong)}")
            self._look()
            time.sleep(POLL_S)
        self.say(f"no name server names {argument['domain']} any more")

    def _sleep(self, argument: float) -> None:
        deadline = time.monotonic() + float(argument)
        while time.monotonic() < deadline:
            self._look()
            time.sleep(POLL_S)

    def _kill_controller(self, _: Any) -> None:
        self.say("the controller is killed (SIGKILL)")
        self._kills += 1
        self.lab.kill("controller")

    def _start_controller(self, _: Any) -> None:
        self.say("a new controller starts")
        self.lab.start_controller()

    def _freeze_controller(self, _: Any) -> None:
        self.say("the controller stands still (SIGSTOP), in the middle of what it does")
        self.lab.send_signal("controller", signal.SIGSTOP)

    def _wait_asleep(self, argument: dict[str, Any]) -> None:
        deadline = time.monotonic() + float(argument["within"])
        while not self.lab.asleep.exists():
            if time.monotonic() > deadline:
                raise LabError(f"not within {argument['within']:g} s: the controller is about to change DNS")
            self._look()
            time.sleep(POLL_S)
        self.say(
            "the controller stands still (SIGSTOP): its permits were looked at, its changes of DNS leave next"
        )

    def _thaw_controller(self, _: Any) -> None:
        self.say("the first controller wakes up, with the plan that it had")
        self.lab.send_signal("controller", signal.SIGCONT)

    def _start_standby(self, _: Any) -> None:
        self.say("a second controller starts; it acts once the lease has run out")
        self.lab.start_controller("standby")

    def _command(self, argument: list[str]) -> None:
        self.say(f"$ failover {' '.join(argument)}")
        environment = {
            **os.environ,
            "FAILOVER_STATE": str(self.lab.state),
            "FAILOVER_POLICIES": str(self.lab.policies),
        }
        process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "failover", *argument],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        while process.poll() is None:
            self._look()
            time.sleep(POLL_S)
        output = process.stdout.read() if process.stdout else ""
        if process.returncode != 0:
            raise LabError(
                f"failover {' '.join(argument)} ended with {process.returncode}:\n{output[-2000:]}"
            )

    # -- judging -------------------------------------------------------------------------------------------------------

    def _entries(self) -> list[JournalEntry]:
        reader = StatusReader(self.lab.state)
        try:
            rows = reader.entries()
        finally:
            reader.close()
        return [
            from_plain(JournalEntry, {key: item for key, item in row.items() if key != "text"})
            for row in rows
        ]

    def _runs(self) -> list[Run]:
        return list(fold(self._entries()).values())

    def _judge(self) -> dict[str, Any]:
        """The report object."""
        self._look()
        entries = self._entries()
        runs = list(fold(entries).values())
        made = EMPTY
        if runs:
            first = next((run for run in runs if run.plan.run_kind is not RunKind.ADOPTION), runs[0])
            made = to_plain(report(first, [entry for entry in entries if entry.run == first.id]))
        violations = [*self._watch.violations, *self._unmet(runs)]
        phases = dict(made["phases"])
        victims = [one.name for one in self.lab.lab.in_domain(self.scenario.victim)]
        verdict = next((self._worst[name] for name in victims if name in self._worst), "HEALTHY")
        return {
            "scenario": self.scenario.name,
            "verdict": verdict,
            "phases": phases,
            "replicas": made["replicas"],
            "records": made["records"],
            "violations": violations,
            "holds": not violations,
            "runs": [
                {
                    "id": run.id,
                    "run_kind": run.plan.run_kind.value,
                    "domain": run.plan.domain.name,
                    "state": run.state.value,
                    "sentence": run.sentence,
                }
                for run in runs
            ],
            "answers_checked": self._watch.asked,
            "seconds": round(time.monotonic() - self._began, 1),
        }

    def _stale_writes(self) -> list[str]:
        """What a leader that was succeeded still wrote: into the journal, or past its successor's fence in DNS."""
        epochs = _epochs(self._entries())
        wrong = []
        if epochs != sorted(epochs):
            wrong.append(f"an older epoch wrote after a newer one: {epochs}")
        if len(set(epochs)) < 2:
            wrong.append("no second controller ever acted")
        for application in self.lab.lab.applications:
            for server in range(len(self.lab.lab.dns_ports)):
                found = fence_epoch(self.lab, application.name, server)
                if found is not None and found < max(epochs):
                    wrong.append(
                        f"name server {server} has {application.name}'s fence of epoch {found}, the last was {max(epochs)}"
                    )
        if self.scenario.sleeps:
            wrong += check_fenced_off(self.lab)
        return wrong

    def _unmet(self, runs: list[Run]) -> list[str]:
        """Every expectation that does not hold."""
        expect, wrong = self.scenario.expect, []
        status = self._look() or {}
        victims = [one.name for one in self.lab.lab.in_domain(self.scenario.victim)]
        if "verdict" in expect and not any(
            self._worst.get(name, "HEALTHY") == expect["verdict"] for name in victims
        ):
            wrong.append(
                f"the verdict was {[self._worst.get(name, 'HEALTHY') for name in victims]}, expected {expect['verdict']}"
            )
        if "runs" in expect and len(runs) != expect["runs"]:
            wrong.append(f"{len(runs)} runs were opened, expected {expect['runs']}")
        if "state" in expect and [run.state.value for run in runs if run.state.value != expect["state"]]:
            wrong.append(f"the runs ended as {[run.state.value for run in runs]}, expected {expect['state']}")
        if "moved" in expect:
            wrong += check_moved(self.lab, list(expect["moved"]))
        if expect.get("home"):
            wrong += check_home(self.lab)
        wrong += check_placed(self.lab, expect.get("placed", {}))
        if "frozen" in expect and bool(status.get("freeze")) != expect["frozen"]:
            wrong.append("automation is not frozen" if expect["frozen"] else "automation is frozen")
        if "held-down" in expect and not any(
            item["name"] == expect["held-down"] and item["hold_down_until"]
            for item in status.get("clusters", [])
        ):
            wrong.append(f"{expect['held-down']} is not held down")
        if "shares" in expect:
            wrong += _other_shares(runs[-1], list(expect["shares"]))
        if expect.get("resumed") and len({int(entry.epoch) for entry in self._entries() if entry.run}) < 2:
            wrong.append("the run was not finished by another epoch than the one that opened it")
        if expect.get("fenced"):
            wrong += self._stale_writes()
        if expect.get("paused") and not status.get("pause"):
            wrong.append("automation is not paused")
        return wrong


def _other_shares(run: Run, wanted: list[int]) -> list[str]:
    """What is wrong if a run's changes gave the returning domain these percents of the answers, one after another."""
    shares: dict[str, list[int | None]] = {}
    for step in run.plan.steps:
        if isinstance(step, ChangeRecordsStep) and run.steps[step.id].verification is not None:
            shares.setdefault(f"{step.application} at {step.zone}", []).append(step.traffic_percent)
    wrong = [f"{name} went home by {found} %" for name, found in shares.items() if found != wanted]
    return wrong or ([] if shares else ["no share was read back"])


def _epochs(entries: list[JournalEntry]) -> list[int]:
    """The epoch of each entry, in the journal's order."""
    return [int(entry.epoch) for entry in entries]


_ORDER = (
    "HEALTHY",
    "DEGRADED",
    "UNKNOWN",
    "PATH_PROBLEM",
    "CONTROL_PLANE_UNKNOWN",
    "CONTROL_PLANE_DOWN",
    "DATA_PLANE_DOWN",
    "ISOLATED",
    "DOWN",
)


def _worse(one: str | None, other: str) -> str:
    """The graver of two verdicts: what the scenario's fault came to."""
    return other if one is None or _ORDER.index(other) > _ORDER.index(one) else one


def _where(step: str) -> str:
    return " ".join(step.split(":")[1:4])

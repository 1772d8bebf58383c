"""The lab's region loss at size: 100 deployments of 6 replicas, five vantages, `fast`, floor 66, pods ready after 1 s.

The region is killed with its vantage and its clients' endpoint (SIGKILL), or frozen (SIGSTOP); seconds from the fault.
"""

import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from failover.execution.runs import fold
from failover.lab.faults import switch
from failover.lab.presets import make_lab
from failover.lab.processes import LabProcesses
from failover.model.codec import from_plain
from failover.model.journal import JournalEntry, StepState
from failover.model.plan import ChangeRecordsStep, Phase
from failover.store.reader import NoStore, StatusReader
from tests.benchmarks.figures import Figure

REPEATED = 3
LIMITS = {"killed": (7, 8, 10), "silent": (8, 10, None)}


def measure() -> list[Figure]:
    """Killed and silent."""
    figures = []
    for kind, limits in LIMITS.items():
        runs = [_once(silent=kind == "silent") for _ in range(REPEATED)]
        for at, (word, limit) in enumerate(
            zip(("verdict", "DNS read back", "replicas ready"), limits, strict=True)
        ):
            if limit is not None:
                values = tuple(run[at] for run in runs)
                figures.append(
                    Figure(
                        benchmark=f"lab region {kind}",
                        what=f"fault to {word}",
                        unit="s",
                        limit=limit,
                        values=values,
                    )
                )
    return figures


def _once(*, silent: bool) -> tuple[float, float, float]:
    lab = make_lab(applications=[["bench", 100, 6]], floor=66)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        processes = LabProcesses(lab, Path(folder))
        try:
            processes.prepare()
            processes.start_world()
            processes.start_controller()
            processes.start_vantages()
            _until(processes, _healthy, 90)
            time.sleep(3)
            fault = time.time()
            switch(processes, "region", "north", on=True, options={"silent": silent})
            _until(processes, lambda status: any(run["closed_at"] for run in status["runs"]), 60)
            return _times(processes, fault)
        finally:
            if silent:
                switch(processes, "region", "north", on=False, options={"silent": True})
            processes.stop()


def _healthy(status: dict[str, Any]) -> bool:
    return (
        status["warm_up"] is None
        and all(
            one["verdict"] == "HEALTHY" and one["replicas_ready"] == one["replicas_wanted"]
            for one in status["clusters"]
        )
        and all(one["state"] == "ok" for one in status["vantages"])
    )


def _until(processes: LabProcesses, what: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            reader = StatusReader(processes.state)
            status = reader.document("status")
            reader.close()
        except NoStore:
            status = None
        if status is not None and what(status):
            return
        time.sleep(0.2)
    raise SystemExit(f"the lab did not get there in {seconds} s:\n{processes.log_tail('controller')}")


def _times(processes: LabProcesses, fault: float) -> tuple[float, float, float]:
    reader = StatusReader(processes.state)
    rows = reader.entries()
    reader.close()
    run = next(
        iter(
            fold(
                [from_plain(JournalEntry, {k: v for k, v in row.items() if k != "text"}) for row in rows]
            ).values()
        )
    )
    assert run.state.value == "done", run.sentence
    assert all(item.state is StepState.DONE for item in run.steps.values())
    served = [run.steps[step.id].since for step in run.plan.steps if isinstance(step, ChangeRecordsStep)]
    capacity = [run.steps[step.id].since for step in run.plan.steps if step.phase is Phase.CAPACITY]

    def since(at: datetime | None) -> float:
        assert at is not None
        return at.timestamp() - fault

    return since(run.verdict_at), since(max(served)), since(max(capacity))

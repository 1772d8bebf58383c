"""A running lab with a controller, and the `failover` command against it, each a real process."""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from failover.lab.presets import make_lab
from failover.lab.processes import LabProcesses
from failover.store.reader import NoStore, StatusReader

Status = dict[str, Any]


class Shop:
    """A running lab with a controller, and the `failover` command against it."""

    def __init__(self, folder: Path, **lab: Any) -> None:
        self.lab = LabProcesses(make_lab(**lab), folder)
        self.lab.prepare()
        self.lab.start_world()

    def open(self) -> None:
        """Start the controller and the vantages, and wait until all is well."""
        self.lab.start_controller()
        self.lab.start_vantages()
        self.healthy()

    @property
    def environment(self) -> dict[str, str]:
        """In which every command finds its place."""
        return {
            **os.environ,
            "FAILOVER_STATE": str(self.lab.state),
            "FAILOVER_POLICIES": str(self.lab.policies),
        }

    def failover(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "failover", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=120,
            check=False,
        )

    def status(self) -> Status | None:
        """The status document as it stands in the store."""
        try:
            reader = StatusReader(self.lab.state)
            status = reader.document("status")
            reader.close()
        except NoStore:
            return None
        return status

    def until(self, what: Callable[[Status], Any], seconds: float = 60.0) -> Status:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            status = self.status()
            if status is not None and what(status):
                return status
            time.sleep(0.1)
        raise AssertionError(f"not within {seconds} s\n{self.lab.log_tail('controller')}")

    def verdict(self, cluster: str, verdict: str) -> None:
        self.until(
            lambda status: any(c["name"] == cluster and c["verdict"] == verdict for c in status["clusters"])
        )

    def healthy(self) -> None:
        self.until(
            lambda status: (
                status["warm_up"] is None
                and all(
                    c["verdict"] == "HEALTHY" and c["replicas_ready"] == c["replicas_wanted"]
                    for c in status["clusters"]
                )
                and all(v["state"] == "ok" for v in status["vantages"])
            )
        )

    def follow(self, lines: Iterable[str], allowed: dict[str, tuple[int, ...]] | None = None) -> None:
        """Run `failover ...` command lines; each ends with 0 unless `allowed` names other codes for its verb."""
        for line in lines:
            arguments = shlex.split(line, comments=True)[1:]
            codes = (allowed or {}).get(arguments[0], (0,))
            done = self.failover(*arguments)
            said = f"{line}\nended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
            assert done.returncode in codes, said
            assert "Traceback" not in done.stderr, said

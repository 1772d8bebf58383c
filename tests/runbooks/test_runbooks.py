"""Every command line of every runbook is run against a lab that is in the state which the runbook is for.

What a runbook promises is checked too: a command may end only with the exit codes that are named here.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from failover.lab.faults import switch
from failover.lab.presets import make_lab
from failover.lab.processes import LabProcesses
from failover.store.reader import NoStore, StatusReader

RUNBOOKS = Path(__file__).parents[2] / "runbooks"


def commands_of(name: str) -> list[list[str]]:
    """The command lines of a runbook's `sh` blocks, in order."""
    import shlex

    blocks = re.findall(r"```sh\n(.*?)```", (RUNBOOKS / name).read_text(), re.S)
    lines = [line for block in blocks for line in block.splitlines() if line.strip()]
    assert all(line.startswith("failover ") for line in lines), lines
    return [shlex.split(line)[1:] for line in lines]


class Shop:
    """A running lab with a controller, and the `failover` command against it."""

    def __init__(self, folder: Path) -> None:
        self.lab = LabProcesses(make_lab(), folder)
        self.lab.prepare()
        self.lab.start_world()
        self.lab.start_controller()
        self.lab.start_vantages()

    def failover(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "FAILOVER_STATE": str(self.lab.state),
            "FAILOVER_POLICIES": str(self.lab.policies),
        }
        return subprocess.run(
            [sys.executable, "-m", "failover", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=120,
            check=False,
        )

    def until(self, what, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                reader = StatusReader(self.lab.state)
                status = reader.document("status")
                reader.close()
            except NoStore:
                status = None
            if status is not None and what(status):
                return
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

    def follow(self, runbook: str, allowed: dict[str, tuple[int, ...]] | None = None) -> None:
        """Run a runbook's commands; each ends with 0 unless `allowed` names other codes for its verb."""
        for arguments in commands_of(runbook):
            codes = (allowed or {}).get(arguments[0], (0,))
            done = self.failover(*arguments)
            said = (
                f"failover {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
            )
            assert done.returncode in codes, said
            assert "Traceback" not in done.stderr, said


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path / "lab")
    try:
        made.healthy()
        yield made
    finally:
        made.lab.stop()


def lost_by_hand(shop: Shop) -> None:
    """A region dies while automation is paused: the person does it."""
    assert shop.failover("pause", "--reason", "drill").returncode == 0
    switch(shop.lab, "region", "north", on=True)
    shop.verdict("north-1", "DOWN")


def test_region_lost_and_failback(shop: Shop) -> None:
    lost_by_hand(shop)
    shop.follow("region-lost.md")
    switch(shop.lab, "region", "north", on=False)
    shop.verdict("north-1", "HEALTHY")
    shop.until(
        lambda status: (
            shop.failover("plan", "region/north", "--kind", "failback", "-o", "json").returncode == 0
        )
    )
    time.sleep(10.5)
    shop.follow("failback.md")


def test_control_plane_lost(shop: Shop) -> None:
    switch(shop.lab, "control-plane", "north", on=True)
    shop.verdict("north-1", "CONTROL_PLANE_DOWN")
    shop.follow("control-plane-lost.md")


def test_planned_drain(shop: Shop) -> None:
    shop.follow("planned-drain.md")


def test_controller_dead(shop: Shop) -> None:
    lost_by_hand(shop)
    shop.lab.kill("controller")
    shop.follow("controller-dead.md")


def test_dns_refuses(shop: Shop) -> None:
    shop.lab.tell("names", {"server": 0, "faults": {"refuse_updates": True}})
    shop.follow("dns-refuses.md", {"validate": (1,)})


def test_every_runbook_is_followed_here() -> None:
    followed = {
        "region-lost.md",
        "failback.md",
        "control-plane-lost.md",
        "planned-drain.md",
        "controller-dead.md",
        "dns-refuses.md",
    }
    assert {path.name for path in RUNBOOKS.glob("*.md")} == followed | {"README.md"}

"""Every command line of every runbook is run against a lab that is in the state which the runbook is for.

What a runbook promises is checked too: a command may end only with the exit codes that are named here.
"""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from failover.lab.faults import switch
from tests.support.shop import Shop

RUNBOOKS = Path(__file__).parents[2] / "runbooks"


def commands_of(name: str) -> list[str]:
    """The command lines of a runbook's `sh` blocks, in order."""
    blocks = re.findall(r"```sh\n(.*?)```", (RUNBOOKS / name).read_text(), re.S)
    lines = [line for block in blocks for line in block.splitlines() if line.strip()]
    assert all(line.startswith("failover ") for line in lines), lines
    return lines


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path / "lab")
    try:
        made.open()
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
    shop.follow(commands_of("region-lost.md"))
    switch(shop.lab, "region", "north", on=False)
    shop.verdict("north-1", "HEALTHY")
    shop.until(
        lambda status: (
            shop.failover("plan", "region/north", "--kind", "failback", "-o", "json").returncode == 0
        )
    )
    time.sleep(10.5)
    shop.follow(commands_of("failback.md"))


def test_control_plane_lost(shop: Shop) -> None:
    switch(shop.lab, "control-plane", "north", on=True)
    shop.verdict("north-1", "CONTROL_PLANE_DOWN")
    shop.follow(commands_of("control-plane-lost.md"))


def test_planned_drain(shop: Shop) -> None:
    shop.follow(commands_of("planned-drain.md"))


def test_controller_dead(shop: Shop) -> None:
    lost_by_hand(shop)
    shop.lab.kill("controller")
    shop.follow(commands_of("controller-dead.md"))


def test_dns_refuses(shop: Shop) -> None:
    shop.lab.tell("names", {"server": 0, "faults": {"refuse_updates": True}})
    shop.follow(commands_of("dns-refuses.md"), {"validate": (1,)})


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

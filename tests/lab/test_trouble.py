"""The shipped controller as a process, with its own troubles: a second one, its database, its files, its credentials."""

import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from failover.lab.faults import switch
from failover.lab.truth import answers, workloads
from failover.store.schema import FILE_NAME
from tests.support.shop import Shop, Status

HOME = ("127.0.1.1", "127.0.1.2", "127.0.1.3")
AWAY = ("127.0.1.2", "127.0.1.3")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path / "lab")
    try:
        made.open()
        yield made
    finally:
        made.lab.stop()


def lose(shop: Shop, **options: Any) -> None:
    switch(shop.lab, "region", "north", on=True, options=options)


def moved(status: Status) -> bool:
    return any(run["state"] == "done" for run in status["runs"])


def untouched(shop: Shop) -> bool:
    """Nobody has changed a record or a survivor."""
    found = workloads(shop.lab, "south-1")
    assert found is not None
    return answers(shop.lab, "shop") == HOME and all(wanted == 2 for wanted, _ in found.values())


def start_by_hand(shop: Shop) -> "subprocess.Popen[str]":
    """Another `failover run` over the same state and policies, without a listener."""
    command = [sys.executable, "-m", "failover", "run"]
    command += ["--state", str(shop.lab.state), "--policies", str(shop.lab.policies)]
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def ended(process: "subprocess.Popen[str]", seconds: float = 20.0) -> tuple[int, str]:
    said, _ = process.communicate(timeout=seconds)
    return process.returncode, said


# -- two of it ---------------------------------------------------------------------------------------------------------


def test_a_second_controller_stands_by_and_acts_as_soon_as_the_first_is_dead(shop: Shop) -> None:
    first = shop.status()
    assert first is not None
    second = start_by_hand(shop)
    try:
        lose(shop)
        status = shop.until(moved)
        assert status["leader"]["holder"] == first["leader"]["holder"], "the standby does not act"
        assert len(status["runs"]) == 1
        shop.lab.kill("controller")
        shop.until(lambda seen: seen["leader"]["holder"] != first["leader"]["holder"], 30)
        status = shop.status()
        assert status is not None
        assert status["leader"]["epoch"] == first["leader"]["epoch"] + 1
        assert answers(shop.lab, "shop") == AWAY
    finally:
        second.terminate()
        code, said = ended(second)
    assert "standing by" in said
    assert code == 0, said


def test_one_that_was_frozen_past_its_lease_wakes_up_to_refusals(shop: Shop) -> None:
    second = start_by_hand(shop)
    try:
        before = shop.status()
        assert before is not None
        shop.lab.send_signal("controller", signal.SIGSTOP)
        shop.until(lambda seen: seen["leader"]["epoch"] > before["leader"]["epoch"], 60)
        holder = shop.until(lambda seen: True)["leader"]["holder"]
        shop.lab.send_signal("controller", signal.SIGCONT)
        shop.until(lambda seen: shop.lab.log_tail("controller").count("leader") > 1, 30)
        status = shop.status()
        assert status is not None
        assert status["leader"]["holder"] == holder
        assert untouched(shop)
    finally:
        second.terminate()
        ended(second)


# -- its database ------------------------------------------------------------------------------------------------------


def test_without_room_on_the_disk_nothing_is_done_and_with_room_it_goes_on(shop: Shop) -> None:
    pid = shop.lab.running["controller"].pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, hard))
    lose(shop)
    shop.until(lambda seen: "journal.trouble" in shop.lab.log_tail("controller"), 30)
    assert untouched(shop)
    assert shop.lab.running["controller"].poll() is None, "it waits for room, it does not die"
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))
    shop.until(moved)
    assert answers(shop.lab, "shop") == AWAY


def test_a_database_that_somebody_locks_stops_automation_until_it_is_free(shop: Shop) -> None:
    holder = sqlite3.connect(shop.lab.state / FILE_NAME, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        lose(shop)
        shop.until(lambda seen: "journal.trouble" in shop.lab.log_tail("controller"), 60)
        assert untouched(shop)
    finally:
        holder.execute("ROLLBACK")
        holder.close()
    shop.until(moved)


def test_yesterdays_database_waits_for_a_person(shop: Shop) -> None:
    copy = shop.lab.folder / "yesterday.db"
    with sqlite3.connect(shop.lab.state / FILE_NAME) as live, sqlite3.connect(copy) as kept:
        live.backup(kept)
    shop.follow(["failover cordon region/west --reason x", "failover uncordon region/west"])
    time.sleep(2.5)  # the vantages are told of the journal's head with the answers to their reports
    shop.lab.kill("controller")
    for name in (FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm"):
        (shop.lab.state / name).unlink(missing_ok=True)
    copy.rename(shop.lab.state / FILE_NAME)
    (shop.lab.state / FILE_NAME).chmod(0o600)
    shop.lab.start_controller()
    shop.until(lambda seen: "restored" in seen["doubt"], 40)
    lose(shop)
    shop.verdict("north-1", "DOWN")
    time.sleep(5)
    assert untouched(shop)
    shop.follow(["failover resume --reason 'looked at the fleet'"])
    shop.until(moved)


def test_a_truncated_database_is_not_opened_and_says_what_to_do(shop: Shop) -> None:
    shop.lab.kill("controller")
    for name in (f"{FILE_NAME}-wal", f"{FILE_NAME}-shm"):
        (shop.lab.state / name).unlink(missing_ok=True)
    os.truncate(shop.lab.state / FILE_NAME, 6000)
    code, said = ended(start_by_hand(shop))
    assert code == 1, said
    assert "then `failover resume`" in said
    assert "Traceback" not in said
    for arguments in (["status"], ["evacuate", "region/north", "--yes", "--reason", "x"], ["history"]):
        done = shop.failover(*arguments)
        assert done.returncode == 1, done
        assert "Traceback" not in done.stderr
        assert FILE_NAME in done.stderr


# -- its files ---------------------------------------------------------------------------------------------------------


def test_a_policy_edited_in_the_middle_of_a_run_changes_later_plans_and_not_this_one(shop: Shop) -> None:
    before = shop.status()
    assert before is not None
    lose(shop)
    shop.until(lambda seen: seen["runs"])
    guards = next(path for path in shop.lab.policies.glob("*.yaml") if "kind: Guards" in path.read_text())
    guards.write_text(guards.read_text() + "\n# a comment\n")
    fleet = next(path for path in shop.lab.policies.glob("*.yaml") if "kind: Application" in path.read_text())
    fleet.write_text(fleet.read_text().replace("mode: auto", "mode: recommend"))
    status = shop.until(lambda seen: seen["generation"] != before["generation"] and moved(seen))
    assert {item["mode"] for item in status["applications"]} == {"recommend"}
    assert answers(shop.lab, "shop") == AWAY


def test_an_invalid_policy_changes_nothing_and_is_told(shop: Shop) -> None:
    before = shop.status()
    assert before is not None
    file = next(path for path in shop.lab.policies.glob("*.yaml") if "kind: Application" in path.read_text())
    good = file.read_text()
    file.write_text(good.replace("mode: auto", "mode: automatic"))
    status = shop.until(lambda seen: seen["policy_problems"])
    assert status["generation"] == before["generation"]
    assert "mode" in status["policy_problems"][0]
    lose(shop)
    shop.until(moved)
    file.write_text(good)
    shop.until(lambda seen: not seen["policy_problems"])


def test_a_kubeconfig_that_was_missing_is_taken_on_when_it_comes(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "lab")
    try:
        file = shop.lab.folder / "kubeconfig.yaml"
        kept = file.read_text()
        file.unlink()
        shop.lab.start_controller()
        shop.lab.start_vantages()
        status = shop.until(lambda seen: all(c["signals"] for c in seen["clusters"]))
        assert all(item["verdict"] != "DOWN" for item in status["clusters"])
        assert all("kubeconfig" in item["inventory_error"] for item in status["clusters"])
        file.write_text(kept)
        shop.healthy()
    finally:
        shop.lab.stop()

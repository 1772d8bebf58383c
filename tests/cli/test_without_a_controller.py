"""Commands while the controller is dead or frozen: nothing old is called the present, and a dry run changes nothing."""

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from failover.lab.faults import switch
from failover.lab.truth import answers
from failover.store.reader import StatusReader
from tests.support.shop import Shop

AWAY = ("127.0.1.2", "127.0.1.3")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A lease so long that a test on a slow machine never sees it run out."""
    made = Shop(tmp_path / "lab", timing={"lease": "120s"})
    try:
        made.open()
        yield made
    finally:
        made.lab.stop()


def journal(shop: Shop) -> tuple[int, int]:
    """(entries, epoch): what leadership and every word leave behind."""
    with StatusReader(shop.lab.state) as reader:
        leader = reader.leader()
        assert leader is not None
        return reader.head()[0], leader["epoch"]


def words(text: str) -> str:
    return " ".join(text.split())


def test_a_dead_controllers_word_is_marked_and_a_plan_takes_no_lease(shop: Shop) -> None:
    switch(shop.lab, "region", "north", on=True)
    assert shop.failover("pause", "--reason", "drill").returncode == 0
    shop.verdict("north-1", "DOWN")
    shop.lab.kill("controller")
    told = shop.failover("status", "-o", "wide")
    assert "dead: nobody watches or acts" in told.stdout
    assert "! NOT THE PRESENT" in told.stdout
    assert re.search(r"south-1 HEALTHY, \d+ s ago - 8/8, \d+ s ago", words(told.stdout))
    assert re.search(r"north-1 DOWN, \d+ s ago - 0/8 \(8 when last seen\)", words(told.stdout))
    assert re.search(
        r"shop auto 12/18, \d+ s ago shop.lab.test. A 127.0.1.1, 127.0.1.2, 127.0.1.3, \d+ s ago",
        words(told.stdout),
    )
    assert re.search(r"south-1 \(.*\): HEALTHY, \d+ s ago", shop.failover("explain", "south-1").stdout)
    assert re.search(r"12 of 18 replicas ready, \d+ s ago", shop.failover("explain", "shop").stdout)
    assert shop.failover("status", "--exit-code").returncode == 3

    before = journal(shop)
    planned = shop.failover("plan", "region/north")
    assert planned.returncode == 0, planned
    assert "is dead: acting without it" in planned.stderr
    assert shop.failover("plan", "region/south").returncode == 4, "south serves"
    assert shop.failover("evacuate", "region/north", "--dry-run").returncode == 0
    assert journal(shop) == before, "a dry run changes nothing (I25)"

    done = shop.failover("evacuate", "region/north", "--yes", "--reason", "the controller is dead")
    assert done.returncode == 0, done.stderr
    assert "south-1: deployment/shop/shop-000 replicas 2 -> 3" in done.stderr
    assert "shop: 18 of 18 ready" in done.stderr
    assert answers(shop.lab, "shop") == AWAY
    told = shop.failover("status")
    assert "a command without a controller looked at them" in words(told.stdout)
    assert re.search(
        r"shop auto 18/18, \d+ s ago shop.lab.test. A 127.0.1.2, 127.0.1.3, \d+ s ago", words(told.stdout)
    )
    found = json.loads(shop.failover("status", "-o", "json").stdout)
    assert {item["name"]: item["verdict"] for item in found["clusters"]}["north-1"] == "DOWN"


def test_a_drain_without_a_controller_takes_the_source_away_at_the_end(shop: Shop) -> None:
    shop.lab.kill("controller")
    done = shop.failover("drain", "region/north", "--yes")
    assert done.returncode == 0, done.stderr
    assert "north-1: deployment/shop/shop-000 replicas 2 -> 0" in done.stderr
    told = words(shop.failover("status").stdout)
    assert re.search(r"north-1 HEALTHY, \d+ s ago - 0/0, \d+ s ago", told)
    assert "is back and runs" not in told


def test_what_people_say_needs_no_valid_policy(shop: Shop) -> None:
    shop.lab.kill("controller")
    for file in shop.lab.policies.glob("*.yaml"):
        file.write_text("a: [1\n")
    done = shop.failover("pause", "--reason", "nothing works")
    assert done.returncode == 0, done.stderr
    assert "pause needs none" in done.stderr
    assert shop.failover("cordon", "region/north", "--reason", "look").returncode == 0
    assert shop.failover("cordon", "vantage/elsewhere").returncode == 0
    told = words(shop.failover("status").stdout)
    assert "PAUSED by" in told
    assert re.search(r"cordoned \(region/north\) by \S+: look", told)
    assert re.search(r"elsewhere outside ok, \d+ s ago; cordoned \(vantage/elsewhere\) by", told)
    assert shop.failover("uncordon", "region/north").returncode == 0
    assert shop.failover("uncordon", "region/north").returncode == 64
    assert shop.failover("cordon", "region/nrth").returncode == 64
    for file in shop.lab.policies.glob("*.yaml"):
        file.unlink()
    shop.lab.policies.rmdir()
    assert shop.failover("resume").returncode == 0
    assert "PAUSED" not in shop.failover("status").stdout
    assert shop.failover("plan", "region/north").returncode == 1


def test_a_frozen_controller_is_told_from_a_busy_one_and_overruled_by_name_only(shop: Shop) -> None:
    shop.lab.send_signal("controller", signal.SIGSTOP)
    done = shop.failover("pause", "--reason", "x")
    assert done.returncode == 4, done.stderr
    assert "holds the lease for" in done.stderr
    assert "and does not answer (nothing came back within 3 s)" in done.stderr
    assert "--take-over" in done.stderr
    refused = shop.failover("drain", "region/north", "--yes")
    assert refused.returncode == 4, "refused before anybody has to type a name"
    assert refused.stdout == ""
    before = journal(shop)
    planned = shop.failover("plan", "region/north", "--kind", "drain")
    assert planned.returncode == 0, planned.stderr
    assert "worked out without it, and changes nothing" in planned.stderr
    assert journal(shop) == before
    done = shop.failover("pause", "--reason", "x", "--take-over")
    assert done.returncode == 0, done.stderr
    assert "it is overruled (--take-over)" in done.stderr
    assert journal(shop)[1] == before[1] + 1
    shop.lab.send_signal("controller", signal.SIGCONT)
    assert shop.until(lambda status: status["leader"]["epoch"] > before[1] + 1)["pause"]

"""Every command of every runbook is run against a lab that is in the state which the runbook is for.

What a runbook promises is checked too: a command may end only with the exit codes that are named here.
"""

import json
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from failover.cli import exits
from failover.cli.commands import app
from failover.lab.faults import switch
from failover.lab.truth import answers
from tests.runbooks.books import RUNBOOKS, Book, codes_of
from tests.support.shop import Shop

AWAY = ("127.0.1.2", "127.0.1.3")
FOLLOWED = {
    "region-lost.md",
    "failback.md",
    "control-plane-lost.md",
    "planned-drain.md",
    "controller-dead.md",
    "controller-frozen.md",
    "dns-refuses.md",
    "not-enough-room.md",
}


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


def refuse_updates(shop: Shop, on: bool) -> None:
    switch(shop.lab, "name-server", "primary", on=on, options={"refuse_updates": True} if on else {})


def last_run(shop: Shop, *states: str) -> str:
    status = shop.until(lambda seen: seen["runs"] and seen["runs"][-1]["state"] in states, 120)
    return str(status["runs"][-1]["id"])


def epoch(shop: Shop) -> int:
    """Whose word counts now, as the store has it."""
    return int(json.loads(shop.failover("status", "-o", "json").stdout)["leader"]["epoch"])


def test_region_lost_and_failback(shop: Shop) -> None:
    lost_by_hand(shop)
    lost = Book("region-lost.md", shop)
    assert "north-1" in lost.watch("failover status -w")
    lost.follow()
    lost.finish()

    switch(shop.lab, "region", "north", on=False)
    shop.verdict("north-1", "HEALTHY")
    shop.until(
        lambda status: (
            shop.failover("plan", "region/north", "--kind", "failback", "-o", "json").returncode == 0
        )
    )
    time.sleep(10.5)
    home = Book("failback.md", shop)
    home.follow()
    home.say("failover ack")
    assert shop.failover("drain", "region/north", "--reason", "once more", "--yes").returncode == 0
    home.say("failover failback region/north --override not-stable")
    home.finish()


def test_control_plane_lost(shop: Shop) -> None:
    switch(shop.lab, "control-plane", "north", on=True)
    shop.verdict("north-1", "CONTROL_PLANE_DOWN")
    book = Book("control-plane-lost.md", shop)
    book.follow(until="failover uncordon")
    switch(shop.lab, "control-plane", "north", on=False)
    shop.verdict("north-1", "HEALTHY")
    book.follow()
    book.finish()


def test_planned_drain(shop: Shop) -> None:
    book = Book("planned-drain.md", shop)
    book.follow()
    book.finish()


def test_not_enough_room(shop: Shop) -> None:
    book = Book("not-enough-room.md", shop)
    book.follow()
    book.say("failover status")
    book.finish()


def test_controller_dead(shop: Shop) -> None:
    lost_by_hand(shop)
    shop.lab.kill("controller")
    book = Book("controller-dead.md", shop)
    book.follow(until="failover plan")
    before = shop.until(lambda status: True)["leader"]["epoch"]
    again = book.start("failover run")
    try:
        shop.until(lambda status: status["leader"]["epoch"] > before)
    finally:
        again.kill()
        again.communicate(timeout=30)
    book.follow()
    book.say("failover resume")
    book.finish()
    assert answers(shop.lab, "shop") == AWAY


def test_controller_frozen(shop: Shop) -> None:
    lost_by_hand(shop)
    before = epoch(shop)
    shop.lab.send_signal("controller", signal.SIGSTOP)
    refused = shop.failover("evacuate", "region/north", "--reason", "frozen", "--yes")
    assert refused.returncode == exits.REFUSED
    assert "holds the lease" in refused.stderr
    book = Book("controller-frozen.md", shop)
    book.follow()
    book.finish()
    assert epoch(shop) > before
    assert answers(shop.lab, "shop") == AWAY


def test_dns_refuses_a_run_that_was_halted(shop: Shop) -> None:
    for cluster in ("south", "west"):
        switch(shop.lab, "never-ready", cluster, on=True)
    switch(shop.lab, "region", "north", on=True)
    last_run(shop, "running")
    refuse_updates(shop, True)
    assert shop.failover("pause", "--reason", "what is DNS doing?").returncode == 0
    for cluster in ("south", "west"):
        switch(shop.lab, "never-ready", cluster, on=False)
    run = last_run(shop, "halted")
    book = Book("dns-refuses.md", shop)
    book.follow(
        until="failover plan", allowed={"validate": (exits.ERROR,), "dns": (exits.DONE, exits.UNHEALTHY)}
    )
    refuse_updates(shop, False)
    book.follow(allowed={"plan": (exits.DONE, exits.REFUSED)})
    book.say("failover resume-run", RUN=run)
    assert answers(shop.lab, "shop") == AWAY
    assert "nothing would change" in book.say("failover evacuate")
    book.say("failover dns verify")
    book.finish()


def test_dns_refuses_a_run_that_ended_partial(shop: Shop) -> None:
    lost_by_hand(shop)
    refuse_updates(shop, True)
    half = shop.failover("evacuate", "region/north", "--reason", "region lost", "--yes")
    assert half.returncode == exits.PARTIAL, half.stderr
    run = last_run(shop, "partial")
    book = Book("dns-refuses.md", shop)
    book.follow(
        until="failover plan", allowed={"validate": (exits.ERROR,), "dns": (exits.DONE, exits.UNHEALTHY)}
    )
    refuse_updates(shop, False)
    book.follow()
    book.say("failover resume-run", RUN=run, ends=exits.USAGE)  # that is for a halted one
    book.say("failover evacuate")
    book.say("failover dns verify")
    book.finish()
    assert answers(shop.lab, "shop") == AWAY


def test_what_dns_says_is_what_the_runbook_tells_to_look_for(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "lab")
    key = shop.lab.folder / "tsig.key"
    good = key.read_text()

    def said() -> str:
        done = shop.failover("validate", "--live")
        assert done.returncode == exits.ERROR
        return done.stdout

    seen: dict[str, str] = {}
    try:
        assert shop.failover("validate", "--live").returncode == exits.DONE
        refuse_updates(shop, True)
        seen["REFUSED"] = said()
        switch(shop.lab, "name-server", "primary", on=True, options={"clock_offset_s": 900.0})
        seen["BADTIME"] = said()
        refuse_updates(shop, False)
        key.write_text(good.replace('key "', 'key "another-'))
        seen["BADKEY"] = said()
        key.write_text(re.sub(r'secret "[^"]{4}', 'secret "AAAA', good))
        seen["BADSIG"] = said()
    finally:
        shop.lab.stop()
    for word, text in seen.items():
        assert word in text
    words = {code for code in codes_of("dns-refuses.md") if code.isupper()}
    assert words == set(seen)


def test_every_runbook_is_followed_here() -> None:
    assert {path.name for path in RUNBOOKS.glob("*.md")} == FOLLOWED | {"README.md"}
    for name in FOLLOWED:
        assert name in (RUNBOOKS / "README.md").read_text()


def test_a_command_is_written_whole_so_that_it_can_be_run() -> None:
    verbs = {command.name or command.callback.__name__ for command in app.registered_commands}
    for name in FOLLOWED:
        for code in codes_of(name):
            assert not code.startswith("-"), f"{name}: {code}: an option without its command"
            assert code.split()[0] not in verbs, f"{name}: {code}: a command begins with `failover`"
            assert not ("…" in code and code.startswith("failover ")), (
                f"{name}: {code}: a command that nobody can run"
            )

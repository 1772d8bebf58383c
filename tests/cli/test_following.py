"""Following a run: an end is told also where the run halts, where the person goes away, and where the controller dies."""

import json
import re
import signal
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from failover.lab.faults import switch
from failover.store.reader import StatusReader
from tests.cli.running import environment
from tests.support.shop import Shop, Status


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A lab in which no new replica becomes ready, so that every run has to wait."""
    made = Shop(tmp_path / "lab")
    try:
        made.open()
        hold(made)
        yield made
    finally:
        made.lab.stop()


def hold(shop: Shop, on: bool = True) -> None:
    for region in ("south", "west"):
        switch(shop.lab, "never-ready", region, on=on)


def begin(shop: Shop, *arguments: str) -> "subprocess.Popen[str]":
    """A command that follows its run."""
    return subprocess.Popen(
        [sys.executable, "-m", "failover", *arguments],
        env=environment(shop.lab.state, shop.lab.policies),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def waiting(status: Status) -> bool:
    """The last run has ordered its replicas and waits for them."""
    return bool(status["runs"]) and "waits for replicas" in status["runs"][-1]["waits_for"]


def until_resumed(shop: Shop, run: str) -> None:
    """Somebody drives the run."""

    def resumed(status: Status) -> bool:
        with StatusReader(shop.lab.state) as reader:
            return any(row["entry"]["kind"] == "run-resumed" for row in reader.entries(run=run))

    shop.until(resumed)


def last(shop: Shop, state: str) -> str:
    """The last run, once it is in this state."""
    found = shop.until(lambda status: status["runs"] and status["runs"][-1]["state"] == state)
    return str(found["runs"][-1]["id"])


def test_who_goes_away_is_told_that_the_run_goes_on_and_an_abort_that_was_asked_for_is_a_success(
    shop: Shop,
) -> None:
    drain = begin(shop, "drain", "region/north", "--yes", "--reason", "maintenance")
    status = shop.until(waiting)
    assert re.search(r"shop: waits for replicas, 12 of 18 ready", status["runs"][-1]["waits_for"])
    drain.send_signal(signal.SIGINT)
    _, said = drain.communicate(timeout=60)
    run = last(shop, "running")
    assert drain.returncode == 130, said
    assert f"run {run} goes on without you" in said
    assert "south-1: deployment/shop/shop-000 replicas 2 -> 3" in said
    assert "12 of 18 ready" in shop.failover("status").stdout
    done = shop.failover("abort", run, "--reason", "changed my mind")
    assert done.returncode == 0, done.stderr
    assert "aborted by" in done.stderr
    assert "changed my mind" in done.stderr


def raise_fence(shop: Shop, cluster: str, epoch: int) -> None:
    """Somebody with a newer epoch has acted in a cluster."""
    assert shop.lab.certificates is not None
    one = next(item for item in shop.lab.lab.clusters if item.name == cluster)
    token = yaml.safe_load((shop.lab.folder / "kubeconfig.yaml").read_text())["users"][0]["user"]["token"]
    request = urllib.request.Request(
        f"https://127.0.0.1:{one.api_port}/api/v1/namespaces/failover/configmaps/failover-fence",
        data=json.dumps({"data": {"epoch": str(epoch)}}).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/merge-patch+json"},
        method="PATCH",
    )
    trust = ssl.create_default_context(cafile=str(shop.lab.certificates.authority))
    urllib.request.urlopen(request, context=trust, timeout=10).close()


def test_a_halt_ends_the_follow_with_why_and_how_to_go_on(shop: Shop) -> None:
    drain = begin(shop, "drain", "region/north", "--yes")
    shop.until(waiting)
    raise_fence(shop, "north-1", 99)
    shop.until(lambda status: status["doubt"])
    hold(shop, on=False)
    _, said = drain.communicate(timeout=60)
    run = last(shop, "halted")
    assert drain.returncode == 5, said
    assert f"run {run} is halted: a fence carries epoch 99" in said
    assert f"failover resume-run {run}" in said
    assert f"failover abort {run}" in said
    assert f"`failover resume-run {run}`" in shop.failover("status").stdout
    assert shop.failover("resume", "--reason", "it was us").returncode == 0
    done = shop.failover("resume-run", run)
    assert done.returncode == 0, done.stderr
    assert "resumed by" in done.stderr


def test_a_controller_that_dies_ends_the_follow_and_the_run_goes_on_without_it(shop: Shop) -> None:
    drain = begin(shop, "drain", "region/north", "--yes")
    shop.until(waiting)
    shop.lab.kill("controller")
    _, said = drain.communicate(timeout=60)
    run = last(shop, "running")
    assert drain.returncode == 5, said
    assert "the controller" in said
    assert f"run {run} stands still" in said
    status = shop.failover("status")
    assert "NOT THE PRESENT" in status.stdout
    assert f"`failover resume-run {run}`" in status.stdout

    goes_on = begin(shop, "resume-run", run)
    until_resumed(shop, run)
    goes_on.send_signal(signal.SIGINT)
    _, said = goes_on.communicate(timeout=60)
    assert goes_on.returncode == 130, said
    assert f"run {run} stands still, what was done stays" in said, (
        "nobody drives it when this command is gone"
    )

    hold(shop, on=False)
    done = shop.failover("resume-run", run)
    assert done.returncode == 0, done.stderr
    assert "shop: 18 of 18 ready" in done.stderr
    assert "read back at 2 of 2 name servers" in done.stderr
    told = " ".join(shop.failover("status").stdout.split())
    assert re.search(r"shop\.lab\.test\. A 127\.0\.1\.2, 127\.0\.1\.3, \d+ s ago", told)
    assert re.search(r"shop auto 18/18, \d+ s ago", told)


# -- who has to say yes ------------------------------------------------------------------------------------------------


@pytest.fixture
def asking(tmp_path: Path) -> Iterator[Shop]:
    """A lab whose application moves only when a person approves."""
    made = Shop(tmp_path / "lab", applications=[["shop", 1, 6, "approve"]])
    try:
        made.open()
        yield made
    finally:
        made.lab.stop()


def test_whoever_says_yes_has_seen_the_plan_and_how_far_it_reaches(asking: Shop) -> None:
    shop = asking
    file = str(shop.lab.folder / "plan")
    saved = shop.failover("plan", "region/south", "--kind", "drain", "--out", file)
    assert saved.returncode == 0, saved.stderr
    unasked = shop.failover("apply", file)
    assert unasked.returncode == 64, "there is nobody to ask"
    assert unasked.stdout == saved.stdout, "the plan stands above the question"
    typo = shop.failover("drain", "region/north", "-a", "shp", "--yes")
    assert typo.returncode == 64
    assert "did you mean shop" in typo.stderr

    switch(shop.lab, "region", "north", on=True)
    run = last(shop, "awaiting-approval")
    assert f"`failover approve {run}`" in shop.failover("status").stdout
    seen = shop.failover("plan", "--run", run)
    assert seen.returncode == 0, seen.stderr
    assert "1 of 3 clusters (33 % of the fleet)" in seen.stdout
    refused = shop.failover("approve", run)
    assert refused.returncode == 64
    assert refused.stdout == seen.stdout
    assert last(shop, "awaiting-approval") == run
    done = shop.failover("approve", run, "--yes")
    assert done.returncode == 0, done.stderr
    assert "approved by" in done.stderr
    assert shop.failover("approve", run, "--yes").returncode == 64, "it waits no longer"
    assert shop.failover("plan", "--run", "evacu").returncode == 64


def test_a_watch_writes_again_only_what_changed_and_only_data_to_stdout(asking: Shop) -> None:
    shop = asking
    watch = begin(shop, "status", "-w", "-o", "json")
    assert watch.stdout is not None
    try:
        first = json.loads(watch.stdout.readline())
        assert first["cordons"] == []
        assert shop.failover("cordon", "region/west", "--reason", "look").returncode == 0
        seen = [first]
        while not seen[-1]["cordons"] and len(seen) < 6:  # something else may change meanwhile
            seen.append(json.loads(watch.stdout.readline()))
            assert seen[-1] != seen[-2]
        assert [item["target"] for item in seen[-1]["cordons"]] == ["region/west"]
    finally:
        watch.send_signal(signal.SIGINT)
        rest, said = watch.communicate(timeout=30)
    assert watch.returncode == 130
    assert (rest, said) == ("", "")

"""Faults that a person switches in a running lab: what they name is what happens, and nothing that they type ends the lab."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from failover.lab.faults import FAULTS, switch
from failover.lab.presets import make_lab
from failover.lab.processes import LabError, LabProcesses
from failover.lab.truth import answers, workloads


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabProcesses]:
    """A world without a controller."""
    made = LabProcesses(make_lab(), tmp_path_factory.mktemp("faults") / "lab")
    made.prepare()
    try:
        made.start_world()
        yield made
    finally:
        made.stop()


def until(what: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


def connects(lab: LabProcesses, cluster: str) -> bool:
    """Whether clients of a cluster get a connection."""
    one = next(item for item in lab.lab.clusters if item.name == cluster)
    try:
        socket.create_connection((one.address, one.endpoint_port), timeout=1.0).close()
    except OSError:
        return False
    return True


def test_every_fault_that_the_lab_promises_is_there() -> None:
    promised = {
        "region",
        "datacenter",
        "control-plane",
        "data-plane",
        "path",
        "slow",
        "flapping",
        "gray",
        "throttle",
    }
    assert promised <= set(FAULTS)


@pytest.mark.parametrize(
    ("kind", "target", "said"),
    [
        ("region", "nowhere", "there are north, south, west"),
        ("data-plane", "nowhere", "there is no domain 'nowhere'"),
        ("path", "nowhere:north", "its vantages are control, elsewhere"),
        ("flapping", "elsewhere:nowhere", "there is no domain 'nowhere'"),
        ("name-server", "x", "primary (0) and secondary (1)"),
        ("explode", "north", "there is no fault 'explode'"),
    ],
)
def test_what_there_is_not_is_refused(lab: LabProcesses, kind: str, target: str, said: str) -> None:
    with pytest.raises(LabError) as caught:
        switch(lab, kind, target, on=True)
    assert said in str(caught.value)


def test_an_option_that_a_fault_does_not_have_is_refused(lab: LabProcesses) -> None:
    with pytest.raises(LabError, match="no option 'nonsense'"):
        switch(lab, "name-server", "0", on=True, options={"nonsense": 1})
    with pytest.raises(LabError, match="no option 'silent'"):
        switch(lab, "data-plane", "north", on=True, options={"silent": True})


def test_a_name_server_that_is_switched_off_answers_nothing(lab: LabProcesses) -> None:
    home = answers(lab, "shop")
    assert home
    switch(lab, "name-server", "primary", on=True)
    assert answers(lab, "shop") is None
    assert answers(lab, "shop", server=1) == home
    switch(lab, "name-server", "primary", on=False)
    assert answers(lab, "shop") == home


def test_a_domain_that_flaps_goes_dark_and_comes_back_until_it_is_switched_off(lab: LabProcesses) -> None:
    switch(lab, "flapping", "north", on=True, options={"down_s": 0.3, "up_s": 0.3})
    for _ in range(2):
        until(lambda: not connects(lab, "north-1"))
        until(lambda: connects(lab, "north-1"))
    assert connects(lab, "south-1"), "nobody else does"
    switch(lab, "flapping", "north", on=False)
    assert connects(lab, "north-1")
    assert workloads(lab, "north-1") is not None
    with pytest.raises(LabError, match="more than 0"):
        switch(lab, "flapping", "north", on=True, options={"down_s": 0})


def test_faults_of_one_cluster_do_not_undo_each_other(lab: LabProcesses) -> None:
    switch(lab, "data-plane", "south", on=True)
    switch(lab, "path", "elsewhere:south", on=True)
    switch(lab, "slow", "south", on=True)
    assert not connects(lab, "south-1")
    for kind, target in (("slow", "south"), ("path", "elsewhere:south")):
        switch(lab, kind, target, on=False)
    assert not connects(lab, "south-1")
    switch(lab, "data-plane", "south", on=False)
    assert connects(lab, "south-1")


def test_a_region_that_was_killed_or_frozen_returns_once(lab: LabProcesses) -> None:
    switch(lab, "region", "west", on=True)
    assert not lab.runs("region-west")
    switch(lab, "region", "west", on=True)
    switch(lab, "region", "west", on=False)
    until(lambda: workloads(lab, "west-1") is not None)
    process = lab.running["region-west"]
    switch(lab, "region", "west", on=True, options={"silent": True})
    assert workloads(lab, "west-1") is None
    switch(lab, "region", "west", on=False)
    until(lambda: workloads(lab, "west-1") is not None)
    assert lab.running["region-west"] is process


# -- as a person types it ----------------------------------------------------------------------------------------------


def failover(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "failover", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )


def test_nothing_that_is_typed_ends_the_lab_and_nothing_is_left_for_the_next(tmp_path: Path) -> None:
    folder = tmp_path / "failover-lab"
    folder.mkdir()
    (folder / "fault.request").write_text('{"id": 1, "kind": "region", "target": "north", "on": true}')
    up = subprocess.Popen(
        [sys.executable, "-m", "failover", "lab", "up", "--no-controller"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert up.stdout is not None
        assert up.stdout.readline().startswith("export")
        for arguments in (["name-server", "x"], ["region", "nowhere"], ["explode", "north"]):
            done = failover(tmp_path, "lab", "fault", *arguments)
            assert done.returncode == 64, done
            assert "Traceback" not in done.stderr
        (folder / "fault.request").write_text("{")
        done = failover(tmp_path, "lab", "fault", "path", "elsewhere:north", "--set", "a=b")
        assert "no option 'a'" in done.stderr
        assert failover(tmp_path, "lab", "fault", "gray", "north", "--set", "errors=0.5").returncode == 0
        assert up.poll() is None
    finally:
        up.send_signal(signal.SIGINT)
        said, _ = up.communicate(timeout=30)
    assert "region north on" not in said, "what nobody answered yesterday does not come true today"
    assert "gray north on" in said
    done = failover(tmp_path, "lab", "fault", "region", "north")
    assert done.returncode == 64
    assert "no lab runs in" in done.stderr

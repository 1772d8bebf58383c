"""Every scenario that ships with the lab, played with real processes; each judges itself by the truth of the lab."""

import json
import subprocess
import sys

import pytest

from failover.lab.scenario import ScenarioError, known_scenarios, load_scenario, parse_scenario

NAMES = [name for name, _ in known_scenarios()]


@pytest.mark.parametrize("name", NAMES)
def test_a_scenario_ends_as_expected_and_prints_one_report(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "failover", "lab", "run", name, "-o", "json"],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["scenario"] == name
    assert found["violations"] == []
    assert set(found["phases"]) == {"detect_s", "decide_s", "capacity_s", "dns_change_s", "dns_effective_s"}
    assert set(found["replicas"]) == {"lost", "replaced", "ready"}
    assert set(found["records"]) == {"changed", "verified"}


def test_an_expectation_that_does_not_hold_is_an_exit_code_of_one(tmp_path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text("story: nothing happens\nvictim: north\nsteps: [wait-healthy]\nexpect: {runs: 1}\n")
    done = subprocess.run(
        [sys.executable, "-m", "failover", "lab", "run", str(path), "-o", "json"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert json.loads(done.stdout)["violations"] == ["0 runs were opened, expected 1"]


def test_the_scenarios_that_the_project_promises_are_there() -> None:
    promised = {
        "region-loss",
        "datacenter-loss",
        "control-plane-loss",
        "vantage-blind",
        "everything-down",
        "flapping",
        "controller-killed",
        "failback",
        "region-loss-route53",
        "region-loss-clouddns",
        "region-loss-prepared",
        "provider-down",
        "stale-writer",
        "failback-by-weights",
        "capacity-shortage",
        "follow-the-sun",
        "cheap-region-back",
    }
    assert promised <= set(NAMES)


def test_a_scenario_with_an_unknown_step_is_refused() -> None:
    with pytest.raises(ScenarioError, match="there is no step 'explode'"):
        parse_scenario("x", {"story": "s", "victim": "v", "steps": [{"explode": 1}], "expect": {}})
    with pytest.raises(ScenarioError, match="there is no scenario"):
        load_scenario("nowhere")

"""The main job on three real control planes with BIND: a region is killed, and once more one is frozen."""

from pathlib import Path

import pytest

from failover.lab.topology import ZONE
from tests.real.fleet import RealFleet, real_fleet


def survivors_of(fleet: RealFleet) -> dict[str, list[int]]:
    """Ready replicas of each deployment at the clusters that are left."""
    found: dict[str, list[int]] = {}
    for name in ("south-1", "west-1"):
        for namespace in ("shop", "ledger"):
            items = fleet.planes[name].admin.get(f"/apis/apps/v1/namespaces/{namespace}/deployments")["items"]
            for item in items:
                found.setdefault(item["metadata"]["name"], []).append(item["status"].get("readyReplicas", 0))
    return found


@pytest.mark.parametrize("silent", [False, True], ids=["SIGKILL", "SIGSTOP"])
def test_a_region_is_lost_and_its_replicas_and_records_move(
    bind_tier: None, kubernetes_tier: None, tmp_path: Path, silent: bool
) -> None:
    with real_fleet(tmp_path) as fleet:
        fleet.lose("north-1", silent=silent)
        status = fleet.until(lambda seen: any(run["closed_at"] for run in seen["runs"]), 90)
        (run,) = status["runs"]
        assert run["state"] == "done", run["sentence"]
        assert all(sum(counts) == 6 for counts in survivors_of(fleet).values()), survivors_of(fleet)
        for server in fleet.bind.servers:
            for app in ("shop", "ledger"):
                assert server.values(f"{app}.{ZONE}", "A") == ("127.0.1.2", "127.0.1.3")
        if silent:
            fleet.find("north-1")
            deployment = fleet.planes["north-1"].admin.get(
                "/apis/apps/v1/namespaces/shop/deployments/shop-000"
            )
            assert deployment["spec"]["replicas"] == 2, (
                "nothing else changed: the source's objects are left alone"
            )

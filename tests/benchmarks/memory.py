"""Resident memory of `failover run` that looks after 100 clusters of 20 nodes and 200 pods each."""

import re
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from failover.lab.presets import make_lab
from failover.lab.processes import LabProcesses, free_port
from failover.lab.topology import Lab, LabApplication, LabCluster
from failover.store.reader import NoStore, StatusReader
from tests.benchmarks.figures import Figure

CLUSTERS = 100
REGIONS = 5
NODES = 20
DEPLOYMENTS = 20
REPLICAS = 10
SETTLE_S = 20.0
REPEATED = 3


def measure() -> list[Figure]:
    """MiB after every inventory was seen, and some more rounds; each time another process."""
    return [
        Figure(
            benchmark="memory",
            what="failover run, 100 clusters",
            unit="MiB",
            limit=150,
            values=tuple(_once() for _ in range(REPEATED)),
        )
    ]


def _once() -> float:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        lab = LabProcesses(_large(), Path(folder))
        try:
            lab.prepare()
            lab.start_world()
            lab.start_controller()
            _until_seen(lab)
            time.sleep(SETTLE_S)
            status = Path(f"/proc/{lab.running['controller'].pid}/status").read_text()
        finally:
            lab.stop()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024


def _large() -> Lab:
    ports = free_port(CLUSTERS + 1)
    base = make_lab()
    clusters = tuple(
        LabCluster(
            name=f"c{number:03d}",
            provider="alpha",
            region=f"r{number % REGIONS}",
            datacenter=f"d{number % REGIONS}",
            address=f"127.0.1.{number + 1}",
            endpoint_port=ports[-1],
            api_port=ports[number],
            nodes=NODES,
        )
        for number in range(CLUSTERS)
    )
    vantages = tuple(vantage for vantage in base.vantages if not vantage.region)
    application = LabApplication(
        name="bench", deployments=DEPLOYMENTS, replicas=REPLICAS * CLUSTERS, mode="observe"
    )
    timing = {"inventoryInterval": "10s", "inventoryMaxAge": "30s"}
    return replace(
        base,
        clusters=clusters,
        vantages=vantages,
        applications=(application,),
        profile="balanced",
        timing=timing,
    )


def _until_seen(lab: LabProcesses) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        try:
            reader = StatusReader(lab.state)
            status = reader.document("status")
            reader.close()
        except NoStore:
            status = None
        pods = REPLICAS * DEPLOYMENTS
        if status and all(
            one["inventory_at"] and one["replicas_ready"] == pods for one in status["clusters"]
        ):
            return
        time.sleep(0.5)
    raise SystemExit(f"not every cluster was seen:\n{lab.log_tail('controller')}")

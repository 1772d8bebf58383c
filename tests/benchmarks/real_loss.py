"""The same loss on three real control planes with BIND, against a bare loop that sends as many scale writes.

Members run at `--kube-api-qps=500` (burst 1.5 times that, Kubernetes' own ratio) and at their default of 20.
"""

import asyncio
import ssl
import tempfile
import time
from pathlib import Path

import aiohttp

from tests.benchmarks.figures import Figure
from tests.benchmarks.lab_loss import _times
from tests.real.fleet import RealFleet, real_fleet

PARALLEL = 8
REPEATED = 3


def measure() -> list[Figure]:
    """Killed at both paces, silent at the fast one."""
    killed = list(zip(*(_once(qps=500, silent=False) for _ in range(REPEATED)), strict=True))
    silent = _once(qps=500, silent=True)
    slow = _once(qps=20, silent=False)
    name = "real region killed"
    return [
        Figure(benchmark=name, what="fault to verdict", unit="s", limit=7, values=killed[0]),
        Figure(benchmark=name, what="fault to DNS read back", unit="s", limit=9, values=killed[1]),
        Figure(benchmark=name, what="fault to replicas ready", unit="s", limit=16, values=killed[2]),
        Figure(
            benchmark=name,
            what="verdict to ready against a bare loop",
            unit="x",
            limit=1.25,
            values=killed[3],
        ),
        Figure(
            benchmark="real region silent", what="fault to verdict", unit="s", limit=8, values=(silent[0],)
        ),
        Figure(
            benchmark="real region silent",
            what="fault to DNS read back",
            unit="s",
            limit=10,
            values=(silent[1],),
        ),
        Figure(
            benchmark="members at QPS 20",
            what="fault to replicas ready",
            unit="s",
            limit=60,
            values=(slow[2],),
        ),
    ]


def _once(*, qps: int, silent: bool) -> tuple[float, float, float, float]:
    size = {"applications": [["bench", 100, 6]], "floor": 66}
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        real_fleet(Path(folder), kube_api_qps=qps, **size) as fleet,
    ):
        time.sleep(3)
        fault = time.time()
        fleet.lose("north-1", silent=silent)
        fleet.until(lambda status: any(run["closed_at"] for run in status["runs"]), 120)
        verdict, served, ready = _times(fleet, fault)
        bare = asyncio.run(_bare_loop(fleet)) if not silent else 1.0
        if silent:
            fleet.find("north-1")
        return verdict, served, ready, (ready - verdict) / bare


async def _bare_loop(fleet: RealFleet) -> float:
    """One replica more of every deployment at both survivors, and wait until all are ready."""
    began = time.monotonic()
    await asyncio.gather(*(_scale_all(fleet, name) for name in ("south-1", "west-1")))
    return time.monotonic() - began


async def _scale_all(fleet: RealFleet, name: str) -> None:
    plane = fleet.planes[name]
    context = ssl.create_default_context(cafile=str(plane._certificate))
    headers = {
        "Authorization": f"Bearer {plane.tokens['admin']}",
        "Content-Type": "application/merge-patch+json",
    }
    path = f"{plane.server}/apis/apps/v1/namespaces/bench/deployments"
    gate = asyncio.Semaphore(PARALLEL)
    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(ssl=context)) as session:
        async with session.get(path) as response:
            items = (await response.json())["items"]

        async def scale(item: dict) -> None:
            wanted = {"spec": {"replicas": item["spec"]["replicas"] + 1}}
            async with (
                gate,
                session.patch(
                    f"{path}/{item['metadata']['name']}/scale", json=wanted, headers=headers
                ) as answer,
            ):
                assert answer.status == 200, await answer.text()

        await asyncio.gather(*(scale(item) for item in items))
        while True:
            async with session.get(path) as response:
                found = (await response.json())["items"]
            if all(one["status"].get("readyReplicas", 0) == one["spec"]["replicas"] for one in found):
                return
            await asyncio.sleep(0.2)

"""1,000 (cluster, signal) pairs at 5 s from one process: fresh TLS for every D probe, a third of them black-holed.

The servers live in another process; what is measured is the prober's: how late healthy probes start, and its CPU.
"""

import asyncio
import multiprocessing
import random
import resource
import socket
import ssl
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

from failover.controller.clock import SystemClock
from failover.lab.certificates import LabCertificates, write_certificates
from failover.lab.region import Endpoint
from failover.model.ids import ClusterName, Subject, VantageName
from failover.model.observation import Observation, Outcome, ProbeDefinition, ProbeKind, Signal
from failover.probes import ProberSet, ProbeRunner
from tests.benchmarks.figures import Figure

PAIRS = 1000
INTERVAL_S = 5.0
WARM_S = 12.0
MEASURED_S = 30.0


def measure() -> list[Figure]:
    """Lag of healthy probes at the 99th percentile, and the share of one core."""
    with tempfile.TemporaryDirectory() as folder:
        certificates = write_certificates(Path(folder), ["127.0.0.1"], ["localhost"])
        here, there = multiprocessing.Pipe()
        server = multiprocessing.Process(target=_serve, args=(there, folder), daemon=True)
        server.start()
        port = here.recv()
        hole = socket.socket()
        hole.bind(("127.0.0.1", 0))
        hole.listen(4096)  # accepts in the kernel, and nobody ever answers
        try:
            lag, cpu = asyncio.run(_probe(certificates, port, hole.getsockname()[1]))
        finally:
            server.terminate()
            server.join()
            hole.close()
    return [
        Figure(benchmark="probe pace", what="healthy probes late, p99", unit="ms", limit=250, values=(lag,)),
        Figure(benchmark="probe pace", what="CPU of one core", unit="%", limit=60, values=(cpu,)),
    ]


def _serve(pipe: Connection, folder: str) -> None:
    async def serve() -> None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(f"{folder}/server.pem", f"{folder}/server.key")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        await Endpoint("127.0.0.1", port, tls).start()
        pipe.send(port)
        await asyncio.Event().wait()

    asyncio.run(serve())


def _definitions(certificates: LabCertificates, port: int, hole: int) -> list[ProbeDefinition]:
    authority = certificates.authority.read_text()
    return [
        ProbeDefinition(
            subject=Subject(cluster=ClusterName(f"c{number // 2:03d}")),
            signal=Signal.DATA_PLANE if number % 2 else Signal.CONTROL_PLANE,
            probe=ProbeKind.HTTPS if number % 2 else ProbeKind.READYZ,
            address="127.0.0.1",
            port=hole if number // 2 % 3 == 0 else port,
            server_name="localhost",
            path="/healthz",
            ca_pem=authority,
            interval_s=INTERVAL_S,
            timeout_s=3.0,
        )
        for number in range(PAIRS)
    ]


async def _probe(certificates: LabCertificates, port: int, hole: int) -> tuple[float, float]:
    """(p99 lag in ms, percent of a core). Lag: how much later than its schedule a healthy probe started."""
    prober = ProberSet(allow_cidrs=("127.0.0.0/8",))
    ended: dict[tuple[str, str], list[float]] = {}
    failed: list[str] = []

    def sink(observation: Observation, at: float) -> None:
        started = at - observation.started_age_s
        ended.setdefault((observation.subject.cluster, observation.signal.value), []).append(started)
        if observation.outcome is not Outcome.OK and int(observation.subject.cluster[1:]) % 3:
            failed.append(f"{observation.subject} {observation.outcome} {observation.detail}")

    runner = ProbeRunner(
        vantage=VantageName("bench"),
        boot_id="bench",
        prober=prober,
        clock=SystemClock(),
        source_of_random=random.Random(1),
        sink=sink,
        jitter=0.0,  # so that the schedule is known: one start every five seconds, exactly
    )
    runner.update(_definitions(certificates, port, hole), "bench")
    await asyncio.sleep(WARM_S)
    ended.clear()
    failed.clear()
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    await asyncio.sleep(MEASURED_S)
    after, seconds = resource.getrusage(resource.RUSAGE_SELF), time.monotonic() - began
    runner.stop()
    await prober.close()
    assert not failed, f"{len(failed)} healthy probes failed: {failed[:3]}"
    lags = sorted(
        late for (cluster, _), times in ended.items() if int(cluster[1:]) % 3 for late in _lateness(times)
    )
    assert len(lags) > PAIRS, "too few probes to speak of"
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return 1000 * lags[int(len(lags) * 0.99)], 100 * used / seconds


def _lateness(times: list[float]) -> list[float]:
    """How late each start is against the series' own five-second grid, laid through its most punctual start."""
    offsets = [at - number * INTERVAL_S for number, at in enumerate(times)]
    return [offset - min(offsets) for offset in offsets]

"""`failover probe`: every probe once, from here."""

import asyncio
from pathlib import Path

from failover.cli import exits, render
from failover.model.errors import TargetError
from failover.model.ids import ClusterName, Subject
from failover.model.observation import ProbeResult, Signal


def _row(subject: Subject, signal: Signal, result: ProbeResult, address: str = "") -> dict[str, object]:
    return {
        "subject": str(subject),
        "signal": signal.value,
        "address": address,
        "outcome": result.outcome.value,
        "latency_ms": result.latency_ms,
        "detail": render.bare(result.detail, subject.cluster),
    }


def probe_all(policies: Path, output: render.Format) -> int:
    """Returns the exit code: 3 where something does not answer."""
    from failover.controller.clock import SystemClock
    from failover.controller.wiring import read_text
    from failover.controller.world import workloads_at
    from failover.kube import open_clusters
    from failover.policy import load_directory
    from failover.probes import ProberSet, build_definitions
    from failover.probes.cluster_state import nodes_result, result_of, workloads_result

    policy = load_directory(policies)
    clusters, problems = open_clusters(policy, SystemClock())
    for name, sentence in problems.items():
        render.talk(f"{name}: {render.bare(sentence, name)}")

    async def look(name: ClusterName) -> list[dict[str, object]]:
        """Nodes and workloads as the API server tells; the cluster's whole inventory is read for it."""
        refs = workloads_at(policy, name)
        try:
            seen = await clusters[name].inventory(refs)
        except TargetError as error:
            return [_row(Subject(cluster=name), Signal.WORKLOADS, result_of(error))]
        rows = [_row(Subject(cluster=name), Signal.WORKLOADS, nodes_result(seen))]
        for application in policy.applications:
            if name in application.clusters:
                own = [workload.ref for workload in application.workloads]
                subject = Subject(cluster=name, application=application.name)
                rows.append(_row(subject, Signal.WORKLOADS, workloads_result(own, seen)))
        return rows

    async def ask() -> list[dict[str, object]]:
        prober = ProberSet(allow_cidrs=policy.fleet.probe_allow_cidrs)
        servers = {name: cluster.api_server for name, cluster in clusters.items()}
        definitions = [
            each for item in build_definitions(policy, servers, read_text) for each in item.by_address()
        ]
        try:
            results = await asyncio.gather(*(prober.probe(item) for item in definitions))
            looks = await asyncio.gather(*(look(name) for name in clusters))
        finally:
            await prober.close()
            for cluster in clusters.values():
                await cluster.close()
        probed = [
            _row(item.subject, item.signal, result, item.address)
            for item, result in zip(definitions, results, strict=True)
        ]
        return probed + [row for rows in looks for row in rows]

    rows = asyncio.run(ask())
    if not render.data(rows, output):
        render.table(
            ["SUBJECT", "SIGNAL", "ADDRESS", "OUTCOME", "MS", "DETAIL"], [list(row.values()) for row in rows]
        )
    return exits.DONE if not problems and all(row["outcome"] == "ok" for row in rows) else exits.UNHEALTHY

"""`failover probe`: every probe once, from here."""

import asyncio
from pathlib import Path

from failover.cli import exits, render


def probe_all(policies: Path, output: render.Format) -> int:
    """Returns the exit code: 3 where something does not answer."""
    from failover.controller.wiring import read_text
    from failover.kube import open_clusters
    from failover.policy import load_directory
    from failover.probes import ProberSet, build_definitions

    policy = load_directory(policies)
    clusters, problems = open_clusters(policy)
    for sentence in problems:
        render.talk(sentence)

    async def ask() -> list[dict[str, object]]:
        prober = ProberSet(allow_cidrs=policy.fleet.probe_allow_cidrs)
        servers = {name: cluster.api_server for name, cluster in clusters.items()}
        definitions = build_definitions(policy, servers, read_text)
        try:
            results = await asyncio.gather(*(prober.probe(item) for item in definitions))
        finally:
            await prober.close()
        return [
            {
                "subject": str(item.subject),
                "signal": item.signal.value,
                "outcome": result.outcome.value,
                "latency_ms": result.latency_ms,
                "detail": result.detail,
            }
            for item, result in zip(definitions, results, strict=True)
        ]

    rows = asyncio.run(ask())
    if not render.data(rows, output):
        render.table(["SUBJECT", "SIGNAL", "OUTCOME", "MS", "DETAIL"], [list(row.values()) for row in rows])
    return exits.DONE if not problems and all(row["outcome"] == "ok" for row in rows) else exits.UNHEALTHY

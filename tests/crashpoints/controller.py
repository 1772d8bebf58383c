"""`failover run` with its ports watched: `python -m tests.crashpoints.controller TRACE POINTS BLOW -- run …`."""

import sys
from pathlib import Path
from typing import Any

from tests.crashpoints.points import (
    Points,
    Trace,
    watch_cluster,
    watch_connections,
    watch_store,
    watch_zone,
)

TTL_MARGIN_S = 0.5


def main() -> None:
    """Arm, then become the shipped program."""
    trace, armed, blow, dashes, *arguments = sys.argv[1:]
    assert dashes == "--"
    points = Points(Trace(Path(trace)), frozenset(armed.split(",")) - {"-"}, blow)
    _wait_less()
    _watch_what_is_opened(points)
    from failover.cli.main import main as failover

    sys.argv = ["failover", *arguments]
    failover()


def _wait_less() -> None:
    """A drain waits five seconds beyond the old TTL. That no policy can shorten; here it would be a third of a cycle."""
    from failover.planner import failback, sequence

    for module in (failback, sequence):
        module.WAIT_MARGIN_S = TTL_MARGIN_S  # type: ignore[attr-defined]


def _watch_what_is_opened(points: Points) -> None:
    from failover.controller import wiring

    real = wiring.open_ports

    async def open_ports(*arguments: Any, **named: Any) -> Any:
        opened = await real(*arguments, **named)
        watch_store(opened.ports.store, points)
        for cluster in opened.ports.clusters.values():
            watch_cluster(cluster, points)
        for zone in opened.ports.zones.values():
            watch_zone(zone, points)
        watch_connections(points)
        return opened

    wiring.open_ports = open_ports


if __name__ == "__main__":
    main()

"""`failover run` with its ports watched: `python -m tests.crashpoints.controller TRACE POINT BLOW -- run …`."""

import sys
from pathlib import Path
from typing import Any

from tests.crashpoints.points import Points, watch_cluster, watch_connections, watch_store, watch_zone


def main() -> None:
    """Arm, then become the shipped program."""
    trace, armed, blow, dashes, *arguments = sys.argv[1:]
    assert dashes == "--"
    points = Points(trace=Path(trace), armed="" if armed == "-" else armed, blow=blow)
    _watch_what_is_opened(points)
    from failover.cli.main import main as failover

    sys.argv = ["failover", *arguments]
    failover()


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

"""Runs the benchmarks by name, or all of them."""

import json
import os
import platform
import sys
from pathlib import Path

from failover.cli import render
from tests.benchmarks import dns, intents, lab_loss, memory, probe_pace, real_loss
from tests.benchmarks.planner import figures as planner

BENCHMARKS = {
    "memory": memory.measure,
    "probe-pace": probe_pace.measure,
    "intents": intents.measure,
    "lab-loss": lab_loss.measure,
    "dns-race": dns.measure_race,
    "dns-flip": dns.measure_flip,
    "dns-load": dns.measure_load,
    "real-loss": real_loss.measure,
    "planner-big": planner.big,
    "planner-bounds": planner.against_bounds,
    "planner-cost": planner.cost,
    "planner-weights": planner.weights,
    "planner-growth": planner.grows,
}


def main(arguments: list[str]) -> int:
    """Returns 1 when a figure is missed, 64 for a name that there is not."""
    target = None
    if "--json" in arguments:
        at = arguments.index("--json")
        target = Path(arguments[at + 1])
        arguments = arguments[:at] + arguments[at + 2 :]
    unknown = [name for name in arguments if name not in BENCHMARKS]
    if unknown:
        render.talk(f"there is no benchmark {unknown[0]!r}; there are {', '.join(BENCHMARKS)}")
        return 64
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    machine = f"{os.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    render.talk(machine)
    figures = []
    for name in arguments or BENCHMARKS:
        render.talk(f"measuring {name} …")
        figures += BENCHMARKS[name]()
    render.table(
        ["BENCHMARK", "FIGURE", "MEDIAN", "MIN .. MAX", "LIMIT", ""], [figure.row() for figure in figures]
    )
    if target is not None:
        rows = [
            {
                "benchmark": f.benchmark,
                "what": f.what,
                "median": f.median,
                "values": f.values,
                "limit": f.limit,
                "ok": f.ok,
            }
            for f in figures
        ]
        target.write_text(json.dumps({"machine": machine, "figures": rows}, indent=1) + "\n")
    return 0 if all(figure.ok for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

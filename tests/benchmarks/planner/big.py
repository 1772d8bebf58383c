"""The big fleet in a process of its own (its memory is one of the figures): prints one JSON object.

Times are CPU seconds of this one process, whose numbers are single-threaded: others may use the machine.
"""

import gc
import json
import resource
import sys
import time
from dataclasses import replace

from failover.model.policy import OnShortage
from failover.planner.joint.problem import Problem
from failover.planner.joint.solution import Placement
from failover.planner.joint.solve import Engine, solve
from failover.planner.joint.survive import lose_domain, survivability
from tests.benchmarks.planner.fleet import BIG, domains_of, make_fleet


def main(load: float, all_domains: bool) -> dict[str, object]:
    """Everything that is measured at one load."""
    problem = make_fleet(replace(BIG, load=load))
    gc.freeze()
    began = time.process_time()
    plan = solve(problem)
    rules = plan.rules()
    result: dict[str, object] = {
        "plan_s": time.process_time() - began,
        "gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "unplaced_percent": 100 * sum(plan.unplaced.values()) / int(plan.prepared.replicas.sum()),
        "rows": len(rules),
    }
    assert (plan.state.free >= 0).all(), "never above what is free"
    running = as_running(problem, plan)
    del plan, rules
    gc.freeze()  # what goes in is nobody's garbage, here as above
    regions = domains_of(problem, "region")
    engine = Engine.of(running)
    losses = []
    for domain in regions[:: len(regions) // 5][:5]:
        began = time.process_time()
        engine.lose(domain.sites)
        losses.append(time.process_time() - began)
    del engine  # nobody who asks for all regions holds another engine's arrays meanwhile
    gc.collect()
    began = time.process_time()
    survivals = survivability(running, regions)
    result |= {
        "losses_s": losses,
        "regions_s": time.process_time() - began,
        "regions_unplaced": sum(survival.unplaced for survival in survivals),
    }
    if all_domains:
        began = time.process_time()
        engine = Engine.of(running)
        for domain in domains_of(problem, "provider", "region", "cluster"):
            lose_domain(engine, domain)
        result["all_s"] = time.process_time() - began
    return result


def as_running(problem: Problem, plan: Placement) -> Problem:
    """The same fleet once the plan runs: what it placed is current, and no longer free. Everything may shed."""
    prepared, state = plan.prepared, plan.state
    sites = []
    for site in problem.sites:
        at = prepared.site_index[site.name]
        used = prepared.free[at] - state.free[at]
        free = site.free or {}
        sites.append(
            replace(
                site,
                free={
                    name: free[name] - int(amount)
                    for name, amount in zip(prepared.resources, used, strict=True)
                },
            )
        )
    demands = tuple(
        replace(
            demand,
            current=plan.placed(demand.key),
            rules=replace(demand.rules, on_shortage=OnShortage.SHED),
        )
        for demand in problem.demands
    )
    return replace(problem, sites=tuple(sites), demands=demands)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(float(sys.argv[1]), "--all" in sys.argv)) + "\n")

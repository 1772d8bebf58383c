"""Nodes ready and workloads ready (signal W): what a look through the API server says, as typed outcomes.

They inform people and never make a verdict: only D and C do. They need credentials, so only the controller asks.
"""

from collections.abc import Sequence

from failover.model.errors import LocalFault, TargetError, Throttled
from failover.model.inventory import ClusterInventory
from failover.model.observation import Outcome, ProbeResult
from failover.model.policy import WorkloadRef

DETAIL_MAX = 256


def nodes_result(seen: ClusterInventory) -> ProbeResult:
    """`ok` while at least half of the nodes are ready and schedulable: one that is being drained is no alarm."""
    enough = seen.nodes_total > 0 and seen.nodes_ready * 2 >= seen.nodes_total
    return ProbeResult(
        outcome=Outcome.OK if enough else Outcome.WRONG_ANSWER,
        detail=f"{seen.nodes_ready} of {seen.nodes_total} nodes are ready and schedulable",
    )


def workloads_result(refs: Sequence[WorkloadRef], seen: ClusterInventory) -> ProbeResult:
    """`ok` when every replica that is wanted of these workloads is ready; an object that is missing is named."""
    states = [(ref, seen.workload(ref)) for ref in refs]
    absent = [str(ref) for ref, state in states if state is None or not state.exists]
    wanted = sum(state.wanted for _, state in states if state is not None)
    ready = sum(min(state.ready, state.wanted) for _, state in states if state is not None)
    detail = f"{ready} of {wanted} replicas are ready"
    if absent:
        detail += f"; missing: {', '.join(absent)}"
    outcome = Outcome.OK if ready >= wanted and not absent else Outcome.WRONG_ANSWER
    return ProbeResult(outcome=outcome, detail=detail[:DETAIL_MAX])


def result_of(error: TargetError) -> ProbeResult:
    """A look that failed: our fault, or the API server's. It says nothing about nodes or workloads."""
    local = isinstance(error, LocalFault | Throttled)
    return ProbeResult(
        outcome=Outcome.LOCAL if local else Outcome.SERVER_ERROR, detail=str(error)[:DETAIL_MAX]
    )

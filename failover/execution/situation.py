"""What the safety rules look at besides the plan and the run: frozen, built anew for every question."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from failover.execution.runs import RunSummary
from failover.model.ids import ClusterName, Epoch
from failover.model.policy import Policy
from failover.model.time import Now
from failover.model.verdict import Judgement


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """`acting_until`: monotonic second after which nothing is sent (-inf: not leading). `paused`, `doubt`: sentences, "" if not.

    `person_evidence`: a person and their fresh probe, in place of the automatic evidence rules (only for their runs).
    `sent_last_second`: changes sent per target in the last second (I12). `journal_ok`: the store takes appends.
    `proven`: clusters that the person's own fresh probe saw serving.
    """

    policy: Policy
    judgement: Judgement
    now: Now
    epoch: Epoch | None
    acting_until: float
    paused: str = ""
    doubt: str = ""
    journal_ok: bool = True
    history: tuple[RunSummary, ...] = ()
    person_evidence: tuple[str, ...] = ()
    sent_last_second: Mapping[str, int] = field(default_factory=dict)

    def region_of(self, cluster: ClusterName) -> str:
        """Region of a cluster, "" for one that left the policy."""
        return next((entry.region for entry in self.policy.fleet.clusters if entry.name == cluster), "")

"""What the safety rules look at besides the plan and the run: frozen, built anew for every question."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from failover.execution.moves import RunSummary
from failover.model.ids import ClusterName, Epoch
from failover.model.policy import Policy, WorkloadRef
from failover.model.records import OwnedName
from failover.model.time import Now
from failover.model.verdict import Judgement

CountedOn = Mapping[tuple[ClusterName, WorkloadRef], int | str]
"""What a removal counts on: how much of it is ready, as read just before, or why nobody knows."""


@dataclass(frozen=True, slots=True)
class Look:
    """What came of asking: what is ready by row, or why nobody knows; and until when (monotonic) that may be gone by."""

    counted_on: CountedOn
    good_until: float = float("inf")


NOT_ASKED = Look({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """`acting_until`: monotonic second after which nothing is sent (-inf: not leading). `paused`, `doubt`: sentences, "" if not.

    `person_evidence`: a person and their fresh probe, in place of the automatic evidence rules (only for their runs).
    `sent_last_second`: changes sent per target in the last second, `last_sent`: monotonic second of the latest one (I12).
    `journal_ok`: the store takes appends.
    `owned`: names that changes of ours have landed at.
    `look`: what a removal counts on, as it was asked for just before.
    `patience_from`: runs that did not get through before are forgiven (a person's `resume` or `ack`).
    """

    policy: Policy
    judgement: Judgement
    now: Now
    epoch: Epoch | None
    acting_until: float
    paused: str = ""
    paused_at: datetime | None = None
    doubt: str = ""
    journal_ok: bool = True
    history: tuple[RunSummary, ...] = ()
    patience_from: datetime | None = None
    person_evidence: tuple[str, ...] = ()
    sent_last_second: Mapping[str, int] = field(default_factory=dict)
    last_sent: Mapping[str, float] = field(default_factory=dict)
    owned: frozenset[OwnedName] = frozenset()
    look: Look = NOT_ASKED

    def region_of(self, cluster: ClusterName) -> str:
        """Region of a cluster, "" for one that left the policy."""
        return next((entry.region for entry in self.policy.fleet.clusters if entry.name == cluster), "")

    def sending(self, target: str) -> "Situation":
        """As it is once a change that was just permitted is on its way to a target (I12)."""
        return replace(
            self,
            sent_last_second={**self.sent_last_second, target: self.sent_last_second.get(target, 0) + 1},
            last_sent={**self.last_sent, target: self.now.mono},
        )

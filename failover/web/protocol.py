"""What vantages and the controller say to each other, as values for the codec. Bounded on both sides."""

from dataclasses import dataclass

from failover.model.observation import ProbeDefinition, Reference

REPORT_BYTES_MAX = 1024 * 1024
OBSERVATIONS_PER_REPORT_MAX = 500
"""So many fit into a report's bytes with every field as long as it may be; one that does not fit is refused for ever."""
PROBES_PATH = "/v1/vantage/probes"
REPORT_PATH = "/v1/vantage/report"
HEARTBEAT_PATH = "/v1/heartbeat"
COMMAND_PATH = "/v1/commands"
VANTAGE_HEADER = "X-Failover-Vantage"
CLUSTER_HEADER = "X-Failover-Cluster"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeList:
    """What a vantage shall probe, free of secrets. `interval_s`, `timeout_s` also pace its check of its references."""

    generation: str
    acting: bool
    journal_head: int
    journal_mark: str
    interval_s: float
    timeout_s: float
    jitter: float
    allow_cidrs: tuple[str, ...]
    definitions: tuple[ProbeDefinition, ...]
    references: tuple[Reference, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """What a cluster pushes out: only that it lives and can reach us (H)."""

    boot_id: str
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportReceipt:
    """The controller's answer to a report: how many observations were taken, and what is in force now."""

    taken: int
    generation: str
    acting: bool
    journal_head: int
    journal_mark: str

"""Probes and what they saw: probe definitions, outcome classes, observations."""

from dataclasses import dataclass, field, replace
from enum import StrEnum

from failover.model.codec import digest
from failover.model.ids import Subject, VantageName


class Signal(StrEnum):
    """What is looked at. D and C make verdicts; W and H inform them."""

    DATA_PLANE = "D"
    CONTROL_PLANE = "C"
    WORKLOADS = "W"
    HEARTBEAT = "H"


class ProbeKind(StrEnum):
    """How it is looked at. The first three are a client's path (D); `readyz` is the API server's (C)."""

    HTTPS = "https"
    HTTP = "http"
    TCP = "tcp"
    READYZ = "readyz"
    NODES = "nodes"
    WORKLOADS = "workloads"


class Outcome(StrEnum):
    """Outcome classes (DESIGN section 4)."""

    OK = "ok"
    TIMEOUT = "timeout"
    REFUSED = "refused"
    RESET = "reset"
    SERVER_ERROR = "server-error"
    TLS = "tls"
    WRONG_ANSWER = "wrong-answer"
    LOCAL = "local"

    @property
    def is_success(self) -> bool:
        return self is Outcome.OK

    @property
    def counts_as_failure(self) -> bool:
        """May count towards down. `local` is our fault and never does (I5)."""
        return self not in (Outcome.OK, Outcome.LOCAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeDefinition:
    """One probe as any vantage can run it; free of secrets.

    `address`: literal IP (or a host name for `readyz`) that is connected to, `more_addresses`: further ones of the same
    endpoint, asked at the same time: a client reaches it while one of them answers; `server_name`: SNI and, with `host`,
    the Host header; `ca_pem`: PEM bundle, "" means the system's; `statuses`: accepted HTTP statuses, empty means
    200-299; `body_contains`: text the first 64 KiB must contain; `interval_s`, `timeout_s`: seconds.
    """

    subject: Subject
    signal: Signal
    probe: ProbeKind
    address: str
    more_addresses: tuple[str, ...] = ()
    port: int
    server_name: str = ""
    host: str = ""
    path: str = "/"
    statuses: tuple[int, ...] = ()
    body_contains: str = ""
    ca_pem: str = ""
    interval_s: float
    timeout_s: float

    @property
    def definition_hash(self) -> str:
        """16 hex digits over everything that decides the answer; observations of another one do not count."""
        return digest(self)[:16]

    @property
    def key(self) -> tuple[str, str, str]:
        """What identifies the series: cluster, application, signal."""
        return (*self.subject.key, self.signal.value)

    def by_address(self) -> "tuple[ProbeDefinition, ...]":
        """One definition for each address of the endpoint."""
        addresses = (self.address, *self.more_addresses)
        return tuple(replace(self, address=item, more_addresses=()) for item in addresses)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """An address outside the judged region by which a vantage checks itself. `region` "" means outside the fleet."""

    name: str
    address: str
    port: int
    region: str = ""
    probe: ProbeKind = ProbeKind.TCP
    server_name: str = ""
    path: str = "/"
    ca_pem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """What one probe returned. `latency_ms`: from first byte sent to verdict. `detail`: at most 256 printable characters.
    `partly`: it succeeded, and one of the endpoint's addresses did not answer.
    """

    outcome: Outcome
    latency_ms: float = 0.0
    detail: str = ""
    partly: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """The typed result of one probe, as a vantage sends it.

    `boot_id` and `sequence` make it idempotent; `age_s` is seconds since the probe ended, by the vantage's own
    monotonic clock at sending; `started_age_s` since it started; `definition` is the probe definition's hash.
    """

    vantage: VantageName
    boot_id: str
    sequence: int
    subject: Subject
    signal: Signal
    outcome: Outcome
    age_s: float
    started_age_s: float = 0.0
    latency_ms: float = 0.0
    generation: str = ""
    definition: str = ""
    detail: str = ""
    partly: bool = False

    @property
    def id(self) -> str:
        return f"{self.vantage}/{self.boot_id}/{self.sequence}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """An observation stamped by the controller: `measured_mono` = arrival − age, on the controller's monotonic clock."""

    observation: Observation
    measured_mono: float
    received_mono: float


@dataclass(frozen=True, slots=True, kw_only=True)
class VantageReport:
    """What a vantage posts. `sequence`: of its reports, so that one that is sent again says nothing new; `suspect`: why it
    abstains, "" if it trusts itself; `journal_head`: highest it was told, `journal_mark`: the mark of
    that entry: another one at the same place is another journal (I28).
    """

    vantage: VantageName
    boot_id: str
    sequence: int = 0
    generation: str
    suspect: str = ""
    journal_head: int = 0
    journal_mark: str = ""
    observations: tuple[Observation, ...] = field(default=())

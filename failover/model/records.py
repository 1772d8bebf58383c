"""DNS record sets as values, and the fence record that travels with every change of them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from failover.model.codec import later
from failover.model.ids import ApplicationName, Epoch, ZoneName

OwnedName: TypeAlias = tuple[ZoneName, ApplicationName, str, str]
"""A record set that one application owns in one zone: the zone, the application, its absolute name and its type."""


TTL_MAX_S = 7 * 24 * 3600
"""Clients hold an answer for no longer than resolvers commonly do; what is written with more is a slip of the pen."""


class RecordType(StrEnum):
    """The types that we manage. Never NS, SOA, DS (I14)."""

    A = "A"
    AAAA = "AAAA"
    CNAME = "CNAME"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSet:
    """All records of one name and type. `name`: absolute, lower case, with the final dot; `values` sorted; `ttl` seconds.

    `weights`: of each value in turn, or () for a plain set, where clients see all values. They are shares of their sum.
    """

    name: str
    record_type: RecordType
    ttl: int
    values: tuple[str, ...]
    weights: tuple[int, ...] = later(())

    @property
    def key(self) -> tuple[str, str]:
        return (self.name, self.record_type.value)

    def same_data(self, other: "RecordSet | None") -> bool:
        """Equal in everything that a client sees."""
        return (
            other is not None
            and self.key == other.key
            and self.values == other.values
            and self.ttl == other.ttl
            and self.weights == other.weights
        )

    @property
    def answered(self) -> tuple[str, ...]:
        """The values that clients are ever given."""
        if not self.weights:
            return self.values
        return tuple(value for value, weight in zip(self.values, self.weights, strict=True) if weight)


@dataclass(frozen=True, slots=True, kw_only=True)
class FenceRecord:
    """TXT `_failover-fence.<application>.<zone>`: who changed an application's names last (DESIGN section 6).

    `text` is the exact TXT string: `v=1 owner=… app=… plan=… gen=… epoch=… holder=…`, no spaces inside values.
    """

    owner: str
    application: ApplicationName
    plan: str
    generation: str
    epoch: Epoch
    holder: str

    @property
    def text(self) -> str:
        parts = {
            "v": "1",
            "owner": self.owner,
            "app": self.application,
            "plan": self.plan,
            "gen": self.generation,
            "epoch": str(int(self.epoch)),
            "holder": self.holder,
        }
        return " ".join(f"{key}={value.replace(' ', '_') or '-'}" for key, value in parts.items())

    @classmethod
    def parse(cls, text: str) -> "FenceRecord":
        """The fence from its TXT string. Raises ValueError for anything that is not one of ours."""
        parts = dict(part.partition("=")[::2] for part in text.split())
        if parts.get("v") != "1":
            raise ValueError(f"not a failover fence: {text[:80]!r}")
        try:
            return cls(
                owner=parts["owner"],
                application=ApplicationName(parts["app"]),
                plan=parts["plan"],
                generation=parts["gen"],
                epoch=Epoch(int(parts["epoch"])),
                holder=parts["holder"],
            )
        except KeyError as error:
            raise ValueError(f"the fence lacks {error.args[0]}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneState:
    """What one zone holds of the names that we asked for, read at its primary at one moment.

    `record_sets`: only existing ones of the asked names; `fences`: by application, only where one exists;
    `serial`: of the SOA. `read_mono`: controller's monotonic seconds. A zone that could not be read has no
    ZoneState (the reader raises): a partial read is never a state.
    """

    zone: ZoneName
    record_sets: tuple[RecordSet, ...]
    fences: tuple[FenceRecord, ...] = ()
    serial: int = 0
    read_mono: float = 0.0

    def find(self, name: str, record_type: RecordType) -> RecordSet | None:
        return next((item for item in self.record_sets if item.key == (name, record_type.value)), None)

    def fence(self, application: ApplicationName) -> FenceRecord | None:
        return next((fence for fence in self.fences if fence.application == application), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordChange:
    """One record set's move from what must be there now to what shall be there. `before` None: must not exist.

    `after` is never empty and never None: a managed record set is never removed (I13).
    """

    before: RecordSet | None
    after: RecordSet


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneChange:
    """One atomic update of one application's names in one zone, fence included (compare-and-swap).

    `adopt`: a person said that names without a fence become ours.
    """

    zone: ZoneName
    application: ApplicationName
    changes: tuple[RecordChange, ...]
    fence_before: FenceRecord | None
    fence_after: FenceRecord
    adopt: bool = later(False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerAnswer:
    """What one authoritative server answers. `answered` False: silent (never taken as empty); `matches`: as intended.

    `lag_s`: how long after the change was acknowledged it was first seen to serve it, where a run looked. `pending`: the
    provider's own word, that it has accepted the change and is not done with it. `delegated`: clients are sent to it, and the
    policy does not list it.
    """

    server: str
    answered: bool
    matches: bool
    serial: int | None = None
    detail: str = ""
    lag_s: float | None = later(None)
    pending: bool = later(False)
    delegated: bool = later(False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """Read-back of a change at every authoritative address of the zone (I15).

    Effective when every server that answers matches and at least one answers; `silent` are asked again outside the run.
    """

    zone: ZoneName
    servers: tuple[ServerAnswer, ...]
    checked_at: datetime

    @property
    def effective(self) -> bool:
        answered = [server for server in self.servers if server.answered]
        return bool(answered) and all(server.matches for server in answered)

    @property
    def silent(self) -> tuple[str, ...]:
        return tuple(server.server for server in self.servers if not server.answered)


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneCapabilities:
    """What a provider can do.

    `atomic_names`: names of one address each that one atomic change surely holds, old and new and the fence included.
    `atomic_bytes`: what one atomic change surely holds, the fence aside: of values, old and new, or, where it is one DNS
    `message`, of its records on the wire.
    `weights`: weighted record sets, of at most `weight_max` a value. `health_checked`: records that the provider itself
    takes out by a check of its own (`prepare`). `alias`: records that follow a resource of the provider: read, never
    written. `minimum_ttl` in seconds. `values_max`, `weighted_max`: values of one plain and of one weighted record set, 0
    where only the atomic change bounds them; `raisable`: a project may have a quota of its own instead.
    """

    provider: str
    record_types: tuple[RecordType, ...]
    weights: bool
    atomic_names: int
    atomic_bytes: int
    message: bool = False
    minimum_ttl: int = 1
    values_max: int = 0
    weighted_max: int = 0
    raisable: bool = False
    weight_max: int = 0
    health_checked: bool = False
    alias: bool = False
    serial: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """Something that a provider counts. `what`: in its own plural words; `lasting`: it is not given back by time alone."""

    what: str
    used: int
    limit: int
    lasting: bool = True

    @property
    def left(self) -> int:
        return max(0, self.limit - self.used)


_TYPES = (RecordType.A, RecordType.AAAA, RecordType.CNAME)

CAPABILITIES = {
    "rfc2136": ZoneCapabilities(
        provider="rfc2136",
        record_types=_TYPES,
        weights=False,  # duplicate records collapse: there is nothing to weigh
        atomic_names=500,
        atomic_bytes=65_535
        - 4_096,  # a message over TCP, less its header, the fence, old and new, and the TSIG
        message=True,
    ),
    "route53": ZoneCapabilities(
        provider="route53",
        record_types=_TYPES,
        weights=True,
        weight_max=255,
        atomic_names=400,  # 1,000 values a batch, each deleted and created: 499 and the fence, less some room
        atomic_bytes=32_000 - 2_000,  # characters of values a batch
        values_max=400,
        weighted_max=100,
        health_checked=True,
        alias=True,
        serial=False,
    ),
    "clouddns": ZoneCapabilities(
        provider="clouddns",
        record_types=_TYPES,
        weights=True,
        weight_max=1000,
        atomic_names=900,  # 1,000 additions a change by default; the project's own quota is read at first use
        atomic_bytes=100_000 - 2_000,  # of record data a change by default
        values_max=100,
        weighted_max=100,
        raisable=True,
    ),
}
"""By provider, known without asking anybody: what one cannot do is refused when a policy is read."""

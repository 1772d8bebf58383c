"""The in-memory twin of a DNS zone: the same preconditions, errors and lags as `RFC2136Zone`, on any clock, no sockets."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from failover.dnszones.fences import fence_text, foreign_fence
from failover.dnszones.names import absolute_name, canonical_record_set, rdata_type
from failover.dnszones.update import ATOMIC_NAMES, refuse_unsound
from failover.lab.nameserver.faults import Faults
from failover.model.errors import Conflict, FencedOff, LocalFault, OutcomeUnknown, Rejected, Unavailable
from failover.model.ids import ApplicationName
from failover.model.inventory import RightProblem
from failover.model.permit import Permit
from failover.model.policy import Zone
from failover.model.ports import Clock
from failover.model.records import (
    CAPABILITIES,
    FenceRecord,
    Quota,
    RecordSet,
    RecordType,
    ServerAnswer,
    ZoneCapabilities,
    ZoneChange,
    ZoneState,
)

TSIG_FUDGE_S = 300.0

RecordKey = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of the zone, in force at the primary since `since_mono`."""

    serial: int
    since_mono: float
    record_sets: Mapping[RecordKey, RecordSet]
    fences: Mapping[ApplicationName, FenceRecord]


@dataclass(slots=True)
class TwinNameServer:
    """One authoritative server. `lag_s`: how long after the primary it serves a version. `stopped`: refuses connections."""

    name: str
    lag_s: float = 0.0
    stopped: bool = False
    faults: Faults = field(default_factory=Faults)
    frozen_at: Version | None = None


class ZoneWorld:
    """The truth about one zone, shared by every `TwinZone` over it (one per controller, as in a race).

    `servers`: in the policy's order; the first one is the primary. `strand`: the next N changes are accepted and reach no
    server until the zone is changed again, as a provider with an API may do.
    """

    def __init__(self, zone: Zone, clock: Clock) -> None:
        self.zone = zone
        self.clock = clock
        self.servers = [
            TwinNameServer(name=f"{server.address} port {server.port}") for server in zone.authoritative
        ]
        self.updates = 0
        self.strand = 0
        self.resolvers_keep_s = 0.0
        self._stranded: Version | None = None
        self._versions = [Version(serial=1, since_mono=float("-inf"), record_sets={}, fences={})]
        self._update_times: list[float] = []

    @property
    def primary(self) -> TwinNameServer:
        return self.servers[0]

    @property
    def current(self) -> Version:
        return self._versions[-1]

    def versions_since(self, mono: float) -> list[Version]:
        """Every version that was in force at some moment since then, newest last."""
        ends = [item.since_mono for item in self._versions[1:]] + [float("inf")]
        return [item for item, end in zip(self._versions, ends, strict=True) if end >= mono]

    def set_records(self, *record_sets: RecordSet, remove: Sequence[RecordKey] = ()) -> None:
        """Change record sets as an outside hand would, past every fence."""
        wanted = [canonical_record_set(item) for item in record_sets]
        kept = {key: item for key, item in self.current.record_sets.items() if key not in remove}
        self._publish({**kept, **{item.key: item for item in wanted}}, self.current.fences)

    def set_fence(self, fence: FenceRecord) -> None:
        """Plant a fence, as another owner or leader would."""
        fences = {**self.current.fences, fence.application: FenceRecord.parse(fence.text)}
        self._publish(self.current.record_sets, fences)

    @property
    def pending(self) -> bool:
        """Whether a change is accepted and does not get to the servers."""
        return self._stranded is not None

    def seen_by(self, server: TwinNameServer) -> Version:
        """The version that a server serves now."""
        if self._stranded is not None:
            return self._stranded
        if server.faults.frozen_content:
            if server.frozen_at is None:
                server.frozen_at = self._lagging(server.lag_s)
            return server.frozen_at
        server.frozen_at = None
        return self._lagging(server.lag_s)

    def resolved(self) -> Version:
        """The version that a resolver gives now."""
        return self._lagging(self.servers[-1].lag_s + self.resolvers_keep_s)

    def apply(self, change: ZoneChange) -> str:
        """Compare and swap: "" if applied, else the precondition that does not hold, in words."""
        current = self.current
        for item in change.changes:
            here = current.record_sets.get(canonical_record_set(item.after).key)
            if values_of(here) != values_of(item.before):
                return f"{item.after.name} {item.after.record_type}"
            if item.before is None and (other := self._in_the_way(item.after)):
                return f"{other} in its place"
        if fence_text(current.fences.get(change.application)) != fence_text(change.fence_before):
            return "the fence"
        if not self.primary.faults.ignore_updates:
            self._stranded = self.current if self.strand > 0 else None
            self.strand -= self._stranded is not None
            fence = FenceRecord.parse(change.fence_after.text)
            wanted = [canonical_record_set(item.after) for item in change.changes]
            self._publish(
                {**current.record_sets, **{item.key: item for item in wanted}},
                {**current.fences, change.application: fence},
            )
            self.updates += 1
        return ""

    def throttled(self) -> bool:
        """Whether one more update now would exceed what the fault allows; counts it if not."""
        limit = self.primary.faults.updates_per_s
        if limit <= 0:
            return False
        now = self.clock.now().mono
        self._update_times = [at for at in self._update_times if now - at < 1.0]
        if len(self._update_times) >= limit:
            return True
        self._update_times.append(now)
        return False

    def _in_the_way(self, wanted: RecordSet) -> str:
        name = canonical_record_set(wanted).name
        for owner, kind in self.current.record_sets:
            either = RecordType.CNAME in (wanted.record_type, kind)
            if owner == name and kind != wanted.record_type and either:
                return f"{owner} {kind}"
        return ""

    def _lagging(self, lag_s: float) -> Version:
        limit = self.clock.now().mono - lag_s
        old_enough = (version for version in reversed(self._versions) if version.since_mono <= limit)
        return next(old_enough, self._versions[0])

    def _publish(
        self, record_sets: Mapping[RecordKey, RecordSet], fences: Mapping[ApplicationName, FenceRecord]
    ) -> None:
        now = self.clock.now().mono
        following = Version(
            serial=self.current.serial + 1, since_mono=now, record_sets=record_sets, fences=fences
        )
        oldest = now - max((server.lag_s for server in self.servers), default=0.0) - self.resolvers_keep_s
        needed = max(
            (index for index, item in enumerate(self._versions) if item.since_mono <= oldest), default=0
        )
        self._versions = [*self._versions[needed:], following]


class TwinZone:
    """The DNSZone port over a ZoneWorld. `delay_s`: one way to the name servers."""

    def __init__(self, world: ZoneWorld, *, delay_s: float = 0.002) -> None:
        self.name = world.zone.name
        self._world = world
        self._zone = world.zone
        self._clock = world.clock
        self._delay_s = delay_s
        self._applications: defaultdict[ApplicationName, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._serial: int | None = None

    @property
    def capabilities(self) -> ZoneCapabilities:
        """The same as those of the real one."""
        return CAPABILITIES["rfc2136"]

    async def read(
        self, names: Sequence[RecordSet | tuple[str, str]], applications: Sequence[ApplicationName]
    ) -> ZoneState:
        """As RFC2136Zone.read: whole or an error; with the CNAME that stands in an address's place."""
        pairs = [item.key if isinstance(item, RecordSet) else item for item in names]
        asked = {(self._own(name), kind) for name, kind in pairs if rdata_type(kind)}
        await self._reach(sent_changes=False)
        version = self._world.current
        found = {key: version.record_sets[key] for key in asked if key in version.record_sets}
        for name, _ in asked:
            alias = (name, RecordType.CNAME.value)
            if alias in version.record_sets:
                found[alias] = version.record_sets[alias]
        await self._clock.sleep(self._delay_s)
        return ZoneState(
            zone=self.name,
            record_sets=tuple(found[key] for key in sorted(found)),
            fences=tuple(version.fences[item] for item in applications if item in version.fences),
            serial=version.serial,
            read_mono=self._clock.now().mono,
        )

    async def change(self, permit: Permit, change: ZoneChange) -> None:
        """As RFC2136Zone.change: the permit is looked at when the message leaves, the precondition when it arrives."""
        refuse_unsound(self._zone, permit, change)
        where = f"zone {self.name}, application {change.application}"
        if len(change.changes) > ATOMIC_NAMES:
            raise Rejected(
                f"{where}: {len(change.changes)} names do not fit one atomic update", target=self.name
            )
        async with self._applications[change.application]:
            if not permit.still_good(self._clock.now().mono):
                raise Unavailable(
                    f"{where}: the permit for {permit.intent} has expired; nothing was sent", target=self.name
                )
            await self._reach(sent_changes=True)
            faults = self._world.primary.faults
            if faults.drop_updates > 0:
                faults.drop_updates -= 1
                await self._lost(where)
            if faults.refuse_updates:
                raise Rejected(f"{where}: the primary refuses updates (REFUSED)", target=self.name)
            if self._world.throttled():
                raise OutcomeUnknown(f"{where}: the primary answers SERVFAIL to an update", target=self.name)
            different = self._world.apply(change)
            fence = self._world.current.fences.get(change.application)
            if not different and faults.lose_answers > 0:
                faults.lose_answers -= 1
                await self._lost(where)
            await self._clock.sleep(self._delay_s)
            if different:
                if fence is not None and (foreign := foreign_fence(fence, change.fence_after)):
                    raise FencedOff(f"{where}: {foreign}", target=self.name)
                raise Conflict(
                    f"{where}: not as it was read: {different}; nothing was changed", target=self.name
                )
            if fence_text(fence) != change.fence_after.text:
                raise OutcomeUnknown(f"{where}: accepted, and the fence is another", target=self.name)
            self._serial = self._world.current.serial

    async def verify(self, record_sets: Sequence[RecordSet]) -> tuple[ServerAnswer, ...]:
        """Every server's answer at once; silent ones take the whole timeout."""
        wanted = [canonical_record_set(item) for item in record_sets]
        await self._clock.sleep(self._delay_s)
        serial = self._serial if self._serial is not None else self._world.current.serial
        answers = tuple(self._seen_at(server, wanted, serial) for server in self._world.servers)
        waits = any(server.faults.silent for server in self._world.servers)
        await self._clock.sleep(self._zone.timeout_s if waits else self._delay_s)
        if self._world.pending:
            own = ServerAnswer(
                server="its API", answered=True, matches=False, detail="under way", pending=True
            )
            answers = (*answers, own)
        return answers

    async def ask_resolvers(self, record_sets: Sequence[RecordSet]) -> tuple[ServerAnswer, ...]:
        """What resolvers give that ask the last server, and keep it for as long as the world says."""
        wanted = [canonical_record_set(item) for item in record_sets]
        version = self._world.resolved()
        right = all(item.same_data(version.record_sets.get(item.key)) for item in wanted)
        await self._clock.sleep(self._delay_s)
        return tuple(
            ServerAnswer(
                server=f"resolver {resolver.address} port {resolver.port}",
                answered=True,
                matches=right,
                detail="" if right else "an old answer",
            )
            for resolver in self._zone.resolvers
        )

    async def check(self, names: Sequence[tuple[str, str]]) -> tuple[RightProblem, ...]:
        """What the faults that are on now would refuse."""
        try:
            state = await self.read(names, ())
        except (Unavailable, LocalFault, Rejected) as error:
            return (RightProblem(target=self.name, sentence=str(error)),)
        problems = []
        if self._world.primary.faults.refuse_updates:
            problems.append(f"zone {self.name}: the primary refuses updates (REFUSED)")
        asked = {(self._own(name), kind) for name, kind in names}
        for item in state.record_sets:
            if item.key not in asked:
                problems.append(f"{item.name}: a CNAME stands where other records shall be")
        found = [RightProblem(target=self.name, sentence=sentence) for sentence in problems]
        for server in self._world.servers:
            if server.stopped or server.faults.silent or server.faults.servfail:
                sentence = f"name server {server.name} does not answer for {self._zone.apex}"
                found.append(RightProblem(target=self.name, sentence=sentence, warning=True))
        return tuple(found)

    async def quotas(self) -> tuple[Quota, ...]:
        """A name server counts nothing."""
        return ()

    def forget(self) -> None:
        """The serial of our last change."""
        self._serial = None

    async def close(self) -> None:
        """Nothing to close."""

    async def _reach(self, *, sent_changes: bool) -> None:
        """The way to the primary, and what it says before it looks at the content."""
        primary = self._world.primary
        target = f"zone {self.name}: primary {primary.name}"
        await self._clock.sleep(self._delay_s)
        if primary.stopped:
            raise Unavailable(f"{target} cannot be reached: connection refused", target=self.name)
        if primary.faults.silent:
            if sent_changes:
                await self._lost(target)
            await self._clock.sleep(self._zone.timeout_s)
            raise Unavailable(f"{target} gave no usable answer: no answer in time", target=self.name)
        if primary.faults.delay_s:
            await self._clock.sleep(primary.faults.delay_s)
        if abs(primary.faults.clock_offset_s) > TSIG_FUDGE_S:
            raise LocalFault(f"{target} finds this machine's clock off (BADTIME)", target=self.name)
        if primary.faults.rejects_key:
            raise LocalFault(f"{target} has another secret for the TSIG key (BADSIG)", target=self.name)
        if primary.faults.servfail:
            kind = OutcomeUnknown if sent_changes else Unavailable
            raise kind(f"{target} answers SERVFAIL", target=self.name)

    async def _lost(self, where: str) -> None:
        await self._clock.sleep(self._zone.timeout_s)
        raise OutcomeUnknown(
            f"{where}: an update was sent and no trustworthy answer came: no answer in time", target=self.name
        )

    def _seen_at(self, server: TwinNameServer, wanted: Sequence[RecordSet], serial: int) -> ServerAnswer:
        if server.stopped or server.faults.silent or server.faults.servfail:
            return ServerAnswer(server=server.name, answered=False, matches=False, detail="no answer")
        version = self._world.seen_by(server)
        if version.serial < serial:
            lags = f"it lags: serial {version.serial}, the primary had {serial}"
            return ServerAnswer(
                server=server.name, answered=True, matches=False, serial=version.serial, detail=lags
            )
        differences = [
            f"{item.name} {item.record_type}"
            for item in wanted
            if not item.same_data(version.record_sets.get(item.key))
        ]
        detail = ""
        if differences:
            detail = f"{len(differences)} of {len(wanted)} record sets differ: {differences[0]}"
        return ServerAnswer(
            server=server.name, answered=True, matches=not differences, serial=version.serial, detail=detail
        )

    def _own(self, name: str) -> str:
        absolute = absolute_name(name)
        if not absolute.is_subdomain(absolute_name(self._zone.apex)):
            raise Rejected(f"zone {self.name}: {name} lies outside {self._zone.apex}", target=self.name)
        return absolute.to_text()


def values_of(record_set: RecordSet | None) -> tuple[str, ...]:
    """Its values in canonical form; () where there is none."""
    return () if record_set is None else canonical_record_set(record_set).values

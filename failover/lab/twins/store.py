"""The in-memory twin of the Store: the same guards and errors; it can be locked, full, and lose what was not synced."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from failover.execution.chain import genesis, sealed
from failover.model.errors import Conflict, NotLeader, StaleEpoch, StoreUnavailable
from failover.model.ids import Epoch
from failover.model.journal import Entry, JournalEntry
from failover.model.ports import Clock, Lease


@dataclass(slots=True, kw_only=True)
class TwinLease:
    """Leadership as one holder has it."""

    holder: str
    epoch: Epoch
    expires_mono: float


@dataclass(slots=True)
class StoreDisk:
    """What survives a process: share it between the stores of successive controllers.

    `gone`: holders whose process is provably dead. `trouble`: why every write fails, "" if none does.
    """

    documents: dict[str, tuple[int, str]] = field(default_factory=dict)
    journal: list[JournalEntry] = field(default_factory=list)
    lease: TwinLease | None = None
    highest_epoch: int = 0
    gone: set[str] = field(default_factory=set)
    trouble: str = ""
    appended: asyncio.Event = field(default_factory=asyncio.Event)


class TwinStore:
    """The Store port over a StoreDisk."""

    def __init__(self, disk: StoreDisk, clock: Clock) -> None:
        self._disk = disk
        self._clock = clock

    async def get(self, key: str) -> tuple[int, str] | None:
        return self._disk.documents.get(key)

    async def cas(self, key: str, expected_version: int, value: str, *, epoch: Epoch | None = None) -> int:
        self._check_writable()
        if epoch is not None:
            self._require_epoch(epoch)
        current = self._disk.documents.get(key, (0, ""))[0]
        if current != expected_version:
            raise Conflict(f"{key} is at version {current}, not {expected_version}", target="store")
        self._disk.documents[key] = (current + 1, value)
        return current + 1

    async def append_batch(
        self, epoch: Epoch, entries: Sequence[tuple[str, Entry]]
    ) -> tuple[JournalEntry, ...]:
        self._check_writable()
        self._require_epoch(epoch)
        journal, written = self._disk.journal, []
        at = self._clock.now().wall
        for run, entry in entries:
            previous = journal[-1].hash if journal else genesis("twin")
            line = JournalEntry(
                sequence=len(journal) + 1, epoch=epoch, at=at, run=run, entry=entry, previous_hash="", hash=""
            )
            journal.append(sealed(line, previous))
            written.append(journal[-1])
        self._disk.appended.set()
        return tuple(written)

    async def entries(
        self, *, after: int = 0, run: str | None = None, limit: int = 100_000
    ) -> tuple[JournalEntry, ...]:
        found = [line for line in self._disk.journal[after:] if run is None or line.run == run]
        return tuple(found[:limit])

    async def acquire(
        self,
        holder: str,
        *,
        boot_id: str,
        process: int,
        seconds: float,
        minimum_epoch: int = 0,
        take_over: bool = False,
    ) -> Lease:
        del boot_id, process
        self._check_writable()
        now, held = self._clock.now().mono, self._disk.lease
        if (
            held is not None
            and not take_over
            and held.holder not in self._disk.gone
            and held.expires_mono > now
        ):
            raise NotLeader(f"{held.holder} (epoch {held.epoch}) acts", holder=held.holder)
        self._disk.highest_epoch = max(self._disk.highest_epoch, minimum_epoch) + 1
        lease = TwinLease(holder=holder, epoch=Epoch(self._disk.highest_epoch), expires_mono=now + seconds)
        self._disk.lease = lease
        return TwinLease(holder=holder, epoch=lease.epoch, expires_mono=lease.expires_mono)

    async def renew(self, lease: Lease, *, seconds: float) -> Lease:
        self._check_writable()
        held = self._disk.lease
        if held is None or held.epoch != lease.epoch:
            raise NotLeader("the lease was lost", holder=held.holder if held else "nobody")
        held.expires_mono = self._clock.now().mono + seconds
        return TwinLease(holder=held.holder, epoch=held.epoch, expires_mono=held.expires_mono)

    async def release(self, lease: Lease) -> None:
        if self._disk.lease is not None and self._disk.lease.epoch == lease.epoch:
            self._disk.lease = None

    async def leader(self) -> Lease | None:
        return self._disk.lease

    async def watch(self, *, after: int) -> AsyncIterator[JournalEntry]:
        while True:
            for line in self._disk.journal[after:]:
                after = line.sequence
                yield line
            self._disk.appended.clear()
            await self._disk.appended.wait()

    async def close(self) -> None:
        return

    def _check_writable(self) -> None:
        if self._disk.trouble:
            raise StoreUnavailable(self._disk.trouble)

    def _require_epoch(self, epoch: Epoch) -> None:
        held = self._disk.lease
        if held is None or held.epoch != epoch:
            raise StaleEpoch(f"epoch {epoch} does not act any more")

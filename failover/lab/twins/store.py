"""The in-memory twin of the Store: the same guards and errors; it can be locked, full, restored, and lose what was not synced."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from failover.execution.chain import ChainFault, Line, genesis, line_of, sealed, verify, verify_anchors
from failover.model.errors import Conflict, NotLeader, StaleEpoch, StoreUnavailable
from failover.model.ids import Epoch
from failover.model.journal import Entry, JournalEntry
from failover.model.ports import Clock, Lease

ALL = 2**62


@dataclass(slots=True, kw_only=True)
class TwinLease:
    """Leadership as one holder has it."""

    holder: str
    epoch: Epoch
    expires_mono: float


@dataclass(slots=True)
class StoreDisk:
    """What survives a process: share it between the stores of successive controllers.

    `gone`: holders whose process is provably dead. `trouble`: why every write fails, "" if none does. `lying`: the disk
    acknowledges what it has not kept; `crash` then loses it. Without that, what was acknowledged is kept (I16). `tearing`: it
    fails after it has written (fsync): what was not acknowledged is not to be seen, and stands in the journal after a crash,
    unless something else was written in its place (`torn`, at `torn_mono`).
    """

    documents: dict[str, tuple[int, str]] = field(default_factory=dict)
    journal: list[JournalEntry] = field(default_factory=list)
    lease: TwinLease | None = None
    highest_epoch: int = 0
    gone: set[str] = field(default_factory=set)
    trouble: str = ""
    lying: bool = False
    tearing: bool = False
    torn: tuple[JournalEntry, ...] = ()
    torn_mono: float = 0.0
    install_id: str = "twin"
    appended: asyncio.Event = field(default_factory=asyncio.Event)
    _synced: "StoreDisk | None" = None

    def written(self) -> None:
        """A write was acknowledged: it is kept, unless the disk lies."""
        if not self.lying:
            self._synced = None
        self.torn = ()
        self.appended.set()

    def about_to_write(self) -> None:
        """Remember what is really kept, when the disk begins to lie."""
        if self.lying and self._synced is None:
            self._synced = self.copy()

    def synced(self) -> "StoreDisk":
        """What a power cut would leave."""
        return self if self._synced is None else self._synced

    def crash(self) -> None:
        """The power goes: what was not synced is lost, although it was acknowledged."""
        if self._synced is not None:
            self.restore(self._synced)
        self.journal += self.torn
        self.torn = ()

    def copy(self) -> "StoreDisk":
        """A backup of it, as of now."""
        return StoreDisk(
            documents=dict(self.documents),
            journal=list(self.journal),
            lease=_copy(self.lease),
            highest_epoch=self.highest_epoch,
            install_id=self.install_id,
        )

    def restore(self, backup: "StoreDisk") -> None:
        """Yesterday's copy is put back: journal, documents and leadership are as they were then (I28)."""
        self.documents = dict(backup.documents)
        self.journal = list(backup.journal)
        self.lease = _copy(backup.lease)
        self.highest_epoch = backup.highest_epoch
        self.install_id = backup.install_id
        self._synced, self.torn = None, ()


def _copy(lease: TwinLease | None) -> TwinLease | None:
    if lease is None:
        return None
    return TwinLease(holder=lease.holder, epoch=lease.epoch, expires_mono=lease.expires_mono)


class TwinStore:
    """The Store port over a StoreDisk."""

    def __init__(self, disk: StoreDisk, clock: Clock) -> None:
        self._disk = disk
        self._clock = clock
        self._closed = False

    @property
    def install_id(self) -> str:
        return self._disk.install_id

    async def get(self, key: str) -> tuple[int, str] | None:
        self._check_open()
        return self._disk.documents.get(key)

    async def cas(self, key: str, expected_version: int, value: str, *, epoch: Epoch | None = None) -> int:
        self._check_writable()
        if epoch is not None:
            self._require_epoch(epoch)
        current = self._disk.documents.get(key, (0, ""))[0]
        if current != expected_version:
            raise Conflict(f"{key} is at version {current}, not {expected_version}", target="store")
        self._disk.about_to_write()
        self._disk.documents[key] = (current + 1, value)
        self._disk.written()
        return current + 1

    async def append_batch(
        self, epoch: Epoch, entries: Sequence[tuple[str, Entry]]
    ) -> tuple[JournalEntry, ...]:
        self._check_writable()
        self._require_epoch(epoch)
        sequence, previous = await self.head()
        at, written = self._clock.now().wall, []
        for run, entry in entries:
            sequence += 1
            bare = JournalEntry(
                sequence=sequence, epoch=epoch, at=at, run=run, entry=entry, previous_hash="", hash=""
            )
            written.append(sealed(bare, previous))
            previous = written[-1].hash
        if self._disk.tearing:
            self._disk.torn, self._disk.torn_mono = tuple(written), self._clock.now().mono
            raise StoreUnavailable("disk I/O error (fsync)")
        self._disk.about_to_write()
        self._disk.journal += written
        self._disk.written()
        return tuple(written)

    async def entries(
        self, *, after: int = 0, run: str | None = None, limit: int = ALL
    ) -> tuple[JournalEntry, ...]:
        self._check_open()
        found = [line for line in self._disk.journal[after:] if run is None or (run and line.run == run)]
        return tuple(found[:limit])

    async def lines(self, *, after: int = 0, run: str | None = None, limit: int = ALL) -> tuple[Line, ...]:
        return tuple(line_of(entry) for entry in await self.entries(after=after, run=run, limit=limit))

    async def head(self) -> tuple[int, str]:
        self._check_open()
        journal = self._disk.journal
        return (journal[-1].sequence, journal[-1].hash) if journal else (0, genesis(self.install_id))

    async def verify(self, anchors: Sequence[tuple[int, str]] = ()) -> ChainFault | None:
        lines = await self.lines()
        return verify(lines, first_previous=genesis(self.install_id)) or verify_anchors(lines, anchors)

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
            left = held.expires_mono - now
            raise NotLeader(
                f"{held.holder} (epoch {held.epoch}) acts; its lease has {left:.0f} s left",
                holder=held.holder,
            )
        self._disk.about_to_write()
        self._disk.gone.discard(holder)  # whoever takes the lease lives
        self._disk.highest_epoch = max(self._disk.highest_epoch, minimum_epoch) + 1
        lease = TwinLease(holder=holder, epoch=Epoch(self._disk.highest_epoch), expires_mono=now + seconds)
        self._disk.lease = lease
        self._disk.written()
        return TwinLease(holder=holder, epoch=lease.epoch, expires_mono=lease.expires_mono)

    async def renew(self, lease: Lease, *, seconds: float) -> Lease:
        self._check_writable()
        held = self._disk.lease
        if held is None or held.epoch != lease.epoch:
            holder = held.holder if held else "nobody"
            raise NotLeader(f"epoch {lease.epoch} was succeeded: {holder} acts", holder=holder)
        held.expires_mono = self._clock.now().mono + seconds
        return TwinLease(holder=held.holder, epoch=held.epoch, expires_mono=held.expires_mono)

    async def release(self, lease: Lease) -> None:
        self._check_writable()
        if self._disk.lease is not None and self._disk.lease.epoch == lease.epoch:
            self._disk.lease = None

    async def leader(self) -> Lease | None:
        self._check_open()
        return _copy(self._disk.lease)

    async def watch(self, *, after: int) -> AsyncIterator[JournalEntry]:
        while True:
            self._disk.appended.clear()
            for line in self._disk.journal[after:]:
                after = line.sequence
                yield line
            await self._disk.appended.wait()

    async def close(self) -> None:
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("the store is closed")

    def _check_writable(self) -> None:
        self._check_open()
        if self._disk.trouble:
            raise StoreUnavailable(self._disk.trouble)

    def _require_epoch(self, epoch: Epoch) -> None:
        held = self._disk.lease
        if held is None or held.epoch != epoch:
            acting = f"{held.holder} with epoch {held.epoch}" if held else "nobody"
            raise StaleEpoch(f"epoch {epoch} does not act any more; {acting} does")

"""Since when each schedule has been in force as it is: what came due before was never promised, and so never missed."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from failover.model.codec import canonical_json, from_plain
from failover.model.errors import Conflict
from failover.model.ids import Epoch
from failover.model.policy import Schedule
from failover.model.ports import Store

PROMISES_KEY = "calendar"


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """One schedule's times, and since when they hold."""

    schedule: str
    cron: str
    timezone: str
    since: datetime

    def is_of(self, schedule: Schedule) -> bool:
        return (self.schedule, self.cron, self.timezone) == (schedule.name, schedule.cron, schedule.timezone)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """As the store keeps them."""

    promises: tuple[Promise, ...] = ()


class Promises:
    """What the acting controller has promised; outlives it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._version = 0
        self._promises: dict[str, Promise] = {}
        self._saved: dict[str, Promise] | None = None
        self._saving = asyncio.Lock()

    async def load(self) -> None:
        """As the last controller that acted left them. Raises StoreError."""
        found = await self._store.get(PROMISES_KEY)
        if found is not None:
            self._version = found[0]
            kept: Kept = from_plain(Kept, json.loads(found[1]))
            self._promises = {promise.schedule: promise for promise in kept.promises}
            self._saved = dict(self._promises)

    def since(self, schedule: Schedule, *, otherwise: datetime | None) -> datetime | None:
        """Since when a schedule has been promised as it is, None if it was not. `otherwise`: where nothing was ever kept."""
        if self._saved is None:
            return otherwise
        promise = self._promises.get(schedule.name)
        return promise.since if promise is not None and promise.is_of(schedule) else None

    def make(self, schedules: Iterable[Schedule], now: datetime) -> None:
        """From now on these are promised, and no others; those that were promised alike stay as old as they are."""
        made: dict[str, Promise] = {}
        for schedule in schedules:
            former = self._promises.get(schedule.name)
            made[schedule.name] = (
                former
                if former is not None and former.is_of(schedule)
                else Promise(
                    schedule=schedule.name, cron=schedule.cron, timezone=schedule.timezone, since=now
                )
            )
        self._promises = made

    async def save(self, epoch: Epoch | None) -> None:
        """Write them where they changed; only who acts may. Raises StoreError."""
        if epoch is None or self._promises == self._saved:
            return
        async with self._saving:
            promises = dict(self._promises)
            text = canonical_json(Kept(promises=tuple(promises[name] for name in sorted(promises))))
            try:
                self._version = await self._store.cas(PROMISES_KEY, self._version, text, epoch=epoch)
            except Conflict:  # another controller acted in between; ours are newer
                found = await self._store.get(PROMISES_KEY)
                version = found[0] if found else 0
                self._version = await self._store.cas(PROMISES_KEY, version, text, epoch=epoch)
            self._saved = promises

"""What outlives a restart: health, demand, inventories and the status document, saved beside the journal."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from failover.controller.context import Context
from failover.controller.pace import Pace
from failover.controller.status import STATUS_KEY
from failover.health import DurableHealth, durable, restore
from failover.model.codec import canonical_json, from_plain
from failover.model.errors import Conflict, StoreError
from failover.model.ids import ClusterName, Subject
from failover.model.inventory import ClusterInventory
from failover.model.time import Now

HEALTH_KEY = "health"
DEMAND_KEY = "demand"
IDENTITIES_KEY = "identities"
INVENTORY_KEY = "inventory/"
SAID_ALONE = ("pause", "cordons", "runs")
"""What of the status a command without a controller knows for sure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptInventory:
    """The last complete look at a cluster, as the store keeps it (`inventory.taken_mono` means nothing there)."""

    taken_at: datetime
    inventory: ClusterInventory


class Keeper:
    """Loads at start, saves as the controller goes on. Saving has a task of its own: a store that is slow or locked must
    not keep the controller from judging.

    `alone`: a command without a controller. It has probed nothing: what was last known of the fleet stays, with its age.
    """

    def __init__(
        self, context: Context, status: Callable[[], dict[str, Any]], *, alone: bool, pace: Pace
    ) -> None:
        self._context = context
        self._store = context.ports.store
        self._status = status
        self._alone = alone
        self._pace = pace
        self._versions: dict[str, int] = {}
        self._written: dict[str, str] = {}
        self._saved_at: dict[ClusterName, float] = {}
        self._last: dict[str, float] = {}
        self._held: frozenset[tuple[Subject, float]] = frozenset()
        self._identities: dict[ClusterName, str] = {}
        self._saving: asyncio.Task[None] | None = None
        self._writing = asyncio.Lock()

    async def load(self) -> None:
        """Health, demand and the last look at every cluster."""
        context = self._context
        saved = await self._read(HEALTH_KEY)
        if saved is not None:
            previous: DurableHealth = from_plain(DurableHealth, json.loads(saved))
            context.health = restore(previous, context.now(), boot_id=context.ports.identity.boot_id)
        demand = await self._read(DEMAND_KEY)
        if demand is not None:
            context.world.demand.restore(json.loads(demand))
        await self.learn_identities()
        await self._load_inventories()
        await self._read(STATUS_KEY)

    async def learn_identities(self) -> None:
        """Who each cluster is, as whoever led last has it; a person may have accepted another one while we stood by."""
        identities = await self._read(IDENTITIES_KEY)
        if identities is not None:
            self._context.world.identities.update(json.loads(identities))

    async def _read(self, key: str) -> str | None:
        found = await self._store.get(key)
        if found is None:
            return None
        self._versions[key] = found[0]
        return found[1]

    async def _load_inventories(self) -> None:
        """The last look at each cluster, with its true age: a region that died before we did is still remembered."""
        now = self._context.now()
        for entry in self._context.policy.fleet.clusters:
            found = await self._read(INVENTORY_KEY + entry.name)
            if found is None:
                continue
            kept: KeptInventory = from_plain(KeptInventory, json.loads(found))
            age_s = max(0.0, (now.wall - kept.taken_at).total_seconds())
            seen = replace(kept.inventory, taken_mono=now.mono - age_s)
            self._context.world.inventories.setdefault(entry.name, seen)

    # -- saving --------------------------------------------------------------------------------------------------------

    def save(self, now: Now) -> None:
        """Begin to save what is due, unless that is still going on. Only who acts writes."""
        if self._saving is not None and not self._saving.done():
            return
        if self._context.leadership.acting(now) and self._anything_due(now):
            self._saving = asyncio.ensure_future(self._save(now))

    def _anything_due(self, now: Now) -> bool:
        context, pace = self._context, self._pace
        return (
            self._is_due("status", now, pace.status_every_s)
            or self._is_due("rest", now, pace.save_every_s)
            or self._holds(now) != self._held
            or context.doubt != context.people.doubt
            or context.world.identities != self._identities
        )

    async def publish(self) -> None:
        """Write the status now, and what a person may have changed of health (a hold-down or a freeze that is over)."""
        try:
            await self._write_health(self._context.now())
            await self._context.keep_doubt()
            await self._write_identities()
            await self._write_status()
        except (StoreError, Conflict) as error:
            self._context.in_trouble(error)

    async def stop(self) -> None:
        """Drop what is being saved."""
        if self._saving is not None:
            self._saving.cancel()
            await asyncio.gather(self._saving, return_exceptions=True)

    async def _save(self, now: Now) -> None:
        """Status each second, the rest now and then; and what people said, as another process may have written it."""
        context = self._context
        try:
            if self._due("status", now, self._pace.status_every_s):
                await context.load_people()
                await self._write_status()
            if self._holds(now) != self._held:
                await self._write_health(now)
            await context.keep_doubt()
            await self._write_identities()
            if self._due("rest", now, self._pace.save_every_s):
                await self._write_health(now)
                await self._write(DEMAND_KEY, canonical_json(context.world.demand.dump()))
                await self._save_inventories(now)
        except (StoreError, Conflict) as error:
            context.in_trouble(error)

    def _holds(self, now: Now) -> frozenset[tuple[Subject, float]]:
        """What is held down, and until when: a new hold-down is saved at once, so that no crash shortens it."""
        return frozenset(
            (subject, history.hold_until)
            for subject, history in self._context.health.histories.items()
            if history.hold_until is not None and history.hold_until > now.mono
        )

    async def _write_identities(self) -> None:
        """Who each cluster is: remembered, so that a kubeconfig that reaches another one is noticed after a restart too."""
        identities = dict(self._context.world.identities)
        if identities and identities != self._identities:
            await self._write(IDENTITIES_KEY, canonical_json(identities))
            self._identities = identities

    async def _write_health(self, now: Now) -> None:
        self._held = self._holds(now)
        health = durable(self._context.health, now, boot_id=self._context.ports.identity.boot_id)
        await self._write(HEALTH_KEY, canonical_json(health))

    def _is_due(self, what: str, now: Now, every_s: float) -> bool:
        return now.mono - self._last.get(what, float("-inf")) >= every_s

    def _due(self, what: str, now: Now, every_s: float) -> bool:
        if not self._is_due(what, now, every_s):
            return False
        self._last[what] = now.mono
        return True

    async def _save_inventories(self, now: Now) -> None:
        for name, seen in list(self._context.world.inventories.items()):  # grows while we write
            if self._saved_at.get(name) == seen.taken_mono:
                continue
            self._saved_at[name] = seen.taken_mono
            kept = KeptInventory(
                taken_at=now.wall_of(seen.taken_mono), inventory=replace(seen, taken_mono=0.0)
            )
            await self._write(INVENTORY_KEY + name, canonical_json(kept))

    async def _write_status(self) -> None:
        document = self._status()
        if self._alone:
            found = await self._store.get(STATUS_KEY)
            known = json.loads(found[1]) if found else document
            document = known | {key: document[key] for key in SAID_ALONE}
        await self._write(STATUS_KEY, canonical_json(document))

    async def _write(self, key: str, text: str) -> None:
        async with self._writing:
            if self._written.get(key) == text:
                return
            epoch = self._context.leadership.epoch
            try:
                version = await self._store.cas(key, self._versions.get(key, 0), text, epoch=epoch)
            except Conflict:  # another process wrote meanwhile; ours is newer and comes next time
                found = await self._store.get(key)
                self._versions[key] = found[0] if found else 0
                return
            self._versions[key] = version
            self._written[key] = text
            self._context.out_of_trouble()

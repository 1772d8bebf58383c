"""Who acts. A lease in the store, renewed by its own task; acting begins when the journal has been read up to it, and ends at
expiry minus the margin (I22).
"""

from collections.abc import Callable

from failover.controller.ports import Ports
from failover.model.errors import FailoverError, NotLeader, StoreError
from failover.model.ids import Epoch
from failover.model.policy import Timing
from failover.model.ports import Lease
from failover.model.time import Now


class Leadership:
    """Acquires, renews and gives up the lease. `standby`: the sentence about who acts instead, "" while acting."""

    def __init__(self, ports: Ports, timing: Callable[[], Timing]) -> None:
        self._ports = ports
        self._timing = timing
        self.lease: Lease | None = None
        self.standby = "not started"
        self.trouble = ""
        self._knows_history = False

    @property
    def epoch(self) -> Epoch | None:
        return self.lease.epoch if self.lease else None

    def acting(self, now: Now) -> bool:
        """May anything be sent now?"""
        return self.lease is not None and now.mono < self.acting_until

    @property
    def acting_until(self) -> float:
        """Monotonic second after which nothing is sent (lease expiry minus the margin); -inf: not before we know the past."""
        if self.lease is None or not self._knows_history:
            return float("-inf")
        return self.lease.expires_mono - self._timing().lease_margin_s

    async def try_acquire(self, *, minimum_epoch: int = 0, take_over: bool = False) -> bool:
        """One attempt. False: somebody else acts, `standby` says who. StoreError passes through.

        The lease keeps others from appending; `begin` says that what they had appended is read.
        """
        identity = self._ports.identity
        self._knows_history = False
        try:
            self.lease = await self._ports.store.acquire(
                identity.holder,
                boot_id=identity.boot_id,
                process=identity.process,
                seconds=self._timing().lease_s,
                minimum_epoch=minimum_epoch,
                take_over=take_over,
            )
        except NotLeader as error:
            self.standby = str(error)
            return False
        self.standby = ""
        return True

    def begin(self) -> None:
        """Act from now on: the runs, people's words and the journal's head are those of the store."""
        self._forget_own_changes()
        self._knows_history = True

    async def keep(self, on_lost: Callable[[str], None]) -> None:
        """Renew at the policy's pace until the lease is lost; then tell and return."""
        while self.lease is not None:
            await self._ports.clock.sleep(self._timing().lease_renew_s)
            lease = self.lease
            if lease is None:
                return
            try:
                renewed = await self._ports.store.renew(lease, seconds=self._timing().lease_s)
                self.lease = renewed if self.lease is lease else self.lease
                self.trouble = ""
            except NotLeader as error:
                if self.lease is not None and self.lease is not lease:
                    continue  # we lead anew meanwhile, with a higher epoch
                self.lose(str(error))
                on_lost(str(error))
                return
            except StoreError as error:
                self.trouble = str(error)
                if not self.acting(self._ports.clock.now()):
                    self.lose(str(error))
                    on_lost(str(error))
                    return

    def lose(self, sentence: str) -> None:
        """Stop acting at once."""
        self.lease = None
        self.standby = sentence
        self._forget_own_changes()

    def _forget_own_changes(self) -> None:
        """Whoever leads in between changes the zones too: our last change is no measure of what their servers have."""
        for zone in self._ports.zones.values():
            zone.forget()

    async def give_up(self) -> None:
        """Release, so that a successor need not wait for the expiry."""
        lease, self.lease = self.lease, None
        if lease is not None:
            try:
                await self._ports.store.release(lease)
            except FailoverError as error:
                self.trouble = str(error)
        self.standby = "stopped"

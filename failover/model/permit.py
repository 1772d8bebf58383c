"""The proof that one change passed the guards. Minted by `execution.safety` only; every mutating port method takes one."""

from dataclasses import dataclass

from failover.model.ids import Epoch, IntentId


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """Good for one intent of one epoch, until `expires_mono` (monotonic seconds: lease expiry minus margin, and for a removal no
    longer than what it counts on is known).

    An adapter calls `execution`-free `still_good(now_mono)` after its last await before each send (I22).
    """

    intent: IntentId
    epoch: Epoch
    target: str
    rules: tuple[str, ...]
    expires_mono: float

    def still_good(self, now_mono: float) -> bool:
        return now_mono < self.expires_mono

    @property
    def field_manager(self) -> str:
        """What Kubernetes sees as the writer: it carries the epoch."""
        return f"failover-e{int(self.epoch)}"

"""How long to leave a target alone after it could not be read: longer each time, and never less than it asked for.

Nothing is journaled of a read that failed: it changed nothing. The count is forgotten with the first read that succeeds.
"""

from failover.execution.machine import BACK_OFF_MAX_S, back_off
from failover.model.errors import TargetError, Throttled


class Retries:
    """Counts failed reads by target. `most_s`: the longest wait that is ours; what a target asks for is kept to all the same."""

    def __init__(self, most_s: float = BACK_OFF_MAX_S) -> None:
        self._most_s = most_s
        self._failed: dict[str, int] = {}

    def wait_s(self, target: str, error: TargetError) -> float:
        """Seconds to wait after one more failed read."""
        self._failed[target] = self._failed.get(target, 0) + 1
        ours = min(self._most_s, back_off(self._failed[target], None).total_seconds())
        return max(ours, (error.retry_after_s or 0.0) if isinstance(error, Throttled) else 0.0)

    def well(self, target: str) -> None:
        """It could be read."""
        self._failed.pop(target, None)

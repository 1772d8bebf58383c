"""What a server of the lab refused because something newer stands: its own word, so that nobody has to take a controller's."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from failover.model.records import FenceRecord

FENCE_PREFIX = "_failover-fence."

OnRefused = Callable[[str, str, str], None]
"""(what the server said, text of the fence that the change would have written, text of the one that stands)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FenceRefusal:
    """`sent`: the fence of a change that was refused; `stands`: the one that stood, None for none."""

    provider: str
    said: str
    sent: FenceRecord
    stands: FenceRecord | None


def nobody(said: str, sent: str, stands: str) -> None:
    """Where nobody asks."""
    del said, sent, stands


def refusal_line(provider: str, said: str, sent: str, stands: str) -> str:
    """One line of a process's log."""
    return json.dumps({"refused": said, "provider": provider, "sent": sent, "stands": stands})


def refusals_in(log: str) -> list[FenceRefusal]:
    """What such lines of a log tell, in order; other lines, and changes without a fence of ours, are passed over."""
    found = []
    for line in log.splitlines():
        if not line.startswith('{"refused"'):
            continue
        told = json.loads(line)
        try:
            sent = FenceRecord.parse(told["sent"])
            stands = FenceRecord.parse(told["stands"]) if told["stands"] else None
        except ValueError:
            continue
        found.append(FenceRefusal(provider=told["provider"], said=told["refused"], sent=sent, stands=stands))
    return found


def fence_text(values: Iterable[str]) -> str:
    """The text of a TXT record set in presentation format, "" for none."""
    return " ".join(values).replace('" "', "").replace('"', "")

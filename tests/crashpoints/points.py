"""Names every moment at which a crash would matter, counts them, and strikes at the one that is armed.

A point is `<what>/<where>#<n>`: the n-th time that this process comes by it. Where: `before` (decided, nothing written or
sent), `last` (the permit was looked at for the last time, the bytes go next), `after` (done, nothing of it remembered yet).
"""

import os
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


@dataclass(slots=True)
class Points:
    """`armed`: the point to strike at, "" to record only. `trace`: file with a line for each point passed."""

    trace: Path
    armed: str = ""
    blow: str = "kill"
    _passed: Counter[str] = field(default_factory=Counter)
    _woke: bool = False

    def reach(self, name: str) -> bool:
        """Come by a point. A frozen process goes on from here when it is woken; True then."""
        self._passed[name] += 1
        point = f"{name}#{self._passed[name]}"
        self._note(point)
        if point != self.armed:
            return False
        self._note(f"STRIKE {point}")
        before = time.monotonic()
        os.kill(os.getpid(), SIGNALS[self.blow])
        while time.monotonic() - before < 0.5:  # a stop takes effect within the next instructions
            time.sleep(0.01)
        self._woke = True
        self._note(f"WOKE {point}")
        return True

    def told(self, name: str, outcome: str) -> None:
        """What came of the first thing that was sent after waking."""
        if self._woke:
            self._woke = False
            self._note(f"OUTCOME {name} {outcome}")

    def _note(self, line: str) -> None:
        with self.trace.open("a") as out:
            out.write(f"{line}\n")
            out.flush()
            os.fsync(out.fileno())


def watch_store(store: Any, points: Points) -> None:
    """Before and after every append, named by the first entry's kind."""
    real = store.append_batch

    async def append_batch(epoch: Any, entries: Any) -> Any:
        name = f"append-{_kind_of(entries)}"
        points.reach(f"{name}/before")
        written = await _outcome(points, "store", real(epoch, entries))
        points.reach(f"{name}/after")
        return written

    store.append_batch = append_batch


def _kind_of(entries: Any) -> str:
    if not entries:
        return "nothing"
    entry = entries[0][1]
    change = getattr(getattr(entry, "intent", None), "change", None)
    return f"{entry.kind}-{change.kind}" if change is not None else str(entry.kind)


def watch_cluster(cluster: Any, points: Points) -> None:
    """Around every scale and every raising of the fence, and just before the request leaves."""
    for verb in ("scale", "raise_fence"):
        setattr(cluster, verb, _around(getattr(cluster, verb), verb.replace("_", "-"), points))
    transport = cluster._transport
    send = transport.send

    async def sending(method: str, path: str, body: Any, **options: Any) -> Any:
        if "/events" in path:
            return await send(method, path, body, **options)
        kind = "scale" if "/scale" in path else "raise-fence"
        points.reach(f"{kind}/last")
        return await _outcome(points, "kubernetes", send(method, path, body, **options))

    transport.send = sending


def watch_zone(zone: Any, points: Points) -> None:
    """Around every change of record sets."""
    zone.change = _around(zone.change, "records", points)


def watch_connections(points: Points) -> None:
    """Just before an update leaves for a name server."""
    import dns.opcode

    from failover.dnszones.connection import Connection

    exchange = Connection.exchange

    async def exchanging(
        self: Any, message: Any, *, timeout_s: float, before_send: Callable[[], None] | None = None
    ) -> Any:
        if message.opcode() != dns.opcode.UPDATE:
            return await exchange(self, message, timeout_s=timeout_s, before_send=before_send)

        def looked() -> None:
            if before_send is not None:
                before_send()
            points.reach("records/last")

        return await _outcome(points, "dns", exchange(self, message, timeout_s=timeout_s, before_send=looked))

    Connection.exchange = exchanging  # type: ignore[method-assign]


def _around(real: Callable[..., Awaitable[Any]], name: str, points: Points) -> Callable[..., Awaitable[Any]]:
    async def called(*arguments: Any) -> Any:
        points.reach(f"{name}/before")
        answer = await real(*arguments)
        points.reach(f"{name}/after")
        return answer

    return called


async def _outcome(points: Points, name: str, doing: Awaitable[Any]) -> Any:
    try:
        answer = await doing
    except BaseException as error:
        points.told(name, f"{type(error).__name__}: {error}")
        raise
    points.told(name, _word(answer))
    return answer


def _word(answer: Any) -> str:
    rcode = getattr(answer, "rcode", None)
    if callable(rcode):
        import dns.rcode

        return f"answered {dns.rcode.to_text(rcode())}"
    return "taken"

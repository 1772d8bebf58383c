"""Names every moment at which a crash would matter, counts them, and strikes at those that are armed.

A point is `<what>/<where>#<n>`: the n-th time that a cycle comes by it, over all its processes. Where: `before` (decided,
nothing written or sent), `last` (the permit was looked at for the last time, the bytes go next), `after` (done, nothing
of it remembered yet). A kind is a point without its number: armed, it strikes the first time that it is come by.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


def kind_of(point: str) -> str:
    """A point without its number."""
    return point.partition("#")[0]


@dataclass(slots=True)
class Trace:
    """What the processes of one cycle wrote down, a line each: points, strikes, wakings, and what came of later sends."""

    path: Path

    def lines(self) -> list[str]:
        return self.path.read_text().splitlines() if self.path.exists() else []

    def points(self) -> list[str]:
        """Points in the order in which they were come by."""
        return [line for line in self.lines() if "#" in line and " " not in line]

    def told(self, word: str) -> list[str]:
        """What stands behind STRIKE, WOKE or OUTCOME."""
        return [line.removeprefix(f"{word} ") for line in self.lines() if line.startswith(f"{word} ")]

    def note(self, line: str) -> None:
        """Durably: the writer may be dead a moment later."""
        with self.path.open("a") as out:
            out.write(f"{line}\n")
            out.flush()
            os.fsync(out.fileno())


@dataclass(slots=True)
class Points:
    """`armed`: points or kinds to strike at, each once in a cycle, by whichever process comes by; none to record only.

    `threads`: of the store. Who is frozen in the very middle of a write keeps SQLite's lock, and everybody out, as README's limits
    say: here nobody is, for a point is a moment between two writes.
    """

    trace: Trace
    armed: frozenset[str] = frozenset()
    blow: str = "kill"
    threads: tuple[ThreadPoolExecutor, ...] = ()
    _woke: bool = False

    def reach(self, name: str) -> None:
        """Come by a point. A frozen process goes on from here when it is woken."""
        passed = [kind_of(point) for point in self.trace.points()].count(name)
        struck = {word for point in self.trace.told("STRIKE") for word in (point, kind_of(point))}
        point = f"{name}#{passed + 1}"
        self.trace.note(point)
        if not self.armed & {name, point} - struck:
            return
        with contextlib.ExitStack() as idle:
            if self.blow == "stop":
                for thread in self.threads:
                    idle.enter_context(_at_rest(thread))
            self.trace.note(f"STRIKE {point}")
            before = time.monotonic()
            os.kill(os.getpid(), SIGNALS[self.blow])
            while time.monotonic() - before < 0.5:  # a stop takes effect within the next instructions
                time.sleep(0.01)
            self._woke = True
            self.trace.note(f"WOKE {point}")

    def leads_anew(self) -> None:
        """With an epoch of its own it is no sleeper any more: what it sends now is to be taken."""
        self._woke = False

    @property
    def woke(self) -> bool:
        """Whether what is sent from now on is sent by a controller that slept."""
        return self._woke


@contextlib.contextmanager
def _at_rest(thread: ThreadPoolExecutor) -> Iterator[None]:
    """It has ended what it was doing, and begins nothing."""
    resting, over = threading.Event(), threading.Event()

    def rest() -> None:
        resting.set()
        over.wait()

    thread.submit(rest)
    resting.wait()
    try:
        yield
    finally:
        over.set()


def watch_store(store: Any, points: Points) -> None:
    """Around every append, named by the first entry's kind, and around becoming the leader."""
    points.threads = (store._writing, store._reading)
    append, acquire, renew, cas = store.append_batch, store.acquire, store.renew, store.cas

    async def append_batch(epoch: Any, entries: Any) -> Any:
        name = f"append-{_kind_of(entries)}"
        points.reach(f"{name}/before")
        written = await _outcome(points, "store", append(epoch, entries))
        points.reach(f"{name}/after")
        return written

    async def acquiring(*arguments: Any, **named: Any) -> Any:
        lease = await acquire(*arguments, **named)  # whoever is told to stand by has come by no point
        points.leads_anew()
        points.reach("acquire/after")
        return lease

    async def renewing(*arguments: Any, **named: Any) -> Any:
        return await _outcome(points, "store", renew(*arguments, **named))

    async def keeping(*arguments: Any, **named: Any) -> Any:
        return await _outcome(points, "store", cas(*arguments, **named))

    store.append_batch, store.acquire, store.renew, store.cas = append_batch, acquiring, renewing, keeping


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
        # An update without anything to update asks whether its prerequisites hold: whoever slept may ask.
        if message.opcode() != dns.opcode.UPDATE or not message.update:
            return await exchange(self, message, timeout_s=timeout_s, before_send=before_send)

        slept: list[bool] = []

        def looked() -> None:
            if before_send is not None:
                before_send()
            points.reach("records/last")
            slept.append(points.woke)

        asked = exchange(self, message, timeout_s=timeout_s, before_send=looked)
        return await _outcome(points, "dns", asked, slept=lambda: any(slept))

    Connection.exchange = exchanging  # type: ignore[method-assign]


def _around(real: Callable[..., Awaitable[Any]], name: str, points: Points) -> Callable[..., Awaitable[Any]]:
    async def called(*arguments: Any) -> Any:
        points.reach(f"{name}/before")
        answer = await real(*arguments)
        points.reach(f"{name}/after")
        return answer

    return called


async def _outcome(
    points: Points, place: str, doing: Awaitable[Any], *, slept: Callable[[], bool] | None = None
) -> Any:
    """Note what comes of what is sent after waking (`slept`). What was under way before may have been taken before."""
    awake = points.woke
    try:
        answer = await doing
    except BaseException as error:
        if slept() if slept else awake:
            points.trace.note(f"OUTCOME {place} {type(error).__name__}: {' '.join(str(error).split())}")
        raise
    if slept() if slept else awake:
        points.trace.note(f"OUTCOME {place} {_word(answer)}")
    return answer


def _word(answer: Any) -> str:
    rcode = getattr(answer, "rcode", None)
    if callable(rcode):
        import dns.rcode

        return dns.rcode.to_text(rcode())
    return "taken"

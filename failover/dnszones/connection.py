"""One TCP connection to one name server: many questions at once, each answer matched by id and checked by its TSIG.

dnspython builds, signs, parses and verifies the messages. The socket is ours for three reasons: a caller must know
whether a message left this machine before a failure (I19), deadlines must run on monotonic time (dnspython's run on
the wall clock), and the answers to a hundred pipelined questions come in any order.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field

import dns.exception
import dns.message
import dns.rcode
import dns.tsig

IN_FLIGHT_MAX = 16
"""Unanswered questions on one connection. BIND takes 23 pipelined ones before it stops reading."""

IDLE_MAX_S = 3.0
"""A connection unused for longer is not used again: PowerDNS closes after 2 to 5 s, Knot after 10, BIND after 30."""


class _Fault(Exception):
    """Root of the two below. `timed_out`: a deadline passed, so that trying again at once is pointless."""

    def __init__(self, sentence: str, *, timed_out: bool = False) -> None:
        self.timed_out = timed_out
        super().__init__(sentence)


class NotSent(_Fault):
    """The server was not reached: nothing left this machine."""


class NoAnswer(_Fault):
    """The message was sent, and no answer came before the deadline or the connection's end."""


@dataclass(eq=False)
class BadAnswer(Exception):
    """An answer came that cannot be trusted or read. `rcode`: what its unsigned header claims; `cause`: dnspython's."""

    cause: Exception
    rcode: dns.rcode.Rcode | None = None

    def __str__(self) -> str:
        claim = f" (it claims {dns.rcode.to_text(self.rcode)})" if self.rcode is not None else ""
        return f"{type(self.cause).__name__}: {self.cause}{claim}"


@dataclass
class _Waiting:
    message: dns.message.Message
    answer: asyncio.Future[dns.message.Message] = field(repr=False)


class Connection:
    """An open TCP connection. Use `open_connection`; afterwards `exchange` any number of messages, then `close`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._waiting: dict[int, _Waiting] = {}
        self._slots = asyncio.Semaphore(IN_FLIGHT_MAX)
        self._closed = False
        self._timed_out = False
        self._used = asyncio.get_running_loop().time()
        self._listener = asyncio.create_task(self._listen(), name="dns-listener")

    @property
    def usable(self) -> bool:
        """Open, and busy or used a moment ago."""
        idle = asyncio.get_running_loop().time() - self._used
        return not self._closed and (bool(self._waiting) or idle < IDLE_MAX_S)

    async def exchange(
        self,
        message: dns.message.Message,
        *,
        timeout_s: float,
        before_send: Callable[[], None] | None = None,
    ) -> dns.message.Message:
        """Send one message and return its answer.

        `before_send` runs after the last await before the bytes go out, and may raise to stop them (I22).
        Raises NotSent, NoAnswer, BadAnswer, dns.tsig.PeerError (the server refused our signature), dns.exception.TooBig.
        """
        async with self._slots:
            while message.id in self._waiting:
                message.id = (message.id + 1) % 65536
                if message.tsig is not None:
                    message.use_tsig(message.keyring)  # the signature covers the id
            wire = message.to_wire()
            if self._closed:
                raise NotSent("the connection is closed", timed_out=self._timed_out)
            waiting = _Waiting(message, asyncio.get_running_loop().create_future())
            if before_send is not None:
                before_send()
            self._waiting[message.id] = waiting
            try:
                self._writer.write(len(wire).to_bytes(2, "big") + wire)
                async with asyncio.timeout(timeout_s):
                    await self._writer.drain()
                    return await waiting.answer
            except TimeoutError:
                fault = NoAnswer(f"no answer within {timeout_s:g} s", timed_out=True)
                self.abort(fault)
                raise fault from None
            except OSError as error:
                fault = NoAnswer(f"the connection broke: {error}")
                self.abort(fault)
                raise fault from None
            finally:
                self._waiting.pop(message.id, None)
                if not waiting.answer.cancel() and not waiting.answer.cancelled():
                    waiting.answer.exception()  # seen: asyncio shall not report it as lost
                self._used = asyncio.get_running_loop().time()

    async def _listen(self) -> None:
        reason = "the server closed the connection"
        try:
            while True:
                size = int.from_bytes(await self._reader.readexactly(2), "big")
                self._take(await self._reader.readexactly(size))
        except asyncio.IncompleteReadError:
            pass
        except OSError as error:
            reason = f"the connection broke: {error}"
        finally:
            self._closed = True
            self._writer.close()
            for waiting in self._waiting.values():
                if not waiting.answer.done():
                    waiting.answer.set_exception(NoAnswer(reason))

    def _take(self, wire: bytes) -> None:
        waiting = self._waiting.get(int.from_bytes(wire[:2], "big")) if len(wire) >= 12 else None
        if waiting is None or waiting.answer.done():
            return  # an answer to a question that nobody waits for any more
        try:
            answer = parse_answer(wire, waiting.message)
        except (BadAnswer, dns.tsig.PeerError) as error:
            waiting.answer.set_exception(error)
        else:
            waiting.answer.set_result(answer)

    def abort(self, fault: NoAnswer) -> None:
        """Stop using the connection at once; whoever still waits gets the fault."""
        self._closed = True
        self._timed_out = fault.timed_out
        self._listener.cancel()
        self._writer.transport.abort()  # unlike close() it drops what has not been sent yet
        for waiting in self._waiting.values():
            if not waiting.answer.done():
                waiting.answer.set_exception(NoAnswer(str(fault), timed_out=fault.timed_out))

    async def close(self) -> None:
        """Close and wait until the listener has ended."""
        self.abort(NoAnswer("the connection was closed by us"))
        await asyncio.gather(self._listener, return_exceptions=True)
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


async def open_connection(address: str, port: int, *, timeout_s: float) -> Connection:
    """Connect. Raises NotSent."""
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(address, port, limit=2**17)
    except TimeoutError:
        raise NotSent(f"no connection within {timeout_s:g} s", timed_out=True) from None
    except OSError as error:
        raise NotSent(error.strerror or str(error)) from None
    return Connection(reader, writer)


def parse_answer(wire: bytes, question: dns.message.Message) -> dns.message.Message:
    """The parsed, verified answer. Raises BadAnswer, or dns.tsig.PeerError where the server refused our signature."""
    try:
        answer = dns.message.from_wire(
            wire,
            keyring=question.keyring or None,
            request_mac=question.mac or b"",
            raise_on_truncation=False,
        )
    except dns.tsig.PeerError:
        raise
    except (dns.exception.DNSException, ValueError, NotImplementedError) as error:
        raise BadAnswer(error, dns.rcode.Rcode(wire[3] & 0x0F) if len(wire) >= 12 else None) from None
    if not question.is_response(answer):
        raise BadAnswer(ValueError("the answer belongs to another question"), answer.rcode())
    return answer

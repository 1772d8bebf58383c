"""One UDP socket to one name server: many questions at once, each answer matched by id and question.

A socket a question, as dnspython opens them, makes a read-back of a thousand names take seconds.
"""

import asyncio
import secrets
from collections.abc import Callable
from typing import cast

import dns.exception
import dns.message


class Datagrams(asyncio.DatagramProtocol):
    """Use `open_datagrams`; afterwards `ask` any number of questions, then `close`."""

    def __init__(self) -> None:
        self._waiting: dict[int, tuple[Callable[[bytes], bool], asyncio.Future[bytes | None]]] = {}
        self._next = secrets.randbelow(65536)
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: object) -> None:
        """An answer, or something to be passed over: a forged, late or broken datagram answers nothing."""
        number = int.from_bytes(data[:2], "big")
        is_answer, answer = self._waiting.get(number, (None, None))
        if is_answer is None or answer is None or answer.done() or len(data) < 12:
            return
        if data[2] & 0x82 == 0x82:
            answer.set_result(None)  # an answer that is cut short, with or without its question: TCP tells
        elif is_answer(data):
            answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        """Nobody listens there: TCP tells."""
        self._give_up()

    def connection_lost(self, exc: Exception | None) -> None:
        """Closed."""
        self._give_up()

    def _give_up(self) -> None:
        for _, answer in self._waiting.values():
            if not answer.done():
                answer.set_result(None)

    async def ask(self, question: dns.message.Message, *, timeout_s: float) -> dns.message.Message | None:
        """The answer, or None where it was cut short, lost, broken, or nobody is there."""
        asked = question.question[0]
        section = asked.name.to_digestable() + int(asked.rdtype).to_bytes(2, "big") + b"\x00\x01"

        def wire(number: int) -> bytes:
            question.id = number
            return question.to_wire()

        def is_answer(data: bytes) -> bool:
            return len(data) >= 12 and bool(data[2] & 0x80) and data[12 : 12 + len(section)] == section

        found = await self.exchange(wire, is_answer, timeout_s=timeout_s)
        try:
            return dns.message.from_wire(found) if found is not None else None
        except (dns.exception.DNSException, ValueError):
            return None

    async def exchange(
        self, wire: Callable[[int], bytes], is_answer: Callable[[bytes], bool], *, timeout_s: float
    ) -> bytes | None:
        """Send `wire(id)`; the first datagram that `is_answer`, or None."""
        if self._transport is None or self._transport.is_closing() or len(self._waiting) >= 65536:
            return None
        while self._next in self._waiting:
            self._next = (self._next + 1) % 65536
        number, self._next = self._next, secrets.randbelow(65536)
        answer: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self._waiting[number] = (is_answer, answer)
        try:
            self._transport.sendto(wire(number))
            async with asyncio.timeout(timeout_s):
                return await answer
        except (TimeoutError, OSError):
            return None
        finally:
            self._waiting.pop(number, None)

    def close(self) -> None:
        """Close the socket."""
        if self._transport is not None:
            self._transport.close()


async def open_datagrams(address: str, port: int) -> Datagrams | None:
    """A socket that sends to one server, None where this machine has no way to it."""
    loop = asyncio.get_running_loop()
    try:
        _, protocol = await loop.create_datagram_endpoint(Datagrams, remote_addr=(address, port))
    except OSError:
        return None
    return protocol

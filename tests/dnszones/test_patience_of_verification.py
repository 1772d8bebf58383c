"""Each question of a look at a server has a time of its own: many names at a slow server are not a silent server."""

import asyncio
from collections.abc import AsyncIterator

import dns.name
import pytest

from failover.dnszones import verify
from failover.dnszones.verify import verify_server
from failover.lab.nameserver import NameServer, empty_zone
from failover.model.policy import NameServer as Server
from failover.model.records import ServerAnswer

from .worlds import APEX, record

NAMES = [record(f"app{number}", "192.0.2.10") for number in range(500)]
TIMEOUT_S = 2.0
"""Long against what a busy machine adds to an answer."""


class Moody(NameServer):
    """Answers the first `patience` messages, and then none."""

    patience = 10**9
    asked = 0

    def answer(self, wire: bytes, *, max_size: int) -> bytes | None:
        self.asked += 1
        return super().answer(wire, max_size=max_size) if self.asked <= self.patience else None


@pytest.fixture
async def server() -> AsyncIterator[Moody]:
    made = Moody([empty_zone(APEX)])
    for item in NAMES:
        made.set_records(APEX, item.name, "A", item.ttl, *item.values)
    await made.start()
    yield made
    await made.stop()


async def looked(server: Moody) -> tuple[ServerAnswer, float]:
    """(what is made of the server, seconds that it took)."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    answer = await verify_server(
        Server(address=server.address, port=server.port),
        NAMES,
        dns.name.from_text(APEX),
        timeout_s=TIMEOUT_S,
        expected_serial=None,
    )
    return answer, loop.time() - began


async def test_a_slow_server_that_answers_every_question_in_time_is_as_intended(server: Moody) -> None:
    server.faults.delay_s = TIMEOUT_S / 5
    answer, took_s = await looked(server)
    assert (answer.answered, answer.matches) == (True, True), answer.detail
    assert took_s > TIMEOUT_S, "else this shows nothing"


async def test_a_server_that_dies_on_the_way_is_silent_and_is_not_waited_for_name_by_name(
    server: Moody,
) -> None:
    server.patience = 40
    answer, took_s = await looked(server)
    assert not answer.answered
    assert took_s < 3 * TIMEOUT_S, (
        "64 at once: five hundred names one after another would be eight times that"
    )
    assert server.asked < len(NAMES), "no further ones were asked"


async def test_all_questions_together_end_as_well(server: Moody, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "OVERALL_TIMES", 2)
    monkeypatch.setattr(verify, "PARALLEL_PER_SERVER", 1)
    server.faults.delay_s = 0.1
    answer, took_s = await looked(server)
    assert not answer.answered, "unknown: it was not asked for everything"
    assert took_s < 4 * TIMEOUT_S

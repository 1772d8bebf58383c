"""The stand-in's health checkers look at the endpoints themselves; and whose zone `lab up` serves."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import dns.rdatatype
import pytest
from typer.testing import CliRunner

from failover.cli.commands import app
from failover.lab.faults import FAULTS
from failover.lab.play import dns_of
from failover.lab.providers import Route53Fake
from failover.lab.providers.checkers import Checkers, passes
from failover.lab.providers.route53_checks import HealthCheck
from failover.lab.scenario import ScenarioError

STATUS = {"line": b"HTTP/1.1 200 OK"}


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readline()
    writer.write(STATUS["line"] + b"\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()
    writer.close()


@pytest.fixture
async def endpoint() -> AsyncIterator[asyncio.Server]:
    STATUS["line"] = b"HTTP/1.1 200 OK"
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield server
    server.close()


def check(port: int, kind: str = "HTTP", number: str = "one") -> HealthCheck:
    told = {"IPAddress": "127.0.0.1", "Port": str(port), "Type": kind, "FailureThreshold": "3"}
    return HealthCheck(id=number, reference=number, config=tuple(told.items()))


@pytest.mark.parametrize(
    ("line", "well"),
    [
        (b"HTTP/1.1 204 None", True),
        (b"HTTP/1.1 302 Found", True),
        (b"HTTP/1.1 503 No", False),
        (b"what", False),
    ],
)
async def test_a_check_passes_by_what_the_endpoint_answers(
    endpoint: asyncio.Server, line: bytes, well: bool
) -> None:
    STATUS["line"] = line
    port = endpoint.sockets[0].getsockname()[1]
    assert await passes(check(port)) is well
    assert await passes(check(port, "TCP"))
    assert not await passes(check(port, "HTTPS")), "it speaks no TLS"
    endpoint.close()
    assert not await passes(check(port, "TCP"))


async def test_three_failures_in_a_row_take_a_record_out_of_the_answers_and_three_successes_bring_it_back(
    endpoint: asyncio.Server,
) -> None:
    fake = Route53Fake("example.test")
    await fake.start()
    fake.checks["one"] = check(endpoint.sockets[0].getsockname()[1])
    fake.set_weighted("shop.example.test.", "A", 5, {"192.0.2.1": 100, "192.0.2.2": 100})
    key = ("shop.example.test.", "A", "failover:192.0.2.1")
    fake.rrsets[key] = replace(fake.rrsets[key], check="one")
    checkers, seen = Checkers(fake), []
    for status in ("500", "500", "200", "500", "500", "500", "200", "200", "200"):
        STATUS["line"] = f"HTTP/1.1 {status} so".encode()
        await checkers.round()
        seen.append(len(answers_of(fake)))
    assert seen == [2, 2, 2, 2, 2, 1, 1, 1, 2]
    await fake.stop()


def answers_of(fake: Route53Fake) -> set[str]:
    """Every address that the first name server gives."""
    content = fake.behind.servers[0].content("example.test")
    (records,) = [
        r for (name, kind), r in content.records.items() if "shop" in str(name) and kind == dns.rdatatype.A
    ]
    return {rdata.to_text() for rdata in records.rdatas}


def test_a_lab_is_served_by_the_providers_that_are_asked_for() -> None:
    assert dns_of((), weights=False) == {"dns": ["rfc2136"], "weights": False, "prepare": False}
    assert dns_of(("route53", "clouddns"), weights=True)["prepare"]
    assert not dns_of(("clouddns",), weights=True)["prepare"]
    for providers, weights, said in (
        (("route66",), False, "there is no DNS provider 'route66'"),
        (("rfc2136",), True, "rfc2136 has no weighted records"),
        (("route53", "route53"), False, "each DNS provider once"),
    ):
        with pytest.raises(ScenarioError, match=said):
            dns_of(providers, weights=weights)


def test_the_help_of_lab_fault_names_every_fault() -> None:
    shown = " ".join(
        CliRunner().invoke(app, ["lab", "fault", "--help"], env={"COLUMNS": "200"}).output.split()
    )
    assert [name for name in FAULTS if name not in shown] == []

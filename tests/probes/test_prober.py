"""Real probes against real servers on loopback: every outcome class, and what a probe may never do."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from failover.model.observation import Outcome, ProbeKind, ProbeResult
from failover.probes.prober import BODY_MAX, ProberSet, merge
from tests.probes.servers import HOST, LOOPBACK, NAME, Authority, closed_port, definition, raw, site


@pytest.fixture
async def prober() -> AsyncIterator[ProberSet]:
    made = ProberSet(allow_cidrs=LOOPBACK)
    yield made
    await made.close()


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.OK),
        (204, Outcome.OK),
        (500, Outcome.SERVER_ERROR),
        (503, Outcome.SERVER_ERROR),
        (404, Outcome.WRONG_ANSWER),
        (401, Outcome.LOCAL),
        (403, Outcome.LOCAL),
        (429, Outcome.LOCAL),
    ],
)
async def test_what_a_status_means(prober: ProberSet, status: int, outcome: Outcome) -> None:
    async with site(status=status) as there:
        result = await prober.probe(definition(there.port))
    assert result.outcome is outcome
    assert result.detail == ("" if outcome is Outcome.OK else f"HTTP {status}")
    assert result.latency_ms > 0


async def test_accepted_statuses_replace_the_two_hundreds(prober: ProberSet) -> None:
    async with site(status=404) as there:
        assert (await prober.probe(definition(there.port, statuses=(404,)))).outcome is Outcome.OK
        there.status = 200
        result = await prober.probe(definition(there.port, statuses=(404,)))
        assert result.outcome is Outcome.WRONG_ANSWER


@pytest.mark.parametrize("probe", [ProbeKind.HTTP, ProbeKind.HTTPS, ProbeKind.TCP, ProbeKind.READYZ])
async def test_nobody_listens_is_refused(prober: ProberSet, probe: ProbeKind) -> None:
    assert (await prober.probe(definition(closed_port(), probe))).outcome is Outcome.REFUSED


@pytest.mark.parametrize("probe", [ProbeKind.HTTP, ProbeKind.HTTPS, ProbeKind.READYZ])
async def test_accepted_and_then_silent_is_a_timeout(prober: ProberSet, probe: ProbeKind) -> None:
    async def hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with raw(hang) as port:
        result = await prober.probe(definition(port, probe, timeout_s=0.2))
    assert result.outcome is Outcome.TIMEOUT


async def test_a_body_that_drips_for_ever_is_a_timeout_of_the_whole_probe(prober: ProberSet) -> None:
    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with raw(drip) as port:
        result = await prober.probe(definition(port, timeout_s=0.2))
    assert result.outcome is Outcome.TIMEOUT


async def test_hung_up_is_a_reset(prober: ProberSet) -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        raw_socket: socket.socket = writer.get_extra_info("socket")
        raw_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.close()

    for handler in (reset, leave):
        async with raw(handler) as port:
            assert (await prober.probe(definition(port))).outcome is Outcome.RESET


async def test_what_is_no_http_is_a_wrong_answer(prober: ProberSet) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"220 mail.example.net ESMTP\r\n\r\n")
        await writer.drain()

    async with raw(babble) as port:
        assert (await prober.probe(definition(port))).outcome is Outcome.WRONG_ANSWER


async def test_a_tcp_probe_is_content_with_a_connection(prober: ProberSet) -> None:
    async def hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with raw(hang) as port:
        assert (await prober.probe(definition(port, ProbeKind.TCP))).outcome is Outcome.OK


async def test_the_body_must_hold_what_the_definition_says(prober: ProberSet) -> None:
    async with site(body=b"all is well") as there:
        good = await prober.probe(definition(there.port, body_contains="is well"))
        bad = await prober.probe(definition(there.port, body_contains="is lost"))
    assert good.outcome is Outcome.OK
    assert bad.outcome is Outcome.WRONG_ANSWER
    assert "is lost" in bad.detail


async def test_no_more_than_the_first_64_kib_are_read(prober: ProberSet) -> None:
    async with site(body=b"." * BODY_MAX + b"the end") as there:
        result = await prober.probe(definition(there.port, body_contains="the end"))
        assert result.outcome is Outcome.WRONG_ANSWER
        assert (await prober.probe(definition(there.port))).outcome is Outcome.OK

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    async with raw(endless) as port:
        assert (await prober.probe(definition(port))).outcome is Outcome.OK


async def test_redirects_are_not_followed(prober: ProberSet) -> None:
    async with site() as elsewhere:
        headers = {"Location": f"http://{HOST}:{elsewhere.port}/"}
        async with site(status=302, headers=headers) as there:
            result = await prober.probe(definition(there.port))
            accepted = await prober.probe(definition(there.port, statuses=(302,)))
    assert (result.outcome, accepted.outcome) == (Outcome.WRONG_ANSWER, Outcome.OK)
    assert elsewhere.asked == []


async def test_no_cookie_travels_from_one_probe_to_the_next(prober: ProberSet) -> None:
    async with site(headers={"Set-Cookie": "session=1"}) as there:
        await prober.probe(definition(there.port))
        await prober.probe(definition(there.port))
    assert all("Cookie" not in request.headers for request in there.asked)


async def test_no_proxy_of_the_environment_is_used(
    prober: ProberSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with site() as there, site(status=502) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://{HOST}:{proxy.port}")
        assert (await prober.probe(definition(there.port))).outcome is Outcome.OK
    assert proxy.asked == []


# -- TLS ---------------------------------------------------------------------------------------------------------------


async def test_a_trusted_certificate_is_ok_and_sni_and_host_are_the_definitions(
    prober: ProberSet, authority: Authority
) -> None:
    async with site(authority.server()) as there:
        asked = definition(there.port, ProbeKind.HTTPS, ca_pem=authority.pem, host="shop.example.test")
        assert (await prober.probe(asked)).outcome is Outcome.OK
    assert there.names == [NAME]
    assert there.asked[0].headers["Host"] == "shop.example.test"
    assert there.asked[0].path == "/"


async def test_a_certificate_of_somebody_else_is_tls(prober: ProberSet, authority: Authority) -> None:
    async with site(authority.server()) as there:
        asked = definition(there.port, ProbeKind.HTTPS, ca_pem=Authority().pem)
        assert (await prober.probe(asked)).outcome is Outcome.TLS
    assert there.asked == []


async def test_an_expired_certificate_is_tls(prober: ProberSet, authority: Authority) -> None:
    async with site(authority.server(expired=True)) as there:
        result = await prober.probe(definition(there.port, ProbeKind.HTTPS, ca_pem=authority.pem))
    assert result.outcome is Outcome.TLS
    assert "expired" in result.detail


async def test_a_certificate_for_another_name_is_tls(prober: ProberSet, authority: Authority) -> None:
    async with site(authority.server("south-1.example.net")) as there:
        result = await prober.probe(definition(there.port, ProbeKind.HTTPS, ca_pem=authority.pem))
    assert result.outcome is Outcome.TLS


async def test_plain_text_where_tls_is_expected_is_tls(prober: ProberSet, authority: Authority) -> None:
    async with site() as there:
        result = await prober.probe(definition(there.port, ProbeKind.HTTPS, ca_pem=authority.pem))
    assert result.outcome is Outcome.TLS


@pytest.mark.parametrize(
    "pem", ["not a certificate", "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----"]
)
async def test_a_broken_bundle_of_ours_is_our_fault(
    prober: ProberSet, authority: Authority, pem: str
) -> None:
    """Every vantage holds the same bundle: were it `tls`, a typing error would take every region down at once."""
    async with site(authority.server()) as there:
        result = await prober.probe(definition(there.port, ProbeKind.HTTPS, ca_pem=pem))
    assert result.outcome is Outcome.LOCAL


@pytest.mark.parametrize(
    "changes",
    [{"server_name": "no..such.name"}, {"server_name": "x" * 300}, {"host": "bad\r\nX-Smuggled: 1"}],
    ids=["empty label", "too long", "line break"],
)
async def test_a_definition_that_cannot_be_asked_is_our_fault(
    prober: ProberSet, authority: Authority, changes: dict[str, str]
) -> None:
    async with site(authority.server()) as there:
        asked = definition(there.port, ProbeKind.HTTPS, ca_pem=authority.pem, **changes)
        assert (await prober.probe(asked)).outcome is Outcome.LOCAL
    assert there.asked == []


# -- connections -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [ProbeKind.HTTPS, ProbeKind.READYZ])
async def test_a_probe_comes_as_a_new_client_each_time(
    prober: ProberSet, authority: Authority, kind: ProbeKind
) -> None:
    async with site(authority.server()) as there:
        for _ in range(3):
            asked = definition(there.port, kind, ca_pem=authority.pem)
            assert (await prober.probe(asked)).outcome is Outcome.OK
    assert len(set(there.peers)) == 3


async def test_readyz_may_be_asked_by_name_and_a_name_that_does_not_resolve_is_local(
    prober: ProberSet, authority: Authority
) -> None:
    async with site(authority.server("localhost")) as there:
        asked = definition(
            there.port, ProbeKind.READYZ, address="localhost", server_name="localhost", ca_pem=authority.pem
        )
        assert (await prober.probe(asked)).outcome is Outcome.OK
    lost = definition(443, ProbeKind.READYZ, address="no-such-host.invalid", timeout_s=10.0)
    assert (await prober.probe(lost)).outcome is Outcome.LOCAL


async def test_what_we_cancel_is_no_result(prober: ProberSet) -> None:
    async def hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with raw(hang) as port:
        task = asyncio.ensure_future(prober.probe(definition(port)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_the_detail_is_printable_and_short(prober: ProberSet) -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 200 OK\r\nX-\x1b[31m: " + b"a" * 40_000 + b"\r\n\r\n")
        await writer.drain()

    async with raw(shout) as port:
        result = await prober.probe(definition(port))
    assert result.outcome is Outcome.WRONG_ANSWER
    assert len(result.detail) <= 256
    assert result.detail.isprintable()


def test_a_fresh_context_verifies() -> None:
    from failover.probes.tls import context_for

    context = context_for("")
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


async def test_an_answer_is_asked_for_as_it_is_so_that_a_compressing_server_is_no_wrong_answer(
    prober: ProberSet,
) -> None:
    async with site(body=b"all is well") as there:
        assert (await prober.probe(definition(there.port, body_contains="is well"))).outcome is Outcome.OK
        assert there.asked[0].headers["Accept-Encoding"] == "identity"


async def test_an_endpoint_answers_while_one_of_its_addresses_does(prober: ProberSet) -> None:
    async with site() as there:
        made = definition(there.port)
        half = await prober.probe(replace(made, more_addresses=("127.0.0.2",)))
        whole = await prober.probe(made)
        none = await prober.probe(replace(made, address="127.0.0.2", more_addresses=("127.0.0.3",)))
    assert (half.outcome, half.partly) == (Outcome.OK, True)
    assert "1 of 2 addresses fail: 127.0.0.2 refused" in half.detail
    assert (whole.outcome, whole.partly) == (Outcome.OK, False)
    assert none.outcome is Outcome.REFUSED


def test_an_address_that_is_out_of_our_reach_speaks_neither_for_nor_against() -> None:
    well, ours = ProbeResult(outcome=Outcome.OK), ProbeResult(outcome=Outcome.LOCAL)
    dead = ProbeResult(outcome=Outcome.TIMEOUT)
    assert merge(("a", "b"), (well, ours)) == well
    assert merge(("a", "b"), (ours, dead)) == dead
    assert merge(("a", "b"), (ours, ours)).outcome is Outcome.LOCAL

"""The lab's name server as other people's clients see it: dnspython without our adapter, dig, nsupdate, BIND beside it."""

import asyncio
import base64
import random
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import dns.asyncquery
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.update
import pytest

from failover.lab.nameserver import Content, NameServer, empty_zone, new_key
from failover.lab.nameserver.content import with_records

APEX = dns.name.from_text("example.test")


@pytest.fixture
async def server() -> AsyncIterator[NameServer]:
    made = NameServer([empty_zone("example.test")], keys=[KEY])
    await made.start()
    yield made
    await made.stop()


KEY = new_key()


async def ask(
    server: NameServer, name: str, kind: str = "A", *, tcp: bool = False, edns: bool = False
) -> dns.message.Message:
    query = dns.message.make_query(name, kind, use_edns=0 if edns else -1)
    function = dns.asyncquery.tcp if tcp else dns.asyncquery.udp
    return await function(query, server.address, port=server.port, timeout=5)


async def send(server: NameServer, message: dns.message.Message) -> dns.rcode.Rcode:
    answer = await dns.asyncquery.tcp(message, server.address, port=server.port, timeout=5)
    return answer.rcode()


def update(key: dns.tsig.Key | None = KEY, zone: str = "example.test") -> dns.update.UpdateMessage:
    return dns.update.UpdateMessage(zone, keyring=key)


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
async def test_answers_are_authoritative_and_absence_comes_with_the_soa(
    server: NameServer, tcp: bool
) -> None:
    server.set_records("example.test", "a.b", "A", 60, "192.0.2.1", "192.0.2.2")
    found = await ask(server, "A.b.Example.TEST", tcp=tcp)
    assert found.flags & dns.flags.AA
    assert len(found.answer[0]) == 2
    for name, kind, rcode in (
        ("a.b.example.test", "AAAA", dns.rcode.NOERROR),
        ("b.example.test", "A", dns.rcode.NOERROR),  # an empty name above another exists
        ("c.example.test", "A", dns.rcode.NXDOMAIN),
    ):
        answer = await ask(server, name, kind, tcp=tcp)
        assert answer.rcode() == rcode
        assert answer.flags & dns.flags.AA
        assert not answer.answer
        assert answer.authority[0].rdtype == dns.rdatatype.SOA
        assert answer.authority[0].ttl == 5
    elsewhere = await ask(server, "example.org", tcp=tcp)
    assert elsewhere.rcode() == dns.rcode.REFUSED
    assert not elsewhere.flags & dns.flags.AA


async def test_aliases_are_followed_inside_the_zone_and_delegations_are_referrals(server: NameServer) -> None:
    server.set_records("example.test", "a", "A", 60, "192.0.2.1")
    server.set_records("example.test", "b", "CNAME", 60, "a")
    server.set_records("example.test", "loop", "CNAME", 60, "loop")
    server.set_records("example.test", "child", "NS", 60, "ns.elsewhere.test.")
    assert [item.rdtype.name for item in (await ask(server, "b.example.test")).answer] == ["CNAME", "A"]
    assert (await ask(server, "loop.example.test")).rcode() == dns.rcode.NOERROR
    referral = await ask(server, "x.child.example.test")
    assert not referral.answer
    assert not referral.flags & dns.flags.AA
    assert referral.authority[0].rdtype == dns.rdatatype.NS


async def test_a_large_answer_is_cut_short_over_udp_and_whole_over_tcp(server: NameServer) -> None:
    server.set_records("example.test", "big", "A", 60, *(f"192.0.2.{number}" for number in range(200)))
    assert (await ask(server, "big.example.test")).flags & dns.flags.TC
    assert (await ask(server, "big.example.test", edns=True)).flags & dns.flags.TC
    assert len((await ask(server, "big.example.test", tcp=True)).answer[0]) == 200


async def test_signatures_are_checked_before_anything_else(server: NameServer) -> None:
    wrong = update(new_key())
    wrong.add("x", 60, "A", "192.0.2.1")
    with pytest.raises(dns.tsig.PeerBadSignature):
        await send(server, wrong)
    unknown = update(new_key("stranger"))
    with pytest.raises(dns.tsig.PeerBadKey):
        await send(server, unknown)
    assert await send(server, update(None)) == dns.rcode.REFUSED
    assert await send(server, update(zone="example.org")) == dns.rcode.NOTAUTH
    server.faults.clock_offset_s = -400
    with pytest.raises(dns.tsig.PeerBadTime):
        await send(server, update())
    assert server.content("example.test").serial == 1


@pytest.mark.parametrize("algorithm", ["hmac-sha256", "hmac-sha384", "hmac-sha512"])
async def test_every_accepted_algorithm_signs(algorithm: str) -> None:
    key = new_key("k", algorithm)
    server = NameServer([empty_zone("example.test")], keys=[key])
    await server.start()
    message = update(key)
    message.add("x", 60, "A", "192.0.2.1")
    assert await send(server, message) == dns.rcode.NOERROR
    await server.stop()


async def test_secondaries_follow_after_their_lag_and_take_no_updates(server: NameServer) -> None:
    secondary = NameServer([], keys=[KEY])
    await secondary.start()
    server.add_secondary(secondary, lag_s=0.05)
    message = update()
    message.add("x", 60, "A", "192.0.2.1")
    assert await send(server, message) == dns.rcode.NOERROR
    assert secondary.content("example.test").serial == 1
    async with asyncio.timeout(5):
        while secondary.content("example.test").serial != 2:  # noqa: ASYNC110  nothing tells when a lag is over
            await asyncio.sleep(0.01)
    assert await send(secondary, update()) == dns.rcode.REFUSED
    await secondary.stop()


async def test_garbage_gets_formerr_or_nothing_and_the_server_lives(server: NameServer) -> None:
    generator = random.Random(7)
    for size in (0, 5, 12, 13, 40, 300):
        server.answer(generator.randbytes(size), max_size=512)
    question = bytearray(dns.message.make_query("example.test", "SOA").to_wire())
    question[5] = 9  # claims nine questions
    answer = server.answer(bytes(question), max_size=512)
    assert answer is not None
    assert answer[3] & 0x0F == dns.rcode.FORMERR
    assert (await ask(server, "example.test", "SOA")).answer


def with_update(content: Content, **kinds: object) -> tuple[dns.rcode.Rcode, Content]:
    """Apply one update, built by `method=arguments` pairs, as it is after the wire."""
    message = update(None)
    for method, arguments in kinds.items():
        assert isinstance(arguments, tuple)
        getattr(message, method.rstrip("_"))(*arguments)
    parsed = dns.message.from_wire(message.to_wire())
    assert isinstance(parsed, dns.update.UpdateMessage)
    return content.updated(parsed)


@pytest.mark.parametrize(
    ("method", "arguments", "rcode"),
    [
        ("present", ("a", "A", "192.0.2.1", "192.0.2.2"), "NOERROR"),
        ("present", ("a", "A", "192.0.2.1"), "NXRRSET"),
        ("present", ("a", "A", "192.0.2.1", "192.0.2.2", "192.0.2.3"), "NXRRSET"),
        ("present", ("a", "A"), "NOERROR"),
        ("present", ("a", "AAAA"), "NXRRSET"),
        ("present", ("a",), "NOERROR"),
        ("present", ("b",), "NXDOMAIN"),
        ("absent", ("a", "A"), "YXRRSET"),
        ("absent", ("a", "AAAA"), "NOERROR"),
        ("absent", ("a",), "YXDOMAIN"),
        ("absent", ("b",), "NOERROR"),
        ("present", ("a.example.org.",), "NOTZONE"),
    ],
)
def test_prerequisites_are_those_of_rfc_2136(method: str, arguments: tuple[str, ...], rcode: str) -> None:
    content = with_records(empty_zone("example.test"), "a", "A", 60, "192.0.2.1", "192.0.2.2")
    result, after = with_update(content, **{method: arguments}, add=("c", 60, "A", "192.0.2.9"))
    assert dns.rcode.to_text(result) == rcode
    assert (after.serial == content.serial + 1) is (rcode == "NOERROR")


def test_updates_ignore_what_rfc_2136_says_they_ignore() -> None:
    content = with_records(empty_zone("example.test"), "a", "A", 60, "192.0.2.1")
    content = with_records(content, "alias", "CNAME", 60, "a")
    for method, arguments in (
        ("add", ("a", 60, "CNAME", "b")),
        ("add", ("alias", 60, "A", "192.0.2.9")),
        ("add", ("@", 60, "SOA", "ns1 host 99 1 1 1 1")),
        ("delete", ("@", "NS")),
        ("delete", ("@", "SOA")),
        ("delete", ("missing",)),
        ("replace", ("a", 60, "A", "192.0.2.1")),
    ):
        assert with_update(content, **{method: arguments}) == (dns.rcode.NOERROR, content), (
            method,
            arguments,
        )
    _, changed = with_update(content, replace=("alias", 60, "CNAME", "c"))
    assert changed.query(dns.name.from_text("alias.example.test"), dns.rdatatype.CNAME).answer[0][
        0
    ].target == (dns.name.from_text("c.example.test"))


@pytest.mark.skipif(shutil.which("nsupdate") is None, reason="nsupdate is in bind9-dnsutils")
async def test_nsupdate_and_dig_speak_to_it(server: NameServer, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(
        f'key "failover-lab" {{ algorithm hmac-sha256; secret "{base64.b64encode(KEY.secret).decode()}"; }};\n'
    )
    script = f"server {server.address} {server.port}\nzone example.test\n{{}}\nsend\n"
    first = await run(
        "nsupdate", "-k", str(key), text=script.format("update add x.example.test 60 A 192.0.2.1")
    )
    assert first[0] == 0, first
    stale = await run(
        "nsupdate",
        "-k",
        str(key),
        text=script.format(
            "prereq yxrrset x.example.test A 192.0.2.7\nupdate add y.example.test 60 A 192.0.2.1"
        ),
    )
    assert stale[0] == 2
    assert "NXRRSET" in stale[1]
    dug = await run(
        "dig", f"@{server.address}", "-p", str(server.port), "x.example.test", "+short", "+norec", text=""
    )
    assert dug[1].strip() == "192.0.2.1"


async def run(*command: str, text: str) -> tuple[int | None, str]:
    """A client program's exit code and everything it says."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate(text.encode())
    return process.returncode, output.decode()

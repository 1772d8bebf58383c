"""What only the adapter on the wire has: keys, signatures, odd answers, kept connections."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from failover.dnszones import open_zones
from failover.dnszones.answers import read_found
from failover.dnszones.fences import UNREADABLE_OWNER
from failover.dnszones.keyfile import load_key, parse_key
from failover.dnszones.names import fence_name, fence_of, fence_rdata
from failover.dnszones.rfc2136 import RFC2136Zone
from failover.dnszones.verify import serial_before
from failover.lab.nameserver import new_key
from failover.model.errors import FencedOff, LocalFault, Rejected, TargetError, Unavailable
from failover.model.policy import Fleet, Policy

from .worlds import SHOP, BindWorld, LabWorld, LoopClock, Writer, create, record, values_at, write_key

EAST, WEST = "192.0.2.10", "198.51.100.10"
SHOP_EAST, SHOP_WEST = record("shop", EAST), record("shop", WEST)
APEX = dns.name.from_text("example.test")


async def test_a_key_of_another_secret_or_name_is_our_fault(lab: LabWorld, tmp_path: Path) -> None:
    who = Writer()
    for name, word in (("failover-lab", "BADSIG"), ("somebody-else", "BADKEY")):
        file = write_key(tmp_path / f"{name}.key", new_key(name))
        zone = lab.open(tsig_key_file=str(file))
        with pytest.raises(LocalFault, match=word):
            await zone.change(who.permit(), who.change("plan-1", (None, SHOP_EAST)))
        with pytest.raises(LocalFault, match=word):
            await zone.read([SHOP_EAST], [SHOP])
        (problem,) = await zone.check([(SHOP_EAST.name, "A")])
        assert word in problem.sentence
        assert not problem.warning
    assert lab.servers[0].updates == 0


async def test_a_key_that_is_put_right_is_used_at_once(lab: LabWorld, tmp_path: Path) -> None:
    file = write_key(tmp_path / "tsig.key", new_key())
    zone = lab.open(tsig_key_file=str(file))
    with pytest.raises(LocalFault, match="BADSIG"):
        await zone.read([SHOP_EAST], [SHOP])
    write_key(file, lab.key)
    await create(zone, SHOP_EAST)


async def test_a_permit_that_expires_in_the_queue_sends_nothing(lab: LabWorld) -> None:
    """The lease is looked at after the last wait before the bytes go out, not when the change was asked for."""
    now = 100.0
    zone = RFC2136Zone(lab.zone, mono=lambda: now)
    who = Writer()
    lab.faults(0).delay_s = 0.1
    permit = replace(who.permit(), expires_mono=105.0)
    first = asyncio.create_task(zone.change(permit, who.change("p", (None, SHOP_EAST))))
    web = type(SHOP)("web")
    second = asyncio.create_task(
        zone.change(permit, who.change("p", (None, record("web", EAST)), application=web))
    )
    while not lab.servers[0].updates:  # noqa: ASYNC110  the first has left, the second waits behind it
        await asyncio.sleep(0.001)
    now = 105.0
    await first
    with pytest.raises(Unavailable, match="expired"):
        await second
    await zone.close()
    assert lab.servers[0].updates == 1


async def test_a_zone_that_the_server_does_not_serve_is_rejected(lab: LabWorld) -> None:
    zone, who = lab.open(apex="example.org"), Writer()
    elsewhere = record("shop", EAST, apex="example.org")
    with pytest.raises(Rejected, match="REFUSED"):
        await zone.read([elsewhere], [SHOP])
    with pytest.raises(Rejected, match="NOTAUTH"):
        await zone.change(who.permit(), who.change("plan-1", (None, elsewhere)))
    assert [problem.warning for problem in await zone.check([(elsewhere.name, "A")])] == [False]


async def test_a_secondary_named_as_primary_takes_no_updates(lab: LabWorld) -> None:
    zone, who = lab.open(primary=lab.zone.authoritative[1]), Writer()
    with pytest.raises(Rejected, match="REFUSED"):
        await zone.change(who.permit(), who.change("plan-1", (None, SHOP_EAST)))


async def test_the_key_file_is_private_or_not_read(lab: LabWorld, tmp_path: Path) -> None:
    good = Path(lab.zone.tsig_key_file)
    assert load_key(good) == lab.key
    open_to_all = write_key(tmp_path / "open.key", lab.key)
    open_to_all.chmod(0o640)
    link = tmp_path / "link.key"
    link.symlink_to(good)
    for file, sentence in (
        (open_to_all, "chmod 600"),
        (link, "cannot be read"),
        (tmp_path / "missing.key", "cannot be read"),
        (tmp_path, "plain file"),
    ):
        with pytest.raises(LocalFault, match=sentence):
            await lab.open(tsig_key_file=str(file)).read([SHOP_EAST], [])
    with pytest.raises(LocalFault, match="tsigKeyFile"):
        await lab.open(tsig_key_file="").read([SHOP_EAST], [])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "expected `key"),
        ('key "a" { algorithm hmac-sha256; secret "AAAA', "not closed"),
        ('key "a" { algorithm hmac-sha256; };', "lacks its secret"),
        ('key "a" { algorithm hmac-md5; secret "MDEyMzQ1Njc4OWFiY2RlZg=="; };', "not accepted"),
        ('key "a" { algorithm hmac-sha256; secret "?"; };', "not base64"),
        ('key "a" { algorithm hmac-sha256; secret "MDEy"; };', "24 bits"),
        ('key "a" { algorithm hmac-sha256; port 53; };', "nothing else"),
        ('key "a" { algorithm hmac-sha256; secret "MDEyMzQ1Njc4OWFiY2RlZg=="; }; key', "nothing after"),
    ],
)
def test_a_broken_key_file_is_explained(text: str, sentence: str) -> None:
    with pytest.raises(LocalFault, match=sentence):
        parse_key(text, origin="tsig.key")


@pytest.mark.parametrize("algorithm", ["hmac-sha256", "hmac-sha384", "HMAC-SHA512"])
def test_a_key_file_may_hold_comments(algorithm: str) -> None:
    text = f"""# made by tsig-keygen
    /* two
       lines */ key web.example {{ // name
        secret "MDEyMzQ1Njc4OWFiY2RlZg==";
        algorithm {algorithm};
    }};"""
    key = parse_key(text, origin="tsig.key")
    assert key.name == dns.name.from_text("web.example")
    assert key.secret == b"0123456789abcdef"


async def test_a_fence_that_is_not_ours_in_form_shuts_us_out_and_leaves_others_alone(lab: LabWorld) -> None:
    await lab.outside("_failover-fence.shop", "TXT", 60, '"v=1 something else"')
    await lab.outside("shop", "A", 60, EAST)
    zone, who = lab.open(), Writer()
    state = await zone.read([SHOP_EAST], [SHOP])
    (fence,) = state.fences
    assert fence.owner == UNREADABLE_OWNER
    assert "something else" in fence.plan
    for before in (fence, None):
        with pytest.raises(FencedOff, match="cannot be read"):
            await zone.change(who.permit(), who.change("p", (SHOP_EAST, SHOP_WEST), fence_before=before))


def test_a_long_fence_survives_its_strings() -> None:
    fence = replace(Writer().fence("x" * 600), holder="host 1")
    name = fence_name(SHOP, APEX)
    assert name.to_text() == "_failover-fence.shop.example.test."
    found = fence_of(dns.rrset.from_rdata(name, 60, fence_rdata(fence)), SHOP)
    assert found.text == fence.text
    assert fence_of(dns.rrset.from_rdata(name, 60, fence_rdata(fence)), type(SHOP)("web")).owner == (
        UNREADABLE_OWNER
    )


async def test_a_server_without_authority_over_the_name_is_no_source_of_absence(lab: LabWorld) -> None:
    await lab.outside("deep", "NS", 60, "ns.elsewhere.test.")
    with pytest.raises(Rejected, match="authority"):
        await lab.open().read([record("shop.deep", EAST)], [])


@pytest.mark.parametrize(
    ("flags", "rcode", "authority", "answer", "error"),
    [
        ("QR AA", "NOERROR", "", "", Unavailable),
        ("QR AA", "NXDOMAIN", "", "", Unavailable),
        ("QR", "NXDOMAIN", "example.test.", "", Rejected),
        ("QR AA", "NXDOMAIN", "child.example.test.", "", Rejected),
        ("QR AA TC", "NOERROR", "example.test.", "", Unavailable),
        ("QR AA", "SERVFAIL", "", "", Unavailable),
        ("QR AA", "REFUSED", "", "", Rejected),
        ("QR AA", "NOERROR", "", "other.example.test.", Unavailable),
    ],
)
def test_odd_answers_are_errors_and_never_absence(
    flags: str, rcode: str, authority: str, answer: str, error: type[TargetError]
) -> None:
    name = dns.name.from_text("shop.example.test")
    message = dns.message.make_query(name, "A")
    message.flags = dns.flags.from_text(flags)
    message.set_rcode(dns.rcode.from_text(rcode))
    if authority:
        message.authority.append(dns.rrset.from_text(authority, 60, "IN", "SOA", "ns. host. 1 2 3 4 5"))
    if answer:
        message.answer.append(dns.rrset.from_text(answer, 60, "IN", "A", EAST))
    with pytest.raises(error):
        read_found(message, name, dns.rdatatype.A, APEX, target="a server")


def test_a_proof_of_absence_is_absence() -> None:
    name = dns.name.from_text("shop.example.test")
    for rcode in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        message = dns.message.make_query(name, "A")
        message.flags = dns.flags.QR | dns.flags.AA
        message.set_rcode(rcode)
        message.authority.append(dns.rrset.from_text("example.test.", 60, "IN", "SOA", "ns. host. 1 2 3 4 5"))
        assert read_found(message, name, dns.rdatatype.A, APEX, target="a server").rrset is None


async def test_garbage_from_the_primary_is_unavailable(lab: LabWorld) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
        writer.write(b"\x00\x20" + wire[:2] + os.urandom(30))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    zone = lab.open(primary=replace(lab.zone.primary, port=port))
    with pytest.raises(TargetError):
        await zone.read([SHOP_EAST], [])
    server.close()


async def test_a_connection_that_the_server_closed_is_opened_again(lab: LabWorld) -> None:
    zone, who = lab.open(), Writer()
    fence = await create(zone, SHOP_EAST)
    port = lab.servers[0].port
    await lab.servers[0].stop()
    lab.servers[0].port = port
    await lab.servers[0].start()
    await zone.change(who.permit(), who.change("p", (SHOP_EAST, SHOP_WEST), fence_before=fence))
    assert await values_at(zone, [SHOP_EAST]) == {SHOP_EAST.name: (WEST,)}


async def test_a_hundred_applications_change_at_once_over_one_connection(lab: LabWorld) -> None:
    zone, who = lab.open(timeout_s=5.0), Writer()
    names = [record(f"shop{number}", EAST) for number in range(100)]
    await asyncio.gather(
        *(
            zone.change(
                who.permit(), who.change("plan-1", (None, item), application=type(SHOP)(item.name[:-14]))
            )
            for item in names
        )
    )
    assert lab.servers[0].updates == 100
    assert all(answer.matches for answer in await zone.verify(names))


async def test_an_answer_larger_than_a_datagram_is_fetched_over_tcp(lab: LabWorld) -> None:
    zone = lab.open()
    large = record("shop", *(f"192.0.2.{number}" for number in range(1, 200)))
    await create(zone, large)
    assert all(answer.matches for answer in await zone.verify([large]))


async def test_a_name_server_without_udp_is_verified_over_tcp(lab: LabWorld) -> None:
    zone = lab.open(timeout_s=2.0)
    await create(zone, SHOP_EAST)
    lab.servers[1]._udp.close()  # type: ignore[union-attr]
    assert all(answer.matches for answer in await zone.verify([SHOP_EAST]))


async def test_two_changes_of_one_application_do_not_mistake_each_other(lab: LabWorld) -> None:
    zone, who = lab.open(), Writer()
    fence = await create(zone, SHOP_EAST)
    results = await asyncio.gather(
        *(
            zone.change(who.permit(), who.change(f"p{turn}", (SHOP_EAST, SHOP_WEST), fence_before=fence))
            for turn in range(2)
        ),
        return_exceptions=True,
    )
    assert sorted(type(result).__name__ for result in results) == ["Conflict", "NoneType"]


async def test_the_check_warns_of_name_servers_that_nobody_reads_back(lab: LabWorld) -> None:
    await lab.outside("@", "NS", 60, "ns1", "ns2", "ns3.elsewhere.test.")
    (problem,) = await lab.open().check([(SHOP_EAST.name, "A")])
    assert problem.warning
    assert "ns3.elsewhere.test." in problem.sentence


async def test_the_check_warns_of_a_wildcard(bind: BindWorld) -> None:
    await bind.outside("*", "A", 60, EAST)
    (problem,) = await bind.open().check([(SHOP_EAST.name, "A")])
    assert problem.warning
    assert "wildcard" in problem.sentence


def test_serials_wrap() -> None:
    assert serial_before(1, 2)
    assert serial_before(2**32 - 1, 3)
    assert not serial_before(3, 2**32 - 1)
    assert not serial_before(7, 7)


async def test_open_zones_opens_what_the_policy_names(lab: LabWorld) -> None:
    policy = Policy(generation="0" * 16, fleet=Fleet(name="f", clusters=(), vantages=()), zones=(lab.zone,))
    zones = open_zones(policy, LoopClock())
    assert (await zones[lab.zone.name].read([SHOP_EAST], [])).record_sets == ()
    await zones[lab.zone.name].close()
    with pytest.raises(LocalFault, match="route66"):
        open_zones(replace(policy, zones=(replace(lab.zone, provider="route66"),)), LoopClock())

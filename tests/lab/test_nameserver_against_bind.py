"""The lab's name server and BIND get the same random updates: every answer code and the zone afterwards must agree."""

import random
from collections.abc import AsyncIterator

import dns.asyncquery
import dns.name
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.update
import dns.xfr
import dns.zone
import pytest

from failover.lab.nameserver import NameServer, empty_zone

from ..servers.bind import BindPair

APEX = "differential.test"
SEED = 20161021
NAMES = ("@", "a", "b", "c", "deep.a")
ADDRESSES = ("192.0.2.1", "192.0.2.2", "192.0.2.3")


@pytest.fixture
async def lab(bind_pair: BindPair) -> AsyncIterator[NameServer]:
    server = NameServer([empty_zone(APEX, name_servers=("ns1", "ns2"))], keys=[bind_pair.key.keyring()])
    for name in ("ns1", "ns2"):
        server.set_records(APEX, name, "A", 60, "127.0.0.1")
    await server.start()
    yield server
    await server.stop()


def values(generator: random.Random, kind: str) -> list[str]:
    """Some values of a type, at least one."""
    pool = {
        "A": ADDRESSES,
        "AAAA": ("2001:db8::1", "2001:db8::2"),
        "CNAME": ("x.example.net.", "y.example.net."),
        "TXT": ('"v=1 epoch=1"', '"v=1 epoch=2"'),
    }[kind]
    return generator.sample(pool, 1 if kind == "CNAME" else generator.randint(1, len(pool)))


def random_update(generator: random.Random, key: dns.tsig.Key) -> dns.update.UpdateMessage:
    """A few prerequisites and a few changes, of every form that RFC 2136 knows."""
    message = dns.update.UpdateMessage(APEX, keyring=key)
    kinds = ("A", "A", "AAAA", "CNAME", "TXT")
    for _ in range(generator.choice((0, 0, 1, 1, 2))):
        name, kind = generator.choice(NAMES), generator.choice(kinds)
        form = generator.choice(("exact", "exists", "used", "absent", "unused"))
        if form == "exact":
            message.present(name, kind, *values(generator, kind))
        elif form == "exists":
            message.present(name, kind)
        elif form == "used":
            message.present(name)
        elif form == "absent":
            message.absent(name, kind)
        else:
            message.absent(name)
    for _ in range(generator.randint(0, 3)):
        name, kind = generator.choice(NAMES), generator.choice(kinds)
        form = generator.choice(
            ("add", "add", "replace", "replace", "delete value", "delete set", "delete name")
        )
        if form == "add":
            message.add(name, generator.choice((5, 60)), kind, *values(generator, kind)[:1])
        elif form == "replace":
            message.replace(name, generator.choice((5, 60)), kind, *values(generator, kind))
        elif form == "delete value":
            message.delete(name, kind, values(generator, kind)[0])
        elif form == "delete set":
            message.delete(name, generator.choice((kind, "NS", "SOA")))
        else:
            message.delete(name)
    return message


async def bind_content(pair: BindPair) -> dict[tuple[str, str], tuple[int, frozenset[str]]]:
    """BIND's whole zone by transfer, without the SOA."""
    content = dns.zone.Zone(APEX, relativize=False)
    transfer, _ = dns.xfr.make_query(content, keyring=pair.key.keyring())
    await dns.asyncquery.inbound_xfr(
        pair.primary.address, content, transfer, port=pair.primary.port, timeout=5
    )
    return {
        (name.to_text(), rdataset.rdtype.name): (
            rdataset.ttl,
            frozenset(item.to_text() for item in rdataset),
        )
        for name, rdataset in content.iterate_rdatasets()
        if rdataset.rdtype != dns.rdatatype.SOA
    }


def lab_content(server: NameServer) -> dict[tuple[str, str], tuple[int, frozenset[str]]]:
    return {
        (name.to_text(), kind.name): (records.ttl, frozenset(item.to_text() for item in records.rdatas))
        for (name, kind), records in server.content(APEX).records.items()
        if kind != dns.rdatatype.SOA
    }


async def test_three_hundred_random_updates_do_the_same_at_both(lab: NameServer, bind_pair: BindPair) -> None:
    if APEX not in bind_pair.zones:
        bind_pair.add_zone(APEX)
    generator = random.Random(SEED)
    key = bind_pair.key.keyring()
    codes: set[str] = set()
    for turn in range(300):
        message = random_update(generator, key)
        theirs, ours = [
            dns.rcode.to_text((await dns.asyncquery.tcp(message, address, port=port, timeout=5)).rcode())
            for address, port in (
                (bind_pair.primary.address, bind_pair.primary.port),
                (lab.address, lab.port),
            )
        ]
        where = f"seed {SEED}, update {turn}:\n{message}"
        assert ours == theirs, where
        assert lab_content(lab) == await bind_content(bind_pair), where
        codes.add(ours)
    assert {"NOERROR", "NXRRSET", "YXRRSET", "NXDOMAIN", "YXDOMAIN"} <= codes

"""The short way to an answer says what the long one says, or nothing."""

import dns.edns
import dns.flags
import dns.message
import dns.name
import pytest
from hypothesis import given
from hypothesis import strategies as st

from failover.lab.nameserver import empty_zone
from failover.lab.nameserver.content import Content, Records, with_records
from failover.lab.nameserver.faults import Faults
from failover.lab.nameserver.messages import Responder
from failover.lab.nameserver.plain import plain_answer

APEX = dns.name.from_text("example.test")


def zone() -> Content:
    made = empty_zone("example.test")
    for name, kind, values in (
        ("shop", "A", ("192.0.2.2", "192.0.2.1")),
        ("shop", "AAAA", ("2001:db8::1",)),
        ("shop", "TXT", ('"not asked for"',)),
        ("many", "A", tuple(f"192.0.2.{number}" for number in range(1, 101))),
        ("www", "CNAME", ("shop.example.test.",)),
        ("sub", "NS", ("ns.elsewhere.test.",)),
        ("glue.sub", "A", ("192.0.2.9",)),
        ("weighted", "A", ("192.0.2.1", "192.0.2.2")),
    ):
        made = with_records(made, name, kind, 60, *values)
    key = next(key for key in made.records if key[0] == dns.name.from_text("weighted.example.test"))
    held = made.records[key]
    choices = tuple(
        (weight, frozenset([rdata])) for weight, rdata in zip((0, 1), sorted(held.rdatas), strict=True)
    )
    weighted = Records(ttl=held.ttl, rdatas=held.rdatas, choices=choices)
    return Content(apex=made.apex, records={**made.records, key: weighted})


ZONES = {APEX: zone()}


def both(wire: bytes, max_size: int) -> tuple[bytes | None, bytes | None]:
    full = Responder({}).respond_in_full(
        wire, ZONES, Faults(), accepts_updates=False, throttled=lambda: False, max_size=max_size
    )
    return plain_answer(wire, ZONES, max_size=max_size), full.wire


def read(wire: bytes | None) -> object:
    """What a client understands; the order within a set is shuffled."""
    assert wire is not None
    message = dns.message.from_wire(wire, raise_on_truncation=False)
    sections = [
        sorted(line for rrset in section for line in rrset.to_text().split("\n"))
        for section in message.sections
    ]
    return len(wire), message.id, message.flags, message.edns, message.payload, message.options, sections


@given(
    st.sampled_from(
        ["shop", "Shop", "many", "www", "sub", "glue.sub", "x.sub", "weighted", "ns1", "nobody", "@"]
    ),
    st.sampled_from(["A", "AAAA", "TXT", "CNAME", "SOA", "ANY"]),
    st.sampled_from([0, int(dns.flags.RD), int(dns.flags.CD), int(dns.flags.AA)]),
    st.sampled_from([None, 0, 512, 1232, 4096]),
    st.sampled_from([512, 1232, 65535]),
    st.integers(0, 65535),
)
def test_a_plain_answer_is_the_full_one(
    name: str, kind: str, flags: int, payload: int | None, max_size: int, number: int
) -> None:
    asked = dns.name.from_text(name, APEX) if name != "@" else APEX
    question = dns.message.make_query(asked, kind, flags=flags, id=number)
    if payload is not None:
        question.use_edns(0, 0, payload)
    plain, full = both(question.to_wire(), max_size)
    assert plain is None or read(plain) == read(full)


@given(st.binary(max_size=80))
def test_what_is_no_plain_question_gets_no_plain_answer(garbage: bytes) -> None:
    plain, full = both(garbage, 1232)
    assert plain is None or read(plain) == read(full)


@given(st.integers(0, 200), st.binary(max_size=4))
def test_a_question_that_is_cut_or_goes_on_gets_no_other_answer(cut: int, more: bytes) -> None:
    question = dns.message.make_query("shop.example.test", "A", use_edns=0, payload=1232)
    wire = question.to_wire()
    plain, full = both(wire[:cut] + more, 1232)
    assert plain is None or read(plain) == read(full)


@pytest.mark.parametrize(("name", "kind"), [("shop", "A"), ("shop", "AAAA"), ("Shop", "A")])
@pytest.mark.parametrize("edns", [-1, 0])
def test_what_stand_ins_are_asked_thousands_of_times_is_answered_the_short_way(
    name: str, kind: str, edns: int
) -> None:
    question = dns.message.make_query(f"{name}.example.test", kind, use_edns=edns)
    plain, full = both(question.to_wire(), 1232)
    assert plain is not None
    assert read(plain) == read(full)


def test_options_and_signatures_are_for_the_full_way() -> None:
    question = dns.message.make_query("shop.example.test", "A", want_dnssec=True)
    assert both(question.to_wire(), 1232)[0] is None
    question = dns.message.make_query("shop.example.test", "A", options=[dns.edns.GenericOption(3, b"")])
    assert both(question.to_wire(), 1232)[0] is None

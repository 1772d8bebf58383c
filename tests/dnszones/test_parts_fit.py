"""What the planner says fits one atomic change does fit, by the libraries that write it: names and values of any length."""

import time
from collections.abc import Iterator
from dataclasses import replace

import dns.exception
import dns.name
import dns.tsig
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failover.dnszones import open_zone
from failover.dnszones.provider import ProviderZone
from failover.dnszones.update import build_update
from failover.model.ids import ApplicationName
from failover.model.parts import in_parts
from failover.model.policy import NameServer, Zone
from failover.model.records import CAPABILITIES, RecordChange, RecordSet, RecordType, ZoneChange

from .worlds import APEX, ZONE, Writer

SERVER = NameServer(address="192.0.2.53")
ROOT = f"{APEX}."
KEY = dns.tsig.Key(dns.name.from_text("k" * 60 + ".example.net."), b"s" * 64, "hmac-sha512")
LONG = ApplicationName("a" * 60)
MESSAGE_MAX = 65_535


def zone(provider: str) -> Zone:
    return Zone(name=ZONE, apex=APEX, provider=provider, primary=SERVER, authoritative=(SERVER,))


def changes_of(count: int, label: int, kind: RecordType, values: tuple[int, int]) -> Iterator[RecordChange]:
    """`count` names of one label of `label` letters, each from so many values to so many others."""

    def value(number: int, name: int) -> str:
        if kind is RecordType.CNAME:
            return f"{number}-{name}.{'c' * 60}.{'d' * 60}.{'e' * 40}.example.net."
        return f"192.0.2.{number}" if kind is RecordType.A else f"2001:db8::{number:x}"

    for name in range(count):
        before, after = values if kind is not RecordType.CNAME else (min(values[0], 1), 1)
        made = RecordSet(
            name=f"{name:04}{'x' * max(1, label - 4)}.{APEX}.", record_type=kind, ttl=60, values=()
        )
        old = tuple(sorted(value(number, name) for number in range(before)))
        new = tuple(sorted(value(number + 100, name) for number in range(after)))
        yield RecordChange(before=replace(made, values=old) if old else None, after=replace(made, values=new))


WORLDS = st.builds(
    lambda *told: tuple(changes_of(*told)),
    st.integers(2, 700),
    st.integers(5, 63),
    st.sampled_from(RecordType),
    st.tuples(st.integers(0, 6), st.integers(1, 6)),
)


def whole(changes: tuple[RecordChange, ...]) -> ZoneChange:
    """With fences as long as they come."""
    who = Writer(owner="o" * 60, holder="h" * 120)
    made = who.change("plan-2", fence_before=who.fence("plan-1", LONG), application=LONG)
    return replace(made, changes=changes)


@given(WORLDS)
@settings(max_examples=40, deadline=None)
def test_every_part_is_a_message_that_fits_64_kib_signature_and_fence_included(
    changes: tuple[RecordChange, ...],
) -> None:
    for part in in_parts(changes, CAPABILITIES["rfc2136"], ROOT):
        message = build_update(zone("rfc2136"), whole(part))
        message.use_tsig(KEY)
        assert len(message.to_wire()) <= MESSAGE_MAX


def test_names_alone_are_no_measure() -> None:
    """As many long names as were once said to fit do not."""
    able = CAPABILITIES["rfc2136"]
    changes = tuple(changes_of(able.atomic_names, 63, RecordType.A, (1, 1)))
    message = build_update(zone("rfc2136"), whole(changes))
    message.use_tsig(KEY)
    with pytest.raises(dns.exception.TooBig):
        message.to_wire()
    assert len(in_parts(changes, able, ROOT)) > 1
    short = tuple(changes_of(able.atomic_names, 12, RecordType.A, (1, 1)))
    assert len(in_parts(short, able, ROOT)) == 1, "what fits is not torn apart"


@pytest.mark.parametrize("provider", ["route53", "clouddns"])
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_no_part_has_more_values_under_one_name_than_the_provider_holds(
    provider: str, weighted: bool
) -> None:
    """60 % of the limit, and as many others: in between the two would be 120 %."""
    able = CAPABILITIES[provider]
    most = able.weighted_max if weighted else able.values_max
    opened = open_zone(zone(provider), mono=time.monotonic)
    assert isinstance(opened, ProviderZone)

    def side(name: int, begins: int, count: int) -> RecordSet:
        values = tuple(sorted(f"2001:db8::{begins + number:x}" for number in range(count)))
        weights = (1,) * count if weighted else ()
        key = RecordType.AAAA
        return RecordSet(name=f"n{name}.{APEX}.", record_type=key, ttl=60, values=values, weights=weights)

    wide, few = most * 6 // 10, 3
    sizes = (wide, few, wide, few, wide)
    changes = tuple(
        RecordChange(before=side(name, 0, size), after=side(name, 1000, size))
        for name, size in enumerate(sizes)
    ) + tuple(RecordChange(before=side(name, 0, few), after=side(name, 1000, few)) for name in range(5, 400))
    parts = in_parts(changes, able, ROOT)
    assert len(parts) > 1
    held = {change.after.name: change.before for change in changes}
    for part in parts:
        change = whole(part)
        opened._refuse_oversize(change, opened._delta(change))
        for item in part:
            assert item.before == held[item.after.name], "each from what the part before left"
            held[item.after.name] = item.after
            assert len(item.after.values) <= most
    assert held == {change.after.name: change.after for change in changes}


@pytest.mark.parametrize("provider", ["route53", "clouddns"])
@given(changes=WORLDS)
@settings(max_examples=20, deadline=None)
def test_every_part_is_within_the_documented_limits_of_a_provider(
    provider: str, changes: tuple[RecordChange, ...]
) -> None:
    opened = open_zone(zone(provider), mono=time.monotonic)
    assert isinstance(opened, ProviderZone)
    for part in in_parts(changes, CAPABILITIES[provider], ROOT):
        change = whole(part)
        opened._refuse_oversize(change, opened._delta(change))

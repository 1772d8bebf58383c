"""Keys and clocks that a server does not take, at each kind of server: our fault, with what to do, and nothing is changed."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from failover.lab.nameserver import new_key
from failover.model.errors import LocalFault

from .worlds import SHOP, PairWorld, Writer, create, record, values_at, write_key

SHOP_EAST, SHOP_WEST = record("shop", "192.0.2.10"), record("shop", "198.51.100.10")
HOUR_S = 3600


@pytest.fixture(params=["bind_knot", "knot", "powerdns", "powerdns_lmdb"])
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[PairWorld]:
    made = PairWorld(request.getfixturevalue(f"{request.param}_pair"))
    await made.start()
    yield made
    await made.close()


@pytest.mark.parametrize("wrong", ["BADSIG", "BADKEY"])
async def test_a_key_that_the_server_does_not_take_is_our_fault_and_changes_nothing(
    pair: PairWorld, wrong: str, tmp_path: Path
) -> None:
    """BADSIG: another secret under the key's name. BADKEY: a name that the server does not know. PowerDNS signs neither."""
    good, who = pair.open(), Writer()
    fence = await create(good, SHOP_EAST)
    key = new_key(pair.key.name.to_text(omit_final_dot=True) if wrong == "BADSIG" else "stranger")
    zone = pair.open(tsig_key_file=str(write_key(tmp_path / "wrong.key", key)))
    change = who.change("plan-1", (SHOP_EAST, SHOP_WEST), fence_before=fence)
    with pytest.raises(LocalFault, match=rf"{wrong}|key"):
        await zone.change(who.permit(), change)
    with pytest.raises(LocalFault, match=rf"{wrong}|key"):
        await zone.read([SHOP_EAST], [SHOP])
    problems = await zone.check([(SHOP_EAST.name, "A")])
    assert any("key" in problem.sentence and not problem.warning for problem in problems), problems
    assert await values_at(good, [SHOP_EAST]) == {SHOP_EAST.name: SHOP_EAST.values}


@pytest.mark.parametrize("off_s", [-HOUR_S, HOUR_S], ids=["behind", "ahead"])
async def test_a_clock_that_is_off_is_our_fault_and_changes_nothing(
    pair: PairWorld, off_s: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone, who = pair.open(), Writer()
    fence = await create(zone, SHOP_EAST)
    change = who.change("plan-1", (SHOP_EAST, SHOP_WEST), fence_before=fence)
    with monkeypatch.context() as patched:
        patched.setattr("dns.message.time", SimpleNamespace(time=lambda: time.time() + off_s))
        with pytest.raises(LocalFault, match="clock"):
            await zone.change(who.permit(), change)
        with pytest.raises(LocalFault, match="clock"):
            await zone.read([SHOP_EAST], [SHOP])
    assert await values_at(zone, [SHOP_EAST]) == {SHOP_EAST.name: SHOP_EAST.values}, (
        "it goes on once the clock is right"
    )

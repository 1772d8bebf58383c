"""`failover dns history`: what became of each change of record sets, by the last word that the journal has on it."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from failover.cli import render
from failover.cli.zones import show_history
from failover.controller.clock import SystemClock
from failover.model.errors import UsageError
from failover.model.ids import ApplicationName, Epoch, IntentId, RunId, StepId, ZoneName
from failover.model.journal import EffectRecorded, EffectResult, Entry, Intent, IntentRecorded, RecordsChange
from failover.model.records import FenceRecord, RecordChange, RecordSet, RecordType, ZoneChange
from failover.store.sqlite import SQLiteStore

POLICIES = Path(__file__).parents[2] / "policies"
SHOP, STEP = ApplicationName("shop"), StepId("records:shop")


def changed(name: str, zone: str = "example-test") -> ZoneChange:
    before = RecordSet(
        name=f"{name}.example.test.", record_type=RecordType.A, ttl=60, values=("192.0.2.1", "192.0.2.2")
    )
    after = RecordSet(name=before.name, record_type=RecordType.A, ttl=60, values=("192.0.2.2",))
    fence = FenceRecord(
        owner="test", application=SHOP, plan="p", generation="g", epoch=Epoch(1), holder="controller"
    )
    return ZoneChange(
        zone=ZoneName(zone),
        application=SHOP,
        changes=(RecordChange(before=before, after=after),),
        fence_before=None,
        fence_after=fence,
    )


def attempt(number: int, change: ZoneChange, *results: EffectResult) -> list[Entry]:
    """An intent, and what was said of it, in turn."""
    intent = Intent(
        id=IntentId(f"run-1/{STEP}/{number}"),
        run=RunId("run-1"),
        step=STEP,
        attempt=number,
        epoch=Epoch(1),
        change=RecordsChange(change=change),
        actor="automation",
        reason="a story",
        evidence=("a",),
        rules=(),
    )
    effects = [EffectRecorded(intent=intent.id, step=STEP, result=result) for result in results]
    return [IntentRecorded(intent=intent), *effects]


async def journal(state: Path, entries: Sequence[Entry]) -> None:
    store = await SQLiteStore.open(state, SystemClock())
    lease = await store.acquire("controller", boot_id="boot", process=1, seconds=30)
    await store.append_batch(lease.epoch, [("run-1", entry) for entry in entries])
    await store.close()


async def test_each_change_is_shown_with_the_last_word_on_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop, second = changed("shop"), changed("shop", "example-test-2")
    entries = [
        *attempt(1, shop, EffectResult.CONFLICT),
        *attempt(
            2, shop, EffectResult.UNKNOWN, EffectResult.APPLIED
        ),  # its answer was lost, and the read-back told
        *attempt(3, second, EffectResult.FENCED),
        *attempt(4, changed("www")),  # the controller died before it knew
    ]
    await journal(tmp_path, entries)
    show_history(POLICIES, tmp_path, "", 50, render.Format.JSON)
    rows = json.loads(capsys.readouterr().out)
    assert [(row["zone"], row["name"], row["result"]) for row in rows] == [
        ("example-test", "shop.example.test.", "conflict"),
        ("example-test", "shop.example.test.", "applied"),
        ("example-test-2", "shop.example.test.", "fenced"),
        ("example-test", "www.example.test.", "unknown"),
    ]
    assert rows[1]["before"] == ["192.0.2.1", "192.0.2.2"]
    assert rows[1]["after"] == ["192.0.2.2"]
    show_history(POLICIES, tmp_path, "", 50, render.Format.TABLE)
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split()[-1] == "RESULT"
    assert [line.split()[-1] for line in lines] == ["conflict", "applied", "fenced", "unknown"]


async def test_a_name_or_a_zone_is_shown_alone_and_the_newest_are_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = [
        *attempt(1, changed("shop"), EffectResult.APPLIED),
        *attempt(2, changed("www"), EffectResult.APPLIED),
        *attempt(3, changed("shop", "example-test-2"), EffectResult.REJECTED),
    ]
    await journal(tmp_path, entries)
    for asked, expected in (
        ("shop.example.test", ["applied", "rejected"]),
        ("example-test-2", ["rejected"]),
        ("SHOP.example.test.", ["applied", "rejected"]),
    ):
        show_history(POLICIES, tmp_path, asked, 50, render.Format.JSON)
        assert [row["result"] for row in json.loads(capsys.readouterr().out)] == expected
    show_history(POLICIES, tmp_path, "ledger.example.test", 50, render.Format.JSON)
    assert json.loads(capsys.readouterr().out) == [], "the policies have it, and nothing ever changed it"
    with pytest.raises(
        UsageError, match=r"no zone or name 'nobody\.example\.test'.*zones are example-test, example-test-2"
    ):
        show_history(POLICIES, tmp_path, "nobody.example.test", 50, render.Format.JSON)
    with pytest.raises(UsageError, match="no zone or name 'shop'"):
        show_history(tmp_path / "gone", tmp_path, "shop", 50, render.Format.JSON)
    show_history(POLICIES, tmp_path, "", 1, render.Format.JSON)
    assert [row["result"] for row in json.loads(capsys.readouterr().out)] == ["rejected"]


async def test_a_ramp_by_weights_shows_the_weights(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The values of a ramp's steps are the same ones: only the weights move."""
    one = changed("shop")
    (move,) = one.changes
    assert move.before is not None
    both = replace(move.before, weights=(0, 100))
    ramp = replace(one, changes=(RecordChange(before=both, after=replace(both, weights=(10, 90))),))
    first = replace(one, changes=(RecordChange(before=None, after=both),))
    await journal(
        tmp_path, [*attempt(1, first, EffectResult.APPLIED), *attempt(2, ramp, EffectResult.APPLIED)]
    )
    show_history(POLICIES, tmp_path, "", 50, render.Format.JSON)
    rows = json.loads(capsys.readouterr().out)
    assert [(row["before"], row["after"]) for row in rows] == [
        ([], ["192.0.2.1 (0)", "192.0.2.2 (100)"]),
        (["192.0.2.1 (0)", "192.0.2.2 (100)"], ["192.0.2.1 (10)", "192.0.2.2 (90)"]),
    ]
    show_history(POLICIES, tmp_path, "", 50, render.Format.TABLE)
    assert "192.0.2.1 (10)" in capsys.readouterr().out

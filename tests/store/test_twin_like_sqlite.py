"""The twin cannot drift: the same words, in any order, get the same answers from it and from the SQLite store."""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failover.model.errors import FailoverError, StoreUnavailable
from failover.model.ids import Epoch
from failover.store.sqlite import SQLiteStore
from tests.store.worlds import HandClock, Place, lead, said, sqlite_place, twin_place

HOLDERS = st.sampled_from(["alpha", "beta", "gamma"])
WORD = st.one_of(
    st.tuples(st.just("acquire"), HOLDERS, st.booleans(), st.integers(0, 4)),
    st.tuples(st.just("renew"), HOLDERS),
    st.tuples(st.just("release"), HOLDERS),
    st.tuples(st.just("append"), HOLDERS, st.integers(0, 3)),
    st.tuples(st.just("cas"), st.sampled_from(["people", "status"]), st.integers(0, 3), st.booleans()),
    st.tuples(st.just("get"), st.sampled_from(["people", "status"])),
    st.tuples(st.just("wait"), st.sampled_from([0.5, 5.0, 15.1])),
    st.tuples(st.just("bury"), HOLDERS),
    st.tuples(st.just("leader")),
)


async def answers(place: Place, words: Sequence[tuple[Any, ...]]) -> list[object]:
    """What a store says to each word: a plain picture of the result, or the class of the error."""
    store, leases, found = await place.store(), {}, []
    for word in words:
        try:
            found.append(await answer(place, store, leases, word))
        except FailoverError as error:
            found.append(type(error).__name__)
        found.append((await store.head())[0])
    found.append([(entry.sequence, entry.epoch, entry.run, entry.entry) for entry in await store.entries()])
    await place.close()
    return found


async def answer(place: Place, store: Any, leases: dict[str, Any], word: tuple[Any, ...]) -> object:
    match word:
        case ("acquire", holder, take_over, minimum):
            lease = await lead(store, holder, take_over=take_over, minimum_epoch=minimum)
            leases[holder] = lease
            return (lease.holder, lease.epoch)
        case ("renew", holder) if holder in leases:
            leases[holder] = await store.renew(leases[holder], seconds=15.0)
            return leases[holder].expires_mono
        case ("release", holder) if holder in leases:
            return await store.release(leases[holder])
        case ("append", holder, count) if holder in leases:
            written = await store.append_batch(leases[holder].epoch, [("run-1", said())] * count)
            return [entry.sequence for entry in written]
        case ("cas", key, version, guarded):
            return await store.cas(key, version, "{}", epoch=Epoch(1) if guarded else None)
        case ("get", key):
            return await store.get(key)
        case ("wait", seconds):
            place.clock.mono += seconds
            return None
        case ("bury", holder):
            return await place.bury(store, holder)
        case ("leader",):
            leader = await store.leader()
            return None if leader is None else (leader.holder, leader.epoch, leader.expires_mono)
        case _:
            return "no lease of that holder yet"


@settings(max_examples=60, deadline=None)
@given(st.lists(WORD, max_size=25))
def test_any_words_get_the_same_answers(words: list[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        real = asyncio.run(answers(sqlite_place(Path(directory)), words))
    assert real == asyncio.run(answers(twin_place(Path(directory)), words))


@settings(max_examples=30, deadline=None)
@given(st.lists(WORD, max_size=25))
def test_epochs_only_rise_and_at_most_one_acts(words: list[tuple[Any, ...]]) -> None:
    """I22 over the twin (the test above makes it true of SQLite as well)."""

    async def story() -> None:
        place = twin_place(Path())
        store, leases = await place.store(), {}
        highest = 0
        for word in words:
            try:
                await answer(place, store, leases, word)
            except FailoverError:
                continue
            if word[0] == "acquire":
                assert leases[word[1]].epoch > highest
                highest = leases[word[1]].epoch
        epochs = [entry.epoch for entry in await store.entries()]
        assert epochs == sorted(epochs)

    asyncio.run(story())


async def test_a_database_that_turns_read_only_refuses_and_takes_words_again_afterwards(
    tmp_path: Path,
) -> None:
    store = await SQLiteStore.open(tmp_path, HandClock())
    lease = await lead(store)
    assert store._writer is not None
    store._writer.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreUnavailable, match="cannot be written"):
        await store.append_batch(lease.epoch, [("", said())])
    with pytest.raises(StoreUnavailable, match="cannot be written"):
        await store.cas("people", 0, "{}")
    assert (await store.head())[0] == 0
    store._writer.execute("PRAGMA query_only = OFF")
    assert len(await store.append_batch(lease.epoch, [("", said())])) == 1
    await store.close()

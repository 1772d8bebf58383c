"""The contract of the Store port, kept by the SQLite store, by its twin, and by the port that the simulation uses."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from failover.model.errors import Conflict, NotLeader, StaleEpoch, StoreUnavailable
from failover.model.ids import Epoch
from tests.store.worlds import Place, lead, said, simulated_place, sqlite_place, twin_place


@pytest.fixture(params=[sqlite_place, twin_place, simulated_place], ids=["sqlite", "twin", "simulated"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    made: Place = request.param(tmp_path)
    yield made
    await made.close()


async def test_a_document_is_written_only_over_the_version_that_was_read(place: Place) -> None:
    store = await place.store()
    assert await store.get("people") is None
    assert await store.cas("people", 0, '{"pause":null}') == 1
    assert await store.get("people") == (1, '{"pause":null}')
    with pytest.raises(Conflict, match="at version 1"):
        await store.cas("people", 0, "{}")
    assert await store.cas("people", 1, "{}") == 2


async def test_a_document_may_be_guarded_by_the_epoch(place: Place) -> None:
    store = await place.store()
    first = await lead(store)
    await store.cas("status", 0, "{}", epoch=first.epoch)
    await lead(store, "beta", take_over=True)
    with pytest.raises(StaleEpoch, match="beta"):
        await store.cas("status", 1, "{}", epoch=first.epoch)


async def test_entries_are_numbered_without_gaps_linked_and_kept(place: Place) -> None:
    store = await place.store()
    lease = await lead(store)
    first = await store.append_batch(lease.epoch, [("run-1", said("pause")), ("", said("resume"))])
    (third,) = await store.append_batch(lease.epoch, [("run-1", said("ack"))])
    assert [entry.sequence for entry in (*first, third)] == [1, 2, 3]
    assert first[1].previous_hash == first[0].hash
    assert third.previous_hash == first[1].hash
    again = await place.store()
    assert await again.entries() == (*first, third)
    assert await again.entries(after=1) == (first[1], third)
    assert await again.entries(run="run-1") == (first[0], third)
    assert await again.entries(limit=1) == (first[0],)
    assert await again.head() == (3, third.hash)
    assert await again.verify([(2, first[1].hash)]) is None


async def test_an_empty_batch_changes_nothing(place: Place) -> None:
    store = await place.store()
    lease = await lead(store)
    assert await store.append_batch(lease.epoch, []) == ()
    assert (await store.head())[0] == 0


async def test_nobody_appends_without_leading(place: Place) -> None:
    store = await place.store()
    with pytest.raises(StaleEpoch, match="nobody"):
        await store.append_batch(Epoch(1), [("", said())])


async def test_a_second_holder_stands_by_and_is_told_who_acts(place: Place) -> None:
    store = await place.store()
    await lead(store)
    other = await place.store()
    with pytest.raises(NotLeader, match="alpha") as refused:
        await lead(other, "beta")
    assert refused.value.holder == "alpha"
    leader = await other.leader()
    assert leader is not None
    assert leader.holder == "alpha"


async def test_a_lease_that_is_renewed_never_passes_on(place: Place) -> None:
    store = await place.store()
    lease = await lead(store)
    for _ in range(5):
        place.clock.mono += 10
        lease = await store.renew(lease, seconds=15)
        with pytest.raises(NotLeader):
            await lead(store, "beta")
    assert lease.epoch == 1


async def test_after_its_expiry_a_silent_holder_is_succeeded_with_a_higher_epoch(place: Place) -> None:
    store = await place.store()
    first = await lead(store)
    place.clock.mono += 15.1
    second = await lead(store, "beta")
    assert second.epoch == first.epoch + 1
    with pytest.raises(StaleEpoch, match="beta"):
        await store.append_batch(first.epoch, [("", said())])
    with pytest.raises(NotLeader, match="beta"):
        await store.renew(first, seconds=15)


async def test_a_late_holder_that_nobody_succeeded_goes_on(place: Place) -> None:
    store = await place.store()
    lease = await lead(store)
    place.clock.mono += 60
    await store.append_batch(lease.epoch, [("", said("what came of the last change"))])
    assert (await store.renew(lease, seconds=15)).expires_mono == place.clock.mono + 15


async def test_a_holder_that_is_provably_gone_is_succeeded_at_once(place: Place) -> None:
    store = await place.store()
    await lead(store)
    await place.bury(store, "alpha")
    assert (await lead(store, "beta")).epoch == 2


async def test_a_released_lease_passes_on_at_once_and_appends_nothing_more(place: Place) -> None:
    store = await place.store()
    lease = await lead(store)
    await store.release(lease)
    assert await store.leader() is None
    with pytest.raises(StaleEpoch):
        await store.append_batch(lease.epoch, [("", said())])
    with pytest.raises(NotLeader):
        await store.renew(lease, seconds=15)
    assert (await lead(store, "beta")).epoch == 2


async def test_a_successor_is_not_released_by_the_one_before_it(place: Place) -> None:
    store = await place.store()
    first = await lead(store)
    second = await lead(store, "beta", take_over=True)
    await store.release(first)
    await store.append_batch(second.epoch, [("", said())])


async def test_the_epoch_is_one_more_than_the_highest_known_anywhere(place: Place) -> None:
    store = await place.store()
    assert (await lead(store, minimum_epoch=41)).epoch == 42
    assert (await lead(store, "beta", take_over=True, minimum_epoch=7)).epoch == 43


async def test_of_many_that_start_at_once_exactly_one_leads(place: Place) -> None:
    stores = [await place.store() for _ in range(4)]

    async def attempt(number: int) -> int:
        try:
            return int((await lead(stores[number], f"holder-{number}")).epoch)
        except NotLeader:
            return 0

    epochs = await asyncio.gather(*(attempt(number) for number in range(4)))
    assert sorted(epochs) == [0, 0, 0, 1]


async def test_a_wall_clock_that_jumps_neither_shortens_nor_lengthens_a_lease(place: Place) -> None:
    from datetime import timedelta

    store = await place.store()
    await lead(store)
    place.clock.jump = timedelta(days=1)
    with pytest.raises(NotLeader):
        await lead(store, "beta")
    place.clock.jump = timedelta(days=-1)
    place.clock.mono += 15.1
    assert (await lead(store, "beta")).epoch == 2


async def test_watching_tells_what_is_there_and_what_comes(place: Place) -> None:
    store = await place.store()
    lease = await lead(store)
    await store.append_batch(lease.epoch, [("", said("one")), ("", said("two"))])
    seen = []

    async def watch() -> None:
        async for entry in store.watch(after=1):
            seen.append(entry.entry.verb)
            if len(seen) == 2:
                return

    task = asyncio.ensure_future(watch())
    await asyncio.sleep(0)
    await store.append_batch(lease.epoch, [("", said("three"))])
    async with asyncio.timeout(5):
        await task
    assert seen == ["two", "three"]


async def test_a_closed_store_says_so(place: Place) -> None:
    store = await place.store()
    await store.close()
    await store.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.get("people")
    with pytest.raises(StoreUnavailable, match="closed"):
        await lead(store)

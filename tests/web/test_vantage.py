"""The real vantage process's class against a small controller over TLS: it probes, reports, and waits out an absence."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from failover.controller.clock import SystemClock
from failover.model.observation import Observation, Outcome, Reference
from failover.web import vantage as module
from failover.web.vantage import BACKLOG_AGE_MAX_S, BACKLOG_MAX, Link, Vantage, aged
from tests.probes.servers import closed_port, raw
from tests.web.controllers import TOKENS, Served, SmallController, observation, probing, served

PATIENCE_S = 30.0


async def until(true: Callable[[], object]) -> None:
    """Wait for something that will be; the limit is for a broken program only."""
    async with asyncio.timeout(PATIENCE_S):
        while not true():  # noqa: ASYNC110 - what is waited for is somebody else's state
            await asyncio.sleep(0.01)


@asynccontextmanager
async def looking(
    *there: Served, name: str = "elsewhere", token: str | None = None
) -> AsyncIterator[tuple[Vantage, list[str]]]:
    said: list[str] = []
    made = Vantage(
        name=name,
        controllers=[item.url for item in there],
        token=TOKENS[name] if token is None else token,
        clock=SystemClock(),
        tls=there[0].certificates.client(),
        on_event=said.append,
    )
    task = asyncio.ensure_future(made.run())
    try:
        yield made, said
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def controller() -> SmallController:
    return SmallController(definitions=(probing(closed_port()),), clock=SystemClock())


def heard(controller: SmallController) -> list[Observation]:
    return [item for report in controller.reports for item in report.observations]


async def test_it_pulls_its_list_probes_and_reports_in_its_own_name(controller: SmallController) -> None:
    async with served(controller) as there, looking(there):
        await until(lambda: len(heard(controller)) >= 5)
    seen = heard(controller)
    assert {item.vantage for item in seen} == {"elsewhere"}
    assert {item.outcome for item in seen} == {Outcome.REFUSED}
    assert {item.definition for item in seen} == {controller.definitions[0].definition_hash}
    assert {item.generation for item in seen} == {controller.policy.generation}
    assert [item.sequence for item in seen] == sorted({item.sequence for item in seen})
    assert len({item.boot_id for item in seen}) == 1
    assert all(0 <= item.age_s <= item.started_age_s for item in seen)


async def test_it_remembers_the_highest_journal_head_that_it_was_told(controller: SmallController) -> None:
    async with served(controller) as there, looking(there):
        await until(lambda: any(report.journal_head == 7 for report in controller.reports))
        controller.journal_head = 3
        count = len(controller.reports)
        await until(lambda: len(controller.reports) > count + 3)
    assert controller.reports[-1].journal_head == 7, (
        "a restored journal is noticed by what vantages remember (I28)"
    )


async def test_a_new_policy_generation_is_pulled_as_soon_as_a_receipt_tells_of_it(
    controller: SmallController,
) -> None:
    async def hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with served(controller) as there, looking(there), raw(hang) as port:
        await until(lambda: heard(controller))
        controller.definitions = (probing(port),)
        controller.policy = replace(controller.policy, generation="fedcba9876543210")
        await until(lambda: any(item.outcome is Outcome.OK for item in heard(controller)))
    last = heard(controller)[-1]
    assert (last.generation, last.definition) == (
        "fedcba9876543210",
        controller.definitions[0].definition_hash,
    )


async def test_what_it_saw_while_the_controller_was_away_is_delivered_with_its_true_age(
    controller: SmallController,
) -> None:
    async with served(controller) as there, looking(there) as (vantage, said):
        await until(lambda: heard(controller))
        await there.stop()
        link = vantage._links[0]
        await until(lambda: len(link.backlog) >= 10 and link.trouble)
        backlog = {item.id: ended for ended, item in link.backlog}
        controller.received()
        await there.start()
        await until(lambda: {item.id for item in heard(controller)} >= set(backlog))
        received = {item.observation.id: item for item in controller.received()}
    for name, ended in backlog.items():
        item = received[name]
        # Both clocks are this machine's, so only what the transport took lies between the two.
        assert ended - 0.001 <= item.measured_mono <= item.received_mono
        assert item.observation.age_s <= item.received_mono - ended + 0.001
    assert max(received[name].observation.age_s for name in backlog) > 0
    assert any("cannot report to" in sentence for sentence in said)
    assert any(sentence.startswith("reporting to") for sentence in said)
    sequences = [item.sequence for item in heard(controller)]
    assert sorted(set(sequences)) == list(range(1, max(sequences) + 1)), "nothing was lost"


async def test_each_of_three_controllers_hears_everything_and_the_acting_ones_list_is_used(
    controller: SmallController,
) -> None:
    standby = SmallController(definitions=(probing(1),), acting=False, clock=SystemClock())
    async with served(controller) as first, served(standby) as second:
        second_vantage_trust = second.certificates
        first.certificates.ca, trusted = second_vantage_trust.ca, second_vantage_trust.ca
        await first.stop()
        await first.start()
        assert trusted is first.certificates.ca
        async with looking(first, second):
            wanted = controller.definitions[0].definition_hash
            await until(lambda: any(item.definition == wanted for item in heard(standby)))
            await until(lambda: any(item.definition == wanted for item in heard(controller)))


async def test_a_wrong_token_is_told_and_nothing_is_probed(controller: SmallController) -> None:
    async with served(controller) as there, looking(there, token="wrong") as (vantage, said):
        await until(lambda: said)
        assert any("HTTP 401" in sentence for sentence in said)
        assert vantage._runner is None
    assert heard(controller) == []


async def test_a_vantage_whose_references_are_silent_says_that_it_suspects_itself(
    controller: SmallController,
) -> None:
    fleet = controller.policy.fleet
    references = tuple(
        Reference(name=name, address="127.0.0.1", port=closed_port()) for name in ("east", "west", "far")
    )
    named = tuple(replace(item, references=references) for item in fleet.vantages)
    controller.policy = replace(controller.policy, fleet=replace(fleet, vantages=named))
    async with served(controller) as there, looking(there):
        await until(lambda: any(report.suspect for report in controller.reports))
    assert controller.reports[-1].suspect == "only 0 of 3 references answer (silent: east, west, far)"


async def test_when_it_is_stopped_it_probes_nothing_more(controller: SmallController) -> None:
    async with served(controller) as there:
        async with looking(there) as (vantage, _):
            await until(lambda: heard(controller))
        assert vantage._runner is not None
        assert vantage._runner._series == {}
        assert vantage._check_task is not None
        assert vantage._check_task.cancelling() or vantage._check_task.done()


# -- the backlog -------------------------------------------------------------------------------------------------------


def test_an_age_grows_by_the_time_since_the_probe_ended_and_never_below_zero() -> None:
    made = observation(1, started_age_s=0.5)
    assert (aged(made, 100.0, 107.0).age_s, aged(made, 100.0, 107.0).started_age_s) == (7.0, 7.5)
    assert aged(made, 100.0, 99.0).age_s == 0.0


async def test_what_is_too_old_to_be_of_use_is_dropped_and_a_batch_is_bounded() -> None:
    made = Vantage(name="elsewhere", controllers=["https://x"], token="t", clock=SystemClock())
    link, now = made._links[0], SystemClock().now().mono
    link.backlog.extend((now - BACKLOG_AGE_MAX_S - 1, observation(number)) for number in range(10))
    link.backlog.extend((now, observation(number)) for number in range(100, 5000))
    batch = made._take_batch(link)
    assert [item.sequence for _, item in batch][:2] == [100, 101]
    assert len(batch) == module.OBSERVATIONS_PER_REPORT_MAX


def test_a_full_backlog_drops_the_oldest_and_never_the_newest() -> None:
    link = Link(url="https://x")
    link.backlog.extend((float(number), observation(number)) for number in range(BACKLOG_MAX))
    batch = [link.backlog.popleft() for _ in range(500)]
    link.backlog.extend(
        (float(number), observation(number)) for number in range(BACKLOG_MAX, BACKLOG_MAX + 300)
    )
    module._put_back(link, batch)
    numbers = [item.sequence for _, item in link.backlog]
    assert numbers == list(range(300, BACKLOG_MAX + 300))

"""The vantages' listener over real TLS: who may speak, how much, and that nothing said twice counts twice."""

import json
import ssl
from dataclasses import replace

import aiohttp
import pytest

from failover.model.codec import canonical_json, from_plain, to_plain
from failover.model.observation import Outcome, Reference
from failover.web.protocol import (
    CLUSTER_HEADER,
    HEARTBEAT_PATH,
    OBSERVATIONS_PER_REPORT_MAX,
    PROBES_PATH,
    REPORT_BYTES_MAX,
    REPORT_PATH,
    ProbeList,
    ReportReceipt,
)
from tests.web.controllers import SmallController, observation, probing, report, served, session


async def post(there: object, body: bytes | str, **who: str) -> tuple[int, str]:
    async with session(there, **who) as client, client.post(REPORT_PATH, data=body) as response:  # type: ignore[arg-type]
        return response.status, await response.text()


@pytest.mark.parametrize(
    ("name", "token"),
    [
        ("elsewhere", "wrong"),
        ("elsewhere", ""),
        ("elsewhere", "token-of-v-south"),
        ("nobody", "token-of-elsewhere"),
        ("control", "token-of-elsewhere"),
        ("control", ""),
        ("", "token-of-elsewhere"),
    ],
)
async def test_a_wrong_token_or_an_unknown_vantage_is_401(name: str, token: str) -> None:
    async with served() as there, session(there, name=name, token=token) as client:
        async with client.get(PROBES_PATH) as response:
            assert response.status == 401
        async with client.post(REPORT_PATH, data=canonical_json(report(observation(1)))) as response:
            assert response.status == 401
    assert there.controller.reports == []


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Basic dXNlcjpwYXNz", "Bearer \udcff\udcfe", "token-of-elsewhere"]
)
async def test_a_strange_authorization_header_is_401_too(header: str) -> None:
    async with served() as there, session(there) as client:
        headers = {"Authorization": header}
        async with client.get(PROBES_PATH, headers=headers) as response:
            assert response.status == 401


async def test_no_answer_without_tls_and_none_to_who_does_not_trust_the_certificate() -> None:
    async with served() as there:
        plain = there.url.replace("https", "http")
        async with aiohttp.ClientSession() as client:
            with pytest.raises(aiohttp.ClientError):
                await client.get(plain + PROBES_PATH)
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await client.get(there.url + PROBES_PATH, ssl=ssl.create_default_context())


async def test_the_probe_list_is_what_is_in_force_and_holds_no_secret() -> None:
    controller = SmallController(definitions=(probing(443),))
    async with served(controller) as there, session(there) as client, client.get(PROBES_PATH) as response:
        assert response.status == 200
        text = await response.text()
    listed: ProbeList = from_plain(ProbeList, json.loads(text))
    assert listed.definitions == controller.definitions
    assert (listed.generation, listed.acting, listed.journal_head) == (controller.policy.generation, True, 7)
    assert "sha256" not in text.lower()
    assert "token" not in text.lower()


async def test_each_vantage_gets_its_own_references() -> None:
    controller = SmallController()
    fleet = controller.policy.fleet
    named = tuple(
        replace(item, references=(Reference(name=f"near-{item.name}", address="198.51.100.1", port=53),))
        for item in fleet.vantages
    )
    controller.policy = replace(controller.policy, fleet=replace(fleet, vantages=named))
    async with (
        served(controller) as there,
        session(there, name="v-south") as client,
        client.get(PROBES_PATH) as response,
    ):
        listed: ProbeList = from_plain(ProbeList, json.loads(await response.text()))
    assert [item.name for item in listed.references] == ["near-v-south"]


async def test_another_vantages_name_is_403_and_nothing_is_taken() -> None:
    async with served() as there:
        body = canonical_json(report(observation(1, "v-south"), vantage="v-south"))
        status, text = await post(there, body, name="elsewhere")
    assert (status, text) == (403, "a vantage reports for itself only")
    assert there.controller.reports == []


async def test_an_observation_in_another_vantages_name_is_left_out() -> None:
    async with served() as there:
        body = canonical_json(report(observation(1), observation(2, "v-south"), observation(3)))
        status, text = await post(there, body)
    receipt: ReportReceipt = from_plain(ReportReceipt, json.loads(text))
    assert (status, receipt.taken) == (200, 2)
    assert {item.observation.vantage for item in there.controller.received()} == {"elsewhere"}


async def test_a_body_too_large_is_413() -> None:
    async with served() as there:
        status, _ = await post(there, b" " * (REPORT_BYTES_MAX + 1))
    assert status == 413
    assert there.controller.reports == []


async def test_the_largest_report_that_a_vantage_ever_sends_fits() -> None:
    """Every field as long as it may be: characters outside the basic plane take twelve bytes each in JSON."""
    longest = [
        observation(10**12 + number, outcome=Outcome.SERVER_ERROR, detail="\U0001f525" * 256, age_s=299.9999,
                    boot_id="f" * 16, definition="f" * 16, generation="f" * 16, latency_ms=99999.99)
        for number in range(OBSERVATIONS_PER_REPORT_MAX)
    ]  # fmt: skip
    body = canonical_json(report(*longest))
    assert len(body.encode()) <= REPORT_BYTES_MAX
    async with served() as there:
        status, text = await post(there, body)
    assert (status, json.loads(text)["taken"]) == (200, OBSERVATIONS_PER_REPORT_MAX)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe\xfd",
        b'{"vantage": "elsewhere"}',
        b"[" * 100_000,
        canonical_json({**to_plain(report()), "surprise": 1}).encode(),
    ],
    ids=["empty", "cut", "list", "no text", "incomplete", "deep", "unknown field"],
)
async def test_what_is_no_report_is_400_and_a_sentence(body: bytes) -> None:
    async with served() as there:
        status, text = await post(there, body)
    assert status == 400
    assert text.startswith("not a report")
    assert len(text) <= 300


async def test_a_charset_that_nobody_knows_is_no_failure_of_ours() -> None:
    async with served() as there, session(there) as client:
        headers = {"Content-Type": "application/json; charset=no-such"}
        async with client.post(REPORT_PATH, data=canonical_json(report()), headers=headers) as response:
            assert response.status in (200, 400)


@pytest.mark.parametrize("age", [-1.0, float("nan"), float("inf"), 1e9])
async def test_an_impossible_age_is_not_taken(age: float) -> None:
    async with served() as there:
        body = json.dumps(to_plain(report(observation(1, age_s=age), observation(2))))
        status, text = await post(there, body)
    assert status in (200, 400)
    if status == 200:
        assert json.loads(text)["taken"] == 1
    assert all(item.observation.sequence == 2 for item in there.controller.received())


async def test_the_same_report_again_is_answered_the_same_and_stays_one_observation_by_its_id() -> None:
    body = canonical_json(report(observation(1), observation(2)))
    async with served() as there:
        assert await post(there, body) == await post(there, body)
    received = there.controller.received()
    assert len({item.observation.id for item in received}) == 2
    assert len(received) == 4, "the detector leaves out what is not newer (tests/health/test_intake.py)"


async def test_a_post_that_is_sent_again_does_not_make_a_vantage_suspect_itself_again() -> None:
    """Whoever replays an old report must not keep a vantage from voting."""
    async with served() as there:
        old = canonical_json(report(observation(1), suspect="0 of 3 references answer"))
        await post(there, old)
        assert there.controller.inbox.drain()[1][0].suspect
        await post(there, canonical_json(report(observation(2))))
        status, _ = await post(there, old)
        assert status == 200
        assert [item.suspect for item in there.controller.inbox.drain()[1]] == [""]


async def beat(there: object, name: str, token: str, boot: str = "b1", sequence: int = 1) -> tuple[int, str]:
    headers = {CLUSTER_HEADER: name, "Authorization": f"Bearer {token}"}
    body = canonical_json({"boot_id": boot, "sequence": sequence})
    async with session(there) as client, client.post(HEARTBEAT_PATH, data=body, headers=headers) as response:  # type: ignore[arg-type]
        return response.status, await response.text()


async def test_a_heartbeat_counts_once_and_for_the_cluster_whose_token_it_bears() -> None:
    async with served() as there:
        assert (await beat(there, "north-1", "token-of-north-1"))[0] == 200
        assert set(there.controller.inbox.heartbeats) == {"north-1"}
        assert json.loads((await beat(there, "north-1", "token-of-north-1"))[1]) == {"taken": False}
        assert json.loads((await beat(there, "north-1", "token-of-north-1", "b2", 1))[1]) == {"taken": True}
        assert json.loads((await beat(there, "north-1", "token-of-north-1", "b1", 9))[1]) == {"taken": False}


@pytest.mark.parametrize(
    ("name", "token"),
    [
        ("north-1", "wrong"),
        ("north-1", "token-of-elsewhere"),
        ("south-1", "token-of-north-1"),
        ("south-1", ""),
        ("nowhere", "token-of-north-1"),
    ],
)
async def test_a_heartbeat_with_a_wrong_token_is_none(name: str, token: str) -> None:
    async with served() as there:
        assert (await beat(there, name, token))[0] == 401
        assert there.controller.inbox.heartbeats == {}

"""Commands over the state directory's socket: its mode is the authentication, and every refusal is a reason."""

import json
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from failover.model.errors import NotLeader, Refused, StoreUnavailable, UsageError
from failover.model.reasons import Refusal
from failover.web.protocol import COMMAND_PATH, PROBES_PATH, REPORT_BYTES_MAX
from failover.web.server import Listeners
from tests.web.controllers import SmallController


@asynccontextmanager
async def socket_of(controller: SmallController, state: Path) -> AsyncIterator[tuple[Path, Any]]:
    listeners = Listeners(controller)
    path = await listeners.serve_commands(state)
    connector = aiohttp.UnixConnector(path=str(path))
    async with aiohttp.ClientSession("http://failover", connector=connector) as client:
        try:
            yield path, client
        finally:
            await listeners.close()


async def say(client: Any, body: object) -> tuple[int, Any]:
    async with client.post(COMMAND_PATH, json=body) as response:
        text = await response.text()
        return response.status, json.loads(text) if text.startswith("{") else text


async def test_only_its_owner_may_speak_on_the_socket(tmp_path: Path) -> None:
    async with socket_of(SmallController(), tmp_path) as (path, _):
        mode = path.stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600


async def test_what_a_dead_controller_left_is_replaced(tmp_path: Path) -> None:
    async with socket_of(SmallController(), tmp_path) as (path, _):
        pass
    assert path.is_socket(), "a process that dies takes its socket file away no more than this"
    async with socket_of(SmallController(answer={"ok": True}), tmp_path) as (_, client):
        assert await say(client, {"verb": "pause"}) == (200, {"ok": True})


async def test_a_command_reaches_the_controller_as_it_was_said(tmp_path: Path) -> None:
    controller = SmallController(answer={"run": "r1"})
    async with socket_of(controller, tmp_path) as (_, client):
        assert await say(client, {"verb": "start", "actor": "ada@desk"}) == (200, {"run": "r1"})
    assert controller.commands == [{"verb": "start", "actor": "ada@desk"}]


async def test_a_refusal_is_409_and_carries_every_reason(tmp_path: Path) -> None:
    refusals = (
        Refusal(code="capacity-floor", sentence="60 % would be left", evidence=("capacity=6", "needed=10")),
        Refusal(code="frozen", sentence="two regions look wrong", overridable=False),
    )
    async with socket_of(SmallController(answer=Refused(refusals)), tmp_path) as (_, client):
        status, answer = await say(client, {"verb": "start"})
    assert status == 409
    assert [item["code"] for item in answer["refusals"]] == ["capacity-floor", "frozen"]
    assert answer["refusals"][0]["evidence"] == ["capacity=6", "needed=10"]


@pytest.mark.parametrize(
    ("error", "status", "usage"),
    [
        (UsageError("no domain is called nrth"), 400, True),
        (StoreUnavailable("the disk is full"), 503, None),
        (NotLeader("beta acts", holder="beta"), 503, None),
    ],
)
async def test_every_error_of_ours_is_a_sentence(
    tmp_path: Path, error: Exception, status: int, usage: bool | None
) -> None:
    async with socket_of(SmallController(answer=error), tmp_path) as (_, client):
        found, answer = await say(client, {"verb": "start"})
    assert found == status
    assert answer["error"] == str(error)
    assert answer.get("usage") is usage


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_only_json_is_taken(tmp_path: Path, content_type: str) -> None:
    controller = SmallController()
    async with socket_of(controller, tmp_path) as (_, client):
        headers = {"Content-Type": content_type}
        async with client.post(COMMAND_PATH, data=b'{"verb": "pause"}', headers=headers) as response:
            assert response.status == 415
    assert controller.commands == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"pause"', b"\xff", b"[" * 100_000])
async def test_what_is_no_command_is_400(tmp_path: Path, body: bytes) -> None:
    controller = SmallController()
    async with socket_of(controller, tmp_path) as (_, client):
        headers = {"Content-Type": "application/json"}
        async with client.post(COMMAND_PATH, data=body, headers=headers) as response:
            assert response.status == 400
            assert (await response.text()).startswith("not a command")
    assert controller.commands == []


async def test_a_command_too_large_is_413_and_vantages_have_no_way_in_here(tmp_path: Path) -> None:
    async with socket_of(SmallController(), tmp_path) as (_, client):
        headers = {"Content-Type": "application/json"}
        async with client.post(COMMAND_PATH, data=b" " * (REPORT_BYTES_MAX + 1), headers=headers) as response:
            assert response.status == 413
        async with client.get(PROBES_PATH) as response:
            assert response.status == 404

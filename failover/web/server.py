"""The listeners: commands on a Unix socket of the state directory (mode 0600), vantages over TLS with bearer tokens."""

import json
import os
import ssl
from pathlib import Path
from typing import Any, Protocol

from aiohttp import web

from failover.model.codec import DecodeError, from_plain, to_plain
from failover.model.errors import FailoverError, Refused, UsageError
from failover.model.ids import ClusterName
from failover.model.observation import ProbeDefinition, VantageReport
from failover.model.policy import Policy
from failover.web.protocol import (
    CLUSTER_HEADER,
    COMMAND_PATH,
    HEARTBEAT_PATH,
    PROBES_PATH,
    REPORT_BYTES_MAX,
    REPORT_PATH,
    VANTAGE_HEADER,
    Heartbeat,
    ProbeList,
    ReportReceipt,
)
from failover.web.tokens import authenticate, authenticate_cluster

SOCKET_NAME = "control.sock"


class ControllerLike(Protocol):
    """What the API needs of a controller."""

    @property
    def policy(self) -> Policy: ...
    @property
    def definitions(self) -> tuple[ProbeDefinition, ...]: ...
    @property
    def acting(self) -> bool: ...
    @property
    def journal_head(self) -> int: ...
    @property
    def journal_mark(self) -> str: ...
    def receive(self, report: VantageReport) -> int: ...
    def beat(self, cluster: ClusterName, boot_id: str, sequence: int) -> bool: ...
    async def command(self, request: dict[str, Any]) -> dict[str, Any]: ...


CONTROLLER = web.AppKey("controller", ControllerLike)


def vantage_app(controller: ControllerLike) -> web.Application:
    """Routes for vantages, and for clusters that push heartbeats; every one authenticates."""
    app = web.Application(client_max_size=REPORT_BYTES_MAX)
    app[CONTROLLER] = controller
    app.router.add_get(PROBES_PATH, _probes)
    app.router.add_post(REPORT_PATH, _report)
    app.router.add_post(HEARTBEAT_PATH, _heartbeat)
    return app


def command_app(controller: ControllerLike) -> web.Application:
    """Routes for people on this machine; the socket's mode is the authentication."""
    app = web.Application(client_max_size=REPORT_BYTES_MAX)
    app[CONTROLLER] = controller
    app.router.add_post(COMMAND_PATH, _command)
    return app


def _vantage_of(request: web.Request) -> str:
    name = request.headers.get(VANTAGE_HEADER, "")
    entry = authenticate(request.app[CONTROLLER].policy, name, request.headers.get("Authorization", ""))
    if entry is None:
        raise web.HTTPUnauthorized(text="unknown vantage or wrong token")
    return entry.name


async def _probes(request: web.Request) -> web.Response:
    controller = request.app[CONTROLLER]
    name = _vantage_of(request)
    fleet = controller.policy.fleet
    entry = next(vantage for vantage in fleet.vantages if vantage.name == name)
    listed = ProbeList(
        generation=controller.policy.generation,
        acting=controller.acting,
        journal_head=controller.journal_head,
        journal_mark=controller.journal_mark,
        interval_s=fleet.timing.interval_s,
        timeout_s=fleet.timing.timeout_s,
        jitter=fleet.timing.jitter,
        allow_cidrs=fleet.probe_allow_cidrs,
        definitions=controller.definitions,
        references=entry.references,
    )
    return web.json_response(to_plain(listed))


async def _report(request: web.Request) -> web.Response:
    controller = request.app[CONTROLLER]
    name = _vantage_of(request)
    try:
        report: VantageReport = from_plain(VantageReport, json.loads(await request.read()))
    except (ValueError, RecursionError) as error:
        raise web.HTTPBadRequest(text=f"not a report: {error}"[:300]) from None
    if report.vantage != name:
        raise web.HTTPForbidden(text="a vantage reports for itself only")
    taken = controller.receive(report)
    receipt = ReportReceipt(
        taken=taken,
        generation=controller.policy.generation,
        acting=controller.acting,
        journal_head=controller.journal_head,
        journal_mark=controller.journal_mark,
    )
    return web.json_response(to_plain(receipt))


async def _heartbeat(request: web.Request) -> web.Response:
    controller = request.app[CONTROLLER]
    name = request.headers.get(CLUSTER_HEADER, "")
    entry = authenticate_cluster(controller.policy, name, request.headers.get("Authorization", ""))
    if entry is None:
        raise web.HTTPUnauthorized(text="unknown cluster or wrong token")
    try:
        beat: Heartbeat = from_plain(Heartbeat, json.loads(await request.read()))
    except (ValueError, RecursionError) as error:
        raise web.HTTPBadRequest(text=f"not a heartbeat: {error}"[:300]) from None
    taken = controller.beat(entry.name, beat.boot_id, beat.sequence)
    return web.json_response({"taken": taken})


async def _command(request: web.Request) -> web.Response:
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text="application/json only")
    try:
        body = json.loads(await request.read())
        if not isinstance(body, dict):
            raise DecodeError("expected an object")
    except (ValueError, RecursionError) as error:
        raise web.HTTPBadRequest(text=f"not a command: {error}"[:300]) from None
    try:
        result = await request.app[CONTROLLER].command(body)
    except Refused as error:
        return web.json_response({"refusals": to_plain(error.refusals)}, status=409)
    except UsageError as error:
        return web.json_response({"error": str(error), "usage": True}, status=400)
    except FailoverError as error:
        return web.json_response({"error": str(error)}, status=503)
    return web.json_response(result)


class Listeners:
    """Both listeners of one controller process."""

    def __init__(self, controller: ControllerLike) -> None:
        self._controller = controller
        self._runners: list[web.AppRunner] = []
        self._commands: web.AppRunner | None = None

    @property
    def commands_open(self) -> bool:
        """Whether this process listens for commands."""
        return self._commands is not None

    async def serve_commands(self, state: Path) -> Path:
        """Listen on the state directory's socket; a stale socket file is replaced."""
        path = state / SOCKET_NAME
        path.unlink(missing_ok=True)
        runner = await self._runner(command_app(self._controller))
        old = os.umask(0o177)
        try:
            await web.UnixSite(runner, str(path)).start()
        finally:
            os.umask(old)
        path.chmod(0o600)
        self._commands = runner
        return path

    async def close_commands(self) -> None:
        """Stop listening for commands (leadership was lost)."""
        runner, self._commands = self._commands, None
        if runner is not None:
            self._runners.remove(runner)
            await runner.cleanup()

    async def serve_vantages(self, host: str, port: int, tls: ssl.SSLContext) -> None:
        """Listen for vantages; TLS always."""
        runner = await self._runner(vantage_app(self._controller))
        await web.TCPSite(runner, host, port, ssl_context=tls).start()

    async def _runner(self, app: web.Application) -> web.AppRunner:
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
        await runner.setup()
        self._runners.append(runner)
        return runner

    async def close(self) -> None:
        for runner in self._runners:
            await runner.cleanup()
        self._runners.clear()

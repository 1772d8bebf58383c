"""The two long-running processes: the controller and a vantage."""

import asyncio
import contextlib
import os
import re
import signal
import ssl
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from failover.cli import exits, render
from failover.cli.exits import Stop
from failover.cli.heap import give_back_what_is_free
from failover.model.errors import FailoverError, StoreError

KUBECONFIGS_EVERY_S = 10.0


def run_controller(
    state: Path,
    policies: Path,
    *,
    listen: str,
    certificate: Path | None,
    key: Path | None,
    metrics: str,
    source: str,
) -> None:
    """Until SIGTERM or Ctrl-C."""
    from failover.controller.policies import PolicySource

    host, port = _address(listen) if listen else ("", 0)
    if metrics:
        _address(metrics)
    if listen and (certificate is None or key is None):
        raise Stop(exits.USAGE, "--listen needs --tls-cert and --tls-key: vantages speak TLS only")
    tls = _server_tls(certificate, key) if listen and certificate and key else None
    source_of_policy = PolicySource(policies)
    policy = source_of_policy.load()
    for warning in source_of_policy.warnings:
        render.talk(str(warning))
    _run(_controller(state, policy, source_of_policy, (host, port, tls), metrics, source))


async def _controller(
    state: Path,
    policy: Any,
    policies: Any,
    vantages: tuple[str, int, ssl.SSLContext | None],
    metrics: str,
    source: str,
) -> None:
    from failover.controller.wiring import open_ports
    from failover.telemetry import Fan, LogSink, MetricsSink

    sinks: list[Any] = [LogSink()]
    if metrics:
        sinks.append(MetricsSink())
        try:
            sinks[-1].start_http(*_address(metrics))
        except OSError as error:
            raise Stop(exits.ERROR, f"--metrics cannot listen on {metrics}: {_why(error)}") from None
    ports = await open_ports(policy, state, telemetry=Fan(sinks), source=source, pool=True)
    process = ControllerProcess(state, policy, policies, ports)
    try:
        await process.run(*vantages)
    finally:
        await ports.close()


class ControllerProcess:
    """What surrounds a controller in `failover run`: listeners, the calendar, and files that are followed."""

    def __init__(self, state: Path, policy: Any, policies: Any, ports: Any) -> None:
        from failover.controller.app import build
        from failover.controller.calendar import Calendar
        from failover.web.server import Listeners

        self._state, self._policies, self._ports = state, policies, ports
        self._controller = build(ports.ports, policy, read_ca=policies.read_ca)
        self._controller.problems = lambda: policies.problems
        self._listeners = Listeners(self._controller)
        self._calendar = Calendar(self._controller, validate=self._validate)
        self._controller.jobs = self._calendar.rows
        self._changes: asyncio.Queue[Any] = asyncio.Queue()

    async def run(self, host: str, port: int, tls: ssl.SSLContext | None) -> None:
        """Until cancelled; any part that fails ends the process, for its supervisor to restart."""
        self._calendar.update(self._controller.policy)
        try:
            if tls is not None:
                await self._listen(host, port, tls)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._serve_while_acting())
                group.create_task(self._policies.watch(self._changes.put_nowait, self._refused))
                group.create_task(self._follow_policy())
                group.create_task(self._follow_kubeconfigs())
                group.create_task(self._calendar.run())
                group.create_task(self._controller.run())
        finally:
            await self._listeners.close()

    async def _listen(self, host: str, port: int, tls: ssl.SSLContext) -> None:
        try:
            await self._listeners.serve_vantages(host, port, tls)
        except OSError as error:
            raise Stop(exits.ERROR, f"--listen cannot listen on {host}:{port}: {_why(error)}") from None

    async def _validate(self) -> str:
        from failover.cli.setup import check_live

        problems = await check_live(self._controller.policy)
        return "; ".join(f"{item['target']}: {item['sentence']}" for item in problems if not item["warning"])

    def _refused(self) -> None:
        for problem in self._policies.problems:
            self._controller.context.tell("policy.refused", str(problem), page=True)

    async def _follow_policy(self) -> None:
        """What cannot be followed is told like an invalid file, and changes nothing (I29)."""
        while True:
            changed = await self._changes.get()
            try:
                await self.adopt(changed)
            except FailoverError as error:
                self._policies.refuse(f"is valid, but cannot be followed: {error}")
                self._refused()

    async def adopt(self, changed: Any) -> None:
        """Take a valid policy on: its clusters and zones, its probes, its calendar."""
        known = changed.generation == self._controller.policy.generation
        await self._ports.follow(changed)
        # The journal's trouble is told where it begins: the policy is in force, only the journal does not say so.
        with contextlib.suppress(StoreError):
            await self._controller.use_policy(changed)
        self._calendar.update(changed)
        if known and self._policies.bundles_changed:
            self._controller.targets_changed()

    async def _follow_kubeconfigs(self) -> None:
        """A kubeconfig that was missing or is rewritten (rotated credentials) is taken on without a restart."""
        while True:
            await asyncio.sleep(KUBECONFIGS_EVERY_S)
            if await self._ports.follow(self._controller.policy):
                self._controller.targets_changed()

    async def _serve_while_acting(self) -> None:
        """The socket belongs to the controller that acts: a standby must not take it away."""
        while True:
            if self._controller.acting and not self._listeners.commands_open:
                await self._listeners.serve_commands(self._state)
            elif not self._controller.acting and self._listeners.commands_open:
                await self._listeners.close_commands()
            await asyncio.sleep(0.1)


def run_vantage(
    name: str, controllers: list[str], token_file: Path, ca_file: Path | None, source: str
) -> None:
    """Until SIGTERM or Ctrl-C."""
    from failover.controller.clock import SystemClock
    from failover.policy.secrets import read_private_file
    from failover.web.vantage import Vantage

    for url in controllers:
        if not url.startswith("https://"):
            raise Stop(exits.USAGE, f"{url}: a vantage speaks https only")
    token = _token(read_private_file(token_file), token_file)
    tls = _client_tls(ca_file)
    process = Vantage(
        name=name,
        controllers=controllers,
        token=token,
        clock=SystemClock(),
        tls=tls,
        source=source,
        on_event=render.talk,
    )
    _run(process.run())


def run_heartbeat(
    cluster: str, controllers: list[str], token_file: Path, ca_file: Path | None, every_s: float
) -> None:
    """Until SIGTERM or Ctrl-C."""
    from failover.controller.clock import SystemClock
    from failover.policy.secrets import read_private_file
    from failover.web.heartbeat import Heart

    for url in controllers:
        if not url.startswith("https://"):
            raise Stop(exits.USAGE, f"{url}: heartbeats go by https only")
    process = Heart(
        cluster=cluster,
        controllers=controllers,
        token=_token(read_private_file(token_file), token_file),
        clock=SystemClock(),
        every_s=every_s,
        tls=_client_tls(ca_file),
        on_event=render.talk,
    )
    _run(process.run())


_TOKEN = re.compile(rb"[\x21-\x7e]{1,512}")


def _token(content: bytes, file: Path) -> str:
    found = _TOKEN.fullmatch(content.strip())
    if found is None:
        sentence = f"{file} holds no token: it is one line, as `failover vantage-token` writes it"
        raise Stop(exits.ERROR, sentence)
    return found.group().decode("ascii")


def _client_tls(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except ssl.SSLError:
        raise Stop(exits.ERROR, f"--ca-file {ca_file} holds no certificate that can be used") from None
    except OSError as error:
        raise Stop(exits.ERROR, f"--ca-file {ca_file} cannot be read: {_why(error)}") from None


def _why(error: OSError) -> str:
    """The system's word for it, without the numbers."""
    number = error.errno or 0
    return os.strerror(number).lower() if number > 0 else error.strerror or str(error)


def _run(main: Coroutine[Any, Any, None]) -> None:
    """Run until a signal asks to stop; then stop cleanly."""
    give_back_what_is_free()

    async def until_signal() -> None:
        task = asyncio.ensure_future(main)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, task.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(until_signal())


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not re.fullmatch("[0-9]{1,5}", port) or int(port) > 65535:
        raise Stop(exits.USAGE, f"{text!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


def _server_tls(certificate: Path, key: Path) -> ssl.SSLContext:
    from failover.policy.secrets import read_private_file

    read_private_file(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except (ssl.SSLError, OSError) as error:
        raise Stop(exits.ERROR, f"{certificate} and {key} cannot be used: {error}") from None
    return context

"""The two long-running processes: the controller and a vantage."""

import asyncio
import contextlib
import signal
import ssl
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from failover.cli import exits, render
from failover.cli.exits import Stop


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
    from failover.cli.setup import check_live
    from failover.controller.app import build
    from failover.controller.calendar import Calendar
    from failover.controller.wiring import open_ports, read_text
    from failover.telemetry import Fan, LogSink, MetricsSink
    from failover.web.server import Listeners

    sinks: list[Any] = [LogSink()]
    if metrics:
        sinks.append(MetricsSink())
        sinks[-1].start_http(*_address(metrics))
    ports = await open_ports(policy, state, telemetry=Fan(sinks), source=source, pool=True)
    controller = build(ports.ports, policy, read_ca=read_text)
    controller.problems = lambda: policies.problems
    listeners = Listeners(controller)

    async def validate() -> str:
        problems = await check_live(controller.policy)
        return "; ".join(f"{item['target']}: {item['sentence']}" for item in problems if not item["warning"])

    calendar = Calendar(controller, validate=validate)
    controller.jobs = calendar.rows
    changes: asyncio.Queue[Any] = asyncio.Queue()

    async def follow_policy() -> None:
        while True:
            changed = await changes.get()
            await controller.use_policy(changed)
            calendar.update(changed)

    def refused() -> None:
        for problem in policies.problems:
            controller.context.tell("policy.refused", str(problem), page=True)

    host, port, tls = vantages
    if tls is not None:
        await listeners.serve_vantages(host, port, tls)
    calendar.remember(await ports.ports.store.entries())
    calendar.update(policy)
    calendar.start()

    async def serve_while_acting() -> None:
        """The socket belongs to the controller that acts: a standby must not take it away."""
        while True:
            if controller.acting and not listeners.commands_open:
                await listeners.serve_commands(state)
            elif not controller.acting and listeners.commands_open:
                await listeners.close_commands()
            await asyncio.sleep(0.1)

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(serve_while_acting())
            group.create_task(policies.watch(changes.put_nowait, refused))
            group.create_task(follow_policy())
            group.create_task(controller.run())
    finally:
        calendar.stop()
        await listeners.close()
        await ports.close()


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
    token = read_private_file(token_file).decode().strip()
    tls = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
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


def _run(main: Coroutine[Any, Any, None]) -> None:
    """Run until a signal asks to stop; then stop cleanly."""

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
    if not host or not port.isdigit():
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

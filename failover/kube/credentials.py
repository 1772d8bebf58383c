"""Bearer tokens: inline, from a file that is rotated, or from an exec plugin with a time limit and a small environment."""

import asyncio
import contextlib
import json
import os
import signal
from datetime import datetime
from pathlib import Path
from typing import Any

from failover.kube.kubeconfig import ClusterConfig, ExecPlugin
from failover.model.errors import LocalFault
from failover.model.ports import Clock

PLUGIN_TIMEOUT_S = 10.0
PLUGIN_OUTPUT_MAX = 64 * 1024
REFRESH_AHEAD_S = 60.0
FILE_EVERY_S = 30.0
PASSED_ON = ("HOME", "PATH", "USER", "LANG")


class Credentials:
    """The token of one cluster, cached until shortly before it expires."""

    def __init__(self, config: ClusterConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._token = config.token
        self._expires = float("inf") if config.token else 0.0
        self._lock = asyncio.Lock()

    async def header(self) -> dict[str, str]:
        """The Authorization header, {} where client certificates do. Raises LocalFault."""
        if not (self._config.token or self._config.token_file or self._config.plugin):
            return {}
        if self._unix() >= self._expires:
            async with self._lock:
                if self._unix() >= self._expires:
                    await self._refresh()
        return {"Authorization": f"Bearer {self._token}"}

    def forget(self) -> bool:
        """After a 401: forget the token; False where a new one cannot be had."""
        if self._config.token_file or self._config.plugin:
            self._expires = 0.0
            return True
        return False

    async def _refresh(self) -> None:
        if self._config.plugin is not None:
            self._token, self._expires = await run_plugin(self._config.plugin, self._config.name, self._clock)
            return
        try:
            self._token = Path(self._config.token_file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise LocalFault(f"the token file cannot be read: {error}", target=self._config.name) from None
        self._expires = self._unix() + FILE_EVERY_S

    def _unix(self) -> float:
        """Tokens expire by the calendar."""
        return self._clock.now().wall.timestamp()


async def run_plugin(plugin: ExecPlugin, target: str, clock: Clock) -> tuple[str, float]:
    """(token, unix time to refresh at). No shell, no terminal, ten seconds. Raises LocalFault."""
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    environment |= dict(plugin.environment)
    environment["KUBERNETES_EXEC_INFO"] = json.dumps(
        {"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": {"interactive": False}}
    )
    try:
        process = await asyncio.create_subprocess_exec(
            plugin.command,
            *plugin.arguments,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise LocalFault(
            f"the credential plugin {plugin.command} cannot be started: {error}", target=target
        ) from None
    try:
        async with asyncio.timeout(PLUGIN_TIMEOUT_S):
            assert process.stdout is not None
            output = await _read_bounded(process.stdout)
            if len(output) <= PLUGIN_OUTPUT_MAX:
                await process.wait()
    except TimeoutError:
        await _end(process)
        raise LocalFault(
            f"the credential plugin {plugin.command} took more than {PLUGIN_TIMEOUT_S:.0f} s", target=target
        ) from None
    except asyncio.CancelledError:
        await _end(process)
        raise
    if len(output) > PLUGIN_OUTPUT_MAX:
        await _end(process)
        raise LocalFault(f"the credential plugin {plugin.command} printed more than 64 KiB", target=target)
    if process.returncode != 0:
        raise LocalFault(
            f"the credential plugin {plugin.command} failed with {process.returncode}", target=target
        )
    return _credential(output, plugin, target, clock.now().wall.timestamp())


async def _read_bounded(stream: asyncio.StreamReader) -> bytes:
    """Until the end, or one byte more than is allowed."""
    output = b""
    while len(output) <= PLUGIN_OUTPUT_MAX and (chunk := await stream.read(PLUGIN_OUTPUT_MAX)):
        output += chunk
    return output


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill the plugin and whatever it started (its own session), and reap it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _credential(output: bytes, plugin: ExecPlugin, target: str, now: float) -> tuple[str, float]:
    try:
        status: Any = json.loads(output)["status"]
        token = status["token"]
        if not isinstance(token, str) or not token or not token.isprintable():
            raise ValueError("status.token is no token")
        expires = status.get("expirationTimestamp")
        at = datetime.fromisoformat(expires).timestamp() - REFRESH_AHEAD_S if expires else now + 300
    except (ValueError, KeyError, TypeError) as error:
        raise LocalFault(
            f"the credential plugin {plugin.command} printed no ExecCredential: {error}", target=target
        ) from None
    if at + REFRESH_AHEAD_S < now:
        raise LocalFault(
            f"the credential plugin {plugin.command} gave a token that expired at {expires}", target=target
        )
    return token, at

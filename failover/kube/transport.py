"""One HTTP client per cluster on `kubernetes.aio`, with raw JSON and our errors.

One TLS context per (CA, client certificate): a hundred default clients alone would take 196 MB.
"""

import json
import os
import ssl
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import aiohttp

from failover.kube.credentials import Credentials
from failover.kube.kubeconfig import ClusterConfig
from failover.kube.responses import error_of_exception, error_of_response
from failover.kube.sdk import rest_module
from failover.model.errors import LocalFault, OutcomeUnknown, Unavailable
from failover.model.ports import Clock

READ_TIMEOUT_S = 10.0
WRITE_TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 3.0
BODY_MAX = 64 * 1024 * 1024
CONNECTIONS_MAX = 16
IDLE_S = 2.0
"""Idle connections are closed between two inventories: each holds a TLS buffer of 256 KiB, times a hundred clusters."""


@lru_cache(maxsize=512)
def _context(ca_pem: str, certificate_pem: str, key_pem: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=ca_pem) if ca_pem else ssl.create_default_context()
    if certificate_pem:
        # OpenSSL reads a certificate chain from a file only; it lives for the length of this call, readable by us alone.
        with tempfile.NamedTemporaryFile("w", suffix=".pem", delete=False) as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(certificate_pem + "\n" + key_pem)
        try:
            context.load_cert_chain(file.name)
        finally:
            Path(file.name).unlink()
    return context


RESTClientObject: Any = rest_module().RESTClientObject


class _Client(RESTClientObject):  # type: ignore[misc]
    """The SDK's REST client with our TLS context, bounded connections, and no proxies from the environment."""

    def __init__(self, config: ClusterConfig) -> None:
        self.server_hostname = config.server_name or None
        self.proxy = None
        self.proxy_headers = None
        connector = aiohttp.TCPConnector(
            limit=CONNECTIONS_MAX,
            ssl=_context(config.ca_pem, config.certificate_pem, config.key_pem),
            keepalive_timeout=IDLE_S,
        )
        self.pool_manager = aiohttp.ClientSession(
            connector=connector, trust_env=False, cookie_jar=aiohttp.DummyCookieJar(), read_bufsize=2**16
        )


class Transport:
    """Requests to one API server. Opened lazily, inside the event loop."""

    def __init__(self, config: ClusterConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._credentials = Credentials(config, clock)
        self._client: _Client | None = None

    @property
    def target(self) -> str:
        return self._config.name

    async def get(self, path: str, *, timeout_s: float = READ_TIMEOUT_S) -> dict[str, Any]:
        """A whole JSON object. Raises Unavailable, LocalFault, NotFound, Throttled."""
        return await self._request("GET", path, None, "", timeout_s, write=False)

    async def send(
        self, method: str, path: str, body: Any, *, content_type: str = "application/json"
    ) -> dict[str, Any]:
        """A write. Raises also Conflict, FencedOff, Rejected, OutcomeUnknown."""
        return await self._request(method, path, body, content_type, WRITE_TIMEOUT_S, write=True)

    async def ask(self, path: str, body: Any) -> dict[str, Any]:
        """A POST that changes nothing (access reviews)."""
        return await self._request("POST", path, body, "application/json", READ_TIMEOUT_S, write=False)

    async def _request(
        self, method: str, path: str, body: Any, content_type: str, timeout_s: float, *, write: bool
    ) -> dict[str, Any]:
        for attempt in (1, 2):
            status, headers, text = await self._once(method, path, body, content_type, timeout_s, write=write)
            if status == 401 and attempt == 1 and self._credentials.forget():
                continue
            break
        if status >= 400:
            raise error_of_response(self.target, status, headers, text, write=write)
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            sentence = f"{method} {path.partition('?')[0]}: the answer is no JSON object"
            raise (OutcomeUnknown if write else Unavailable)(sentence, target=self.target)
        return found

    async def _once(
        self, method: str, path: str, body: Any, content_type: str, timeout_s: float, *, write: bool
    ) -> tuple[int, dict[str, str], bytes]:
        headers = {"Accept": "application/json", "User-Agent": "failover", **await self._credentials.header()}
        if content_type:
            headers["Content-Type"] = content_type
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_TIMEOUT_S)
        if self._config.expired(self._clock.now().wall.timestamp()):
            sentence = f"the client certificate of {self.target} in its kubeconfig expired; renew it"
            raise LocalFault(sentence, target=self.target)
        try:
            client = self._open()
            async with client.pool_manager.request(
                method,
                self._config.server + path,
                data=None if body is None else json.dumps(body).encode(),
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
                server_hostname=client.server_hostname,
            ) as response:
                text = await _bounded(response)
                return response.status, dict(response.headers), text
        except (TimeoutError, aiohttp.ClientError, OSError, EOFError) as error:
            raise error_of_exception(self.target, error, write=write) from None

    def _open(self) -> _Client:
        if self._client is None:
            try:
                self._client = _Client(self._config)
            except (ssl.SSLError, ValueError) as error:
                sentence = f"the certificates of {self.target} in its kubeconfig cannot be used: {error}"
                raise LocalFault(sentence, target=self.target) from None
        return self._client

    async def close(self) -> None:
        """Close every connection."""
        if self._client is not None:
            await self._client.close()
            self._client = None


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    text = (
        await response.content.read(BODY_MAX + 1)
        if response.content_length and response.content_length > BODY_MAX
        else await response.read()
    )
    if len(text) > BODY_MAX:
        raise aiohttp.ClientPayloadError("the answer is larger than 64 MiB")
    return text

"""The harness's own view of an API server: plain JSON over verified TLS, with the standard library alone."""

import http.client
import json
import ssl
from pathlib import Path
from typing import Any

from ..process import ServerFailed

TIMEOUT_S = 10.0


class Requests:
    """Requests to one API server as one user. A request is a connection: nothing of it survives a restart.

    Raises OSError or `http.client.HTTPException` where the server does not answer.
    """

    def __init__(self, *, port: int, certificate: Path, token: str) -> None:
        self._port = port
        self._certificate = certificate
        self._token = token
        self._tls: ssl.SSLContext | None = None

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = "application/json",
        timeout_s: float = TIMEOUT_S,
    ) -> tuple[int, Any]:
        """Send one request and return the status and the decoded body (None where it is not JSON)."""
        if self._tls is None:
            self._tls = ssl.create_default_context(cafile=str(self._certificate))
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self._port, timeout=timeout_s, context=self._tls
        )
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": content_type}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            raw = answer.read()
        finally:
            connection.close()
        try:
            return answer.status, json.loads(raw)
        except ValueError:
            return answer.status, None

    def get(self, path: str) -> Any:
        """Read an object or a list. Raises ServerFailed for any answer but 200."""
        return self._expect("GET", path, None, {200})

    def create(self, path: str, body: object) -> Any:
        """POST an object. Raises ServerFailed where it was not made."""
        return self._expect("POST", path, body, {200, 201, 202})

    def patch(self, path: str, body: object) -> Any:
        """Merge-patch an object. Raises ServerFailed where it did not succeed."""
        return self._expect("PATCH", path, body, {200}, "application/merge-patch+json")

    def delete(self, path: str) -> Any:
        """Delete an object or, by the path of a collection, all of one. Raises ServerFailed otherwise."""
        return self._expect("DELETE", path, None, {200, 202})

    def is_ready(self) -> bool:
        """Whether `/readyz` says 200; False as well while nothing answers or there is no certificate yet."""
        try:
            return self.request("GET", "/readyz", timeout_s=2.0)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def _expect(
        self, method: str, path: str, body: object, wanted: set[int], content_type: str = "application/json"
    ) -> Any:
        status, answer = self.request(method, path, body, content_type=content_type)
        if status not in wanted:
            message = answer.get("message") if isinstance(answer, dict) else answer
            raise ServerFailed(f"{method} {path} got {status}: {message}")
        return answer

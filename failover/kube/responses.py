"""What an API server's answer, or its silence, means in our error tree."""

import asyncio
import json
import os
import socket
import ssl
from typing import Any

import aiohttp

from failover.model.errors import (
    Conflict,
    FencedOff,
    LocalFault,
    NotFound,
    OutcomeUnknown,
    Rejected,
    TargetError,
    Throttled,
    Unavailable,
)

FENCE_POLICY = "failover-fence"
MESSAGE_MAX = 300


class ListExpired(Unavailable):
    """410: the list that was being paged is gone; it is begun again from the start, never taken for whole."""


def error_of_response(
    target: str, status: int, headers: dict[str, str], text: bytes, *, write: bool
) -> TargetError:
    """The error of an HTTP status of 400 and above; `reason` and `message` come from the Status object."""
    reason, message = _status(text)
    sentence = f"{target}: {status} {reason or 'without a reason'}: {message or 'no message'}"
    if (status == 403 and FENCE_POLICY in message) or (status == 422 and FENCE_POLICY in message):
        return FencedOff(sentence, target=target)
    if status == 401:
        renew = "; the token or certificate that the kubeconfig names is no longer taken: renew it"
        return LocalFault(sentence + renew, target=target)
    if status == 403:
        return LocalFault(f"{sentence}; `failover rbac` prints what the cluster must grant", target=target)
    if status == 404:
        return NotFound(sentence, target=target)
    if status == 409:
        return Conflict(sentence, target=target)
    if status == 410:
        return ListExpired(sentence, target=target)
    if status == 429:
        return Throttled(sentence, target=target, retry_after_s=_retry_after(headers))
    if status >= 500:
        return OutcomeUnknown(sentence, target=target) if write else Unavailable(sentence, target=target)
    return Rejected(sentence, target=target) if write else Unavailable(sentence, target=target)


def _status(text: bytes) -> tuple[str, str]:
    try:
        found: Any = json.loads(text)
        return str(found.get("reason", "")), str(found.get("message", ""))[:MESSAGE_MAX]
    except (ValueError, AttributeError):
        return "", "".join(c if c.isprintable() else " " for c in text[:80].decode("utf-8", "replace"))


def _retry_after(headers: dict[str, str]) -> float | None:
    text = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    return float(text) if text.isdigit() else None


def _why(error: BaseException) -> str:
    """What went wrong in the system's words, and not in those of a library."""
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the connection was closed in the middle of the answer"
    system = getattr(error, "os_error", None) or getattr(error, "certificate_error", None) or error
    place = f"{error.host}:{error.port}: " if isinstance(error, aiohttp.ClientConnectorError) else ""
    if isinstance(system, TimeoutError):
        return f"{place}no answer in time"
    number = getattr(system, "errno", None)
    if isinstance(number, int) and number > 0 and not isinstance(system, ssl.SSLError):
        return f"{place}{os.strerror(number).lower()}"
    return f"{place}{system}" if str(system) else f"{place}the connection broke"


def error_of_exception(target: str, error: BaseException, *, write: bool) -> TargetError:
    """The error of a request that got no whole answer. Before anything was sent nothing can have changed."""
    sentence = f"{target}: {_why(error)}"
    if isinstance(error, aiohttp.ClientConnectorDNSError) or isinstance(
        getattr(error, "os_error", None), socket.gaierror
    ):
        return LocalFault(f"{sentence} (the API server's name cannot be resolved)", target=target)
    if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLCertVerificationError):
        return Unavailable(
            f"{sentence} (its certificate is not the one that the kubeconfig trusts)", target=target
        )
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return Unavailable(sentence, target=target)
    if isinstance(error, asyncio.TimeoutError) and not write:
        return Unavailable(f"{target} did not answer in time", target=target)
    return OutcomeUnknown(sentence, target=target) if write else Unavailable(sentence, target=target)

"""What an exception of a probe means: outcome classes of DESIGN section 4. Only a failure can become `local`."""

import asyncio
import errno
import socket
import ssl

import aiohttp

from failover.model.observation import Outcome, ProbeResult

DETAIL_MAX = 256

_LOCAL_ERRNOS = frozenset(
    {
        errno.ENETUNREACH,
        errno.ENETDOWN,
        errno.EADDRNOTAVAIL,
        errno.EADDRINUSE,
        errno.EACCES,
        errno.EPERM,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOBUFS,
        errno.ENOMEM,
        errno.EINVAL,
    }
)
_RESET_ERRNOS = frozenset({errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED, errno.ESHUTDOWN})
OUR_STATUSES = frozenset({401, 403, 429})
"""Statuses that speak about us (credentials, a firewall's opinion, our rate), never about the region (I5)."""


def printable(text: str) -> str:
    """At most 256 printable characters of something that the target or the system said."""
    return "".join(char if char.isprintable() else " " for char in text)[:DETAIL_MAX]


def outcome_of_error(error: BaseException) -> ProbeResult:
    """The class of a failed probe."""
    outcome = _outcome(error)
    name = type(error).__name__
    text = str(error)
    return ProbeResult(outcome=outcome, detail=printable(f"{name}: {text}" if text else name))


def _outcome(error: BaseException) -> Outcome:
    if isinstance(error, aiohttp.ClientConnectorDNSError | socket.gaierror):
        return Outcome.LOCAL
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError | ssl.CertificateError):
        return Outcome.TLS
    if isinstance(error, aiohttp.ClientConnectorError):
        return _outcome_of_os_error(error.os_error)
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientPayloadError | EOFError):
        return Outcome.RESET
    if isinstance(error, asyncio.TimeoutError | TimeoutError):
        return Outcome.TIMEOUT
    if isinstance(error, OSError):
        return _outcome_of_os_error(error)
    if isinstance(error, aiohttp.InvalidURL) or not isinstance(error, aiohttp.ClientError):
        return Outcome.LOCAL  # our own definition cannot be asked: a name, header or bundle that is none
    return Outcome.WRONG_ANSWER


def _outcome_of_os_error(error: OSError) -> Outcome:
    if isinstance(error, ssl.SSLError | ssl.CertificateError):
        return Outcome.TLS
    if isinstance(error, socket.gaierror):
        return Outcome.LOCAL
    if isinstance(error, ConnectionRefusedError) or error.errno == errno.ECONNREFUSED:
        return Outcome.REFUSED
    if error.errno in _RESET_ERRNOS:
        return Outcome.RESET
    if error.errno in _LOCAL_ERRNOS:
        return Outcome.LOCAL
    return Outcome.TIMEOUT  # EHOSTUNREACH, ETIMEDOUT: the far side does not answer


def outcome_of_status(status: int, accepted: tuple[int, ...]) -> Outcome:
    """The class of an HTTP status: accepted ones are ok, 5xx the server's error, 401/403/429 ours."""
    if status in accepted if accepted else 200 <= status <= 299:
        return Outcome.OK
    if status in OUR_STATUSES:
        return Outcome.LOCAL
    if status >= 500:
        return Outcome.SERVER_ERROR
    return Outcome.WRONG_ANSWER

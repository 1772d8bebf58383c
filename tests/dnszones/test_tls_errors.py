"""A TLS error before a request left is an outage; one after it leaves the outcome unknown. By real sockets and both SDKs."""

import asyncio
import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from failover.dnszones import aws_errors, google_errors, open_zone
from failover.lab.certificates import write_certificates
from failover.model.errors import OutcomeUnknown, Unavailable
from failover.model.policy import NameServer, Zone

from .worlds import APEX, ZONE, Writer, record

Serve = Callable[[socket.socket, ssl.SSLContext], None]


def not_tls(connection: socket.socket, context: ssl.SSLContext) -> None:
    """A hotel's network: it answers the handshake in plain text."""
    del context
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def hangs_up(connection: socket.socket, context: ssl.SSLContext) -> None:
    """Reads the first bytes of the handshake, and is gone."""
    del context
    connection.recv(4096)


def garbage_after_the_request(connection: socket.socket, context: ssl.SSLContext) -> None:
    """Takes the request whole, and then the TLS stream breaks."""
    with context.wrap_socket(connection, server_side=True) as tls:
        tls.recv(65536)
        socket.socket.sendall(tls, b"\x00" * 64)  # past the TLS layer
        time.sleep(0.2)


def cut_after_the_request(connection: socket.socket, context: ssl.SSLContext) -> None:
    """Takes the request whole, and cuts the connection without TLS's own goodbye."""
    with context.wrap_socket(connection, server_side=True) as tls:
        tls.recv(65536)
        tls.close()


class Server:
    """One TLS port of loopback that treats every connection alike."""

    def __init__(self, folder: Path, serve: Serve) -> None:
        made = write_certificates(folder, ["127.0.0.1"], ["localhost"])
        self.authority = made.authority
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(made.certificate, made.key)
        self._serve = serve
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(5)
                self._serve(connection, self._context)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Callable[[Serve], Server]]:
    servers: list[Server] = []

    def serve(how: Serve) -> Server:
        servers.append(Server(tmp_path, how))
        return servers[-1]

    yield serve
    for server in servers:
        server.close()


def zone_at(url: str, folder: Path) -> Zone:
    credentials = folder / "credentials"
    credentials.touch(mode=0o600)
    credentials.write_text("[default]\naws_access_key_id = A\naws_secret_access_key = s\n")
    return Zone(
        name=ZONE,
        apex=APEX,
        provider="route53",
        authoritative=(NameServer(address="127.0.0.1", port=9),),
        hosted_zone="Z1",
        credentials_file=str(credentials),
        endpoint=url,
        timeout_s=2.0,
    )


async def change_at_route_53(server: Server, folder: Path) -> None:
    zone = open_zone(zone_at(server.url, folder), mono=time.monotonic)
    try:
        who = Writer()
        await zone.change(who.permit(), who.change("plan-1", (None, record("shop", "192.0.2.10"))))
    finally:
        await zone.close()


def post_by_requests(server: Server) -> Exception:
    """What Google's transport (requests) raises for a change at this server."""
    import requests

    with pytest.raises(requests.exceptions.RequestException) as found:
        requests.post(server.url, json={}, timeout=2, verify=str(server.authority))
    return found.value


BEFORE = [not_tls, hangs_up]
AFTER = [garbage_after_the_request, cut_after_the_request]


@pytest.mark.parametrize("how", BEFORE)
async def test_route_53_was_never_sent_a_change_where_the_handshake_fails(
    how: Serve, served: Callable[[Serve], Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = served(how)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(server.authority))
    with pytest.raises(Unavailable, match="cannot be reached"):
        await change_at_route_53(server, tmp_path)


async def test_a_certificate_that_nobody_vouches_for_is_found_before_anything_is_sent(
    served: Callable[[Serve], Server], tmp_path: Path
) -> None:
    with pytest.raises(Unavailable, match="cannot be reached"):
        await change_at_route_53(served(cut_after_the_request), tmp_path)


@pytest.mark.parametrize("how", AFTER)
async def test_a_change_at_route_53_is_unknown_once_the_request_has_left(
    how: Serve, served: Callable[[Serve], Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = served(how)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(server.authority))
    with pytest.raises(OutcomeUnknown, match="no trustworthy answer"):
        await change_at_route_53(server, tmp_path)


@pytest.mark.parametrize("how", [*BEFORE, *AFTER])
async def test_what_googles_transport_raises_is_told_apart_as_well(
    how: Serve, served: Callable[[Serve], Server]
) -> None:
    error = await asyncio.to_thread(post_by_requests, served(how))
    ours = google_errors.translate(error, where="zone z", target="z", sent_changes=True)
    assert isinstance(ours, Unavailable if how in BEFORE else OutcomeUnknown), error


@pytest.mark.parametrize("translate", [aws_errors.translate, google_errors.translate])
def test_a_tls_error_of_unknown_origin_is_never_taken_for_unsent(translate: Any) -> None:
    for error in (ssl.SSLError(1, "bad record mac"), ssl.SSLEOFError(8, "EOF in violation of protocol")):
        assert isinstance(translate(error, where="zone z", target="z", sent_changes=True), OutcomeUnknown)
        assert isinstance(translate(error, where="zone z", target="z", sent_changes=False), Unavailable)

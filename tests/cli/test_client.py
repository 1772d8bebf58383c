"""How a command waits for its controller: as long as one lives there, and no longer."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from failover.cli import client
from failover.cli.client import SOCKET_NAME, Unreachable, ask_controller

PINGS = 4


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same waits, only shorter."""
    monkeypatch.setattr(client, "FIRST_BYTE_S", 0.5)
    monkeypatch.setattr(client, "PATIENCE_S", 0.05)


class Controller(HTTPServer):
    """A controller that carries out one command: slowly, or not to its end."""

    address_family = socket.AF_UNIX

    def __init__(self, path: Path, *, dies: bool) -> None:
        self.dies = dies
        self.pings = threading.Semaphore(0)
        super().__init__(str(path), Handler)  # type: ignore[arg-type]

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)  # type: ignore[arg-type]

    def process_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        threading.Thread(target=self.finish, args=(request, client_address), daemon=True).start()

    def finish(self, request: socket.socket, client_address: object) -> None:
        self.finish_request(request, client_address)  # type: ignore[arg-type]
        self.shutdown_request(request)


class Handler(BaseHTTPRequestHandler):
    server: Controller

    def do_GET(self) -> None:
        self.server.pings.release()
        self.send_error(404)

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        for _ in range(PINGS):
            self.server.pings.acquire()
        if self.server.dies:
            return
        body = json.dumps({"did": asked["verb"]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""

    def address_string(self) -> str:
        return "here"


@contextmanager
def a_controller(state: Path, *, dies: bool = False) -> Iterator[None]:
    server = Controller(state / SOCKET_NAME, dies=dies)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_controller_that_is_busy_is_waited_for_as_long_as_it_answers_anything(tmp_path: Path) -> None:
    with a_controller(tmp_path):
        assert ask_controller(tmp_path, {"verb": "evacuate"}) == {"did": "evacuate"}


def test_one_that_has_only_just_taken_the_lease_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody listens yet at the first try; the store says who leads, and then the socket is there."""
    with ExitStack() as later:

        def leader(_: Path) -> dict[str, Any]:
            later.enter_context(a_controller(tmp_path))
            return {"released": False, "gone": False, "expires_wall": time.time() + 60}

        monkeypatch.setattr(client, "_leader_of", leader)
        assert ask_controller(tmp_path, {"verb": "pause"}) == {"did": "pause"}


def test_a_controller_that_dies_in_the_middle_is_waited_for_no_longer(tmp_path: Path) -> None:
    with a_controller(tmp_path, dies=True), pytest.raises(Unreachable):
        ask_controller(tmp_path, {"verb": "evacuate"})


def test_a_frozen_controller_still_takes_connections_and_answers_nothing(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as frozen:
        frozen.bind(str(tmp_path / SOCKET_NAME))
        frozen.listen()
        with pytest.raises(Unreachable, match="nothing came back"):
            ask_controller(tmp_path, {"verb": "pause"})


def test_a_socket_that_nobody_holds_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(Unreachable):
        ask_controller(tmp_path, {"verb": "pause"})
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(tmp_path / SOCKET_NAME))
    with pytest.raises(Unreachable):
        ask_controller(tmp_path, {"verb": "pause"})

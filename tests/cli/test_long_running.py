"""`run` and `vantage` before they run: what they cannot use is a sentence and an exit code, never a stack trace."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from failover.lab.certificates import write_certificates
from tests.cli.running import failover

CONTROLLER = "https://127.0.0.1:1"


def secret(path: Path, content: bytes) -> Path:
    path.touch(mode=0o600)
    path.write_bytes(content)
    return path


@pytest.fixture
def busy() -> Iterator[str]:
    """An address that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield f"127.0.0.1:{taken.getsockname()[1]}"


def vantage(tmp_path: Path, *more: str, token: bytes = b"abc") -> tuple[int, str]:
    file = secret(tmp_path / "token", token)
    done = failover(
        "vantage", "--name", "x", "--controller", CONTROLLER, "--token-file", str(file), *more, state=tmp_path
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.strip()


def run(tmp_path: Path, *more: str) -> tuple[int, str]:
    done = failover("run", *more, state=tmp_path / "state")
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.strip().splitlines()[-1]


def test_a_ca_file_that_is_missing_or_is_none(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere.pem"
    assert vantage(tmp_path, "--ca-file", str(nowhere)) == (
        1,
        f"--ca-file {nowhere} cannot be read: no such file or directory",
    )
    text = secret(tmp_path / "text.pem", b"not a certificate\n")
    assert vantage(tmp_path, "--ca-file", str(text)) == (
        1,
        f"--ca-file {text} holds no certificate that can be used",
    )
    assert vantage(tmp_path, "--ca-file", str(tmp_path))[0] == 1


@pytest.mark.parametrize("content", [b"\xff\xfe\x00\x80", b"", b"two words\n", b"a\nb\n", b"x" * 600])
def test_a_token_file_that_holds_no_token(tmp_path: Path, content: bytes) -> None:
    code, sentence = vantage(tmp_path, token=content)
    assert code == 1
    assert (
        sentence
        == f"{tmp_path / 'token'} holds no token: it is one line, as `failover vantage-token` writes it"
    )


def test_an_address_that_somebody_has_already(tmp_path: Path, busy: str) -> None:
    made = write_certificates(tmp_path, ["127.0.0.1"], ["localhost"])
    tls = ["--tls-cert", str(made.certificate), "--tls-key", str(made.key)]
    assert run(tmp_path, "--listen", busy, *tls) == (
        1,
        f"--listen cannot listen on {busy}: address already in use",
    )
    assert run(tmp_path, "--metrics", busy) == (
        1,
        f"--metrics cannot listen on {busy}: address already in use",
    )
    assert run(tmp_path, "--listen", "nowhere.invalid:8443", *tls)[0] == 1


@pytest.mark.parametrize("address", ["8443", "localhost:", "localhost:65536", "localhost:²", "localhost:-1"])
def test_an_address_that_is_none_is_wrong_usage(tmp_path: Path, address: str) -> None:
    assert run(tmp_path, "--metrics", address) == (64, f"{address!r} is not HOST:PORT")


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    made = write_certificates(tmp_path, ["127.0.0.1"], ["localhost"])
    made.key.chmod(0o644)
    tls = ["--tls-cert", str(made.certificate), "--tls-key", str(made.key)]
    code, sentence = run(tmp_path, "--listen", "127.0.0.1:0", *tls)
    assert (code, "may be read by others" in sentence) == (1, True)

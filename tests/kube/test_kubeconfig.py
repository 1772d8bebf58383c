"""A kubeconfig is code, so it is read strictly; what is wrong with it is our fault, and said in one sentence."""

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from failover.controller.clock import SystemClock
from failover.kube import credentials
from failover.kube.credentials import Credentials, run_plugin
from failover.kube.kubeconfig import ClusterConfig, ExecPlugin, read_config
from failover.model.errors import LocalFault
from failover.model.policy import ClusterAccess
from failover.model.time import Now

PLUGIN = "/opt/bin/get-token"


def write(folder: Path, cluster: Any = None, user: Any = None, **top: Any) -> Path:
    config = {
        "clusters": [{"name": "c", "cluster": cluster or {"server": "https://192.0.2.1:6443"}}],
        "users": [{"name": "u", "user": user or {}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }
    path = folder / "kubeconfig.yaml"
    path.write_text(yaml.safe_dump(config | top))
    return path


def read(path: Path, *allowed: str, context: str = "") -> ClusterConfig:
    return read_config("c", ClusterAccess(kubeconfig=str(path), context=context, exec_allowed=allowed))


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(LocalFault, match=r"nowhere\.yaml cannot be read"):
        read(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize(
    "text",
    ["", "[1, 2]", "a: [", "\x00", "just words", "[" * 3000],
    ids=["empty", "list", "broken", "nul", "text", "deep"],
)
def test_a_file_that_is_no_kubeconfig(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kubeconfig.yaml"
    path.write_text(text)
    with pytest.raises(LocalFault, match=r"kubeconfig"):
        read(path)


def test_a_dead_context_names_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(LocalFault, match=r"no context 'prod' \(there are: c\)"):
        read(write(tmp_path), context="prod")


def test_a_context_that_leads_nowhere(tmp_path: Path) -> None:
    contexts = [{"name": "c", "context": {"cluster": "gone", "user": "u"}}]
    with pytest.raises(LocalFault, match="no cluster 'gone'"):
        read(write(tmp_path, contexts=contexts))


@pytest.mark.parametrize("server", ["http://192.0.2.1", "192.0.2.1:6443", "https://", "https://a:b:c", "", 7])
def test_only_https(tmp_path: Path, server: Any) -> None:
    with pytest.raises(LocalFault, match="is not an https address"):
        read(write(tmp_path, {"server": server}))


def test_tls_verification_cannot_be_switched_off(tmp_path: Path) -> None:
    with pytest.raises(LocalFault, match="insecure-skip-tls-verify is refused"):
        read(write(tmp_path, {"server": "https://192.0.2.1", "insecure-skip-tls-verify": True}))


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"certificate-authority-data": "not base64!"}, "certificate-authority cannot be read"),
        ({"certificate-authority": "missing.crt"}, "certificate-authority cannot be read"),
    ],
)
def test_a_certificate_authority_that_cannot_be_read(
    tmp_path: Path, section: dict[str, str], words: str
) -> None:
    with pytest.raises(LocalFault, match=words):
        read(write(tmp_path, {"server": "https://192.0.2.1", **section}))


def test_a_client_certificate_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "me.crt").write_text("-----BEGIN NOTHING-----")
    with pytest.raises(LocalFault, match="client certificate cannot be understood"):
        read(write(tmp_path, user={"client-certificate": "me.crt"}))


def test_files_lie_beside_the_kubeconfig_and_secrets_stay_out_of_repr(tmp_path: Path) -> None:
    found = read(write(tmp_path, user={"tokenFile": "token", "token": "very-secret"}))
    assert found.token_file == str(tmp_path / "token")
    assert "very-secret" not in repr(found)


# -- exec plugins ------------------------------------------------------------------------------------------------------

V1 = "client.authentication.k8s.io/v1"


@pytest.mark.parametrize("command", ["get-token", "/opt/bin/other", "../get-token", ""])
def test_only_plugins_that_the_policy_names_by_absolute_path_may_run(tmp_path: Path, command: str) -> None:
    user = {"exec": {"command": command, "apiVersion": V1}}
    with pytest.raises(LocalFault, match=r"only absolute paths in the cluster's access\.execAllowed"):
        read(write(tmp_path, user=user), PLUGIN)


@pytest.mark.parametrize(
    "section",
    [{"env": [1]}, {"env": [{"name": "A"}]}, {"args": 7}, {"apiVersion": "v1alpha1"}, {"apiVersion": None}],
)
def test_a_plugin_section_that_makes_no_sense(tmp_path: Path, section: dict[str, Any]) -> None:
    user = {"exec": {"command": PLUGIN, "apiVersion": V1} | section}
    with pytest.raises(LocalFault):
        read(write(tmp_path, user=user), PLUGIN)


def script(folder: Path, text: str) -> ExecPlugin:
    path = folder / "plugin"
    path.write_text(f"#!{sys.executable}\n{text}\n")
    path.chmod(0o700)
    return ExecPlugin(command=str(path))


def credential(token: str, until: str = "2999-01-01T00:00:00Z") -> str:
    return f'print(\'{{"status": {{"token": "{token}", "expirationTimestamp": "{until}"}}}}\')'


async def test_a_plugin_gives_a_token_that_is_asked_for_once(tmp_path: Path) -> None:
    counted = tmp_path / "count"
    plugin = script(tmp_path, f"open({str(counted)!r}, 'a').write('x')\n" + credential("abc"))
    made = Credentials(ClusterConfig(name="c", server="https://x", plugin=plugin), SystemClock())
    for _ in range(3):
        assert await made.header() == {"Authorization": "Bearer abc"}
    assert counted.read_text() == "x"


class HandClock(SystemClock):
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.at = Now(mono=0.0, wall=datetime(2026, 1, 1, tzinfo=UTC))

    def now(self) -> Now:
        return self.at

    def go(self, seconds: float) -> None:
        self.at = Now(mono=self.at.mono + seconds, wall=self.at.wall + timedelta(seconds=seconds))


async def test_a_plugin_is_asked_again_a_minute_before_its_token_ends(tmp_path: Path) -> None:
    clock, counted = HandClock(), tmp_path / "count"
    text = f"open({str(counted)!r}, 'a').write('x')\n" + credential("abc", "2026-01-01T01:00:00Z")
    made = Credentials(ClusterConfig(name="c", server="https://x", plugin=script(tmp_path, text)), clock)
    for passes, asked in ((0, "x"), (58 * 60, "x"), (61, "xx")):
        clock.go(passes)
        await made.header()
        assert counted.read_text() == asked


async def test_a_token_file_that_is_rotated_is_read_again_after_half_a_minute(tmp_path: Path) -> None:
    clock, file = HandClock(), tmp_path / "token"
    made = Credentials(ClusterConfig(name="c", server="https://x", token_file=str(file)), clock)
    for passes, written, given in ((0, "old", "old"), (29, "new", "old"), (2, "new", "new")):
        clock.go(passes)
        file.write_text(written)
        assert await made.header() == {"Authorization": f"Bearer {given}"}


async def test_a_plugin_sees_only_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "ours")
    plugin = script(
        tmp_path, "import os\nassert 'AWS_SECRET_ACCESS_KEY' not in os.environ\n" + credential("abc")
    )
    assert (await run_plugin(plugin, "c", SystemClock()))[0] == "abc"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("raise SystemExit(3)", "failed with 3"),
        ("print('hello')", "printed no ExecCredential"),
        ("print('{}')", "printed no ExecCredential"),
        ("""print('{"status": {"token": 7}}')""", "printed no ExecCredential"),
        ("""print('{"status": {"token": "a\\\\nb"}}')""", "printed no ExecCredential"),
        ("print('x' * 200_000)\nimport time\ntime.sleep(60)", "more than 64 KiB"),
        (credential("abc", "2020-01-01T00:00:00Z"), "expired at 2020"),
    ],
    ids=["fails", "prose", "no status", "a number", "a line break", "endless", "expired"],
)
async def test_a_plugin_that_fails_is_our_fault(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(LocalFault, match=words):
        await run_plugin(script(tmp_path, text), "c", SystemClock())


async def test_a_plugin_that_hangs_is_ended_with_whatever_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "PLUGIN_TIMEOUT_S", 0.5)
    alive = tmp_path / "alive"
    child = f"import time\ntime.sleep(2)\nopen({str(alive)!r}, 'w')"
    (tmp_path / "child.py").write_text(child)
    parent = f"import subprocess, sys\nsubprocess.run([sys.executable, {str(tmp_path / 'child.py')!r}])"
    with pytest.raises(LocalFault, match="took more than"):
        await run_plugin(script(tmp_path, parent), "c", SystemClock())
    await asyncio.sleep(2.5)
    assert not alive.exists()


async def test_a_plugin_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LocalFault, match="cannot be started"):
        await run_plugin(ExecPlugin(command=str(tmp_path / "none")), "c", SystemClock())


async def test_a_token_file_that_vanished_is_our_fault(tmp_path: Path) -> None:
    made = Credentials(
        ClusterConfig(name="c", server="https://x", token_file=str(tmp_path / "gone")), SystemClock()
    )
    with pytest.raises(LocalFault, match="token file cannot be read"):
        await made.header()

"""What a person meets at the command line before anything runs: exit codes, sentences, no stack traces, quick answers."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from failover.controller.clock import SystemClock
from failover.model.journal import PersonSaid
from failover.store.sqlite import SQLiteStore

ROOT = Path(__file__).parents[2]


def failover(*arguments: str, state: Path, policies: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "FAILOVER_STATE": str(state),
        "FAILOVER_POLICIES": str(policies or ROOT / "policies"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "failover", *arguments],
        capture_output=True,
        text=True,
        env=environment,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_status_without_a_store_says_so(tmp_path: Path) -> None:
    done = failover("status", state=tmp_path)
    assert done.returncode == 1
    assert "no controller has run with this state directory" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["status", "--nonsense"], ["explain"], ["status", "-o", "xml"]]
)
def test_a_wrong_command_line_is_64(tmp_path: Path, arguments: list[str]) -> None:
    assert failover(*arguments, state=tmp_path).returncode == 64


def test_the_example_policies_are_valid_and_say_what_they_mean(tmp_path: Path) -> None:
    done = failover("validate", state=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "3 regions, 5 clusters, 5 vantages, 2 applications" in done.stdout
    assert "46.5 s at most) where it refuses connections" in done.stdout
    found = json.loads(failover("validate", "-o", "json", state=tmp_path).stdout)
    assert found["warnings"] == []


def test_broken_policies_are_all_told_at_once_with_their_places(tmp_path: Path) -> None:
    policies = tmp_path / "policies"
    policies.mkdir()
    (policies / "one.yaml").write_text(
        "apiVersion: failover/v1alpha1\nkind: Flet\nmetadata: {name: x}\nspec: {}\n"
    )
    (policies / "two.yaml").write_text("a: [1\n")
    done = failover("validate", state=tmp_path, policies=policies)
    assert done.returncode == 1
    assert "one.yaml:2:7: kind: 'Flet' is no kind; did you mean 'Fleet'?" in done.stderr
    assert "two.yaml:" in done.stderr


def test_rbac_and_schema_are_data_on_stdout(tmp_path: Path) -> None:
    import yaml

    manifest = list(yaml.safe_load_all(failover("rbac", "--fence", state=tmp_path).stdout))
    assert {item["kind"] for item in manifest} >= {"Role", "ClusterRole", "ValidatingAdmissionPolicy"}
    assert json.loads(failover("schema", state=tmp_path).stdout)["title"] == "failover policy documents"


def test_a_token_is_written_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "token"
    done = failover("vantage-token", str(file), state=tmp_path)
    assert done.returncode == 0
    assert len(done.stdout.strip()) == 64
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_text().strip() not in done.stdout + done.stderr
    assert failover("vantage-token", str(file), state=tmp_path).returncode == 1


def test_a_missing_kubeconfig_is_a_sentence(tmp_path: Path) -> None:
    done = failover("validate", "--live", "-o", "json", state=tmp_path)
    assert done.returncode == 1
    assert any("kubeconfig" in item["sentence"] for item in json.loads(done.stdout)["live"])


def test_nothing_on_the_path_of_status_imports_an_sdk(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from failover.cli.main import run_command\n"
        "sys.argv = ['failover', 'status']\n"
        "run_command('failover')\n"
        "print(sorted({'aiohttp', 'kubernetes', 'dns', 'boto3', 'google.cloud', 'apscheduler', 'yaml'} & set(sys.modules)))\n"
    )
    environment = {**os.environ, "FAILOVER_STATE": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.strip() == "[]"


async def a_journal(state: Path, entries: int) -> None:
    """A state directory with so many entries in its journal."""
    store = await SQLiteStore.open(state, SystemClock())
    lease = await store.acquire("ada", boot_id="boot", process=1, seconds=30, minimum_epoch=0)
    for number in range(entries):
        said = PersonSaid(verb="pause", actor="ada", reason=str(number))
        await store.append_batch(lease.epoch, [("", said)])
    await store.close()


async def test_a_journal_whose_end_was_cut_off_no_longer_holds_the_head_that_was_noted(
    tmp_path: Path,
) -> None:
    await a_journal(tmp_path, 3)
    done = failover("audit", "verify", state=tmp_path)
    assert done.returncode == 0, done.stderr
    head = done.stdout.splitlines()[-1].removeprefix("head ")
    assert failover("audit", "verify", "--anchor", head, state=tmp_path).returncode == 0
    with sqlite3.connect(tmp_path / "failover.db") as database:
        database.execute("DELETE FROM journal WHERE sequence = (SELECT max(sequence) FROM journal)")
    assert failover("audit", "verify", state=tmp_path).returncode == 0, "a chain cannot know its own end"
    cut = failover("audit", "verify", "--anchor", head, state=tmp_path)
    assert cut.returncode == 1
    assert "the journal was cut off or restored" in cut.stderr
    assert failover("audit", "verify", "--anchor", "7", state=tmp_path).returncode == 64

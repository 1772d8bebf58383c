"""What a person meets at the command line before anything runs: exit codes, sentences, no stack traces, quick answers."""

import asyncio
import json
import os
import shlex
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from failover.controller.clock import SystemClock
from failover.model.journal import PersonSaid
from failover.store.sqlite import SQLiteStore
from tests.cli.running import environment, failover


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
    assert "3 regions, 5 clusters, 5 vantages, 3 applications" in done.stdout
    assert "43.7 s (45.0 s in 99 of 100 cases) where it refuses connections" in done.stdout
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
    heavy = {
        *(
            "aiohttp",
            "kubernetes",
            "dns",
            "boto3",
            "google.cloud",
            "apscheduler",
            "yaml",
            "pydantic",
            "typer",
            "rich",
        ),
        *("http.client", "asyncio", "ssl", "failover.cli.client", "failover.controller"),
    }
    code = (
        "import sys\n"
        "from failover.cli.main import run_command\n"
        "sys.argv = ['failover', 'status']\n"
        "run_command('failover')\n"
        f"print(sorted({heavy!r} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment(tmp_path), check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_quick_way_to_status_knows_exactly_the_options_that_the_frame_knows() -> None:
    from typer.main import get_command

    from failover.cli import commands, quick

    assert commands.REGISTERED
    known = get_command(commands.app).commands["status"]  # type: ignore[attr-defined]
    options = {word for item in known.params for word in item.opts}
    assert options - {"--help", "-h"} == set(quick.TAKES_VALUE) | set(quick.SWITCHES)


@pytest.mark.parametrize(
    ("words", "understood"),
    [
        ("status", True),
        ("status -o wide --exit-code", True),
        ("status --output=json --state=x -w", True),
        ("status -o xml", False),
        ("status -ojson", False),
        ("status --help", False),
        ("status --state", False),
        ("status extra", False),
        ("history", False),
        ("", False),
    ],
)
def test_what_the_quick_way_does_not_understand_is_left_to_the_frame(words: str, understood: bool) -> None:
    from failover.cli.quick import parse

    assert (parse(words.split()) is not None) is understood


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["status", "-o", "xml"], "'xml' is not one of 'table', 'wide', 'json', 'yaml'"),
        (["plan", "north", "--kind", "drian"], "there is no kind 'drian'; did you mean 'drain'?"),
        (["plan"], "name a DOMAIN, or a run by --run"),
        (["report", "last"], "does not exist: no controller has run with this state directory"),
        (["lab", "fault", "gray", "north", "--set", "errors"], "NAME=VALUE"),
    ],
)
def test_a_mistake_is_told_in_words_that_a_person_knows(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    done = failover(*arguments, state=tmp_path)
    assert done.returncode in (1, 64)
    assert said in " ".join(done.stderr.split())
    assert "Value error" not in done.stderr
    assert "RunKind" not in done.stderr


def a_status(state: Path, text: str) -> None:
    """A state directory whose status document is this text."""

    async def write() -> None:
        store = await SQLiteStore.open(state, SystemClock())
        await store.cas("status", 0, text)
        await store.close()

    asyncio.run(write())


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"schema": 99}', '{"schema": 1, "at": "yesterday"}'])
def test_a_status_that_cannot_be_read_is_a_sentence(tmp_path: Path, text: str) -> None:
    a_status(tmp_path, text)
    for arguments in (["status"], ["status", "-o", "json"], ["explain", "north"]):
        done = failover(*arguments, state=tmp_path)
        assert done.returncode == 1
        assert "damaged" in done.stderr or "another version" in done.stderr


async def test_a_journal_says_who_did_what_and_why(tmp_path: Path) -> None:
    await a_journal(tmp_path, 1)
    told = failover("audit", "show", state=tmp_path).stdout
    assert "ada paused automation: 0" in " ".join(told.split())
    assert (
        failover("report", "last", state=tmp_path).stderr.strip()
        == "no run was ever opened with this state directory"
    )
    assert failover("plan", "--run", "x", state=tmp_path).returncode == 64


# -- shells that complete ----------------------------------------------------------------------------------------------


def entry(name: str) -> list[str]:
    """A console script, as its package names it."""
    return [sys.executable, "-c", f"from failover.cli.main import {name}; {name}()"]


@pytest.mark.parametrize(
    ("name", "program", "variable"),
    [
        ("main", "failover", "_FAILOVER_COMPLETE"),
        ("main_kubectl", "kubectl-failover", "_KUBECTL_FAILOVER_COMPLETE"),
    ],
)
def test_both_names_of_the_program_complete(name: str, program: str, variable: str) -> None:
    typed = shlex.join([*entry(name), "--show-completion"])
    in_a_shell = ["bash", "-c", f"{typed}; exit $?"]  # typer looks at its parent to know which shell it is
    shown = subprocess.run(in_a_shell, capture_output=True, text=True, check=True).stdout
    assert f"{variable}=complete_bash" in shown
    assert f"completion {program}" in shown
    subprocess.run(["bash", "-n"], input=shown, text=True, check=True)
    asked = {variable: "complete_bash", "COMP_WORDS": f"{program} evac", "COMP_CWORD": "1"}
    found = subprocess.run(
        entry(name), capture_output=True, text=True, check=True, env={**os.environ, **asked}
    )
    assert found.stdout.split() == ["evacuate"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["sta"], ["status", ":4"]),
        (["lab", ""], ["run", "up", "fault", "list", ":4"]),
        (["apply", ""], [":0"]),
    ],
)
def test_kubectl_asks_its_plugin_what_may_come_next(
    tmp_path: Path, words: list[str], found: list[str]
) -> None:
    done = failover(*words, state=tmp_path, module="failover.cli.completing")
    assert done.returncode == 0
    assert done.stdout.split() == found


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

"""The project's promises about itself, held against its own files."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = [
    ROOT / name
    for name in subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    if name and (ROOT / name).is_file()
]
SOURCES = [path for path in FILES if path.suffix == ".py" and (ROOT / "failover") in path.parents]
CORE = ("model", "policy", "health", "planner", "execution")
IMPURE = {
    "asyncio",
    "random",
    "socket",
    "threading",
    "time",
    "subprocess",
    "aiohttp",
    "kubernetes",
    "dns",
    "sqlite3",
}
SUPERVISORS = {
    "failover/cli/main.py",
    "failover/probes/cadence.py",
    "failover/controller/policies.py",
    "failover/controller/world.py",  # one adapter that breaks stops no other zone
    "failover/controller/running.py",  # a round that breaks is told, and not begun again at once
}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_no_file_names_a_registry_host_or_a_path_of_a_machine() -> None:
    hosts = (
        "py" + "pi.org",
        "python" + "hosted.org",
        "proxy.go" + "lang.org",
        "registry.npm" + "js",
        "deb." + "debian.org",
    )
    places = re.compile(r"(?<![\w.])/(?:wo" + r"rk|ro" + r"ot|home/\w+)/")
    for path in FILES:
        text = path.read_text(errors="replace")
        for host in hosts:
            assert host not in text, f"{name_of(path)} names {host}"
        assert not places.search(text), f"{name_of(path)} names {places.search(text)}"


def test_every_package_is_pinned_with_hashes() -> None:
    text = (ROOT / "constraints.txt").read_text()
    pins = re.findall(r"^[a-z0-9._-]+==", text, re.M | re.I)
    assert len(pins) > 40
    blocks = re.split(r"^(?=[a-z0-9._-]+==)", text, flags=re.M | re.I)[1:]
    assert all("--hash=sha256:" in block for block in blocks)
    assert "://" not in text


@pytest.mark.parametrize("package", CORE)
def test_the_core_imports_nothing_that_is_not_pure(package: str) -> None:
    for path in SOURCES:
        parts = path.relative_to(ROOT / "failover").parts
        if parts[0] != package:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [item.name for item in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            found = {name.split(".")[0] for name in names} & IMPURE
            assert not found, f"{name_of(path)} imports {found}"
            if isinstance(node, ast.Attribute):
                assert node.attr not in ("utcnow",), name_of(path)


def test_the_core_never_asks_what_time_it_is() -> None:
    for path in SOURCES:
        if path.relative_to(ROOT / "failover").parts[0] in CORE:
            assert "datetime.now(" not in path.read_text(), name_of(path)
            assert not re.search(r"^\s*async def ", path.read_text(), re.M) or path.name == "ports.py", (
                name_of(path)
            )


def test_no_dangerous_shortcut_is_taken() -> None:
    for path in SOURCES:
        text = path.read_text()
        assert "yaml.load(" not in text, name_of(path)
        assert "shell=True" not in text, name_of(path)
        assert "verify=False" not in text, name_of(path)
        assert "CERT_NONE" not in text, name_of(path)


def test_a_bare_except_exception_stands_only_in_named_supervisors() -> None:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ExceptHandler):
                names = (
                    {item.id for item in ast.walk(node.type) if isinstance(item, ast.Name)}
                    if node.type
                    else {"bare"}
                )
                raised_again = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
                if names & {"Exception", "BaseException", "bare"} and not raised_again:
                    assert name_of(path) in SUPERVISORS, f"{name_of(path)}:{node.lineno}"


def test_only_the_guards_make_permits() -> None:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Permit":
                assert name_of(path) == "failover/execution/safety.py", f"{name_of(path)}:{node.lineno}"


def test_files_and_functions_fit_a_reader() -> None:
    for path in SOURCES:
        text = path.read_text()
        assert text.count("\n") <= 500, f"{name_of(path)} has {text.count(chr(10))} lines"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno
                assert lines <= 75, f"{name_of(path)}:{node.lineno} {node.name} has {lines} lines"


def test_every_package_says_what_lives_there() -> None:
    for path in SOURCES:
        if path.name == "__init__.py" and path.parent.parent == ROOT / "failover":
            docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
            assert len(docstring.splitlines()) >= 3 or path.parent.name == "lab", name_of(path)


def test_make_help_lists_about_ten_targets() -> None:
    done = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert 9 <= len(done.stdout.splitlines()) <= 13
    for target in ("demo", "test", "check", "bench"):
        assert f"  {target} " in done.stdout


def test_the_top_level_is_what_it_should_be() -> None:
    top = {name_of(path).split("/")[0] for path in FILES}
    folders = {name for name in top if (ROOT / name).is_dir()}
    assert folders == {".ci", "failover", "policies", "runbooks", "tests"}

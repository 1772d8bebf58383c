"""Programs of other people that look at what we did, in an environment of their own: octoDNS, and ministack for Route 53.

Their pins would move ours (ministack wants one botocore exactly), so they never share our environment. Pinned with
hashes in `requirements.txt`; `make test` installs them once into the cache.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

REQUIREMENTS = Path(__file__).parent / "requirements.txt"
INSTALL_TIMEOUT_S = 600


def folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the environment is kept: `${XDG_CACHE_HOME:-~/.cache}/failover/observers/<digest of the pins>`."""
    base = environment.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    digest = sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    return Path(base) / "failover" / "observers" / digest


def program(name: str) -> Path:
    """A program of the environment, there or not."""
    return folder() / "bin" / name


def missing() -> bool:
    """Whether it has to be installed."""
    return not (folder() / "installed").exists()


def install() -> None:
    """Make the environment. Raises subprocess.SubprocessError or OSError."""
    place = folder()
    place.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True, timeout=INSTALL_TIMEOUT_S)
    command = [place / "bin" / "python", "-m", "pip", "install", "--quiet", "--require-hashes"]
    subprocess.run([*command, "-r", REQUIREMENTS], check=True, timeout=INSTALL_TIMEOUT_S)
    (place / "installed").touch()

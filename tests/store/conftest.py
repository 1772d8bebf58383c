"""A disk that is really full."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.tiers import REQUIRE, servers_required


def _cannot_mount(problem: str) -> None:
    """In CI a full disk is tried, and not skipped in silence."""
    if servers_required():
        pytest.fail(f"{problem} ({REQUIRE} is set.)", pytrace=False)
    pytest.skip(problem)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 512 KiB, for real."""
    with mounted(tmp_path, "512k") as place:
        yield place


@pytest.fixture
def roomy_disk(tmp_path: Path) -> Iterator[Path]:
    """One of 16 MiB: a controller that works for some minutes does not fill it."""
    with mounted(tmp_path, "16m") as place:
        yield place


@contextlib.contextmanager
def mounted(tmp_path: Path, size: str) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() != 0:
        _cannot_mount("only root may mount a small file system: run `make test` as root")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(place)], capture_output=True
    )
    if done.returncode:
        _cannot_mount(f"no file system can be mounted here: {done.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=False)

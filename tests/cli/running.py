"""The `failover` command as a process, as a person or a script starts it."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def environment(state: Path, policies: Path | None = None) -> dict[str, str]:
    """Where a command finds its place."""
    return {
        **os.environ,
        "FAILOVER_STATE": str(state),
        "FAILOVER_POLICIES": str(policies or ROOT / "policies"),
    }


def failover(
    *arguments: str, state: Path, policies: Path | None = None, module: str = "failover"
) -> subprocess.CompletedProcess[str]:
    """Run it to its end, without a terminal. No stack trace is ever an answer."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        capture_output=True,
        text=True,
        env=environment(state, policies),
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done

"""Where things are: the state directory and the policy directory, by option, environment or default."""

import os
from dataclasses import dataclass
from pathlib import Path

STATE_VARIABLE = "FAILOVER_STATE"
POLICIES_VARIABLE = "FAILOVER_POLICIES"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a command works: state and policy directories, and whether it may overrule a silent controller."""

    state: Path
    policies: Path
    take_over: bool = False


def default_state() -> Path:
    """`$XDG_STATE_HOME/failover`, usually `~/.local/state/failover`."""
    base = os.environ.get("XDG_STATE_HOME", "")
    return (Path(base) if base else Path.home() / ".local" / "state") / "failover"


def state_directory(option: Path | None) -> Path:
    """The option, else `$FAILOVER_STATE`, else the default."""
    return option or Path(os.environ.get(STATE_VARIABLE, "") or default_state())


def policy_directory(option: Path | None) -> Path:
    """The option, else `$FAILOVER_POLICIES`, else `./policies`."""
    return option or Path(os.environ.get(POLICIES_VARIABLE, "") or "policies")


def actor() -> str:
    """The person at the keyboard: user and host."""
    import getpass
    import socket

    user = os.environ.get("SUDO_USER") or getpass.getuser()
    return f"{user}@{socket.gethostname()}"

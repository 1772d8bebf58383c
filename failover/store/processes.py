"""Whether a process of this machine still lives: not by its pid alone, which is recycled, and means nothing elsewhere."""

import os
from pathlib import Path

_PROC = Path("/proc")


def boot_id() -> str:
    """Id of this machine's boot; the host name where the kernel does not tell."""
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return f"host-{os.uname().nodename}"


def identity(process: int) -> str:
    """`<pid namespace>/<start time in ticks since boot>`, "" where the process is not there or the kernel does not tell.

    The namespace belongs to it: two containers of one machine share its boot id, and neither sees the other's processes.
    """
    space, ticks = _pid_namespace(), _start_ticks(process)
    return f"{space}/{ticks}" if space and ticks else ""


def provably_gone(boot: str, process: int, recorded: str) -> bool:
    """Only a process of this very boot and pid namespace can be proven gone; the rest is unknown, which is not gone.

    `recorded`: what `identity` said of it while it lived.
    """
    space, _, ticks = recorded.partition("/")
    if boot != boot_id() or not ticks or space != _pid_namespace():
        return False
    return _start_ticks(process) != ticks


def _pid_namespace() -> str:
    try:
        return (_PROC / "self/ns/pid").readlink().name
    except OSError:
        return ""


def _start_ticks(process: int) -> str:
    """Field 22 of /proc/PID/stat; "" for a process that is not there, or is only waiting to be reaped."""
    try:
        text = (_PROC / str(process) / "stat").read_text()
    except OSError:
        return ""
    fields = text.rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 and fields[0] not in ("Z", "X") else ""

"""Whether a process of this machine still lives: pid and start time, so that a recycled pid is not mistaken for it."""

import os
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """Id of this machine's boot; the host name where the kernel does not tell."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return f"host-{os.uname().nodename}"


def started(process: int) -> str:
    """Start time of a process in clock ticks since boot, "" where it is not there (or the kernel does not tell)."""
    try:
        text = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return ""
    fields = text.rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 and fields[0] not in ("Z", "X") else ""


def provably_gone(boot: str, process: int, process_started: str) -> bool:
    """Only a process of this very boot can be proven gone; anything else is unknown, and unknown is not gone."""
    return boot == boot_id() and process_started != "" and started(process) != process_started

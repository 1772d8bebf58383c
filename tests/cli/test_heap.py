"""A long-running process gives back what it no longer uses."""

import subprocess
import sys

import pytest

CHURN = """
import sys
from pathlib import Path
from failover.cli.heap import give_back_what_is_free

def resident_kib():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4

if sys.argv[1] == "asked":
    assert give_back_what_is_free()
del [bytearray(256 * 1024) for _ in range(2)][:]
before, buffers, small = resident_kib(), [], []
for _ in range(100):
    buffers.append(bytearray(200 * 1024))
    small.append(bytes(2000))
del buffers
print(resident_kib() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks glibc")
def test_buffers_that_are_free_are_not_kept_for_what_lies_between_them() -> None:
    """A hundred buffers as TLS takes them, 20 MB, with something small that stays behind each."""
    assert grown_kib("asked") < 2_000 < 15_000 < grown_kib("left alone")


def grown_kib(how: str) -> int:
    told = subprocess.run([sys.executable, "-c", CHURN, how], capture_output=True, text=True, check=True)
    return int(told.stdout)

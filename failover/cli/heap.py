"""Memory of the long-running processes goes back to the system when it is free."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
"""From glibc's malloc.h; mallopt(3)."""
LARGE = 64 * 1024


def give_back_what_is_free() -> bool:
    """Keep large blocks apart from the heap. Returns whether the allocator could be asked (glibc only).

    asyncio's TLS takes a buffer of 256 KiB for each connection. When the first is freed, glibc raises the size from which
    blocks are mapped by themselves, and from then on these buffers lie in the heap, between what stays: a look at a hundred
    clusters leaves 50 MiB behind that nobody uses. A fixed threshold keeps the old way; one arena serves a process whose
    work is in one thread.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return all(
        mallopt(option, value) == 1
        for option, value in ((M_MMAP_THRESHOLD, LARGE), (M_TRIM_THRESHOLD, LARGE), (M_ARENA_MAX, 1))
    )

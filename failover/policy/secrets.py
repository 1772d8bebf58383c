"""Reads key and token files: never through a link, only if nobody else may read them."""

import os
import stat
from pathlib import Path

from failover.model.errors import LocalFault

BYTES_MAX = 64 * 1024


def read_private_file(path: Path) -> bytes:
    """The content of a secret file. Raises LocalFault with what to do where it is open to others or not ours."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise LocalFault(f"the key file {path} cannot be read: {error.strerror}") from None
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise LocalFault(f"the key file {path} is not a regular file")
        if found.st_uid not in (os.geteuid(), 0):
            raise LocalFault(f"the key file {path} belongs to another user")
        if found.st_mode & 0o077:
            raise LocalFault(f"the key file {path} may be read by others: chmod 600 it")
        return file.read(BYTES_MAX + 1)[:BYTES_MAX]

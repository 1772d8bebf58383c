"""Reads CA bundles: the certificates of a PEM file, and nothing else that may lie in it."""

import re
import stat
from pathlib import Path

from failover.model.errors import LocalFault

BYTES_MAX = 4 * 1024 * 1024
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")


def read_certificates(path: str) -> str:
    """The PEM certificates of a bundle, "" for no path. Vantages are sent them: a key in the same file stays here.

    Raises LocalFault with a sentence where the file cannot be read or holds no certificate that can be used.
    """
    if not path:
        return ""
    data = _read(path)
    blocks = [match.group().decode("ascii") for match in _CERTIFICATE.finditer(data)]
    if not blocks:
        raise LocalFault(f"{path} holds no PEM certificate")
    text = "\n".join(blocks) + "\n"
    import ssl

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError, TypeError) as error:
        raise LocalFault(f"{path} holds a certificate that cannot be used: {error}") from None
    return text


def _read(path: str) -> bytes:
    try:
        found = Path(path).stat()
        if not stat.S_ISREG(found.st_mode):
            raise LocalFault(f"{path} is not a regular file")
        if found.st_size > BYTES_MAX:
            raise LocalFault(f"{path} is larger than {BYTES_MAX >> 20} MiB")
        return Path(path).read_bytes()
    except OSError as error:
        raise LocalFault(f"{path} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise LocalFault(f"{path!r} cannot be a file: {error}") from None

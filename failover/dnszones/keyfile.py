"""TSIG keys from files in BIND's `key` syntax, as `tsig-keygen` writes them."""

import base64
import binascii
import os
import re
import stat
from pathlib import Path

import dns.exception
import dns.name
import dns.tsig

from failover.model.errors import LocalFault

ALGORITHMS = {
    "hmac-sha256": dns.tsig.HMAC_SHA256,
    "hmac-sha384": dns.tsig.HMAC_SHA384,
    "hmac-sha512": dns.tsig.HMAC_SHA512,
}
SIZE_MAX = 16 * 1024
"""A key file has a few hundred bytes: more is another file."""

_COMMENT = re.compile(r'"[^"\n]*"|/\*.*?\*/|//[^\n]*|#[^\n]*', re.DOTALL)
_TOKEN = re.compile(r'\s*(?:"([^"\n]*)"|([{};])|([^\s"{};]+))')


def load_key(path: Path) -> dns.tsig.Key:
    """The one key of a file. Raises LocalFault with the file's name and what is wrong; never shows the secret."""
    try:
        text = read_private(path).decode("ascii")
    except UnicodeDecodeError:
        raise LocalFault(f"{path}: a TSIG key file is plain ASCII text, this one is not") from None
    return parse_key(text, origin=str(path))


def parse_key(text: str, *, origin: str) -> dns.tsig.Key:
    """The key of `key "name" { algorithm hmac-sha256; secret "…"; };`. `origin` names the text in errors (LocalFault)."""
    tokens = _tokens(text, origin)
    if len(tokens) < 3 or tokens[0] != "key" or tokens[2] != "{":
        raise LocalFault(f'{origin}: expected `key "name" {{ algorithm …; secret "…"; }};`')
    try:
        end = tokens.index("}")
    except ValueError:
        raise LocalFault(f"{origin}: the key's closing brace is missing") from None
    if tokens[end + 1 :] not in ([], [";"]):
        raise LocalFault(f"{origin}: expected one key and nothing after it")
    settings: dict[str, str] = {}
    body = tokens[3:end]
    for place in range(0, len(body), 3):
        statement = body[place : place + 3]
        if len(statement) != 3 or statement[2] != ";" or statement[0] not in ("algorithm", "secret"):
            raise LocalFault(f"{origin}: a key holds `algorithm NAME;` and `secret STRING;`, nothing else")
        if statement[0] in settings:
            raise LocalFault(f"{origin}: the key has {statement[0]} twice")
        settings[statement[0]] = statement[1]
    if set(settings) != {"algorithm", "secret"}:
        missing = ({"algorithm", "secret"} - set(settings)).pop()
        raise LocalFault(f"{origin}: the key lacks its {missing}")
    return _key(tokens[1], settings["algorithm"], settings["secret"], origin)


def _key(name: str, algorithm: str, secret: str, origin: str) -> dns.tsig.Key:
    known = ALGORITHMS.get(algorithm.lower().rstrip("."))
    if known is None:
        raise LocalFault(
            f"{origin}: algorithm {algorithm} is not accepted; use one of {', '.join(ALGORITHMS)}"
        )
    try:
        raw = base64.b64decode(secret, validate=True)
    except (binascii.Error, ValueError):
        raise LocalFault(f"{origin}: the secret is not base64") from None
    if len(raw) < 16:
        raise LocalFault(f"{origin}: the secret has {len(raw) * 8} bits; at least 128 are needed")
    try:
        return dns.tsig.Key(dns.name.from_text(name), raw, known)
    except dns.exception.DNSException:
        raise LocalFault(f"{origin}: {name!r} cannot be the name of a key") from None


def _tokens(text: str, origin: str) -> list[str]:
    plain = _COMMENT.sub(lambda match: match[0] if match[0].startswith('"') else " ", text).rstrip()
    tokens: list[str] = []
    place = 0
    while place < len(plain):
        match = _TOKEN.match(plain, place)
        if match is None:
            raise LocalFault(f"{origin}: a string is not closed")
        tokens.append(next(group for group in match.groups() if group is not None))
        place = match.end()
    return tokens


def read_private(path: Path, what: str = "TSIG key") -> bytes:
    """The file's bytes, if only its owner (this user or root) can read it. Links are not followed. Raises LocalFault."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise LocalFault(f"{path}: the {what} cannot be read: {error.strerror}") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise LocalFault(f"{path}: a {what} must be a plain file")
        if status.st_uid not in (os.geteuid(), 0):
            raise LocalFault(f"{path}: the {what} belongs to another user (uid {status.st_uid})")
        if status.st_mode & 0o077:
            mode = stat.S_IMODE(status.st_mode)
            raise LocalFault(f"{path}: others can read this {what} (mode {mode:04o}); run chmod 600 on it")
        data = os.read(descriptor, SIZE_MAX + 1)
    finally:
        os.close(descriptor)
    if len(data) > SIZE_MAX:
        raise LocalFault(f"{path}: larger than a key file can be")
    return data

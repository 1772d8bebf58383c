"""Bearer tokens of vantages: random, shown once, kept as SHA-256 only."""

import hashlib
import hmac
import secrets

from failover.model.ids import VantageName
from failover.model.policy import Policy, VantageEntry

TOKEN_BYTES = 32


def new_token() -> str:
    """A fresh token: 43 URL-safe characters, 256 bits."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def token_digest(token: str) -> str:
    """What the policy file holds as `tokenSHA256`."""
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()


def authenticate(policy: Policy, name: str, header: str) -> VantageEntry | None:
    """The vantage that presents this `Authorization` header, or None. Compares in constant time."""
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token:
        return None
    digest = token_digest(token.strip())
    for vantage in policy.fleet.vantages:
        if vantage.name == VantageName(name) and vantage.token_sha256:
            return vantage if hmac.compare_digest(vantage.token_sha256.lower(), digest) else None
    return None

"""Bearer tokens of vantages and of clusters that push heartbeats: random, shown once, kept as SHA-256 only."""

import hashlib
import hmac
import secrets

from failover.model.ids import ClusterName, VantageName
from failover.model.policy import ClusterEntry, Policy, VantageEntry

TOKEN_BYTES = 32


def new_token() -> str:
    """A fresh token: 43 URL-safe characters, 256 bits."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def token_digest(token: str) -> str:
    """What the policy file holds as `tokenSHA256`."""
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()


def authenticate(policy: Policy, name: str, header: str) -> VantageEntry | None:
    """The vantage that presents this `Authorization` header, or None."""
    found = next((entry for entry in policy.fleet.vantages if entry.name == VantageName(name)), None)
    return found if found is not None and _presents(header, found.token_sha256) else None


def authenticate_cluster(policy: Policy, name: str, header: str) -> ClusterEntry | None:
    """The cluster that presents this `Authorization` header with a heartbeat, or None."""
    found = next((entry for entry in policy.fleet.clusters if entry.name == ClusterName(name)), None)
    return found if found is not None and _presents(header, found.heartbeat_sha256) else None


def _presents(header: str, digest: str) -> bool:
    """Whether the header bears the token of this digest; compared in constant time."""
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token or not digest:
        return False
    return hmac.compare_digest(digest.lower(), token_digest(token.strip()))

"""A Google service account of the lab: its key file, and the token endpoint's check of what it signs."""

import base64
import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

EMAIL = "failover@failover-lab.iam.gserviceaccount.com"


@dataclass(slots=True)
class Account:
    """One account with one key. Tokens are those that were given out."""

    private_pem: str
    tokens: set[str] = field(default_factory=set)

    @classmethod
    def generate(cls) -> "Account":
        """A fresh key."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return cls(private_pem=pem.decode())

    def document(self, project: str, token_uri: str) -> dict[str, Any]:
        """The key file's content."""
        return {
            "type": "service_account",
            "project_id": project,
            "private_key_id": "lab",
            "private_key": self.private_pem,
            "client_email": EMAIL,
            "client_id": "1",
            "token_uri": token_uri,
        }

    def exchange(self, form: str) -> str | None:
        """A token for a signed assertion, None where the signature or its time does not hold."""
        header, _, rest = parse_qs(form).get("assertion", [""])[0].partition(".")
        claims, _, signature = rest.partition(".")
        key = serialization.load_pem_private_key(self.private_pem.encode(), None)
        assert isinstance(key, rsa.RSAPrivateKey)
        try:
            key.public_key().verify(
                _decode(signature), f"{header}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256()
            )
            told = json.loads(_decode(claims))
        except (InvalidSignature, ValueError):
            return None
        if not told["iat"] - 60 <= time.time() <= told["exp"]:
            return None
        token = secrets.token_urlsafe(16)
        self.tokens.add(token)
        return token

    def knows(self, authorization: str) -> bool:
        """Whether a request carries one of our tokens."""
        return authorization.removeprefix("Bearer ") in self.tokens


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

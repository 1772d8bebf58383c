"""AWS signature version 4, verified from its specification: a wrong secret or clock is refused as AWS refuses it."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

SKEW_MAX = timedelta(minutes=5)
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/([^/]+)/([^/]+)/([^/]+)/aws4_request, SignedHeaders=([^,]+), Signature=(\w+)"
)


def signature_problem(
    method: str, path: str, headers: Mapping[str, str], body: bytes, keys: Mapping[str, str]
) -> tuple[str, str] | None:
    """(code, sentence) of what is wrong with a request's signature, None where it holds. `path`: raw, with its query."""
    match = _AUTHORIZATION.fullmatch(headers.get("Authorization", ""))
    if match is None:
        return ("MissingAuthenticationToken", "Missing Authentication Token")
    key_id, day, region, service, signed, signature = match.groups()
    secret = keys.get(key_id)
    if secret is None:
        return ("InvalidClientTokenId", "The security token included in the request is invalid.")
    stamp = headers.get("X-Amz-Date", "")
    try:
        at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return ("IncompleteSignature", "Date must be in ISO-8601 basic format")
    if abs(datetime.now(UTC) - at) > SKEW_MAX:
        return ("SignatureDoesNotMatch", f"Signature expired: {stamp} is not within 5 minutes of now")
    target, _, query = path.partition("?")
    canonical_query = "&".join(
        sorted(part if "=" in part else f"{part}=" for part in query.split("&") if part)
    )
    canonical_headers = "".join(f"{name}:{headers.get(name, '').strip()}\n" for name in signed.split(";"))
    canonical = "\n".join(
        (method, target, canonical_query, canonical_headers, signed, hashlib.sha256(body).hexdigest())
    )
    scope = f"{day}/{region}/{service}/aws4_request"
    to_sign = "\n".join(("AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    expected = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, signature):
        return (
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the one provided.",
        )
    return None

"""botocore's errors as ours, each with a sentence that says what to do."""

from typing import Any

from failover.dnszones.handshakes import failed_in_handshake
from failover.model.errors import (
    Conflict,
    LocalFault,
    OutcomeUnknown,
    Rejected,
    TargetError,
    Throttled,
    Unavailable,
)

THROTTLED = frozenset(
    {"Throttling", "ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded"}
)
EXPIRED = "the session token has expired; put new credentials into `credentialsFile`, or a key of its own that needs no session token"
OURS = {
    "ExpiredToken": EXPIRED,
    "ExpiredTokenException": EXPIRED,
    "RequestExpired": "the request came too late; set this machine's clock by NTP",
    "InvalidClientTokenId": "the access key is not known; check the credentials file and the profile",
    "UnrecognizedClientException": "the access key is not known; check the credentials file and the profile",
    "MissingAuthenticationToken": "no credentials were sent; name a credentials file or a profile",
    "SignatureDoesNotMatch": "the secret does not belong to the access key, or this machine's clock is off",
    "AccessDenied": "the credentials may not do this; grant route53:ChangeResourceRecordSets, ListResourceRecordSets, "
    "GetHostedZone and GetChange on this hosted zone, and where it says prepare: true ListHealthChecks and CreateHealthCheck",
    "AccessDeniedException": "the credentials may not do this; grant them the hosted zone",
}
LOGIN_AGAIN = (
    "the single sign-on has ended; run `aws sso login`, or name a `credentialsFile` with a key of its own"
)
NO_CREDENTIALS = {
    "NoCredentialsError": "none were found; name a shared credentials file under `credentialsFile` (and `profile`), or set "
    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for the process that runs failover",
    "PartialCredentialsError": "half of them is missing; a profile has aws_access_key_id and aws_secret_access_key",
    "ProfileNotFound": "there is no such profile in the credentials file; check `profile`",
    "CredentialRetrievalError": "the program or the service that gives them failed; see `credential_process` or the role",
    "ConfigParseError": "the file under `credentialsFile` is no shared credentials file: a line [default], or the profile's name, "
    "then aws_access_key_id = … and aws_secret_access_key = …",
    "TokenRetrievalError": LOGIN_AGAIN,
    "SSOTokenLoadError": LOGIN_AGAIN,
    "UnauthorizedSSOTokenError": LOGIN_AGAIN,
}
NOT_SENT = ("EndpointConnectionError", "ConnectTimeoutError", "ProxyConnectionError")


def known_errors() -> tuple[type[Exception], ...]:
    """Everything that botocore raises on its own: it has no common root."""
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
    from botocore.parsers import ResponseParserError

    return (
        BotoCoreError,
        ClientError,
        HTTPClientError,
        ResponseParserError,
        OSError,
        ValueError,
        KeyError,
        TypeError,
    )


def translate(error: Exception, *, where: str, target: str, sent_changes: bool) -> TargetError:
    """Our error for one of botocore's. `sent_changes`: the call could have changed something."""
    name, response = type(error).__name__, getattr(error, "response", None)
    if isinstance(response, dict) and "Error" in response:
        return _answered(response, where=where, target=target, sent_changes=sent_changes)
    if name in NO_CREDENTIALS:
        said = f"{NO_CREDENTIALS[name]} (the SDK says: {sentence_of(error)})"
        return LocalFault(f"{where}: no usable AWS credentials: {said}", target=target)
    if name in ("ParamValidationError", "InvalidEndpoint", "InvalidRegionError"):
        return Rejected(f"{where}: Route 53 would not take this: {sentence_of(error)}", target=target)
    if isinstance(error, ValueError) and "endpoint" in str(error).lower():
        return LocalFault(f"{where}: the endpoint is not usable: {error}", target=target)
    if name in NOT_SENT or failed_in_handshake(error):
        return Unavailable(f"{where}: Route 53 cannot be reached: {sentence_of(error)}", target=target)
    if sent_changes:
        return OutcomeUnknown(
            f"{where}: a change was sent and no trustworthy answer came: {name}: {sentence_of(error)}",
            target=target,
        )
    return Unavailable(
        f"{where}: Route 53 gave no usable answer: {name}: {sentence_of(error)}", target=target
    )


def _answered(response: dict[str, Any], *, where: str, target: str, sent_changes: bool) -> TargetError:
    code, said = str(response["Error"].get("Code", "")), str(response["Error"].get("Message", ""))[:300]
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code in THROTTLED:
        return Throttled(f"{where}: Route 53 throttles this account ({code}: {said})", target=target)
    if code == "PriorRequestNotComplete":
        return Throttled(
            f"{where}: an earlier change of the hosted zone is still being made", target=target, account=False
        )
    if code in OURS:
        return LocalFault(f"{where}: Route 53 says {code}: {OURS[code]}", target=target)
    if code == "NoSuchHostedZone":
        return Rejected(
            f"{where}: there is no such hosted zone in this account; check `hostedZone`", target=target
        )
    if code == "InvalidChangeBatch":
        if "limit" in said and "exceeded" in said:
            return Rejected(f"{where}: too large for one batch: {said}", target=target)
        return Conflict(said, target=target)
    if status >= 500 or not code or not 400 <= status < 500:
        if sent_changes:
            return OutcomeUnknown(
                f"{where}: Route 53 answers {status or 'nonsense'} to a change; it must be read back",
                target=target,
            )
        return Unavailable(f"{where}: Route 53 answers {status} {code}", target=target)
    return Rejected(f"{where}: Route 53 answers {code}: {said}", target=target)


def sentence_of(error: Exception) -> str:
    """Its first line, bounded."""
    return (str(error).splitlines() or [type(error).__name__])[0][:300]

"""The errors of Google's client as ours, each with a sentence that says what to do."""

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

RATE_REASONS = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "dailyLimitExceeded"})
CONFLICTS = frozenset(
    {"conditionNotMet", "alreadyExists", "cnameResourceRecordSetConflict", "containerNotEmpty"}
)
NOT_SENT = ("ConnectTimeout", "ProxyError", "InvalidURL", "MissingSchema", "InvalidSchema")


def known_errors() -> tuple[type[Exception], ...]:
    """Everything that Google's client raises: API, credentials, transport and JSON have no common root."""
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from requests.exceptions import RequestException

    return (GoogleAPIError, GoogleAuthError, RequestException, OSError, ValueError, KeyError, TypeError)


def translate(error: Exception, *, where: str, target: str, sent_changes: bool) -> TargetError:
    """Our error for one of theirs. `sent_changes`: the call could have changed something."""
    name, code = type(error).__name__, getattr(error, "code", None)
    if type(error).__module__.startswith("google.auth"):
        return _auth(error, name, where=where, target=target)
    if isinstance(code, int):
        return _answered(error, int(code), where=where, target=target, sent_changes=sent_changes)
    never = name in NOT_SENT or (name == "ConnectionError" and _never_connected(error))
    if never or failed_in_handshake(error):
        return Unavailable(f"{where}: Cloud DNS cannot be reached: {sentence_of(error)}", target=target)
    if sent_changes:
        return OutcomeUnknown(
            f"{where}: a change was sent and no trustworthy answer came: {name}: {sentence_of(error)}",
            target=target,
        )
    return Unavailable(
        f"{where}: Cloud DNS gave no usable answer: {name}: {sentence_of(error)}", target=target
    )


def _auth(error: Exception, name: str, *, where: str, target: str) -> TargetError:
    """A token is asked for before the request: nothing was changed."""
    if name == "TransportError":
        return Unavailable(
            f"{where}: the token endpoint cannot be reached: {sentence_of(error)}", target=target
        )
    if name == "DefaultCredentialsError":
        return no_credentials(error, where=where, target=target)
    return LocalFault(
        f"{where}: the Google credentials have expired or were revoked, or this machine's clock is off; make a new key of the "
        f"service account and name it under `credentialsFile`, or set the clock by NTP (Google says: {sentence_of(error)})",
        target=target,
    )


def no_credentials(error: Exception, *, where: str, target: str) -> LocalFault:
    """None could be found, or what was found is no key."""
    if type(error).__name__ == "DefaultCredentialsError":
        sentence = (
            f"{where}: no usable Google credentials: none were found; name a service account's key file under "
            "`credentialsFile`, or set GOOGLE_APPLICATION_CREDENTIALS for the process that runs failover"
        )
        return LocalFault(sentence, target=target)
    sentence = (
        f"{where}: no usable Google credentials: the file under `credentialsFile` is no service account's key; make one with "
        f"`gcloud iam service-accounts keys create` (the client says: {sentence_of(error)})"
    )
    return LocalFault(sentence, target=target)


def _never_connected(error: Exception) -> bool:
    """Whether a requests.ConnectionError came before anything was sent."""
    return "NewConnectionError" in repr(error) or "NameResolutionError" in repr(error)


def _answered(error: Exception, code: int, *, where: str, target: str, sent_changes: bool) -> TargetError:
    said = str(getattr(error, "message", error))[:300]
    reasons = {str(item.get("reason", "")) for item in _errors(error)}
    if code == 429 or reasons & RATE_REASONS:
        return Throttled(f"{where}: Cloud DNS throttles this project ({said})", target=target)
    if reasons & CONFLICTS or (code == 404 and "entity.change" in said):
        return Conflict(said, target=target)
    if code == 403 and "quotaExceeded" in reasons:
        return Rejected(f"{where}: over a quota of the project: {said}", target=target)
    if code == 401:
        return LocalFault(
            f"{where}: Cloud DNS does not accept the token; check the credentials", target=target
        )
    if code == 403:
        return LocalFault(
            f"{where}: the credentials may not do this ({said}); grant them roles/dns.admin on the managed zone",
            target=target,
        )
    if code == 404:
        return Rejected(f"{where}: {said} Check `project` and `managedZone`", target=target)
    if code >= 500:
        if sent_changes:
            return OutcomeUnknown(
                f"{where}: Cloud DNS answers {code} to a change; it must be read back", target=target
            )
        return Unavailable(f"{where}: Cloud DNS answers {code}", target=target)
    return Rejected(f"{where}: Cloud DNS answers {code}: {said}", target=target)


def _errors(error: Exception) -> list[dict[str, Any]]:
    found = getattr(error, "errors", ())
    return [item for item in found if isinstance(item, dict)]


def sentence_of(error: Exception) -> str:
    """Its first line, bounded."""
    return (str(error).splitlines() or [type(error).__name__])[0][:300]

"""What an answer says, and nothing more: a partial, odd or foreign answer is an error, never "no records" (I19).

Also the one place where DNS's ways to fail become our errors, each with a sentence that says what to do.
"""

from dataclasses import dataclass

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.tsig

from failover.dnszones.connection import BadAnswer, NoAnswer, NotSent
from failover.model.errors import LocalFault, OutcomeUnknown, Rejected, TargetError, Unavailable

WireError = NotSent | NoAnswer | BadAnswer | dns.tsig.PeerError
WIRE_ERRORS = (NotSent, NoAnswer, BadAnswer, dns.tsig.PeerError)

PRECONDITION_RCODES = frozenset(
    {dns.rcode.NXRRSET, dns.rcode.YXRRSET, dns.rcode.YXDOMAIN, dns.rcode.NXDOMAIN}
)
"""RFC 2136 section 3.2: a prerequisite did not hold, nothing was changed."""

_KEY_RCODES = frozenset({dns.rcode.NOTAUTH, dns.rcode.REFUSED, dns.rcode.FORMERR})


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a name holds of one type: its RRset, or None where a proof says that there is none.

    `alias`: the CNAME that stands at the name instead, if one does.
    """

    rrset: dns.rrset.RRset | None
    alias: dns.rrset.RRset | None = None


def read_found(
    answer: dns.message.Message,
    name: dns.name.Name,
    kind: dns.rdatatype.RdataType,
    apex: dns.name.Name,
    *,
    target: str,
) -> Found:
    """Judge the answer to a question for `name` and `kind`. Raises Unavailable or Rejected for anything unclear."""
    what = f"{target}: {name} {dns.rdatatype.to_text(kind)}"
    rcode = answer.rcode()
    if rcode not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        raise refused_read(rcode, what=what, target=target)
    if answer.flags & dns.flags.TC:
        raise Unavailable(f"{what}: the answer was cut short", target=target)
    if not answer.flags & dns.flags.AA:
        raise Rejected(
            f"{what}: the server has no authority over this name (it answers without AA, or the name is delegated "
            "elsewhere); the zone's primary must be asked",
            target=target,
        )
    alias = answer.get_rrset(answer.answer, name, dns.rdataclass.IN, dns.rdatatype.CNAME)
    rrset = answer.get_rrset(answer.answer, name, dns.rdataclass.IN, kind)
    if rrset is not None and rcode == dns.rcode.NOERROR and len(rrset) > 0:
        return Found(rrset=rrset, alias=alias if kind != dns.rdatatype.CNAME else None)
    if alias is not None:
        return Found(rrset=None, alias=alias)
    if answer.answer:
        raise Unavailable(f"{what}: the answer holds other names than the one asked for", target=target)
    proof = next((item for item in answer.authority if item.rdtype == dns.rdatatype.SOA), None)
    if proof is None:
        raise Unavailable(f"{what}: an empty answer without the zone's SOA proves nothing", target=target)
    if proof.name != apex:
        raise Rejected(f"{what}: the name belongs to the zone {proof.name}, not to {apex}", target=target)
    return Found(rrset=None)


def refused_read(rcode: dns.rcode.Rcode, *, what: str, target: str) -> TargetError:
    """The error of an answer code to a read."""
    text = dns.rcode.to_text(rcode)
    if rcode == dns.rcode.REFUSED:
        return Rejected(
            f"{what}: the server answers REFUSED: it does not serve the zone, or does not let our key or address ask",
            target=target,
        )
    if rcode in (dns.rcode.NOTAUTH, dns.rcode.NOTIMP, dns.rcode.FORMERR):
        return Rejected(f"{what}: the server answers {text}", target=target)
    return Unavailable(f"{what}: the server answers {text}", target=target)


def refused_update(rcode: dns.rcode.Rcode, *, zone: str, apex: str, key: str) -> TargetError:
    """The error of a signed answer code to an update, those about prerequisites excepted."""
    if rcode == dns.rcode.NOTAUTH:
        return Rejected(
            f"zone {zone}: the primary does not serve {apex} as its primary (NOTAUTH); check `apex` and `primary`",
            target=zone,
        )
    if rcode == dns.rcode.NOTZONE:
        return Rejected(f"zone {zone}: a name of the change lies outside {apex} (NOTZONE)", target=zone)
    if rcode == dns.rcode.REFUSED:
        return Rejected(
            f"zone {zone}: the primary refuses updates of these names by the key {key} (REFUSED); its allow-update or "
            "update-policy must grant A, AAAA, CNAME and the TXT of _failover-fence",
            target=zone,
        )
    if rcode in (dns.rcode.FORMERR, dns.rcode.NOTIMP):
        return Rejected(
            f"zone {zone}: the primary does not understand updates ({dns.rcode.to_text(rcode)})", target=zone
        )
    # SERVFAIL too: RFC 2136 says that nothing was changed, but a primary that forwards updates to a hidden one
    # answers the same when only the answer got lost.
    return OutcomeUnknown(
        f"zone {zone}: the primary answers {dns.rcode.to_text(rcode)} to an update; it must be read back",
        target=zone,
    )


def translate(error: WireError, *, target: str, key: str, sent_changes: bool) -> TargetError:
    """Our error for one of the connection's. `sent_changes`: the message could have changed something (an update)."""
    if isinstance(error, dns.tsig.PeerError):
        return _key_fault(error, target=target, key=key)
    if isinstance(error, NotSent):
        return Unavailable(f"{target} cannot be reached: {error}", target=target)
    if isinstance(error, BadAnswer):
        unsigned = not isinstance(error.cause, dns.tsig.BadSignature | dns.tsig.BadTime | dns.tsig.BadKey)
        if unsigned and error.rcode in _KEY_RCODES:
            return LocalFault(
                f"{target} answers {dns.rcode.to_text(error.rcode)} without a signature: it does not know the key "
                f"{key}, or has another secret for it, or one of the clocks is off, or it does not serve the zone (PowerDNS "
                "says no more; its own log does)",
                target=target,
            )
        if isinstance(error.cause, dns.tsig.BadTime) and not sent_changes:
            return LocalFault(
                f"{target}: its signature is too far from this machine's time; check both clocks",
                target=target,
            )
    if sent_changes:
        return OutcomeUnknown(
            f"{target}: an update was sent and no trustworthy answer came: {error}", target=target
        )
    return Unavailable(f"{target} gave no usable answer: {error}", target=target)


def _key_fault(error: dns.tsig.PeerError, *, target: str, key: str) -> TargetError:
    """Why the server refused our signature. It verifies first and acts after: nothing was changed."""
    if isinstance(error, dns.tsig.PeerBadKey):
        return LocalFault(
            f"{target} does not know the TSIG key {key} (BADKEY); check the key's name and algorithm",
            target=target,
        )
    if isinstance(error, dns.tsig.PeerBadSignature):
        return LocalFault(f"{target} has another secret for the TSIG key {key} (BADSIG)", target=target)
    if isinstance(error, dns.tsig.PeerBadTime):
        return LocalFault(
            f"{target} finds this machine's clock more than 5 minutes off (BADTIME); set both clocks by NTP",
            target=target,
        )
    return LocalFault(f"{target} refuses the signature of the TSIG key {key}: {error}", target=target)

"""As much of protobuf as it takes to read a review of rights: kubectl sends those in no other form.

The numbers are those of k8s.io/api/authorization/v1/generated.proto and of the envelope in
k8s.io/apimachinery/pkg/runtime/generated.proto.
"""

from typing import Any

MAGIC = b"k8s\x00"
RAW, SPEC = 2, 2
RESOURCE_ATTRIBUTES = ("", "namespace", "verb", "group", "version", "resource", "subresource", "name")
NON_RESOURCE_ATTRIBUTES = ("", "path", "verb")


def review_of(body: bytes, kind: str) -> dict[str, Any]:
    """The spec of a SelfSubjectAccessReview or SelfSubjectRulesReview. Raises ValueError for what is none."""
    if not body.startswith(MAGIC):
        raise ValueError("it is not protobuf of Kubernetes")
    spec = _fields(_fields(_fields(body.removeprefix(MAGIC)).get(RAW, b"")).get(SPEC, b""))
    if kind == "SelfSubjectRulesReview":
        return {"spec": {"namespace": spec.get(1, b"").decode()}}
    found: dict[str, Any] = {}
    if 1 in spec:
        found["resourceAttributes"] = _texts(spec[1], RESOURCE_ATTRIBUTES)
    if 2 in spec:
        found["nonResourceAttributes"] = _texts(spec[2], NON_RESOURCE_ATTRIBUTES)
    return {"spec": found}


def _texts(message: bytes, names: tuple[str, ...]) -> dict[str, str]:
    return {
        names[number]: value.decode() for number, value in _fields(message).items() if 0 < number < len(names)
    }


def _fields(message: bytes) -> dict[int, bytes]:
    """Length-delimited fields by number, the last one of each; numbers and fixed words are skipped."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            _, at = _varint(message, at)
        elif wire in (1, 5):
            at += 8 if wire == 1 else 4
        elif wire == 2:
            size, at = _varint(message, at)
            if at + size > len(message):
                raise ValueError("it ends in the middle of a field")
            found[number], at = message[at : at + size], at + size
        else:
            raise ValueError(f"wire type {wire} is not one of protobuf 3")
    return found


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(message) or shift > 63:
            raise ValueError("it ends in the middle of a number")
        value |= (message[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if message[at - 1] < 0x80:
            return value, at

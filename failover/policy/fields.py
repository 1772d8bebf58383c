"""Field types of the documents: names, durations, addresses, host names, lines of text."""

import ipaddress
import re
import unicodedata
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel


class Document(BaseModel):
    """Base of everything in a policy file: unknown keys are errors, values are frozen, keys are camelCase."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=False, strict=True
    )


SHOWN_MAX = 60


def shown(value: Any) -> str:
    """A value as a sentence shows it: quoted, on one line, not at length."""
    text = repr(value)
    return text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}…"


_NAME = r"^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$"
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
DURATION_MAX_S = 366 * 86400.0


def parse_duration(value: Any) -> float:
    """Seconds of `5s`, `250ms`, `1h30m`. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError(
            f"write a duration with its unit, such as 5s, 250ms, 30m or 1h30m, not {shown(value)}"
        )
    parts = _DURATION.findall(value)
    if not parts or "".join(number + unit for number, unit in parts) != value:
        raise ValueError(f"{shown(value)} is no duration; write 5s, 250ms, 30m or 1h30m")
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if seconds > DURATION_MAX_S:
        raise ValueError(f"{shown(value)} is longer than a year")
    return seconds


def _address(value: str) -> str:
    return str(ipaddress.ip_address(value))


def _ipv4(value: str) -> str:
    return str(ipaddress.IPv4Address(value))


def _ipv6(value: str) -> str:
    return str(ipaddress.IPv6Address(value))


def _cidr(value: str) -> str:
    return str(ipaddress.ip_network(value, strict=True))


_LABEL = re.compile(r"[a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9_])?")


def _hostname(value: str) -> str:
    bare = value.rstrip(".").lower()
    if not bare or len(bare) > 253 or not all(_LABEL.fullmatch(label) for label in bare.split(".")):
        raise ValueError(f"{shown(value)} is no host name")
    return bare


_CONTROL = ("Cc", "Cs", "Zl", "Zp")
"""Unicode categories of characters that end a line, steer a terminal, or are half a character."""


def _line(value: str) -> str:
    wrong = next((char for char in value if unicodedata.category(char) in _CONTROL), None)
    if wrong is not None:
        raise ValueError(f"holds the control character U+{ord(wrong):04X}; it must be one line of plain text")
    return value


def _words(value: str) -> str:
    return _line(" ".join(value.split()))


Line = Annotated[str, AfterValidator(_line)]
Words = Annotated[str, AfterValidator(_words)]
AbsolutePath = Annotated[str, Field(pattern="^/"), AfterValidator(_line)]
Name = Annotated[str, Field(pattern=_NAME, max_length=63)]
Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    WithJsonSchema({"type": "string", "pattern": "^([0-9]+(\\.[0-9]+)?(ms|s|m|h|d))+$"}),
]
Address = Annotated[str, AfterValidator(_address)]
IPv4 = Annotated[str, AfterValidator(_ipv4)]
IPv6 = Annotated[str, AfterValidator(_ipv6)]
CIDR = Annotated[str, AfterValidator(_cidr)]
HostName = Annotated[str, AfterValidator(_hostname)]
Port = Annotated[int, Field(ge=1, le=65535)]

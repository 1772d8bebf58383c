"""Field types of the documents: names, durations, addresses, host names, lines of text."""

import ipaddress
import re
import unicodedata
from decimal import ROUND_CEILING, Decimal, InvalidOperation
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


_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(m|k|M|G|T|Ki|Mi|Gi|Ti)?")
_FACTORS = {
    "": Decimal(1), "m": Decimal("0.001"), "k": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9),
    "T": Decimal(10**12), "Ki": Decimal(1 << 10), "Mi": Decimal(1 << 20), "Gi": Decimal(1 << 30), "Ti": Decimal(1 << 40),
}  # fmt: skip
QUANTITY_MAX = Decimal(1 << 60)
_RESOURCE = re.compile(r"[a-z0-9]([-a-z0-9./]{0,251}[a-z0-9])?")


def parse_quantity(value: Any) -> Decimal:
    """`500m`, `2`, `1.5Gi` as a number of cores, bytes or units. Raises ValueError."""
    text = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    match = _QUANTITY.fullmatch(text) if isinstance(text, str) and len(text) <= 40 else None
    try:
        found = Decimal(match[1]) * _FACTORS[match[2] or ""] if match else None
    except InvalidOperation:
        found = None
    if found is None:
        raise ValueError(f"{shown(value)} is no quantity; write it as Kubernetes does: 500m, 2, 512Mi")
    if found > QUANTITY_MAX:
        raise ValueError(f"{shown(value)} is more than any machine has")
    return found


def smallest_units(resource: str, quantity: Decimal) -> int:
    """CPU in millicores, everything else in whole units; rounded up as Kubernetes does."""
    factor = 1000 if resource == "cpu" else 1
    return int((quantity * factor).to_integral_value(ROUND_CEILING))


def _resource_name(value: str) -> str:
    if not _RESOURCE.fullmatch(value):
        raise ValueError(f"{shown(value)} is no resource; such are cpu, memory, pods, nvidia.com/gpu")
    return value


Quantity = Annotated[
    Decimal,
    BeforeValidator(parse_quantity),
    WithJsonSchema({"type": ["string", "number"], "pattern": "^[0-9]+(\\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$"}),
]
ResourceName = Annotated[str, AfterValidator(_resource_name)]

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

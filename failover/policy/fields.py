"""Field types of the documents: names, durations, addresses, host names."""

import ipaddress
import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel


class Document(BaseModel):
    """Base of everything in a policy file: unknown keys are errors, values are frozen, keys are camelCase."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=False, strict=True
    )


_NAME = r"^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$"
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
DURATION_MAX_S = 366 * 86400.0


def parse_duration(value: Any) -> float:
    """Seconds of `5s`, `250ms`, `1h30m`. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError("write a duration with its unit, such as 5s, 250ms, 30m or 1h30m")
    parts = _DURATION.findall(value)
    if not parts or "".join(number + unit for number, unit in parts) != value:
        raise ValueError(f"{value!r} is no duration; write 5s, 250ms, 30m or 1h30m")
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if seconds > DURATION_MAX_S:
        raise ValueError(f"{value!r} is longer than a year")
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
        raise ValueError(f"{value!r} is no host name")
    return bare


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

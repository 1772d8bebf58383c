"""Kubernetes quantities as integers."""

from decimal import Decimal, InvalidOperation
from typing import Any

_BINARY = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40, "Pi": 1 << 50, "Ei": 1 << 60}
_DECIMAL = {
    suffix: Decimal(f"1e{power}")
    for suffix, power in (
        ("n", -9),
        ("u", -6),
        ("m", -3),
        ("k", 3),
        ("M", 6),
        ("G", 9),
        ("T", 12),
        ("P", 15),
        ("E", 18),
    )
}


def quantity(text: Any) -> Decimal:
    """`100m`, `1.5`, `64Gi`. Raises ValueError for what is none."""
    value = str(text)
    try:
        if value[-2:] in _BINARY:
            return Decimal(value[:-2]) * _BINARY[value[-2:]]
        if value[-1:] in _DECIMAL and not value[-1:].isdigit():
            return Decimal(value[:-1]) * _DECIMAL[value[-1:]]
        return Decimal(value)
    except (InvalidOperation, IndexError):
        raise ValueError(f"{text!r} is no quantity") from None


def millicores(text: Any) -> int:
    """CPU."""
    return int(quantity(text) * 1000)


def whole(text: Any) -> int:
    """Bytes, or a number of pods."""
    return int(quantity(text))

"""Kubernetes quantities as integers."""

from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import Any

LARGEST = Decimal(1 << 80)
LENGTH_MAX = 40

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
    """`100m`, `1.5`, `64Gi`. Raises ValueError for what is none: also for a number that no machine has."""
    value = str(text)
    try:
        found = _number(value) if len(value) <= LENGTH_MAX else Decimal("NaN")
    except (InvalidOperation, IndexError):
        found = Decimal("NaN")
    if not found.is_finite() or not 0 <= found <= LARGEST:
        raise ValueError(f"{value[:LENGTH_MAX]!r} is no quantity")
    return found


def _number(value: str) -> Decimal:
    if value[-2:] in _BINARY:
        return Decimal(value[:-2]) * _BINARY[value[-2:]]
    if value[-1:] in _DECIMAL:
        return Decimal(value[:-1]) * _DECIMAL[value[-1:]]
    return Decimal(value)


def millicores(text: Any) -> int:
    """CPU, rounded up as Kubernetes does."""
    return int((quantity(text) * 1000).to_integral_value(ROUND_CEILING))


def whole(text: Any) -> int:
    """Bytes, or a number of pods, rounded up as Kubernetes does."""
    return int(quantity(text).to_integral_value(ROUND_CEILING))

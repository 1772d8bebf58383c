"""Values to plain JSON data and back, by their type hints: one codec for journal, wire, store and hashes.

Handles dataclasses, StrEnum, tuples, frozensets (sorted), Mappings with string keys, Optional, datetime (RFC 3339),
timedelta (seconds), NewTypes, and unions of dataclasses that carry a class variable `kind` (their tag).
Unknown fields are refused on decoding: a newer writer must raise the schema version instead.
"""

import hashlib
import json
import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, field, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


class DecodeError(ValueError):
    """Data does not fit the type; the message names the path."""


def later(default: Any) -> Any:
    """A dataclass field that came after journals were written: left out where it holds its default.

    So the text, and with it the hash, of every value that says nothing new is what it was before.
    """
    return field(default=default, metadata={"later": True})


def _written(item: "Field[Any]", value: Any) -> bool:
    return not (item.metadata.get("later") and value == item.default)


def to_plain(value: Any) -> Any:
    """Plain JSON data of a value. Raises TypeError for what the codec does not know."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return value.total_seconds()
    if is_dataclass(value) and not isinstance(value, type):
        plain = {
            item.name: to_plain(found)
            for item in fields(value)
            if _written(item, found := getattr(value, item.name))
        }
        kind = getattr(type(value), "kind", None)
        if isinstance(kind, str) and "kind" not in plain:
            plain["kind"] = str(kind)
        return plain
    if isinstance(value, Mapping):
        return {
            str(key): to_plain(item) for key, item in sorted(value.items(), key=lambda pair: str(pair[0]))
        }
    if isinstance(value, frozenset | set):
        return [to_plain(item) for item in sorted(value)]
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    raise TypeError(f"the codec does not know {type(value).__name__}")


def canonical_json(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no spaces, no NaN. The same value gives the same bytes."""
    return json.dumps(
        value,
        default=_one_level,
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
    )


@cache
def _shape(cls: type) -> tuple[tuple[str, ...], dict[str, Any], str]:
    """Field names of a dataclass, defaults of its later ones, and its tag ("" without one, or with a field so named)."""
    names = tuple(item.name for item in fields(cls))
    defaults = {item.name: item.default for item in fields(cls) if item.metadata.get("later")}
    kind = getattr(cls, "kind", None)
    return names, defaults, kind if isinstance(kind, str) and "kind" not in names else ""


def _one_level(value: Any) -> Any:
    """What the JSON encoder does not know by itself, one level deep: it asks again for what lies inside."""
    if is_dataclass(value) and not isinstance(value, type):
        names, defaults, kind = _shape(type(value))
        plain = {name: getattr(value, name) for name in names}
        for name, default in defaults.items():
            if plain[name] == default:
                del plain[name]
        if kind:
            plain["kind"] = kind
        return plain
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, frozenset | set):
        return sorted(value)
    return to_plain(value)


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON, as hex."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def from_plain(target: type[T] | Any, data: Any, path: str = "$") -> T:
    """A value of type `target` from plain JSON data. Raises DecodeError that names the place."""
    return _decode(target, data, path)  # type: ignore[no-any-return]


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


def _decode(target: Any, data: Any, path: str) -> Any:
    while hasattr(target, "__supertype__"):  # NewType
        target = target.__supertype__
    if target is Any or target is object:
        return data
    origin = get_origin(target)
    if origin in (Union, types.UnionType):
        return _decode_union(get_args(target), data, path)
    if origin in (tuple, list):
        return _decode_sequence(target, origin, data, path)
    if origin is frozenset:
        if not isinstance(data, list):
            raise DecodeError(f"{path}: expected a list")
        return frozenset(_decode(get_args(target)[0], item, f"{path}[{i}]") for i, item in enumerate(data))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(data, dict):
            raise DecodeError(f"{path}: expected an object")
        return {key: _decode(get_args(target)[1], item, f"{path}.{key}") for key, item in data.items()}
    if isinstance(target, type):
        return _decode_plain_type(target, data, path)
    raise DecodeError(f"{path}: no decoder for {target!r}")


def _decode_sequence(target: Any, origin: Any, data: Any, path: str) -> Any:
    if not isinstance(data, list | tuple):
        raise DecodeError(f"{path}: expected a list")
    arguments = get_args(target)
    if (origin is tuple and len(arguments) != 2) or (origin is tuple and arguments[1] is not Ellipsis):
        if len(arguments) != len(data):
            raise DecodeError(f"{path}: expected {len(arguments)} items")
        return tuple(_decode(arguments[i], item, f"{path}[{i}]") for i, item in enumerate(data))
    return origin(_decode(arguments[0], item, f"{path}[{i}]") for i, item in enumerate(data))


def _decode_union(options: tuple[Any, ...], data: Any, path: str) -> Any:
    if data is None:
        if type(None) in options:
            return None
        raise DecodeError(f"{path}: must not be null")
    rest = [option for option in options if option is not type(None)]
    if len(rest) == 1:
        return _decode(rest[0], data, path)
    if isinstance(data, dict) and "kind" in data:
        for option in rest:
            if str(getattr(option, "kind", None)) == data["kind"]:
                return _decode(option, data, path)
        raise DecodeError(f"{path}: unknown kind {data['kind']!r}")
    for option in rest:
        if isinstance(option, type) and not is_dataclass(option) and isinstance(data, option):
            return data
    raise DecodeError(f"{path}: fits none of the kinds")


def _decode_plain_type(target: type, data: Any, path: str) -> Any:
    if is_dataclass(target):
        return _decode_dataclass(target, data, path)
    if issubclass(target, Enum):
        try:
            return target(data)
        except ValueError as error:
            raise DecodeError(f"{path}: {error}") from None
    if target is datetime and isinstance(data, str):
        try:
            moment = datetime.fromisoformat(data)
        except ValueError as error:
            raise DecodeError(f"{path}: {error}") from None
        if moment.tzinfo is None:
            raise DecodeError(f"{path}: {data} names no time zone")
        return moment
    if target is timedelta and isinstance(data, int | float) and not isinstance(data, bool):
        return timedelta(seconds=data)
    if target is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    if target is int and isinstance(data, bool):
        raise DecodeError(f"{path}: expected int, not a boolean")
    if isinstance(data, target):
        return data
    raise DecodeError(f"{path}: expected {target.__name__}, not {type(data).__name__}")


def _decode_dataclass(target: type, data: Any, path: str) -> Any:
    if not isinstance(data, dict):
        raise DecodeError(f"{path}: expected an object")
    hints = _hints(target)
    known = {item.name: item for item in fields(target)}
    tagged = isinstance(getattr(target, "kind", None), str) and "kind" not in known
    unknown = set(data) - set(known) - ({"kind"} if tagged else set())
    if unknown:
        raise DecodeError(f"{path}: unknown field {min(unknown)!r}")
    values: dict[str, Any] = {}
    for name, item in known.items():
        if name in data:
            values[name] = _decode(hints[name], data[name], f"{path}.{name}")
        elif item.default is MISSING and item.default_factory is MISSING:
            raise DecodeError(f"{path}: {name} is missing")
    return target(**values)

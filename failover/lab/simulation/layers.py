"""Faults that lie over each other."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

Undo = Callable[[], None]


class Layers:
    """Faults that lie over each other: each is put on by name and value, and taken off again by itself."""

    def __init__(self) -> None:
        self._layers: dict[Any, list[tuple[int, Any]]] = defaultdict(list)
        self._next = 0

    def put(self, key: Any, value: Any = True) -> Undo:
        self._next += 1
        token = (self._next, value)
        self._layers[key].append(token)

        def undo() -> None:
            if token in self._layers[key]:
                self._layers[key].remove(token)
            if not self._layers[key]:
                del self._layers[key]

        return undo

    def __bool__(self) -> bool:
        return bool(self._layers)

    def on(self) -> tuple[Any, ...]:
        """Whatever something lies on."""
        return tuple(self._layers)

    def has(self, key: Any) -> bool:
        return key in self._layers

    def top(self, key: Any, default: Any) -> Any:
        layers = self._layers.get(key)
        return layers[-1][1] if layers else default


class Knobs:
    """Attributes that faults lie over: whoever comes last says what one is, and whoever ends first takes away his own word only."""

    def __init__(self) -> None:
        self._layers = Layers()
        self._bare: dict[tuple[int, str], Any] = {}

    def turn(self, owner: object, name: str, value: Any) -> Undo:
        """Set an attribute until undone. When nothing lies on it any more it is what it was before the first."""
        key = (id(owner), name)
        if not self._layers.has(key):
            self._bare[key] = getattr(owner, name)
        undo_layer = self._layers.put(key, value)
        setattr(owner, name, value)

        def undo() -> None:
            undo_layer()
            setattr(owner, name, self._layers.top(key, self._bare[key]))

        return undo

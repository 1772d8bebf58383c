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

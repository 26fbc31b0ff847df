"""Names in the YAML -> classes. An unknown name lists the known ones and the nearest spelling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from graphstorm_like.errors import ConfigError, unknown

T = TypeVar("T", bound=type)


class Registry(Generic[T]):
    """A table of classes of one kind ('gnn', 'head', 'loss')."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._classes: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Class decorator."""

        def add(cls: T) -> T:
            assert name not in self._classes, f"{self.kind} {name} is registered twice"
            self._classes[name] = cls
            return cls

        return add

    def get(self, name: str) -> T:
        """The class of a name; ConfigError otherwise."""
        if name not in self._classes:
            raise ConfigError(unknown(f"model: {self.kind}", "name", name, self._classes))
        return self._classes[name]

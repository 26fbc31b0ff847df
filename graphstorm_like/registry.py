"""Operators by the class of their configuration: `@GNNS.register(RgcnConfig)`, then `GNNS.of(config)`.

The modules of the registry's package are imported at the first lookup, so that a new operator is a new file and no
list needs editing. A plug-in registers its operators in the same way, from outside.
"""

from __future__ import annotations

import importlib
import pkgutil
import threading
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from graphstorm_like.errors import ConfigError

Operator = TypeVar("Operator")


def import_modules(package: str) -> None:
    """Import every module that lies directly in a package, in the order of their names."""
    folder = importlib.import_module(package)
    for module in sorted(pkgutil.iter_modules(folder.__path__), key=lambda module: module.name):
        importlib.import_module(f"{package}.{module.name}")


class Registry(Generic[Operator]):
    """Operators of one kind.

    kind: in words, for messages. package: its modules register operators when they are imported; None: something else
    imports the modules that register.
    """

    def __init__(self, kind: str, package: str | None = None) -> None:
        self.kind, self.package = kind, package
        self._operators: dict[type, Any] = {}
        self._discovered, self._discovering = package is None, False
        self._lock = threading.RLock()

    def register(self, config_class: type) -> Callable[[Any], Any]:
        """Decorator of an operator (a class or a function). An assertion fails when there is another one already."""

        def add(operator: Any) -> Any:
            registered = self._operators.get(config_class)
            assert registered is None or _name(registered) == _name(operator), (
                f"two of kind {self.kind} for {config_class.__name__}: {_name(registered)} and {_name(operator)}"
            )
            self._operators[config_class] = operator
            return operator

        return add

    def of(self, config: Any) -> Operator:
        """The operator of a configuration: that of its class, or of the nearest class that it derives from.

        Raises ConfigError when nobody has registered one.
        """
        operator = self.get(config)
        if operator is not None:
            return operator
        raise ConfigError(
            f"{self.kind}: there must be an implementation of {type(config).__name__} (got none). Register one with "
            f"@register({type(config).__name__}) in the module that defines it"
        )

    def get(self, config: Any) -> Operator | None:
        """Like `of`; None when nobody has registered one."""
        self._discover()
        for config_class in type(config).__mro__:
            if config_class in self._operators:
                operator: Operator = self._operators[config_class]
                return operator
        return None

    def __iter__(self) -> Iterator[type]:
        """The classes of configurations that have an operator."""
        self._discover()
        return iter(self._operators)

    def _discover(self) -> None:
        if self._discovered:
            return
        with self._lock:  # other threads wait for the imports
            if self._discovered or self._discovering:  # a module of the package may look something up
                return
            assert self.package is not None
            self._discovering = True
            try:
                import_modules(self.package)
            finally:
                self._discovering = False
            self._discovered = True  # not after an import that failed: the next lookup tells of it again


def _name(operator: Any) -> str:
    return f"{operator.__module__}.{operator.__qualname__}"

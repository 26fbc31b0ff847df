"""torchmetrics without what its first line brings.

`import torchmetrics` imports its metrics of texts, sound and images too, and with them transformers and scipy.signal:
1.7 CPU seconds and 73 MB (torchmetrics 1.9), in every process that measures. The subpackages that are read here need
none of that.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import logging
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

ROOT = "torchmetrics"
_PARENTS = (ROOT, f"{ROOT}.functional")


@functools.cache
def torchmetrics(part: str) -> Any:
    """A subpackage of torchmetrics: 'classification' or 'regression'."""
    name = f"{ROOT}.{part}"
    if ROOT not in sys.modules:
        with contextlib.suppress(ImportError), _stand_ins():
            importlib.import_module(f"{ROOT}.utilities")  # first: it and torchmetrics.metric import each other
            return importlib.import_module(name)
    return importlib.import_module(name)


@contextlib.contextmanager
def _stand_ins() -> Iterator[None]:
    """Inside, empty modules stand for torchmetrics and its functions. Afterwards nothing of it is left among the
    imported modules: who imports torchmetrics later gets a whole one."""
    spec = importlib.util.find_spec(ROOT)
    places = [] if spec is None else list(spec.submodule_search_locations or ())
    if len(places) != 1:
        raise ImportError(f"{ROOT} must be a package in one folder")
    for name in _PARENTS:
        stand_in: Any = ModuleType(name)
        stand_in.__path__ = [places[0] + name.removeprefix(ROOT).replace(".", "/")]
        stand_in._logger = logging.getLogger(ROOT)  # which its modules import from it
        sys.modules[name] = stand_in
    try:
        yield
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == ROOT]:
            del sys.modules[name]

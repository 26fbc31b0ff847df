"""Operators that are found by importing a package."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from graphstorm_like.registry import Registry

PACKAGE = "operators_of_a_test"


class Config:
    """Of the one operator."""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package without operators."""
    folder = tmp_path / PACKAGE
    folder.mkdir()
    (folder / "__init__.py").write_text("registry = None\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
        del sys.modules[name]


def test_threads_that_look_at_once_all_find_the_operator(package: Path) -> None:
    """The second one came while the first imported the package, and was told that there was none."""
    (package / "one.py").write_text(
        f"import time\ntime.sleep(0.3)\nfrom {PACKAGE} import registry\n"
        f"registry[0].register(registry[1])(type('One', (), {{}}))\n"
    )
    registry: Registry[type] = Registry("operator", PACKAGE)
    importlib.import_module(PACKAGE).registry = (registry, Config)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: registry.of(Config()).__name__, range(4)))
    assert found == ["One"] * 4


def test_an_import_that_fails_is_told_each_time(package: Path) -> None:
    """The second lookup said that nobody had registered an operator."""
    (package / "one.py").write_text("import no_such_module_at_all\n")
    registry: Registry[type] = Registry("operator", PACKAGE)
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="no_such_module_at_all"):
            registry.of(Config())

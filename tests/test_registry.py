"""Operators are found by the class of their configuration; the modules of a package are imported when first needed."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from graphstorm_like.errors import ConfigError
from graphstorm_like.registry import Registry

PACKAGE = "operators_of_a_test"


class First:
    """A configuration."""


class Derived(First):
    """Another, without an operator of its own."""


class Other:
    """One that nobody implements."""


def test_by_class_and_by_what_it_derives_from() -> None:
    operators: Registry[type] = Registry("thing")

    @operators.register(First)
    class Operator:
        """What does the work."""

    assert operators.of(First()) is Operator
    assert operators.of(Derived()) is Operator
    assert list(operators) == [First]


def test_none_is_a_message() -> None:
    operators: Registry[type] = Registry("thing")
    with pytest.raises(
        ConfigError, match=r"thing: there must be an implementation of Other \(got none\)\. Register one"
    ):
        operators.of(Other())


def test_two_for_one_class_are_our_mistake() -> None:
    operators: Registry[object] = Registry("thing")
    operators.register(First)(len)
    operators.register(First)(len)  # the same again: a module that was imported twice
    with pytest.raises(AssertionError, match="two of kind thing for First"):
        operators.register(First)(max)


def test_a_package_is_imported_at_the_first_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "tools_of_a_test"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from graphstorm_like.registry import Registry\nTOOLS = Registry('tool', 'tools_of_a_test')\n"
    )
    (package / "hammer.py").write_text(
        "from tools_of_a_test import TOOLS\nclass HammerConfig: pass\n"
        "@TOOLS.register(HammerConfig)\nclass Hammer: pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import tools_of_a_test

    assert "tools_of_a_test.hammer" not in sys.modules
    assert [config.__name__ for config in tools_of_a_test.TOOLS] == ["HammerConfig"]
    (config,) = tools_of_a_test.TOOLS
    assert tools_of_a_test.TOOLS.of(config()).__name__ == "Hammer"


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
    importlib.import_module(PACKAGE).registry = (registry, First)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: registry.of(First()).__name__, range(4)))
    assert found == ["One"] * 4


def test_an_import_that_fails_is_told_each_time(package: Path) -> None:
    """The second lookup said that nobody had registered an operator."""
    (package / "one.py").write_text("import no_such_module_at_all\n")
    registry: Registry[type] = Registry("operator", PACKAGE)
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="no_such_module_at_all"):
            registry.of(First())

"""Operators are found by the class of their configuration; the modules of a package are imported when first needed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from graphstorm_like.errors import ConfigError
from graphstorm_like.registry import Registry


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

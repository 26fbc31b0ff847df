"""Operators, and where their documents, known answers and uses are: what `test_operators` compares.

An operator is named as the file of its configuration: gnns/rgcn is `type: rgcn` of graphstorm_like/config/gnns.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from graphstorm_like.config.choice import Choice

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "docs/reference/configuration.md"
OURS = ("graphstorm_like.", "gconstruct.")


def operators() -> dict[str, type[Choice]]:
    """Configurations by the names of their operators; without those that tests and plug-ins bring."""
    import graphstorm_like.config.pipeline  # noqa: F401  # brings all families

    found: dict[str, type[Choice]] = {}
    for root in _below(Choice):
        if root.family is None or root.family.root is not root:
            continue
        folder = folder_of(root)
        for tag, member in root.family.members.items():
            if member.__module__.startswith(OURS):
                found[f"{folder}/{tag}"] = member
    return dict(sorted(found.items()))


def folder_of(root: type[Choice]) -> str:
    """The name of a family: of its module, or of the folder whose `base` it is defined in."""
    return root.__module__.removesuffix(".base").rpartition(".")[2]


def _below(config_class: type[Choice]) -> Iterator[type[Choice]]:
    for member in config_class.__subclasses__():
        yield member
        yield from _below(member)


# ---------------------------------------------------------------------------------------------------------- documents


def lacks_documents(name: str, config_class: type[Choice], reference: str) -> str | None:
    """What is missing: a docstring of its own, or a section of the reference with that sentence."""
    docstring = config_class.__dict__.get("__doc__")
    if not docstring:
        return f"a docstring of {config_class.__name__}: what it is, formula or source"
    assert config_class.family is not None
    tag = f"{config_class.family.tag}: {name.partition('/')[2]}"
    sentence = " ".join(inspect.cleandoc(docstring).split())[:40]
    for section in re.split(r"^## ", reference, flags=re.MULTILINE):
        heading, _, text = section.partition("\n")
        in_table = f"`{name.partition('/')[2]}`" in text  # of a class with several tags
        if (f"with `{tag}`" in heading or in_table) and sentence in " ".join(text.split()):
            return None
    return f"a section 'with `{tag}`' in {REFERENCE.name}. Run: gsl schema --markdown > docs/reference/configuration.md"


# ------------------------------------------------------------------------------------------------------- known answers


@dataclass(frozen=True)
class Marked:
    """A test that names operators which it verifies."""

    where: str
    operators: tuple[str, ...]
    source: str
    """Of its module, without the marks."""
    compares: bool
    """By assert, or by an assert_... function"""


def known_answers() -> Iterator[Marked]:
    """Tests with `@pytest.mark.known_answer("gnns/rgcn")`, read without running them."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        source = path.read_text(encoding="utf-8")
        if "mark.known_answer(" not in source:
            continue
        rest = re.sub(r"@pytest\.mark\.known_answer\([^)]*\)", "", source)
        for test in ast.parse(source).body:
            if isinstance(test, ast.FunctionDef) and (names := tuple(marked(test))):
                where = f"{path.relative_to(ROOT).as_posix()}::{test.name}"
                yield Marked(where, names, rest, compares(test))


def marked(test: ast.FunctionDef) -> Iterator[str]:
    """The operators that a test's marks name."""
    for decorator in test.decorator_list:
        for node in ast.walk(decorator):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.known_answer":
                yield from (str(ast.literal_eval(argument)) for argument in node.args)


def compares(test: ast.FunctionDef) -> bool:
    """Whether it asserts anything."""
    nodes = list(ast.walk(test))
    calls = [ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)]
    return any(isinstance(node, ast.Assert) for node in nodes) or any(".assert_" in call for call in calls)


def names_it(source: str, name: str, config_class: type[Choice]) -> bool:
    """Whether a module's source names an operator: its configuration's class, or its tag as a word."""
    tag = name.partition("/")[2]
    return bool(re.search(rf"\b{config_class.__name__}\b|(?<![\w]){tag}(?![\w])", source))


# ---------------------------------------------------------------------------------------------------------------- uses


def used_in(config: Any) -> Iterator[str]:
    """Operators that a validated configuration names, defaults that it leaves out not counted."""
    if isinstance(config, Choice) and config.family is not None:
        folder = folder_of(config.family.root)
        yield f"{folder}/{getattr(config, config.family.tag)}"
    if isinstance(config, BaseModel):
        for key in config.model_fields_set:
            yield from used_in(getattr(config, key))
    elif isinstance(config, dict):
        for value in config.values():
            yield from used_in(value)
    elif isinstance(config, list | tuple):
        for value in config:
            yield from used_in(value)

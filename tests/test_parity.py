"""The table of GraphStorm's features names keys, commands and files that exist, and says why something is missing."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from typer.main import get_command

from graphstorm_like.cli.main import app

from .operators import REFERENCE

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/reference/graphstorm-parity.md"
LEAST_REASON = 20
"""Letters of a reason: fewer say nothing."""


@cache
def known_keys() -> frozenset[str]:
    """Paths of all keys of the reference, and `path: value` where a key takes one of several words."""
    found = set()
    for section in re.split(r"^## ", REFERENCE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        heading, *lines = section.splitlines()
        path = heading.split("`")[1] if "`" in heading else ""
        for line in lines:
            row = re.match(r"\| `(\w+)` \| (.*?) \| ", line)
            if row is None:
                continue
            key = f"{path}.{row[1]}" if path else row[1]
            found.add(key)
            found.update(f"{key}: {value}" for value in re.findall(r"`([^`]*)`", row[2]))
    return frozenset(found)


def rows() -> list[tuple[str, str]]:
    """GraphStorm's cell and ours of every row."""
    text = PAGE.read_text(encoding="utf-8")
    cells = re.findall(r"^\| (.*?) \| (.*) \|$", text, flags=re.MULTILINE)
    return [(theirs, ours) for theirs, ours in cells if theirs != "GraphStorm"]


def named(ours: str) -> list[str]:
    """What stands in code marks."""
    return re.findall(r"`([^`]*)`", ours)


@cache
def verbs() -> frozenset[str]:
    """Of gsl."""
    return frozenset(getattr(get_command(app), "commands", ()))


def problem(code: str) -> str | None:
    """What is wrong with a key or command that a row names."""
    if code.startswith("gsl "):
        verb = code.split()[1]
        return None if verb in verbs() else f"gsl has no verb {verb}"
    if code.startswith("--") or code[0].isupper() or code.startswith("name: "):
        return None
    return None if code in known_keys() else f"no key {code}"


def test_there_are_rows_and_keys() -> None:
    assert len(rows()) > 120
    assert {"task.head.type: transe", "task.metrics[].type: micro_f1", "train.fanouts[].by_edge_type"} <= known_keys()
    assert "task.head.type: nothing" not in known_keys()


def test_every_key_and_command_exists() -> None:
    wrong = [f"{theirs}: {found}" for theirs, ours in rows() for code in named(ours) if (found := problem(code))]
    assert wrong == []


def test_what_is_missing_has_a_reason() -> None:
    for theirs, ours in rows():
        before, missing, reason = re.sub(r"`[^`]*`", "key", ours).partition("missing")
        assert before.strip() or missing, theirs
        if missing:
            assert len(reason) > LEAST_REASON, f"{theirs} must have a reason (got '{reason}')"


@pytest.mark.parametrize("name", sorted(set(re.findall(r"\b(?:docker|sagemaker)/[\w./]+", PAGE.read_text("utf-8")))))
def test_files_exist(name: str) -> None:
    assert (ROOT / name).is_file()


def test_a_key_that_is_gone_is_found() -> None:
    assert problem("task.head.normalise") == "no key task.head.normalise"
    assert problem("task.head.type: transx") == "no key task.head.type: transx"
    assert problem("gsl transmogrify graph") == "gsl has no verb transmogrify"
    assert problem("gsl show partitions") is None

"""Every broken pipeline of broken.yaml is refused, with exactly the messages that stand there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from graphstorm_like.errors import ConfigError

from .conftest import FOLDER, good_text

CASES: list[dict[str, Any]] = yaml.safe_load((FOLDER / "broken.yaml").read_text(encoding="utf-8"))
JARGON = ("pydantic", "Input should", "validation error", "function-", "constrained", "extra_forbidden", "[key]")


def broken_text(case: dict[str, Any]) -> str:
    text = case["text"] if "text" in case else good_text(case["good"])
    for edit in case.get("edits", ()):
        assert text.count(edit["from"]) == 1, f"{case['id']}: {edit['from']!r} must occur once"
        text = text.replace(edit["from"], edit["to"])
    return text


@pytest.mark.parametrize("name", ["node", "link", "edge", "pretraining"])
def test_the_good_ones_are_good(name: str, problems: Callable[..., list[str]]) -> None:
    assert problems(good_text(name)) == []


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_message(case: dict[str, Any], problems: Callable[..., list[str]]) -> None:
    assert problems(broken_text(case)) == case["says"]


def test_ids_are_unique() -> None:
    assert [i for i, n in Counter(case["id"] for case in CASES).items() if n > 1] == []


def test_no_message_speaks_of_the_machinery() -> None:
    said = [message for case in CASES for message in case["says"]]
    assert [message for message in said if any(word in message for word in JARGON)] == []


def test_several_problems_have_a_heading(load: Callable[..., Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        load("seed: -1\nsede: 2\n")
    assert str(caught.value).splitlines()[0] == "4 problems in the configuration:"
    assert caught.value.exit_code == 2

"""Answers that are on their way: asked for at once, waited for later."""

from __future__ import annotations

import pytest

from graphstorm_like.pending import Pending, wait_for_all


def test_nothing_is_waited_for_before_it_is_needed() -> None:
    waited: list[str] = []

    def receive(name: str) -> Pending[str]:
        def answer() -> str:
            waited.append(name)
            return name

        return Pending(answer)

    one, two = receive("one"), receive("two").then(str.upper)
    assert waited == []
    assert wait_for_all({"b": two, "a": one}) == {"b": "TWO", "a": "one"}
    assert waited == ["two", "one"]


def test_an_error_comes_with_the_answer() -> None:
    def fail() -> int:
        raise ValueError("lost")

    changed = Pending(fail).then(abs)
    for _ in range(2):
        with pytest.raises(ValueError, match="lost"):
            changed.wait()

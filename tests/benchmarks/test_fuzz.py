"""A sample of the fuzzers: mutated configurations, and one kill."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.mark.parametrize("count", [4, pytest.param(80, marks=pytest.mark.slow)])
def test_mutated_configurations(count: int, capsys: pytest.CaptureFixture[str]) -> None:
    from fuzz_configurations import main

    with pytest.raises(SystemExit) as ended:
        main(["--count", str(count), "--seed", "1"])
    assert ended.value.code == 0, capsys.readouterr().out


def test_a_message_over_several_lines_is_a_failure() -> None:
    from fuzz_configurations import wrong_with

    assert wrong_with("p.yaml:1: a must be b", "p.yaml") == ""
    assert "line breaks" in wrong_with("p.yaml:1: a must be b (got c\nd)", "p.yaml")
    assert "machinery" in wrong_with("p.yaml:1: Input should be b", "p.yaml")


@pytest.mark.slow
def test_kills(tmp_path: Path) -> None:
    from fuzz_kills import main

    with pytest.raises(SystemExit) as ended:
        main(["--count", "1", "--folder", str(tmp_path)])
    assert ended.value.code == 0

"""The good pipelines that the tests of this folder break, and how to load one from text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from graphstorm_like.config import Pipeline, load_pipeline
from graphstorm_like.errors import ConfigError

FOLDER = Path(__file__).parent


def good_text(name: str) -> str:
    """YAML of the pipeline for node classification ('node'), links, edge regression ('edge') or pretraining."""
    return (FOLDER / f"good_{name}.yaml").read_text(encoding="utf-8")


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Pipeline]:
    """load(text, *overrides) -> Pipeline, of a file p.yaml in an empty folder."""

    def run(text: str, *overrides: str) -> Pipeline:
        path = tmp_path / "p.yaml"
        path.write_text(text, encoding="utf-8")
        return load_pipeline(path, overrides)

    return run


@pytest.fixture
def problems(load: Callable[..., Pipeline], tmp_path: Path) -> Callable[..., list[str]]:
    """problems(text, *overrides) -> all that the user is told, with {path} for the file's path; [] when it is good."""

    def run(text: str, *overrides: str) -> list[str]:
        try:
            load(text, *overrides)
        except ConfigError as err:
            return [problem.replace(str(tmp_path / "p.yaml"), "{path}") for problem in err.problems]
        return []

    return run

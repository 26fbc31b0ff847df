from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from graphstorm_like.config import Pipeline, load_pipeline
from graphstorm_like.testing.graphs import write_shop_pipeline
from graphstorm_like.testing.text import tiny_text_model


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_text_model(tmp_path_factory.mktemp("lm") / "model")


@pytest.fixture
def configured(tmp_path: Path, model: Path) -> Callable[..., Pipeline]:
    """strategy, overrides -> pipeline; all share graph and cache."""
    yaml: dict[str, Path] = {}

    def make(strategy: str, *changes: str, task: str = "node_classification", output: str | None = None) -> Pipeline:
        if task not in yaml:
            yaml[task] = write_shop_pipeline(tmp_path / task, task, text_model=str(model))
        common = [
            f"train.strategy={strategy}",
            "train.lm.lr=0.002",
            "train.lm.batch_size=32",
            "launch.threads=1",
            f"output={tmp_path}/{output or strategy}",
            f"cache={tmp_path}/cache",
            f"graph.path={tmp_path}/{task}/graph",
        ]
        return load_pipeline(yaml[task], [*common, *changes])

    return make

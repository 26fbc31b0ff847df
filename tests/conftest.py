"""Fixtures that many tests share: a constructed tiny graph, built once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from graphstorm_like.config import Pipeline, build_pipeline
from graphstorm_like.progress import LOG_SECONDS
from graphstorm_like.testing.graphs import shop_pipeline, write_shop

os.environ.setdefault(LOG_SECONDS, "0")  # tests wait for the lines of epochs that take no second


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(tables, graph folder) of the tiny shop."""
    from gconstruct import build_graph

    folder = tmp_path_factory.mktemp("shop")
    tables = write_shop(folder / "tables")
    pipeline = build_pipeline(shop_pipeline(tables, folder / "run")).with_absolute_paths(folder)
    build_graph(pipeline.graph)
    assert pipeline.graph.path is not None
    return tables, Path(pipeline.graph.path)


@pytest.fixture
def shop_config(shop: tuple[Path, Path], tmp_path: Path):
    """A function task -> Pipeline over the shop's graph, with an output folder of its own."""

    def make(kind: str = "node_classification", /, **changes: object) -> Pipeline:
        data = shop_pipeline(shop[0], tmp_path / "run", kind)
        data["graph"]["path"] = str(shop[1])
        for key, value in changes.items():
            data[key] = {**data.get(key, {}), **value} if isinstance(value, dict) else value
        return build_pipeline(data).with_absolute_paths(tmp_path)

    return make

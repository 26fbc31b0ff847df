"""The benchmark of a pipeline measures every phase and writes nothing beside the pipeline's own folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from bench_gnn import measure_gnn
from bench_text import text_table

from graphstorm_like.config import Pipeline
from graphstorm_like.errors import ConfigError


@pytest.mark.parametrize("task", ["node_classification", "link_prediction"])
def test_every_phase_and_no_files(
    shop_config: Callable[..., Pipeline], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    monkeypatch.chdir(tmp_path)
    config = shop_config(task, train={"checkpoint": {"every_steps": 1}}, launch={"on": "local", "threads": 1})
    rows = measure_gnn(config, epochs=1)
    assert [row["phase"] for row in rows] == [
        "sample + fetch, one epoch",
        "train, 1 epochs",
        "validate",
        "all vectors, layer-wise",
    ]
    assert all(float(row["seconds"]) >= 0 and float(row["peak MB"].replace(",", "")) > 0 for row in rows)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_no_text_to_measure(shop_config: Callable[..., Pipeline]) -> None:
    with pytest.raises(ConfigError, match="model.text_encoder: must be given to measure text embedding"):
        text_table(shop_config(), 10)

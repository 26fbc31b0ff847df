"""Temporal models from tables to predictions: what they learn, exact resume, and inference of the past."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from graphstorm_like.config import Pipeline, build_pipeline
from graphstorm_like.launch.stages import run_pipeline
from graphstorm_like.models.embedding import Embedder
from graphstorm_like.progress import Reporter
from graphstorm_like.testing.times import timed_pipeline, write_timed_shop
from graphstorm_like.training.experiment import build_experiment

from .test_resume import Stopped, assert_same_run, losses, train

QUIET = Reporter(quiet=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("temporal")
    write_timed_shop(made / "tables")
    return made


def pipeline(folder: Path, output: str, task: str, train: dict[str, Any] | None = None, **time: Any) -> Pipeline:
    data = timed_pipeline(folder / "tables", folder / output, task, **{"encode": "time2vec", **time})
    data["graph"]["path"] = str(folder / "graph")
    data["train"] |= train or {}
    return build_pipeline(data).with_absolute_paths(folder)


def scores(config: Pipeline) -> dict[str, dict[str, float]]:
    run_pipeline(config, ["construct", "train", "evaluate", "infer"], reporter=QUIET)
    return json.loads((Path(config.output) / "evaluate" / "metrics.json").read_text())


@pytest.mark.parametrize(
    "task", [pytest.param("link_prediction", marks=pytest.mark.slow), "edge_classification", "node_classification"]
)
def test_resumed_is_uninterrupted(folder: Path, tmp_path: Path, task: str) -> None:
    config = pipeline(folder, f"resume-{task}", task, {"checkpoint": {"every_steps": 2}})
    run_pipeline(config, ["construct"], reporter=QUIET)
    train(config, tmp_path / "whole")
    total = losses(tmp_path / "whole")[-1][1]
    with pytest.raises(Stopped):
        train(config, tmp_path / "broken", total // 2)
    train(config, tmp_path / "broken")
    assert_same_run(tmp_path / "whole", tmp_path / "broken")


@pytest.mark.slow
def test_the_latest_neighbours_tell_more_than_any(folder: Path) -> None:
    """Users change what they buy half-way. Links after that follow from the latest purchases, if these pass messages
    once they are past; a model that sees any of the past, or training edges alone, knows less."""
    found = {}
    for name, time in (("latest", {"pick": "latest", "window": "20d"}), ("uniform", {"pick": "uniform"})):
        data = timed_pipeline(folder / "tables", folder / name, at="own", strict=True, **time)
        data["graph"]["path"] = str(folder / "graph")
        data["task"]["past_passes"] = True
        data["train"] |= {"epochs": 8, "evaluate_every": 8}
        found[name] = scores(build_pipeline(data).with_absolute_paths(folder))["test"]["mrr"]
    assert found["latest"] > found["uniform"] + 0.03


def test_later_edges_change_nothing(folder: Path, tmp_path: Path) -> None:
    """Vectors as of a day are the same whatever was bought afterwards, though partitions and tables differ."""
    late = pq.read_table(folder / "tables" / "buys.parquet").to_pandas()
    early = late[late["day"] <= np.datetime64("2024-02-20")]
    (tmp_path / "tables").mkdir()
    pq.write_table(pq.read_table(folder / "tables" / "item.parquet"), tmp_path / "tables" / "item.parquet")
    early.to_parquet(tmp_path / "tables" / "buys.parquet")
    vectors = []
    for tables in (folder / "tables", tmp_path / "tables"):
        data = timed_pipeline(tables, tmp_path / "run", "node_classification", at="2024-02-20", pick="latest")
        data["graph"] |= {"path": str(tmp_path / f"graph-{len(vectors)}"), "base": str(tables)}
        data["graph"]["edges"][0] |= {"split": None, "labels": {}}
        data["model"]["inputs"] = {"user": {"embedding": False}}
        data["model"]["time"]["encode"] = "cosine"
        config = build_pipeline(data).with_absolute_paths(tmp_path)
        run_pipeline(config, ["construct"], reporter=QUIET)
        embedder = build_experiment(config, QUIET).embedder()
        order = np.argsort(embedder.graph.ids("item").to_pylist())
        vectors.append(embedder.layer_wise(["item"])["item"][order])
    assert np.abs(vectors[0] - vectors[1]).max() < 1e-5
    assert np.ptp(vectors[0]) > 0.1


def test_inference_is_sampled_and_says_so(folder: Path) -> None:
    config = pipeline(folder, "infer", "node_classification")
    lines: list[str] = []

    class Heard(Reporter):
        def line(self, text: str) -> None:
            lines.append(text)

    run_pipeline(config, ["construct", "train", "infer"], reporter=Heard())
    assert "vectors are of sampled neighbours, as always with model.time" in lines
    manifest = json.loads((Path(config.output) / "infer" / "manifest.json").read_text())
    assert manifest["mode"] == "mini_batch"
    embedder: Embedder = build_experiment(config, QUIET).embedder()
    torch.testing.assert_close(
        torch.from_numpy(embedder.layer_wise(["item"])["item"]),
        torch.from_numpy(embedder.mini_batch("item", np.arange(90), config.train.fanouts, config.seed)),
    )

"""Layer-wise vectors equal full-batch ones, whatever the chunks; mini-batches over all neighbours too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import graphstorm_like.models.embedding as embedding
from graphstorm_like.config import Pipeline
from graphstorm_like.config.train import FanoutByType
from graphstorm_like.models.embedding import Embedder
from graphstorm_like.progress import Reporter
from graphstorm_like.sampling.batch import StreamPosition
from graphstorm_like.sampling.loader import BatchPipeline
from graphstorm_like.sampling.steps import FetchFeatures, NodeSeeder, SampleNeighbors
from graphstorm_like.training.experiment import Experiment, build_experiment

ALL = FanoutByType(default=-1)


def experiment(make: Callable[..., Pipeline], gnn: str, task: str = "node_classification") -> Experiment:
    config = make(task, model={"gnn": {"type": gnn, "hidden": 16, "layers": 2}})
    return build_experiment(config, Reporter(quiet=True))


def full_batch(found: Experiment, node_type: str) -> np.ndarray:
    hops = found.model.gnn.num_hops
    steps = [SampleNeighbors(found.graph, [ALL] * hops, 0), FetchFeatures(found.sources)]
    ids = np.arange(found.graph.manifest.node(node_type).count)
    batch = BatchPipeline(NodeSeeder(node_type, None), steps).make(ids, StreamPosition(0, 0))
    with torch.inference_mode():
        return found.model.eval()(batch)[node_type].numpy()


@pytest.mark.parametrize("gnn", ["rgcn", "sage", "rgat", "none"])
@pytest.mark.parametrize(("nodes", "edges"), [(4096, 10**6), (7, 10**6), (64, 20)])
def test_layer_wise_is_full_batch(
    shop_config: Callable[..., Pipeline], monkeypatch: pytest.MonkeyPatch, gnn: str, nodes: int, edges: int
) -> None:
    monkeypatch.setattr(embedding, "MAX_EDGES", edges)
    found = experiment(shop_config, gnn)
    embedder = Embedder(found.model, found.graph, found.sources, found.device, [ALL, ALL], batch_size=nodes)
    for node_type in ("item", "user"):
        vectors = embedder.layer_wise([node_type])[node_type]
        np.testing.assert_allclose(vectors, full_batch(found, node_type), atol=1e-5)


def test_layer_wise_hides_held_out_edges(shop_config: Callable[..., Pipeline]) -> None:
    found = experiment(shop_config, "rgcn", "link_prediction")
    assert found.graph.hide
    np.testing.assert_allclose(found.embedder().layer_wise(["item"])["item"], full_batch(found, "item"), atol=1e-5)


def test_mini_batch_over_all_neighbours_is_exact(shop_config: Callable[..., Pipeline]) -> None:
    found = experiment(shop_config, "sage")
    ids = np.array([17, 3, 99, 4])
    vectors = Embedder(found.model, found.graph, found.sources, found.device, [ALL, ALL], batch_size=3).mini_batch(
        "item", ids, [ALL, ALL], 0
    )
    np.testing.assert_allclose(vectors, full_batch(found, "item")[ids], atol=1e-5)


def test_an_edge_type_left_out_of_training_stays_out(shop_config: Callable[..., Pipeline]) -> None:
    fanout = {"default": 5, "by_edge_type": {"item:similar:item": 0}}
    config = shop_config(train={"fanouts": [fanout, 5]})
    found = build_experiment(config, Reporter(quiet=True))
    none = FanoutByType(default=-1, by_edge_type={"item:similar:item": 0})
    vectors = found.embedder().layer_wise(["item"])["item"]
    ids = np.arange(len(vectors))
    np.testing.assert_allclose(vectors, found.embedder().mini_batch("item", ids, [none, ALL], 0), atol=1e-5)
    assert np.abs(vectors - full_batch(found, "item")).max() > 0.01


def test_memo_and_scratch(shop_config: Callable[..., Pipeline], tmp_path: Path) -> None:
    found = experiment(shop_config, "rgcn")
    memo: dict[str, np.ndarray] = {}
    embedder = found.embedder(memo=memo)
    first = embedder.layer_wise(["item"])["item"]
    assert embedder.layer_wise(["item"])["item"] is first is memo["item"]
    assert not list(Path(found.pipeline.output).glob(".vectors-*"))

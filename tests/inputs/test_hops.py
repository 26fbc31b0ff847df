"""Averages of neighbours before training, against dense matrices; a whole run; what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import gconstruct.features
from gconstruct import build_graph
from graphstorm_like.config import Pipeline, build_pipeline
from graphstorm_like.config.gnns.hops import HopsConfig
from graphstorm_like.errors import ConfigError, DataError
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.moments import magnitude_of
from graphstorm_like.inputs import hops as averages
from graphstorm_like.inputs.hops import hop_inputs
from graphstorm_like.launch.stages import read_scores, run_pipeline
from graphstorm_like.models.encoders import GNNS
from graphstorm_like.models.mixture import MixtureProjection
from graphstorm_like.progress import Reporter
from graphstorm_like.sampling.steps import GraphFeature
from graphstorm_like.testing import ranks
from graphstorm_like.testing.graphs import shop_pipeline
from graphstorm_like.training.experiment import build_experiment
from graphstorm_like.training.tracking import read_metrics

HOPS = {"gnn": {"type": "hops", "hidden": 16, "layers": 2}}
EdgeType = tuple[str, str, str]


def dense_mean(graph: LocalGraph, edge_type: EdgeType) -> np.ndarray:
    """D^-1 A of a relation [targets, sources]."""
    sources, targets = graph.edges(edge_type)
    matrix = np.zeros((graph.manifest.node(edge_type[2]).count, graph.manifest.node(edge_type[0]).count))
    np.add.at(matrix, (targets, sources), 1.0)
    return matrix / np.maximum(matrix.sum(1, keepdims=True), 1.0)


def test_averages_are_products_of_matrices(
    shop_config: Callable[..., Pipeline], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(averages, "MOST_EDGES", 300)
    graph = LocalGraph(Path(str(shop_config().graph.path)))
    price = GraphFeature(graph, "item", "price")
    made = hop_inputs(graph, {"item": {"price": price}}, {("item", "price"): 1}, 2)
    x = price.rows(np.arange(240)).astype(np.float64)
    into_items = [edge.edge_type for edge in graph.manifest.edges if edge.edge_type[2] == "item"]
    to_user = next(e.edge_type for e in graph.manifest.edges if e.edge_type[2] == "user")
    of_users = dense_mean(graph, to_user) @ x
    assert made["user"]["hop1:item:price"].parts == [to_user]
    np.testing.assert_allclose(made["user"]["hop1:item:price"].table.own, of_users, atol=1e-5)
    within = [edge_type for edge_type in into_items if edge_type[0] == "item"]
    first = made["item"]["hop1:item:price"]
    assert first.parts == within  # users have no price before hop 1
    by_relation = np.stack([dense_mean(graph, edge_type) @ x for edge_type in within])
    np.testing.assert_allclose(first.table.own, by_relation[:, :, 0].T, atol=1e-5)
    of_items = by_relation.sum(0) / np.maximum((by_relation != 0).sum(0), 1)
    second = made["item"]["hop2:item:price"]
    want = [dense_mean(graph, e) @ (of_items if e[0] == "item" else of_users) for e in into_items]
    assert second.parts == into_items
    np.testing.assert_allclose(second.table.own, np.stack(want)[:, :, 0].T, atol=1e-5)


def test_averages_that_would_be_too_large_are_refused(
    shop_config: Callable[..., Pipeline], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the size that all hops take; one byte more is enough for them."""
    graph = LocalGraph(Path(str(shop_config().graph.path)))
    price = GraphFeature(graph, "item", "price")
    arguments: Any = (graph, {"item": {"price": price}}, {("item", "price"): 1}, 2)
    size = sum(4 * of.table.own.size for made in hop_inputs(*arguments).values() for of in made.values())
    monkeypatch.setattr(averages, "MOST_BYTES", size)
    monkeypatch.setattr(averages, "MOST_NUMBERS", 2)  # a node at a time
    assert hop_inputs(*arguments)
    monkeypatch.setattr(averages, "MOST_BYTES", size - 1)
    message = r"GB are of price of item, 1 numbers for each node and relation\). Leave it out of model.inputs.item.feat"
    with pytest.raises(DataError, match=message):
        hop_inputs(*arguments)


def test_types_without_features_are_built_from_neighbours(shop_config: Callable[..., Pipeline], tmp_path: Path) -> None:
    """A user gets the mean price and colours of what they bought, and no learnable vector."""
    inputs = {"item": {"text": []}, "user": {"neighbors": True}}
    pipeline = shop_config(model={"inputs": inputs}, train={"epochs": 1}, output=str(tmp_path / "run"))
    found = build_experiment(pipeline, Reporter(quiet=True))
    assert sorted(found.sources["user"]) == ["hop1:item:colour", "hop1:item:price"]
    assert sorted(found.sources["item"]) == ["colour", "price"]
    into = next(e.edge_type for e in found.graph.manifest.edges if e.edge_type[2] == "user")
    want = dense_mean(found.graph, into) @ found.graph.feature("item", "colour")
    np.testing.assert_allclose(found.sources["user"]["hop1:item:colour"].rows(np.arange(60)), want, atol=1e-5)
    run_pipeline(pipeline, ["train", "evaluate"], reporter=Reporter(quiet=True))
    assert set(read_scores(pipeline)) == {"valid", "test"}


def test_rare_terms_are_not_blown_up(
    shop_config: Callable[..., Pipeline], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sample of rows lacks most words: averages of them are divided by what the words are divided by."""
    monkeypatch.setattr(averages, "SAMPLE", 3)
    nodes = shop_config().graph.model_dump(mode="json", include={"nodes"})["nodes"]
    nodes["item"]["features"] = {
        "terms": {"encode": "words", "column": "title"},
        "words": {"encode": "multi_hot", "column": "title", "separator": " "},
    }
    changes: dict[str, Any] = {
        "model": {"inputs": {"item": {"text": []}, "user": {"neighbors": True}}},
        "graph": {"path": str(tmp_path / "graph"), "nodes": nodes},
    }
    monkeypatch.setattr(gconstruct.features, "SPARSE_WIDTH", 2)
    pipeline = shop_config(**changes)
    build_graph(pipeline.graph)
    found = build_experiment(pipeline, Reporter(quiet=True))
    schemas = found.graph.manifest.node("item").features
    assert schemas["words"].sparse
    state = found.model.state_dict()
    scales = [state[name].flatten() for name in state if name.startswith("inputs.types.1.") and "scale" in name]
    magnitude = magnitude_of(schemas["terms"])
    assert magnitude is not None
    assert len(scales) == 2
    torch.testing.assert_close(scales[0], torch.full((schemas["terms"].width,), 1 / magnitude))
    torch.testing.assert_close(scales[1], torch.ones(schemas["words"].width))


@pytest.mark.known_answer("gnns/hops")
def test_a_mixture_is_its_formula() -> None:
    rng = np.random.default_rng(0)
    mean, deviation = rng.normal(size=6), rng.random(6) + 0.5
    projection = MixtureProjection(2, 6, 4, (mean, deviation)).double()
    projection.mix.data = torch.from_numpy(rng.normal(size=(2, 3)))
    rows = torch.from_numpy(rng.normal(size=(5, 6)))
    standard = ((rows.numpy() - mean) / deviation).reshape(5, 2, 3)
    want = (standard * projection.mix.detach().numpy()).sum(1) @ projection.weight.detach().numpy().T
    np.testing.assert_allclose(projection(rows).detach().numpy(), want, atol=1e-5)
    leaves = [projection.weight, projection.mix, rows.requires_grad_()]
    assert torch.autograd.gradcheck(lambda *_: projection(rows), leaves)
    plain = {"type": "hops", "hidden": 4, "layers": 2, "dropout": 0.0, "norm": "none", "residual": False}
    config = HopsConfig.model_validate(plain)
    mlp: Any = GNNS.of(config)(config, ["a"], []).double()
    with torch.no_grad():
        (found,) = mlp([], {"a": projection(rows)}).values()
        hidden = torch.relu(torch.from_numpy(want) @ mlp.layers[0].weight.T + mlp.layers[0].bias)
        torch.testing.assert_close(found, hidden @ mlp.layers[1].weight.T + mlp.layers[1].bias, atol=1e-5, rtol=1e-5)


def configured(make: Callable[..., Pipeline], gnn: dict[str, Any], output: Path, partitions: int = 1) -> Pipeline:
    """Exact steps: all neighbours, no dropout."""
    graph = {"partitions": {"count": partitions}} | ({"path": str(output / "graph")} if partitions > 1 else {})
    exact = {"epochs": 3, "batch_size": 32, "lr": 0.02, "fanouts": [-1, -1], "precision": "float32"}
    model = {"gnn": {"hidden": 16, "layers": 2, "dropout": 0.0, **gnn}, "inputs": {"item": {"text": []}}}
    return make(model=model, train=exact, graph=graph, output=str(output))


def test_a_run(shop_config: Callable[..., Pipeline], tmp_path: Path) -> None:
    """From construction to predictions."""
    pipeline = configured(shop_config, {"type": "hops"}, tmp_path / "one")
    run_pipeline(pipeline, reporter=Reporter(quiet=True))
    assert 0.0 < read_scores(pipeline)["test"]["accuracy"] <= 1.0
    assert (Path(pipeline.output) / "infer" / "predictions").exists()


@pytest.mark.slow
@pytest.mark.dist
@pytest.mark.parametrize(("hosts", "trainers"), [(1, 2), (2, 1)])
@pytest.mark.parametrize("gnn", [{"type": "hops"}, {"type": "gcn", "jumping": "concat"}], ids=["hops", "gcn"])
def test_processes_take_the_steps_of_one(
    shop_config: Callable[..., Pipeline], tmp_path: Path, gnn: dict[str, Any], hosts: int, trainers: int
) -> None:
    one = configured(shop_config, gnn, tmp_path / "one", hosts)
    run_pipeline(one, reporter=Reporter(quiet=True))
    many = one.model_copy(update={"output": str(tmp_path / "many")})
    ranks.run_stages(many, ["train", "evaluate", "infer"], hosts, trainers)
    np.testing.assert_allclose(losses(many), losses(one), rtol=1e-3, atol=1e-5)
    for split, metrics in read_scores(one).items():
        assert read_scores(many)[split] == pytest.approx(metrics, abs=0.02)


def losses(pipeline: Pipeline) -> list[float]:
    return [record["loss"] for record in read_metrics(Path(pipeline.output) / "train") if record["kind"] == "train"]


def test_several_tasks_on_nodes_are_none_on_edges(tmp_path: Path) -> None:
    of_nodes = {"type": "node_classification", "node_type": "item", "label": "kind"}
    numbers = {"type": "node_regression", "node_type": "item", "label": "rating", "select_by": "r2"}
    data = shop_pipeline(tmp_path, tmp_path / "run")
    data["model"] |= HOPS
    data["task"] = {"type": "multi", "tasks": {"a": of_nodes, "b": numbers}}
    assert build_pipeline(data)


@pytest.mark.parametrize(
    ("task", "changes", "message"),
    [
        ("link_prediction", {}, "gnn.type: must be another network for link_prediction"),
        (
            "link_prediction",
            {"gnn": {"type": "rgcn"}, "inputs": {"user": {"neighbors": True}}},
            "inputs.user.neighbors: must",
        ),
        ("node_classification", {"inputs": {"user": {"neighbors": True}}}, "must be false with gnn.type: hops, which"),
        ("node_classification", {"edge_inputs": {"item:similar:item": {}}}, "means nothing with model.gnn.type: hops"),
    ],
)
def test_what_is_refused(
    shop_config: Callable[..., Pipeline], task: str, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        shop_config(task, model={**HOPS, **changes})

"""How links are ranked, and what is said of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from gconstruct import build_graph
from graphstorm_like.config import Pipeline, build_pipeline
from graphstorm_like.config.search import ExactSearchConfig, IvfSearchConfig, SearchConfig
from graphstorm_like.errors import DataError
from graphstorm_like.launch.stages import read_scores, run_pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.tasks import Evaluation, LinkPrediction
from graphstorm_like.training.experiment import Experiment, build_experiment
from graphstorm_like.training.trainer import describe

QUIET = Reporter(quiet=True)


def experiment_of(config: Pipeline) -> tuple[Experiment, LinkPrediction]:
    experiment = build_experiment(config, QUIET)
    assert isinstance(experiment.task, LinkPrediction)
    return experiment, experiment.task


def plain_mrr(experiment: Experiment, task: LinkPrediction, exclude_source: bool) -> float:
    """Filtered ranks, in a loop."""
    vectors = experiment.embedder().layer_wise(["item"])["item"]
    source, target = experiment.graph.edges(task.edge_type)
    known: dict[int, set[int]] = {}
    for s, t in zip(source.tolist(), target.tolist(), strict=True):
        known.setdefault(s, set()).add(t)
    with torch.inference_mode():
        scores = (task.queries(vectors) @ task.keys(vectors).T).cpu().numpy()
    found = []
    for row in task.rows("test"):
        s, t = int(source[row]), int(target[row])
        left_out = known[s] - {t} | ({s} if exclude_source else set())
        others = np.delete(scores[s], [*left_out, t])
        found.append(1 / (1 + np.sum(others > scores[s, t]) + 0.5 * np.sum(others == scores[s, t])))
    return float(np.mean(found))


@pytest.mark.parametrize("candidates", ["all", 200])
def test_whether_the_source_competes(shop_config: Callable[..., Pipeline], candidates: str | int) -> None:
    """With cosines of undirected vectors a source is its own nearest neighbour: in the protocol of knowledge graphs
    nothing is ever ranked first."""
    mrr = {}
    for exclude_source in (True, False):
        ranking = {"candidates": candidates, "exclude_source": exclude_source}
        experiment, task = experiment_of(shop_config("link_prediction", task={"ranking": ranking}))
        how = Evaluation("layer_wise", (), 0)
        scores = task.evaluate(experiment.embedder(), "test", how)
        mrr[exclude_source] = scores["mrr"]
        if candidates == "all":
            assert scores["mrr"] == pytest.approx(plain_mrr(experiment, task, exclude_source), rel=1e-5)
            assert (scores["hits@1"] > 0) is exclude_source or scores["hits@1"] == 0
        assert task.protocol["source_excluded"] is exclude_source
        assert task.protocol["candidates"] == candidates
    assert mrr[False] < mrr[True]


@pytest.mark.slow
def test_the_protocol_stands_beside_the_scores(shop_config: Callable[..., Pipeline]) -> None:
    ranking = {"candidates": 20, "exclude_source": False}
    task = {"ranking": ranking, "metrics": ["hits@10", "mrr"], "select_by": "hits@10"}
    config = shop_config("link_prediction", task=task, train={"epochs": 2})
    run_pipeline(config, ["train", "evaluate"], reporter=QUIET)
    output = Path(config.output)
    written = json.loads((output / "evaluate" / "metrics.json").read_text())
    assert written["protocol"]["source_excluded"] is False
    assert written["protocol"]["candidates"] == 20
    best = json.loads((output / "train" / "best" / "metrics.json").read_text())
    assert best["protocol"] == written["protocol"]
    scores = read_scores(config)
    assert set(scores) == {"valid", "test"}
    # Selected by hits@10, the highest.
    lines = [json.loads(line) for line in (output / "train" / "metrics.jsonl").read_text().splitlines()]
    assert best["hits@10"] == max(line["hits@10"] for line in lines if line["kind"] == "valid")


def linked(tmp_path: Path, target: list[int], test: list[int]) -> Pipeline:
    """20 nodes; edges i -> target[i], of which those in `test` are for validation and test alike."""
    split = ["train"] * len(target)
    for place, i in enumerate(test):
        split[i] = ("valid", "test")[place % 2]
    pq.write_table(pa.table({"id": list(range(20)), "x": np.arange(20.0)}), tmp_path / "node.parquet")
    source = [i % 20 for i in range(len(target))]
    pq.write_table(pa.table({"source": source, "target": target, "split": split}), tmp_path / "edge.parquet")
    data = {
        "output": str(tmp_path / "run"),
        "graph": {
            "nodes": {"node": {"files": "node.parquet", "id": "id", "features": {"x": "x"}}},
            "edges": [
                {
                    "source": "node",
                    "relation": "to",
                    "target": "node",
                    "files": "edge.parquet",
                    "split": {"column": "split"},
                }
            ],
        },
        "model": {"gnn": {"type": "rgcn", "hidden": 8}},
        "task": {"type": "link_prediction", "edge_type": "node:to:node", "head": {"type": "dot", "directed": True}},
    }
    pipeline = build_pipeline(data).with_absolute_paths(tmp_path)
    build_graph(pipeline.graph)
    return pipeline


def test_self_loops_alone_are_refused(tmp_path: Path) -> None:
    """Any model ranks a node first for itself: MRR 1.0 that means nothing."""
    pipeline = linked(tmp_path, [*range(1, 20), 0, *range(20)], [20, 21, 22, 23])
    with pytest.raises(DataError, match=r"must have edges between different nodes in split valid \(got only edges"):
        build_experiment(pipeline, QUIET)


def test_some_self_loops_are_named(tmp_path: Path) -> None:
    pipeline = linked(tmp_path, [*range(1, 20), 0, *range(20)], [2, 3, 22, 23])
    experiment = build_experiment(pipeline, QUIET)
    assert "2 of the 4 edges of node:to:node to score lead from a node to itself" in describe(experiment)


@pytest.mark.parametrize("search", [ExactSearchConfig(type="exact"), IvfSearchConfig(type="ivf")])
def test_known_pairs(search: SearchConfig, tmp_path: Path) -> None:
    """Also by an index, which here finds too few for every source: then all targets are compared."""
    pipeline = linked(tmp_path, [*range(1, 20), 0], [2, 3])
    infer = pipeline.infer.model_copy(update={"top_k": 20, "search": search})
    offered = {}
    for known_pairs in ("list", "exclude", "exclude_both_ways"):
        experiment, task = experiment_of(pipeline)
        vectors = experiment.embedder().layer_wise(["node"])
        config = infer.model_copy(update={"known_pairs": known_pairs})
        table = task.predictions(vectors, config, lambda what, done, of: None).table(slice(0, 20)).to_pydict()
        offered[known_pairs] = set(zip(table["source"], table["target"], strict=True))
        assert task.results(config)["known_pairs"] == known_pairs
    edges = {(i, (i + 1) % 20) for i in range(20)}
    everything = {(a, b) for a in range(20) for b in range(20) if a != b}
    assert offered["list"] == everything
    assert offered["exclude"] == everything - edges
    assert offered["exclude_both_ways"] == everything - edges - {(b, a) for a, b in edges}

"""Features of edges found from both ends: the loss by hand, no message of the edge itself, ranks, what is learnt."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from graphstorm_like.config import Pipeline, build_pipeline
from graphstorm_like.errors import ConfigError
from graphstorm_like.launch.stages import run_pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.sampling.batch import StreamPosition
from graphstorm_like.sampling.seeds import RankSlice
from graphstorm_like.tasks.edge_feature_reconstruction import EdgeFeatureReconstruction, ReconstructionTargets
from graphstorm_like.training.experiment import Experiment, build_experiment

QUIET = Reporter(quiet=True)
SIMILAR = ("item", "similar", "item")
TASK: dict[str, Any] = {"type": "edge_feature_reconstruction", "edge_types": ["item:similar:item"]}


def opened(make: Callable[..., Pipeline], **changes: Any) -> tuple[Experiment, EdgeFeatureReconstruction]:
    data = make().model_dump(mode="json", exclude_unset=True)
    data["train"]["evaluate_every"] = None
    experiment = build_experiment(build_pipeline(data | {"task": TASK | changes}), QUIET)
    assert isinstance(experiment.task, EdgeFeatureReconstruction)
    return experiment, experiment.task


@pytest.mark.known_answer("tasks/edge_feature_reconstruction")
def test_the_loss_by_hand(shop_config: Callable[..., Pipeline]) -> None:
    """Squares of standardised differences; the weight is the number of edges."""
    experiment, task = opened(shop_config, head_layers=1)
    stream = task.stream(16, 0)
    ids = stream.step_ids(stream.epoch_order(0), 0)
    batch = experiment.learner.batches().make(ids, StreamPosition(0, 0))
    assert isinstance(batch.targets, ReconstructionTargets)
    edges = batch.targets.edges[SIMILAR]
    vectors = torch.randn(len(batch.seeds["item"]), 16)
    total, weight = task.loss({"item": vectors}, batch)
    every = np.array(experiment.graph.gather(SIMILAR, "weight", task.rows("train")))[:, 0]
    source, target = experiment.graph.edges(SIMILAR, ids)
    assert batch.seeds["item"][edges.sources].tolist() == source.tolist()
    assert batch.seeds["item"][edges.targets].tolist() == target.tolist()
    linear, want = task.decoders[0].stack[0], 0.0  # type: ignore[union-attr,index]
    for i, number in enumerate(ids.tolist()):
        s, t = vectors[edges.sources[i]], vectors[edges.targets[i]]
        found = (torch.cat([s, t, s * t]) * linear.weight[0]).sum() + linear.bias[0]  # type: ignore[union-attr,index]
        want += ((every[number] - every.mean()) / every.std() - found.item()) ** 2
    assert total.item() == pytest.approx(want, rel=1e-4)
    assert weight == 16


def test_gradients(shop_config: Callable[..., Pipeline]) -> None:
    experiment, task = opened(shop_config, loss="mse")
    batch = task.seeder(0)(task.rows("train")[:5], StreamPosition(0, 0))
    task.double()
    leaf = torch.randn(len(batch.seeds["item"]), 16, dtype=torch.float64, requires_grad=True)
    total, _ = task.loss({"item": leaf}, batch)
    (gradient,) = torch.autograd.grad(total, leaf)
    step = torch.zeros_like(leaf)
    step[1, 3] = 1e-3  # losses are float32: a coarse difference
    with torch.no_grad():
        higher, lower = (task.loss({"item": leaf + sign * step}, batch)[0] for sign in (1, -1))
    assert float(higher - lower) / 2e-3 == pytest.approx(float(gradient[1, 3]), rel=0.05, abs=1e-2)


def test_edges_to_find_send_no_messages(shop_config: Callable[..., Pipeline]) -> None:
    experiment, task = opened(shop_config)
    ids = task.rows("train")[:40]
    source, target = experiment.graph.edges(SIMILAR, ids)
    pairs = set(zip(source.tolist(), target.tolist(), strict=True))
    batch = experiment.learner.batches().make(ids, StreamPosition(0, 0))
    seen = 0
    for block in batch.blocks:
        for edge_type, relation in block.relations.items():
            if edge_type not in (SIMILAR, experiment.graph.manifest.edge(SIMILAR).reverse):
                continue
            ends = [end.tolist() for end in experiment.graph.edges(edge_type, relation.edge_ids.numpy())]
            found = set(zip(*(ends if edge_type == SIMILAR else ends[::-1]), strict=True))
            assert not found & pairs
            seen += len(found)
    assert seen > 0


def test_ranks_share_a_step(shop_config: Callable[..., Pipeline]) -> None:
    experiment, task = opened(shop_config)
    ids, found = task.rows("train")[:11], []
    for rank in range(2):
        batch = task.seeder(0, RankSlice(rank, 2))(ids, StreamPosition(0, 0))
        assert isinstance(batch.targets, ReconstructionTargets)
        found.append(batch.targets.edges[SIMILAR].features)
        assert len(batch.asked[SIMILAR][0]) == 11
    torch.testing.assert_close(
        torch.cat(found), torch.from_numpy(np.array(experiment.graph.gather(SIMILAR, "weight", ids)))
    )


def test_differences_are_learnt(tmp_path: Path) -> None:
    """Of two types in turn: the feature is the difference of both ends' own, and its opposite."""
    rng = np.random.default_rng(0)
    size = rng.normal(size=80)
    pq.write_table(pa.table({"id": list(range(80)), "size": size}), tmp_path / "a.parquet")
    edges = []
    for relation, sign in (("r", 1.0), ("q", -1.0)):
        source, target = rng.integers(80, size=(2, 300))
        gap = sign * (size[target] - size[source])
        table = pa.table({"source": source, "target": target, "gap": gap})
        pq.write_table(table, tmp_path / f"{relation}.parquet")
        edge = {"source": "a", "relation": relation, "target": "a", "files": f"{relation}.parquet"}
        edges.append(edge | {"features": {"gap": "gap"}})
    data = {
        "output": str(tmp_path / "run"),
        "graph": {
            "base": str(tmp_path),
            "nodes": {"a": {"files": "a.parquet", "id": "id", "features": {"size": "size"}}},
            "edges": edges,
        },
        "model": {"gnn": {"type": "none", "hidden": 16}},
        "task": {"type": "edge_feature_reconstruction", "edge_types": ["a:r:a", "a:q:a"]},
        "train": {"epochs": 4, "batch_size": 16, "lr": 0.02, "evaluate_every": None},
        "launch": {"threads": 1},
    }
    run_pipeline(build_pipeline(data), ["construct", "train", "infer"], reporter=QUIET)
    lines = map(json.loads, (tmp_path / "run/train/metrics.jsonl").read_text().splitlines())
    losses = [line["loss"] for line in lines if line["kind"] == "epoch"]
    assert losses[-1] < 0.3 < losses[0]
    assert pq.read_table(tmp_path / "run/infer/embeddings/a").num_rows == 80


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"edge_types": ["user:buys:item"]}, r"edge_types\[0\]: must be an edge type with features"),
        ({"edge_types": ["item:similar:item"] * 2}, r"edge_types\[1\]: must stand in the list once"),
        ({"features": ["wight"]}, r"features\[0\].*unknown feature 'wight'"),
    ],
)
def test_what_is_refused(shop_config: Callable[..., Pipeline], changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        opened(shop_config, **changes)

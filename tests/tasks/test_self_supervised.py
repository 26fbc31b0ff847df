"""Learning from the graph alone: known answers, that nothing of a masked node is left, resume, warm start."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import torch.nn.functional as F

import gconstruct.features
from graphstorm_like.config import Pipeline, build_pipeline
from graphstorm_like.config.tasks.edge_feature_reconstruction import EdgeFeatureReconstructionConfig
from graphstorm_like.errors import ConfigError
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.schema import FeatureSchema
from graphstorm_like.graph.sparse import SparseRows
from graphstorm_like.graph.store import Block, Relation
from graphstorm_like.inputs.choose import unread_edge_types
from graphstorm_like.launch.stages import run_pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.sampling.batch import MiniBatch, StreamPosition
from graphstorm_like.tasks.feature_reconstruction import FeatureReconstruction, moments_to_find, without_rows
from graphstorm_like.tasks.graph_bootstrap import GraphBootstrap, SlowWeights, missed
from graphstorm_like.tasks.graph_contrast import contrast, without_columns, without_edges
from graphstorm_like.training.experiment import Experiment, build_experiment
from graphstorm_like.training.start import start_from
from graphstorm_like.training.trainer import Trainer, describe

QUIET = Reporter(quiet=True)
Make = Callable[..., Pipeline]
TASKS: dict[str, dict[str, Any]] = {
    "reconstruct": {"type": "feature_reconstruction", "of_types": ["item"]},
    "mse": {"type": "feature_reconstruction", "of_types": ["item"], "loss": "mse", "mask": 0.3},
    "contrast": {"type": "graph_contrast", "of_types": ["item", "user"]},
    "bootstrap": {"type": "graph_bootstrap", "of_types": ["item", "user"], "decay": 0.9},
    "edges": {"type": "edge_feature_reconstruction", "edge_types": ["item:similar:item"]},
}


def config_of(make: Make, name: str, **train: Any) -> Pipeline:
    data = make().model_dump(mode="json", exclude_unset=True)
    data["train"] |= {"evaluate_every": None, "epochs": 2} | train
    return build_pipeline(data | {"task": TASKS[name]})


def batch_of(experiment: Experiment) -> MiniBatch:
    stream = experiment.task.stream(64, 0)
    made = experiment.learner.batches().make(stream.step_ids(stream.epoch_order(0), 0), StreamPosition(0, 0))
    return experiment.learner.embeddings.put_into(made)[0]


@pytest.mark.known_answer("tasks/graph_contrast")
def test_contrast_of_two_nodes() -> None:
    """Equal views of two orthogonal nodes at temperature 1: of e (the pair), 1 (the other in the other view) and 1 (in
    its own)."""
    views = torch.eye(2) * 3.0
    answer = 2 * (math.log(math.e + 2.0) - 1.0)
    torch.testing.assert_close(contrast(views, views, 1.0), torch.tensor(answer))
    draw = torch.Generator().manual_seed(0)
    rows = [torch.randn(4, 3, generator=draw, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    assert torch.autograd.gradcheck(lambda u, v: contrast(u, v, 0.5), tuple(rows))


def test_dropped_edges_leave_whole_rows() -> None:
    """Row 7 has the edges 0, 1; row 9 the edge 2."""
    edges = torch.tensor([5, 6, 4])
    relation = Relation(torch.tensor([7, 9]), torch.tensor([0, 2, 3]), torch.tensor([1, 0, 2]), edges, {"w": edges})
    block = Block({"a": 10}, {"a": 10}, {("a", "r", "a"): relation})
    seen: set[tuple[int, ...]] = set()
    for seed in range(40):
        left = without_edges(block, 0.5, torch.Generator().manual_seed(seed)).relations.get(("a", "r", "a"))
        if left is None:
            seen.add(())
            continue
        assert torch.equal(left.inputs["w"], left.edge_ids)
        owner = {5: 7, 6: 7, 4: 9}
        rows = torch.repeat_interleave(left.rows, left.offsets.diff())
        assert [owner[edge] for edge in left.edge_ids.tolist()] == rows.tolist()
        assert bool((left.offsets.diff() > 0).all())
        seen.add(tuple(left.edge_ids.tolist()))
    assert len(seen) == 8
    kept = without_columns(torch.ones(3, 100), 0.3, torch.Generator().manual_seed(0))
    assert torch.equal(kept[0], kept[2])
    assert 55 < int(kept[0].sum()) < 85


def test_nothing_of_a_masked_node_is_left(shop_config: Make) -> None:
    """Its inputs are those of any other masked node, and depend on its features only through the batch's mean."""
    experiment = build_experiment(config_of(shop_config, "reconstruct"), QUIET)
    task, batch = experiment.task, batch_of(experiment)
    assert isinstance(task, FeatureReconstruction)
    (at,) = task._masked(batch).values()
    assert len(at) == round(0.5 * len(batch.seeds["item"]))
    (view,) = task.views(batch)
    for name, rows in view.features["item"].items():
        torch.testing.assert_close(rows[at], rows[at[:1]].expand(len(at), -1))
        others = np.setdiff1d(np.arange(len(rows)), at.numpy())
        assert torch.equal(rows[others], batch.features["item"][name][others])
    changed = {name: rows.clone() for name, rows in batch.features["item"].items()}
    one, two = at[0], at[1]
    for rows in changed.values():
        swapped = rows[[two.item(), one.item()]].clone()
        with torch.no_grad():
            rows[one], rows[two] = swapped[0], swapped[1]
    (other,) = task.views(batch.replace(features={**batch.features, "item": changed}))
    assert all(torch.allclose(rows, other.features["item"][name]) for name, rows in view.features["item"].items())


def test_text_vectors_are_masked_under_autocast(shop_config: Make) -> None:
    """They are float16, which is not what CPUs compute in."""
    experiment = build_experiment(config_of(shop_config, "reconstruct"), QUIET)
    task, batch = experiment.task, batch_of(experiment)
    vectors = torch.arange(len(next(iter(batch.features["item"].values())))).half()[:, None].requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        (view,) = task.views(batch.replace(features={**batch.features, "item": {"text": vectors}}))
    rows = view.features["item"]["text"]
    left = rows == vectors
    assert rows.dtype == torch.float16
    assert 0 < int(left.sum()) < len(rows)
    torch.testing.assert_close(rows[~left], vectors.float().mean().half().expand(int((~left).sum())))
    rows.sum().backward()
    assert vectors.grad is not None


def test_sparse_inputs_lose_entries() -> None:
    """Rows of a masked node have none; dropped columns have none in any row."""
    dense = torch.tensor([[1.0, 0.0, 2.0], [0.0, 0.0, 0.0], [0.0, 3.0, 4.0]])
    offsets, indices = torch.tensor([0, 2, 2, 4]), torch.tensor([0, 2, 1, 2])
    rows = SparseRows(offsets, indices, torch.tensor([1.0, 2.0, 3.0, 4.0]), 3)
    without = dense.clone()
    without[0] = 0.0
    assert np.asarray(without_rows(rows, torch.tensor([0, 1]))).tolist() == without.tolist()
    for seed in range(5):
        want = without_columns(dense, 0.5, torch.Generator().manual_seed(seed))
        found = without_columns(rows, 0.5, torch.Generator().manual_seed(seed))
        assert np.asarray(found).tolist() == np.asarray(want).tolist()


@pytest.mark.parametrize("name", ["reconstruct", "contrast"])
def test_runs_on_sparse_inputs(
    shop: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """And on a node type with one node, whose features do not vary."""
    monkeypatch.setattr(gconstruct.features, "SPARSE_WIDTH", 2)
    tables = tmp_path / "tables"
    tables.mkdir()
    items = [f"i{number}" for number in range(30)]
    kinds = [f"k{number % 7}" for number in range(30)]
    pq.write_table(pa.table({"id": items, "kind": kinds}), tables / "item.parquet")
    pq.write_table(pa.table({"id": ["only"], "size": [3.0]}), tables / "shop.parquet")
    pq.write_table(pa.table({"source": items, "target": ["only"] * 30}), tables / "in.parquet")
    nodes = {
        "item": {"files": "item.parquet", "id": "id", "features": {"kind": {"column": "kind", "encode": "one_hot"}}},
        "shop": {"files": "shop.parquet", "id": "id", "features": {"size": "size"}},
    }
    task = {"type": {"reconstruct": "feature_reconstruction", "contrast": "graph_contrast"}[name]}
    data = {
        "output": str(tmp_path / "run"),
        "graph": {
            "base": str(tables),
            "nodes": nodes,
            "edges": [{"source": "item", "relation": "in", "target": "shop", "files": "in.parquet"}],
        },
        "model": {"gnn": {"type": "sage", "hidden": 8}},
        "task": task | {"of_types": ["item", "shop"]},
        "train": {"epochs": 2, "batch_size": 16, "evaluate_every": None},
    }
    pipeline = build_pipeline(data).with_absolute_paths(tmp_path)
    run_pipeline(pipeline, ["construct", "train", "infer"], reporter=QUIET)
    assert LocalGraph(tmp_path / "run/graph").manifest.node("item").features["kind"].sparse
    assert pq.read_table(tmp_path / "run/infer/embeddings/shop").num_rows == 1


@pytest.mark.known_answer("tasks/feature_reconstruction")
def test_the_distance_of_features(shop_config: Make) -> None:
    goal = torch.tensor([[3.0, 4.0], [1.0, 0.0]])
    found = torch.tensor([[6.0, 8.0], [0.0, 1.0]])
    cosine = build_experiment(config_of(shop_config, "reconstruct"), QUIET).task
    squares = build_experiment(config_of(shop_config, "mse"), QUIET).task
    assert isinstance(cosine, FeatureReconstruction)
    assert isinstance(squares, FeatureReconstruction)
    torch.testing.assert_close(cosine._distance(found, goal), torch.tensor([0.0, 1.0]), atol=1e-6, rtol=0.0)
    torch.testing.assert_close(squares._distance(found, goal), torch.tensor([12.5, 1.0]))
    draw = torch.Generator().manual_seed(0)
    leaf = torch.randn(3, 4, generator=draw, dtype=torch.float64, requires_grad=True)
    aim = torch.randn(3, 4, generator=draw, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda rows: cosine._distance(rows, aim), (leaf,))
    assert torch.allclose(1 - F.cosine_similarity(leaf, aim), cosine._distance(leaf, aim).sqrt())


def test_rare_columns_to_find_do_not_outweigh_others() -> None:
    """Terms have the model's magnitude, of which no row is read; a category that no sampled row has a floor."""
    rows = np.repeat([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], 5, axis=0).astype(np.float32)

    def gather(row_type: str, name: str, ids: np.ndarray) -> np.ndarray:
        assert name == "kind"
        return rows[ids]

    terms = FeatureSchema(width=2, sparse=True, fitted={"encode": "words", "texts": 4, "rows_of_terms": [9, 7]})
    features = {"kind": FeatureSchema(width=3), "terms": terms}
    manifest = SimpleNamespace(node=lambda name: SimpleNamespace(features=features))
    graph: Any = SimpleNamespace(manifest=manifest, gather=gather)
    mean, deviation = moments_to_find(graph, "item", list(features), 10)
    torch.testing.assert_close(mean, torch.tensor([0.5, 0.5, 0.0, 0.0, 0.0]))
    torch.testing.assert_close(deviation, torch.tensor([0.5, 0.5, 1 / 30, 0.5, 0.5]))


@pytest.mark.parametrize("name", ["reconstruct", "contrast", "edges", "bootstrap"])
def test_weights_for_another_task(shop_config: Make, tmp_path: Path, name: str) -> None:
    """The loss falls; a run that was interrupted ends with the same bits; its inputs and layers start a classifier."""

    def run(folder: str, stop: bool = False) -> Trainer:
        trainer = Trainer(
            build_experiment(config_of(shop_config, name, batch_size=64), QUIET), tmp_path / folder, QUIET
        )
        save = trainer.save

        def saved(to_disk: bool = True) -> None:
            save(to_disk)
            if stop:
                raise KeyboardInterrupt

        trainer.save = saved  # type: ignore[method-assign]
        trainer.train()
        return trainer

    with pytest.raises(KeyboardInterrupt):
        run("run/train", stop=True)
    resumed, whole = run("run/train"), run("whole/train")
    weights = resumed.learner.trained.state_dict()
    assert all(torch.equal(rows, weights[key]) for key, rows in whole.learner.trained.state_dict().items())
    lines = (tmp_path / "whole/train/metrics.jsonl").read_text(encoding="utf-8").splitlines()
    losses = [float(line.split('"loss": ')[1].split(",")[0]) for line in lines if '"kind": "epoch"' in line]
    assert losses[1] < losses[0]
    settings = {"start_from": {"run": str(tmp_path / "run"), "parts": ["inputs", "gnn"]}}
    classifier = build_experiment(shop_config(train=settings), QUIET)
    assert classifier.pipeline.train.start_from is not None
    start_from(classifier.pipeline.train.start_from, classifier.artifacts)
    started = classifier.learner.trained.state_dict()
    assert all(torch.equal(started[key], rows) for key, rows in weights.items() if key.startswith("model."))


@pytest.mark.known_answer("tasks/graph_bootstrap")
def test_slow_weights_follow_and_are_found(shop_config: Make) -> None:
    """Before the first step they are the model's; then .9 of them and .1 of it. The loss: cosines of predicted vectors
    with those that they give, of the other view."""
    experiment = build_experiment(config_of(shop_config, "bootstrap"), QUIET)
    task, batch, model = experiment.task, batch_of(experiment), experiment.model
    assert isinstance(task, GraphBootstrap)
    slow = task.training_state
    assert isinstance(slow, SlowWeights)
    assert not list(slow.parameters())  # nothing of them is given to the optimizer
    name, weights = next(iter(model.named_parameters()))
    with torch.no_grad():
        weights.add_(1.0)  # as by a warm start
    vectors = [model(view) for view in task.views(batch)]
    task.loss_of_views(vectors, batch)
    torch.testing.assert_close(slow.by_name()[name], weights.detach())
    before = weights.detach().clone()
    with torch.no_grad():
        weights.add_(2.0)
    with task.quiet():
        task.loss_of_views(vectors, batch)
    torch.testing.assert_close(slow.by_name()[name], before)
    task.stepped()
    total, count = task.loss_of_views(vectors, batch)
    torch.testing.assert_close(slow.by_name()[name], before + 0.2)
    assert int(slow.get_buffer("steps")) == 2
    kept, want = weights.detach().clone(), 0.0
    with torch.no_grad():
        for parameter, found in zip(model.parameters(), slow.by_name().values(), strict=True):
            parameter.copy_(found)
        model.eval()
        goals = [model(view) for view in task.views(batch)]
        model.train()
        for node_type in batch.seeds:
            for own, goal in ((0, 1), (1, 0)):
                predicted = task.predictor(vectors[own][node_type])
                want += float((1 - F.cosine_similarity(predicted, goals[goal][node_type])).sum())
    assert not torch.equal(kept, weights)
    assert total.item() == pytest.approx(want, rel=1e-4)
    assert count == sum(map(len, batch.seeds.values()))
    draw = torch.Generator().manual_seed(0)
    leaf, aim = (torch.randn(3, 4, generator=draw, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(lambda rows: missed(rows, aim.detach()), (leaf,))


def test_slow_weights_follow_once_an_optimizer_step(shop_config: Make, tmp_path: Path) -> None:
    """Two half batches a step are as one whole, where nothing is drawn at random; a run that is resumed between steps
    of an epoch ends with the same bits."""

    def made(folder: str, halves: int) -> Trainer:
        settings = {"batch_size": 64 // halves, "accumulate": halves, "fanouts": [-1, -1], "optimizer": {"type": "sgd"}}
        config = config_of(shop_config, "bootstrap", **settings, checkpoint={"every_steps": 3})
        data = config.model_dump(mode="json", exclude_unset=True)
        data["model"]["gnn"]["dropout"] = 0.0
        data["task"] |= {"drop_edges": [0.0, 0.0], "drop_features": [0.0, 0.0]}
        return Trainer(build_experiment(build_pipeline(data), QUIET), tmp_path / folder, QUIET)

    def slow_weights(trainer: Trainer) -> dict[str, torch.Tensor]:
        trainer.train()
        slow = trainer.task.training_state
        assert isinstance(slow, SlowWeights)
        assert int(slow.get_buffer("steps")) == trainer.state.updates
        return slow.by_name()

    halves = slow_weights(made("halves", 2))
    torch.testing.assert_close(halves, slow_weights(made("whole", 1)))
    killed = made("killed", 2)
    save = killed.save

    def saved(to_disk: bool = True) -> None:
        save(to_disk)
        raise KeyboardInterrupt

    killed.save = saved  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        killed.train()
    assert killed.state.step == 6
    resumed = slow_weights(made("killed", 2))
    assert all(torch.equal(rows, halves[name]) for name, rows in resumed.items())


def test_bootstrapped_vectors_do_not_collapse(shop_config: Make, tmp_path: Path) -> None:
    """No negatives hold them apart: still they differ from node to node after training."""
    config = config_of(shop_config, "bootstrap", epochs=8, batch_size=64)
    experiment = build_experiment(config, QUIET)
    Trainer(experiment, tmp_path / "train", QUIET).train()
    vectors = torch.from_numpy(np.array(experiment.embedder().layer_wise(["item"])["item"])).float()
    cosines = F.cosine_similarity(vectors[:60, None], vectors[None, :60], dim=2)
    assert float(cosines.mean()) < 0.98
    centred = vectors - vectors.mean(dim=0)
    strength = torch.linalg.svdvals(centred)
    assert int((strength > 0.05 * strength[0]).sum()) > 2


def test_features_to_find_are_read(shop_config: Make) -> None:
    """Those of an edge type and of its reverse; others still go unread, and so do they for another task."""
    assert "no model reads those of item:similar:item" in describe(
        build_experiment(config_of(shop_config, "contrast"), QUIET)
    )
    found = build_experiment(config_of(shop_config, "edges"), QUIET)
    assert "no model reads" not in describe(found)
    task, similar = found.pipeline.task, ("item", "similar", "item")
    assert isinstance(task, EdgeFeatureReconstructionConfig)
    assert task.sought_features() == {similar: None}
    assert task.model_copy(update={"features": ["weight"]}).sought_features() == {similar: ["weight"]}
    names = ["item:similar:item", "item:similar_rev:item"]
    for sought, unread in ((["weight"], []), (["other"], names), (None, [])):
        got = unread_edge_types(found.pipeline.model, found.graph.manifest, sought={similar: sought})
        assert got == unread


def test_what_these_tasks_need(shop_config: Make) -> None:
    data = config_of(shop_config, "contrast").model_dump(mode="json", exclude_unset=True)
    with pytest.raises(ConfigError, match=r"task\.type: must be trained without validation"):
        build_pipeline(data | {"train": data["train"] | {"evaluate_every": 1}})
    with pytest.raises(ConfigError, match=r"task\.of_types\[1\]: unknown node type 'usr'"):
        build_pipeline(data | {"task": TASKS["contrast"] | {"of_types": ["item", "usr"]}})
    with pytest.raises(ConfigError, match=r"task\.of_types\[1\]: must stand in the list once \(got 'item' again\)"):
        build_pipeline(data | {"task": TASKS["contrast"] | {"of_types": ["item", "item"]}})

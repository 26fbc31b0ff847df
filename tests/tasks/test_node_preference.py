"""Preferences within groups: the loss's known answer and gradients, groups, shares of ranks, and a biased scorer."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from gconstruct import build_graph
from graphstorm_like.config import Pipeline, build_pipeline
from graphstorm_like.deploy.pack import pack
from graphstorm_like.errors import ConfigError
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.launch.stages import run_pipeline
from graphstorm_like.models.preference import IntraGroupPairwise
from graphstorm_like.progress import Reporter
from graphstorm_like.sampling.batch import StreamPosition
from graphstorm_like.sampling.groups import GroupTargets, pairs_of
from graphstorm_like.sampling.seeds import RankSlice
from graphstorm_like.tasks import build_task
from graphstorm_like.tasks.node_preference import NodePreference, between_groups
from graphstorm_like.training.experiment import build_experiment
from graphstorm_like.training.trainer import Trainer

Make = Callable[..., Pipeline]


def test_the_loss_is_the_missing_part_of_the_margin() -> None:
    """Scores .9 and .4, probabilities .6 and .5: a margin of .5, of which .1 is there. A gap below min_gap is none."""
    scores = torch.tensor([[0.9, 0.10], [0.4, 0.12]])
    probabilities = torch.tensor([[0.6, 0.4], [0.5, 0.5]])
    first, second = torch.tensor([0]), torch.tensor([1])
    adaptive = IntraGroupPairwise(None, 0.05)
    torch.testing.assert_close(adaptive(probabilities, scores, first, second), torch.tensor([0.4]))
    torch.testing.assert_close(adaptive(probabilities, scores, second, first), torch.tensor([0.4]))
    torch.testing.assert_close(IntraGroupPairwise(0.3, 0.05)(probabilities, scores, first, second), torch.tensor([0.2]))
    shifted = scores + torch.tensor([0.1, -0.05])  # what a group has in common
    torch.testing.assert_close(adaptive(probabilities, shifted, first, second), torch.tensor([0.4]))


def test_gradients_of_the_loss() -> None:
    draw = torch.Generator().manual_seed(0)
    scores = torch.rand(6, 3, generator=draw, dtype=torch.float64)
    outputs = torch.randn(6, 3, generator=draw, dtype=torch.float64, requires_grad=True)
    first, second, _ = pairs_of([4, 2])
    pairs = torch.from_numpy(first), torch.from_numpy(second)

    def loss(logits: torch.Tensor) -> torch.Tensor:
        return IntraGroupPairwise(None, 0.05)(logits.softmax(1), scores, *pairs)

    assert torch.autograd.gradcheck(loss, (outputs,))


def test_pairs_are_within_groups_and_groups_count_by_their_members() -> None:
    first, second, weights = pairs_of([3, 2])
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == [(0, 1), (0, 2), (1, 2), (3, 4)]
    np.testing.assert_allclose(weights, [1.0, 1.0, 1.0, 2.0])
    assert [len(part) for part in pairs_of([])] == [0, 0, 0]


def test_the_part_of_errors_between_groups() -> None:
    rng, groups = np.random.default_rng(0), np.repeat(np.arange(400), 4)
    alone, common = rng.normal(size=(1600, 2)), rng.normal(size=(400, 2))[groups]
    assert between_groups(alone, groups) < 0.06
    assert between_groups(common, groups) == pytest.approx(1.0)
    assert between_groups(alone + common, groups) == pytest.approx(0.5, abs=0.08)


def sessions(folder: Path, bias: float, seed: int = 0) -> None:
    """120 sessions of 6: x says the class, z is the session's; the score is that of x, moved by the bias times z."""
    rng = np.random.default_rng(seed)
    session = np.repeat(np.arange(120), 6)
    z = rng.normal(size=120)[session]
    x = rng.normal(size=(len(session), 4))
    logit = 3.0 * (x[:, 0] + x[:, 1])
    score = 1.0 / (1.0 + np.exp(-(logit + bias * z)))
    columns: dict[str, Any] = {f"x{i}": x[:, i] for i in range(4)} | {"z": z}
    named = np.array(["no", "yes"])[(logit > 0).astype(int)]
    part = np.full(len(session), "test", dtype=object)
    part[rng.choice(len(session), 24, replace=False)] = "train"
    part[rng.choice(np.flatnonzero(part == "test"), 60, replace=False)] = "valid"
    table = {
        "id": [f"u{i}" for i in range(len(session))],
        "yes": score,
        "session": [f"s{s}" for s in session],
        "kind": named,
        "split": part.tolist(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(table | columns), folder / "utterance.parquet")
    ends = pa.table({"source": table["id"], "target": table["session"]})
    pq.write_table(ends, folder / "in.parquet")


def pipeline(folder: Path, bias: float, **task: Any) -> Pipeline:
    sessions(folder / "tables", bias)
    label = {"split": {"train": 1.0, "valid": 0.0, "test": 0.0}}
    labels = {
        "kind": {"column": "kind", "split": {"column": "split"}},
        "yes": {"column": "yes", "kind": "number", **label},
        "session": {"column": "session", **label},
    }
    features = [f"x{i}" for i in range(4)] + ["z"]
    node = {"files": "utterance.parquet", "id": "id", "features": {n: n for n in features}, "labels": labels}
    edge = {"source": "utterance", "relation": "in", "target": "session", "files": "in.parquet"}
    edge |= {"source_id": "source", "target_id": "target"}
    chosen = {"type": "node_preference", "node_type": "utterance", "label": "kind", "scores": {"yes": ["yes"]}}
    data = {
        "output": str(folder / "run"),
        "graph": {"base": str(folder / "tables"), "nodes": {"utterance": node, "session": None}, "edges": [edge]},
        "model": {"gnn": {"type": "none", "layers": 0, "hidden": 8}},
        "task": chosen | {"group_by": "utterance:in:session"} | task,
        "train": {"epochs": 10, "batch_size": 128, "lr": 0.03, "early_stop": None, "evaluate_every": None},
    }
    made = build_pipeline(data).with_absolute_paths(folder)
    build_graph(made.graph)
    return made


@pytest.fixture(scope="module")
def biased(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    return pipeline(tmp_path_factory.mktemp("sessions"), bias=6.0)


def task_of(made: Pipeline, **changes: Any) -> NodePreference:
    assert made.graph.path is not None
    task = build_task(made.task.model_copy(update=changes), LocalGraph(made.graph.path), 8)
    assert isinstance(task, NodePreference)
    return task


def test_groups_of_a_column_are_those_of_edges(biased: Pipeline) -> None:
    by_edge, by_label = task_of(biased), task_of(biased, group_by="session")
    assert len(by_edge.starts) - 1 == 120
    assert by_edge.alone == 0

    def groups(task: NodePreference) -> set[tuple[int, ...]]:
        return {tuple(part.tolist()) for part in np.split(task.members, task.starts[1:-1])}

    assert groups(by_edge) == groups(by_label)
    rows = by_edge.rows("train")
    yes = by_edge.target.classes.index("yes")
    np.testing.assert_array_equal(by_edge.scores[rows, 0], by_edge.labels[rows] == yes)
    first, second = list(by_edge.notes())[-2:]
    assert first.startswith("120 groups with 720 nodes that have scores; 0 nodes alone")
    assert second.startswith("scores agree with ")


@pytest.mark.known_answer("tasks/node_preference")
def test_the_loss_of_a_step_by_hand(biased: Pipeline) -> None:
    """Ten groups of four: of their pairs, six of which count as four members, and of the labels."""
    task = task_of(biased, most_members=4)
    vectors = torch.randn(task.graph.manifest.node("utterance").count, 8, generator=torch.Generator().manual_seed(0))
    batch = task.seeder(0)(np.arange(10), StreamPosition(1, 2))
    targets = batch.targets
    assert isinstance(targets, GroupTargets)
    rows = vectors[batch.seeds["utterance"]]
    loss, weight = task.loss({"utterance": rows}, batch)
    yes = list(task.target.classes).index("yes")
    with torch.no_grad():
        log = task.head(rows).log_softmax(dim=1)
    chance = log[targets.members, yes].exp().view(10, 4).tolist()
    total = 0.0
    for chances, scores in zip(chance, targets.scores.view(10, 4).tolist(), strict=True):
        for i, j in itertools.combinations(range(4), 2):
            gap = scores[i] - scores[j]
            ahead = math.copysign(1.0, gap) * (chances[i] - chances[j])
            total += 4 / 6 * (max(0.0, abs(gap) - ahead) if abs(gap) > 0.05 else 0.0)
    of_labels = -log[targets.labelled].gather(1, targets.labels.long()[:, None]).sum().item()
    assert (weight, len(targets.labelled) > 0) == (40.0, True)
    assert loss.item() == pytest.approx(total + targets.factor * of_labels, rel=1e-4)


def test_ranks_share_a_step(biased: Pipeline) -> None:
    """Losses and weights of three ranks sum to those of one; so do their members and labelled rows."""
    task = task_of(biased, most_members=4)
    vectors = torch.randn(task.graph.manifest.node("utterance").count, 8, generator=torch.Generator().manual_seed(0))
    for ids in (np.arange(10), np.arange(2)):
        totals = []
        for size in (1, 3):
            found = []
            for rank in range(size):
                batch = task.seeder(0, RankSlice(rank, size))(ids, StreamPosition(1, 2))
                assert isinstance(batch.targets, GroupTargets)
                loss, weight = task.loss({"utterance": vectors[batch.seeds["utterance"]]}, batch)
                found.append([loss.item() * batch.weight, weight * batch.weight])
            totals.append(np.sum(found, axis=0))
        np.testing.assert_allclose(totals[1], totals[0], rtol=1e-5)
        assert totals[0][1] == 4 * len(ids)


def accuracy(made: Pipeline, folder: Path) -> float:
    experiment = build_experiment(made, Reporter(quiet=True))
    Trainer(experiment, folder, Reporter(quiet=True)).train()
    how = experiment.task.evaluation(made.train.fanouts, 0)
    return experiment.task.evaluate(experiment.embedder(), "test", how)["accuracy"]


def test_a_bias_of_groups_does_not_reach_the_model(biased: Pipeline, tmp_path: Path) -> None:
    """Pairs of the same nodes in groups that cross sessions learn the bias."""
    within = accuracy(biased, tmp_path / "within")
    mixed = biased.task.model_copy(update={"preference_weight": 1e-6})
    labels_alone = accuracy(biased.model_copy(update={"task": mixed}), tmp_path / "labels")
    assert within > 0.9
    assert within > labels_alone + 0.02


@pytest.mark.parametrize("by_edges", [True, False])
def test_it_is_packed(biased: Pipeline, tmp_path: Path, by_edges: bool) -> None:
    """With the labels and edges that its configuration names, also where the model reads no edges."""
    changed = biased.model_dump(mode="json", exclude_unset=True)
    if not by_edges:
        changed["task"]["group_by"] = "session"
    changed |= {"output": str(tmp_path / "run"), "cache": str(tmp_path / "cache"), "report": False}
    changed["train"] |= {"epochs": 1}
    made = build_pipeline(changed)
    run_pipeline(made, ["train"], reporter=Reporter(quiet=True))
    assert pack(made.output, tmp_path / "model").is_dir()


def test_what_the_task_needs(biased: Pipeline, shop_config: Make) -> None:
    settings = biased.model_dump(mode="json", exclude_unset=True)

    def changed(**task: Any) -> Pipeline:
        return build_pipeline(settings | {"task": settings["task"] | task})

    with pytest.raises(
        ConfigError, match=r"task\.scores\.yes: must be a label of kind number \(got 'kind' of kind cla"
    ):
        changed(scores={"yes": ["kind"]})
    with pytest.raises(ConfigError, match=r"task\.group_by: unknown label 'sesion'.*Did you mean 'session'"):
        changed(group_by="sesion")
    with pytest.raises(ConfigError, match=r"task\.group_by: must be a label of kind class \(got 'yes' of kind number"):
        changed(group_by="yes")
    with pytest.raises(ConfigError, match=r"task\.group_by: unknown edge type 'utterance:of:session'"):
        changed(group_by="utterance:of:session")
    with pytest.raises(ConfigError, match=r"task\.snapshots: must be left out: steps are made of groups"):
        changed(snapshots={"width": 1})
    assert biased.task.classifies_nodes

"""Graph-aware pre-training: what is held out stays out, every relation counts, it learns, and it exports vectors."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from graphstorm_like.config import Pipeline
from graphstorm_like.config.link_heads import DistMultHeadConfig, DotHeadConfig, LinkHeadConfig
from graphstorm_like.config.link_losses import InfoNceConfig
from graphstorm_like.errors import DataError
from graphstorm_like.inference.export import export
from graphstorm_like.launch.show.batch import show_batch
from graphstorm_like.launch.stages import read_scores, run_pipeline
from graphstorm_like.models.link_heads import LINK_HEADS
from graphstorm_like.models.losses import InfoNce
from graphstorm_like.progress import Reporter
from graphstorm_like.ranks.group import SINGLE_PROCESS
from graphstorm_like.sampling.batch import (
    CandidatePool,
    LinkTargets,
    MiniBatch,
    StreamPosition,
    TypeLinks,
    link_parts,
)
from graphstorm_like.sampling.loader import epoch_batches
from graphstorm_like.tasks import GraphPretraining
from graphstorm_like.tasks.links import sum_of_losses
from graphstorm_like.training.experiment import Experiment, build_experiment
from graphstorm_like.training.trainer import Trainer, describe

QUIET = Reporter(quiet=True)
BUYS, SIMILAR = ("user", "buys", "item"), ("item", "similar", "item")
REVERSES = {BUYS: ("item", "buys_rev", "user"), SIMILAR: ("item", "similar_rev", "item")}


def made(config: Pipeline) -> tuple[Experiment, GraphPretraining]:
    experiment = build_experiment(config, QUIET)
    assert isinstance(experiment.task, GraphPretraining)
    return experiment, experiment.task


def pairs(experiment: Experiment, edge_type: tuple[str, str, str], rows: np.ndarray) -> set[tuple[int, int]]:
    return set(zip(*(x.tolist() for x in experiment.graph.edges(edge_type, rows))))


def test_held_out_edges_are_neither_seeds_nor_messages(shop_config: Callable[..., Pipeline]) -> None:
    experiment, task = made(shop_config("graph_pretraining", train={"fanouts": [-1, -1]}))
    assert task.edge_types == [BUYS, SIMILAR]
    held = {e: task.relation_rows("valid")[e] for e in task.edge_types}
    held[SIMILAR] = np.concatenate([held[SIMILAR], task.relation_rows("test")[SIMILAR]])
    assert 10 < len(held[BUYS]) <= 19
    banned = {e: pairs(experiment, e, rows) for e, rows in held.items()}
    train = {e: pairs(experiment, e, rows) for e, rows in task.relation_rows("train").items()}
    assert all(train[e] and not train[e] & banned[e] for e in task.edge_types)
    asked: dict[tuple[str, str, str], set[tuple[int, int]]] = {e: set() for e in task.edge_types}
    stream = task.stream(256, 0)
    for batch in epoch_batches(experiment.learner.batches(), stream, 0):
        for part in link_parts(batch.targets):
            source, _, target = part.edge_type
            assert isinstance(batch.targets, LinkTargets)
            candidates = part.candidates(batch.seeds[target][batch.targets.pools[target].mine])
            asked[part.edge_type] |= set(zip(batch.seeds[source][part.sources].tolist(), candidates.tolist()))
        ids = {t: i.numpy() for t, i in batch.input_ids.items()}
        for edge_type in task.edge_types:
            for way in (edge_type, REVERSES[edge_type]):
                for block in batch.blocks:
                    r = block.relations[way]
                    to = ids[way[2]][np.repeat(r.rows.numpy(), np.diff(r.offsets.numpy()))].tolist()
                    of = ids[way[0]][r.sources.numpy()].tolist()
                    assert not set(zip(of, to) if way == edge_type else zip(to, of)) & banned[edge_type]
    assert asked == train
    assert (
        f"; held out for validation and excluded from message passing: {len(held[BUYS])} of user:buys:item"
        in describe(experiment)
    )


def test_the_seed_chooses_what_is_held_out(shop_config: Callable[..., Pipeline]) -> None:
    first, again, other = (
        made(shop_config("graph_pretraining", seed=s))[1].relation_rows("valid")[BUYS].tolist() for s in (0, 0, 1)
    )
    assert first == again != other


@pytest.mark.parametrize("gnn", ["rgcn", "sage", "none"])
def test_loss_needs_only_vectors_of_seeds(shop_config: Callable[..., Pipeline], gnn: str) -> None:
    config = shop_config("graph_pretraining", model={"gnn": {"type": gnn, "hidden": 16, "layers": 2}})
    experiment, task = made(config)
    stream = task.stream(64, 0)
    batch = next(epoch_batches(experiment.learner.batches(), stream, 0))
    found = experiment.model(experiment.learner.embeddings.put_into(batch)[0])
    shapes = {t: v.shape for t, v in found.items() if t in batch.seeds}
    assert shapes == {t: (len(ids), 16) for t, ids in batch.seeds.items()}
    vectors = {t: torch.randn(shape, requires_grad=True) for t, shape in shapes.items()}
    loss, count = task.loss(vectors, batch.replace(blocks=(), features={}, input_ids={}))
    loss.backward()
    assert count == 64
    assert torch.isfinite(loss)
    assert all(v.grad is not None and bool(v.grad.any(dim=1).all()) for v in vectors.values())
    assert {tuple(p.shape) for p in task.parameters()} == {(2, 16)}  # DistMult: a diagonal for each relation


@pytest.mark.slow
def test_learns_both_relations(shop_config: Callable[..., Pipeline], tmp_path: Path) -> None:
    trainer = Trainer(build_experiment(shop_config("graph_pretraining", train={"epochs": 6}), QUIET), tmp_path, QUIET)
    how = trainer.task.evaluation(trainer.config.fanouts, 0)
    assert how.mode == "mini_batch"

    def scores() -> dict[str, float]:
        return trainer.task.evaluate(trainer.experiment.embedder(), "valid", how)

    before, result, after = scores(), trainer.train(), scores()
    # Among 50 candidates ranks at random give .09; who knows the kinds and no more, a third of the candidates, .2.
    assert result.best > max(0.15, 1.5 * before["mrr"])
    parts = [after[f"mrr/{name}"] for name in ("user:buys:item", "item:similar:item")]
    assert min(parts) > 0.13
    assert after["mrr"] == pytest.approx(np.mean(parts))


def test_one_relation_of_all_and_all_candidates(shop_config: Callable[..., Pipeline]) -> None:
    config = shop_config(
        "graph_pretraining", task={"edge_types": [BUYS], "ranking": {"candidates": "all"}, "metrics": ["mrr", "hits@5"]}
    )
    experiment, task = made(config)
    assert task.node_types == ("user", "item")
    assert task.scored_splits == ("valid",)  # no split column: there is no test
    how = task.evaluation(config.train.fanouts, 0)
    assert how.mode == "layer_wise"
    scores = task.evaluate(experiment.embedder(), "valid", how)
    assert set(scores) == {"mrr", "hits@5", "mrr/user:buys:item", "hits@5/user:buys:item"}
    assert scores["mrr"] == scores["mrr/user:buys:item"]


def test_test_scores_are_of_relations_with_a_split(shop_config: Callable[..., Pipeline]) -> None:
    experiment, task = made(shop_config("graph_pretraining"))
    assert task.scored_splits == ("valid", "test")
    scores = task.evaluate(experiment.embedder(), "test", task.evaluation(experiment.pipeline.train.fanouts, 0))
    assert {name.partition("/")[2] for name in scores} == {"", "item:similar:item"}


@pytest.mark.slow
def test_stages_and_export(shop_config: Callable[..., Pipeline], tmp_path: Path) -> None:
    config = shop_config("graph_pretraining", task={"edge_types": [BUYS]}, train={"epochs": 1})
    run_pipeline(config, ["train", "evaluate", "infer"], reporter=QUIET)
    assert set(read_scores(config)) == {"valid"}
    out = tmp_path / "run" / "infer"
    assert {p.name for p in (out / "embeddings").iterdir()} == {"user", "item"}
    assert pq.read_table(out / "embeddings" / "user").num_rows == 60
    assert not (out / "predictions").exists()
    said: list[str] = []
    reporter = Reporter(quiet=True)
    reporter.line = said.append  # type: ignore[method-assign]
    experiment = build_experiment(config, QUIET)
    export(experiment, tmp_path / "again", "id", experiment.embedder(), reporter)
    assert "predictions: none, graph_pretraining makes no predictions; embeddings are written" in said
    shown = "\n".join(show_batch(shop_config("graph_pretraining"), QUIET))
    assert "LinkSeeder" in shown
    assert "scores user:buys:item: (" in shown


def test_nothing_to_validate_on(shop_config: Callable[..., Pipeline], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphstorm_like.graph.holdout.MAX_FRACTION", 0.0)
    with pytest.raises(DataError, match=r"must have edges to validate on \(got none in user:buys:item\)\. Give one a"):
        made(shop_config("graph_pretraining", task={"edge_types": [BUYS]}))


def test_popularity_correction_of_link_prediction(shop_config: Callable[..., Pipeline]) -> None:
    for wanted in (False, True):
        task = {"negatives": {"uniform": 4, "popularity_correction": wanted}}
        experiment = build_experiment(shop_config("link_prediction", task=task), QUIET)
        batch = next(epoch_batches(experiment.learner.batches(), experiment.task.stream(32, 0), 0))
        (part,) = link_parts(batch.targets)
        assert (part.log_q is not None) == wanted
        assert math.isfinite(experiment.learner.backward(batch)[0])
    assert part.log_q is not None
    assert part.log_q.shape == (36,)
    assert torch.isfinite(part.log_q).all()


class Gathers(TorchDispatchMode):
    """Counts how often rows are taken out of tensors by their positions, and how many numbers that takes."""

    def __init__(self) -> None:
        super().__init__()
        self.count = self.numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if func in (torch.ops.aten.index.Tensor, torch.ops.aten.index_select.default, torch.ops.aten.embedding.default):
            self.count += 1
            self.numbers += made.numel()
        return made


@pytest.mark.parametrize("head", [DistMultHeadConfig(type="distmult"), DotHeadConfig(type="dot", directed=True)])
def test_rows_are_gathered_once_a_node_type_and_not_once_a_relation(head: LinkHeadConfig) -> None:
    """Of 30 relations among the same nodes: the sources and the candidates are each taken once."""
    relations = [("n", f"r{i}", "n") for i in range(30)]
    torch.manual_seed(0)
    seeds, batch_size, width = 50, 4, 8
    pool = torch.randint(seeds, (len(relations) * batch_size + 16,))
    edges = len(relations) * batch_size
    group = TypeLinks(
        tuple(relations),
        (batch_size,) * len(relations),
        torch.randint(seeds, (edges,)),
        slice(0, edges),
        (slice(edges, len(pool)),),
        True,
        torch.zeros(edges, len(pool), dtype=torch.bool),
    )
    targets = LinkTargets((group,), {"n": CandidatePool(pool, (len(pool),))})
    batch = MiniBatch({"n": torch.arange(seeds)}, StreamPosition(0, 0), targets)
    vectors = {"n": torch.randn(seeds, width, requires_grad=True)}
    scorer = LINK_HEADS.of(head)(head, width, relations)
    loss = InfoNce(InfoNceConfig(type="info_nce"))
    task = SimpleNamespace(group=SINGLE_PROCESS)
    with Gathers() as gathers:
        total, count = sum_of_losses(task, scorer, loss, vectors, batch)  # type: ignore[arg-type]
    assert count == len(relations) * batch_size
    weights = int(isinstance(head, DistMultHeadConfig))  # a row of its parameters an edge, at once too
    assert gathers.count == 2 + weights
    assert gathers.numbers == width * (len(pool) + (1 + weights) * len(relations) * batch_size)
    one_by_one = [
        loss(
            scorer.scores(vectors["n"][part.sources], part.candidates(vectors["n"][pool]), part.edge_type),
            part.mask,
            True,
        )
        for part in targets.links
    ]
    assert total.item() == pytest.approx(torch.stack(one_by_one).sum().item(), rel=1e-6)

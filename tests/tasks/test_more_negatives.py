"""Queues of earlier candidates, sources as targets of their own, and lists that the model mines: known answers, the
same over ranks, exact resume."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from safetensors.torch import load_file
from torch import Tensor

from graphstorm_like.config import Pipeline
from graphstorm_like.config.inverses import inverse_of
from graphstorm_like.config.link_heads import DotHeadConfig, LinkHeadConfig
from graphstorm_like.config.link_losses import InfoNceConfig
from graphstorm_like.config.negatives import NegativesConfig, UniformNegativesConfig
from graphstorm_like.errors import ConfigError
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.models.link_heads import LINK_HEADS, DotHead
from graphstorm_like.models.losses import InfoNce
from graphstorm_like.progress import Reporter
from graphstorm_like.ranks.group import SINGLE_PROCESS, Group
from graphstorm_like.sampling.batch import LinkTargets, StreamPosition
from graphstorm_like.sampling.links import LinkSeeder, edge_starts
from graphstorm_like.sampling.negatives.mined_model import MinedByModel
from graphstorm_like.sampling.seeds import RankSlice
from graphstorm_like.tasks.link_training import SOURCES, LinkTask
from graphstorm_like.tasks.links import sum_of_losses
from graphstorm_like.tasks.more_negatives import MoreNegatives, Queue
from graphstorm_like.tasks.pair_terms.base import PairTerm
from graphstorm_like.training.experiment import build_experiment

from ..training.test_resume import Stopped, assert_same_run, train

SIMILAR = ("item", "similar", "item")
MINED = {"type": "mined_model", "refresh_steps": 2, "candidates": 5, "below": 0.95}


def test_a_queue_keeps_the_newest() -> None:
    queue = Queue(5, 1)
    queue.push(torch.tensor([[1.0], [2.0]]), torch.tensor([1, 2]))
    assert sorted(queue.ids.tolist()) == [-1, -1, -1, 1, 2]
    queue.push(torch.tensor([[3.0], [4.0], [5.0]]), torch.tensor([3, 4, 5]))
    assert sorted(queue.ids[:3].tolist()) == [3, 4, 5]
    queue.push(torch.tensor([[6.0]]), torch.tensor([6]))
    assert queue.ids[0] == 6
    assert queue.vectors[:, 0].tolist() == queue.ids.tolist()
    assert len(set(queue.ids.tolist()) & {1, 2}) == 1
    # What of a step does not fit does not depend on its order.
    one, other = Queue(3, 1), Queue(3, 1)
    ids = torch.arange(10, 20)
    one.push(ids[:, None].float(), ids)
    other.push(ids.flip(0)[:, None].float(), ids.flip(0))
    assert one.ids.tolist() == other.ids.tolist()


def steps(
    graph: LocalGraph,
    share: RankSlice,
    group_of: Callable[[Any], Group],
    table: torch.Tensor,
    count: int = 4,
    tries: int = 0,
) -> list[torch.Tensor]:
    """Losses of some steps with a queue and self-negatives. tries: quiet losses before each, as attacks ask for."""
    train_rows = {SIMILAR: graph.edge_rows(SIMILAR, "train")}
    config = UniformNegativesConfig(type="uniform", uniform=6, queue=40, self_negative=True)
    more = MoreNegatives(config, [SIMILAR], table.shape[1])
    more.seeder = seeder = LinkSeeder(graph, train_rows, config, 1, share)
    head, loss = DotHead(DotHeadConfig(type="dot"), 4, [SIMILAR]), InfoNce(InfoNceConfig(type="info_nce"))
    losses = []
    for step in range(count):
        ids = train_rows[SIMILAR][step * 12 : step * 12 + 12]
        batch = seeder(ids, StreamPosition(0, step))
        vectors = {"item": table[batch.seeds["item"]]}
        task = SimpleNamespace(group=group_of(batch), training=True)
        more.is_quiet = True
        for _ in range(tries):
            sum_of_losses(task, head, loss, vectors, batch, more)  # type: ignore[arg-type]
        more.is_quiet = False
        losses.append(sum_of_losses(task, head, loss, vectors, batch, more)[0])  # type: ignore[arg-type]
    return losses


def test_queue_and_self_known_answer(shop: tuple[Path, Path]) -> None:
    """In a loop: the candidates of the steps before, and the source, with weight and without their known targets."""
    graph, table = LocalGraph(shop[1]), torch.randn(240, 4, generator=torch.Generator().manual_seed(0))
    found = steps(graph, RankSlice(), lambda _: SINGLE_PROCESS, table)
    rows = graph.edge_rows(SIMILAR, "train")
    known = set(zip(*(end.tolist() for end in graph.edges(SIMILAR, rows)), strict=True))
    config = UniformNegativesConfig(type="uniform", uniform=6, queue=40)
    seeder = LinkSeeder(graph, {SIMILAR: rows}, config, 1)
    unit = torch.nn.functional.normalize(table, dim=1)
    queue: list[int] = []
    for step, got in enumerate(found):
        batch = seeder(rows[step * 12 : step * 12 + 12], StreamPosition(0, step))
        pool = batch.targets.pools["item"].ids.tolist()  # type: ignore[union-attr]
        source, target = (end.tolist() for end in graph.edges(SIMILAR, rows[step * 12 : step * 12 + 12]))
        want = 0.0
        for s, t in zip(source, target, strict=True):
            others = [c for c in [*pool, *queue] if c not in (s, t) and (s, c) not in known]
            others += [s] * ((s, s) not in known)
            logits = unit[[t, *others]] @ unit[s] / InfoNceConfig(type="info_nce").temperature
            want += (torch.logsumexp(logits, 0) - logits[0]).item()
        assert got.item() == pytest.approx(want, rel=1e-5)
        pool.sort(key=lambda node: (node * 2654435761) % 2147483647)
        queue = [*pool, *queue][:40]
    assert len(queue) == 40, "some were forgotten"
    tried = steps(graph, RankSlice(), lambda _: SINGLE_PROCESS, table, tries=2)
    assert [loss.item() for loss in tried] == [loss.item() for loss in found], "quiet losses leave no trace"


HEADS = [{"type": "dot"}, {"type": "distmult", "start": "random"}, {"type": "transe"}, {"type": "two_tower"}]


class SomeTerm(PairTerm):
    """Numbers of the ids."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[int, int]] = []

    def forward(self, sources: np.ndarray, candidates: np.ndarray | None, targets: np.ndarray | None = None) -> Tensor:
        assert candidates is not None
        assert targets is not None
        self.asked.append((len(sources), len(candidates)))
        found = sources[:, None] * 3 + candidates * 7 + targets[:, None] * 5
        return torch.from_numpy(np.sin(found))


@pytest.mark.parametrize("head", HEADS, ids=[head["type"] for head in HEADS])
@pytest.mark.parametrize("extras", ["none", "queue", "terms"])
def test_drawn_negatives_alone_cost_no_square_and_change_no_loss(
    shop: tuple[Path, Path], head: dict[str, Any], extras: str
) -> None:
    """Against all targets of the batch scored and masked: losses and gradients of two steps."""
    graph = LocalGraph(shop[1])
    relations = [SIMILAR] if extras == "terms" else [SIMILAR, inverse_of(SIMILAR)]
    train = {edge_type: graph.edge_rows(SIMILAR, "train") for edge_type in relations}
    keys = {"type": "uniform", "uniform": 9, "in_batch": False, "queue": 20, "self_negative": True}
    drawing = {"type": "popularity", "count": 9, "in_batch": False, "popularity_correction": extras != "queue"}
    negatives: Any = TypeAdapter(NegativesConfig).validate_python(keys if extras == "queue" else drawing)
    seeder = LinkSeeder(graph, train, negatives, 1)
    seeder.keep_ids |= extras == "terms"
    config = TypeAdapter(LinkHeadConfig).validate_python(head)
    torch.manual_seed(0)
    scorer, loss = LINK_HEADS.of(config)(config, 4, relations), InfoNce(InfoNceConfig(type="info_nce"))
    table = torch.randn(240, 4, requires_grad=True)
    term = SomeTerm() if extras == "terms" else None
    task: Any = SimpleNamespace(group=SINGLE_PROCESS, training=True)
    found: list[Tensor] = []
    for masks_batch in (False, True):
        more = MoreNegatives(negatives, relations, 4) if extras == "queue" else None
        if more is not None:
            more.seeder = seeder
        total = torch.zeros(())
        for step in range(2):
            rows = graph.edge_rows(SIMILAR, "train")[12 * step : 12 * step + 12]
            numbers = np.concatenate([start + rows for start in edge_starts(graph.manifest, relations)[:-1]])
            batch = seeder(numbers, StreamPosition(0, step))
            targets = batch.targets
            assert isinstance(targets, LinkTargets)
            (group,) = targets.groups
            assert group.mask.shape == (len(numbers), 10)
            group = replace(group, weights=torch.linspace(0.5, 2.0, len(numbers)))
            if masks_batch:
                others = torch.cat([~torch.eye(len(numbers), dtype=torch.bool), group.mask[:, 1:]], dim=1)
                group = replace(group, in_batch=True, mask=others)
            batch = batch.replace(targets=replace(targets, groups=(group,)))
            vectors = {"item": table[batch.seeds["item"]]}
            total = total + sum_of_losses(task, scorer, loss, vectors, batch, more, term)[0]
        found.append(total)
        if term is not None:
            # All of the batch's targets and the drawn nodes; or the drawn nodes, and the distinct targets for the true.
            assert any(shape == (12, 9) for shape in term.asked) == (not masks_batch)
            assert any(shape == (12, 12 + 9) for shape in term.asked) == masks_batch
            term.asked.clear()
    gradients = [torch.autograd.grad(total, [table, *scorer.parameters()]) for total in found]
    torch.testing.assert_close(found[0], found[1])
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [2, 3])
def test_ranks_together_lose_what_one_process_loses(shop: tuple[Path, Path], size: int) -> None:
    graph = LocalGraph(shop[1])
    table = torch.randn(240, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    alone = steps(graph, RankSlice(), lambda _: SINGLE_PROCESS, table)

    def group_of(batch: Any) -> Group:
        return _Whole(table, batch)

    together = [steps(graph, RankSlice(rank, size), group_of, table) for rank in range(size)]
    for step, want in enumerate(alone):
        got = torch.stack([of_rank[step] for of_rank in together]).sum()
        assert got.item() == pytest.approx(want.item(), rel=1e-5)
    wanted = torch.autograd.grad(torch.stack(alone).sum(), table)[0]
    got = torch.autograd.grad(torch.stack([torch.stack(of_rank).sum() for of_rank in together]).sum(), table)[0]
    torch.testing.assert_close(got, wanted)


class _Whole(Group):
    """A rank whose group has the vectors of all candidates."""

    def __init__(self, table: torch.Tensor, batch: Any) -> None:
        self._rows = table[batch.targets.pools["item"].ids]

    def gather_rows(self, rows: torch.Tensor, sizes: tuple[int, ...], what: str) -> torch.Tensor:
        """See Group."""
        assert sum(sizes) == len(self._rows)
        return self._rows


@pytest.mark.known_answer("negatives/mined_model")
def test_the_model_mines_what_it_scores_best(shop_config: Callable[..., Pipeline]) -> None:
    experiment = build_experiment(shop_config("link_prediction", task={"negatives": MINED}), Reporter(quiet=True))
    task = experiment.task
    assert isinstance(task, LinkTask)
    experiment.learner.batches()
    assert (task.refresh_steps, task.must_refresh(0)) == (2, True)
    task.refresh(experiment.embedder(), 1)
    assert [task.must_refresh(updates) for updates in range(4)] == [False, False, True, True]
    task.take_up()
    (mined,) = task._mined()
    vectors = torch.from_numpy(np.asarray(experiment.embedder().layer_wise(["item"])["item"]))
    unit = torch.nn.functional.normalize(vectors, dim=1)
    graph = experiment.graph
    source, target = graph.edges(SIMILAR, graph.edge_rows(SIMILAR, "train"))
    for row in (0, 17):
        s = int(mined.sources[SIMILAR][row])
        own = target[source == s]
        scores = (unit @ unit[s]).numpy()
        limit = scores[own].max() - 0.05 * abs(scores[own].max())
        scores[[s, *own]] = -np.inf
        scores[scores >= limit] = -np.inf
        assert mined.lists[SIMILAR][row].tolist() == np.argsort(-scores)[:5].tolist()
    assert isinstance(mined, MinedByModel)


def test_the_model_mines_by_terms_of_pairs_too(shop_config: Callable[..., Pipeline]) -> None:
    """In several pieces: with a large weight of popularity those mined are the most popular wrong targets."""
    mined = {**MINED, "below": None}
    config = shop_config("link_prediction", task={"negatives": mined, "pairs": {"type": "popularity"}})
    experiment = build_experiment(config, Reporter(quiet=True))
    task = experiment.task
    assert isinstance(task, LinkTask)
    assert task.pairs is not None
    experiment.learner.batches()
    with torch.no_grad():
        next(task.pairs.parameters()).fill_(1000.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("graphstorm_like.tasks.link_training.BLOCK", 100 * SOURCES)
        task.refresh(experiment.embedder(), 1)
    task.take_up()
    graph = experiment.graph
    source, target = graph.edges(SIMILAR, graph.edge_rows(SIMILAR, "train"))
    popular = np.bincount(target, minlength=240)
    (kind,) = task._mined()
    for row in (0, 17):
        s = int(kind.sources[SIMILAR][row])
        wrong = np.setdiff1d(np.arange(240), [s, *target[source == s]])
        assert popular[kind.lists[SIMILAR][row]].tolist() == np.sort(popular[wrong])[::-1][:5].tolist()


QUEUED = {"type": "uniform", "uniform": 8, "queue": 100, "self_negative": True}
MIX = {
    "type": "mix",
    "count": 16,
    "queue": 50,
    "parts": [{"share": 1, "negatives": {"type": "uniform"}}, {"share": 1, "from_epoch": 2, "negatives": MINED}],
}


@pytest.mark.parametrize(
    ("negatives", "workers"), [(QUEUED, 0), ({**MINED, "refresh_steps": 3}, 0), (MIX, 1)], ids=["queue", "model", "mix"]
)
def test_resume_is_exact(
    shop_config: Callable[..., Pipeline], tmp_path: Path, negatives: dict[str, Any], workers: int
) -> None:
    """Also in the middle between two refreshes, with batches of two steps and sampler processes."""
    changes = {"epochs": 2, "batch_size": 100, "accumulate": 2, "workers": workers}
    changes |= {"checkpoint": {"every_steps": 1, "keep": 1}}
    pipeline = shop_config("link_prediction", task={"negatives": negatives}, train=changes)
    train(pipeline, tmp_path / "whole")
    with pytest.raises(Stopped):
        train(pipeline, tmp_path / "cut", stop_at=4)
    train(pipeline, tmp_path / "cut")
    assert_same_run(tmp_path / "whole", tmp_path / "cut")
    # Queues and lists are in resume points alone.
    assert not any("queue" in name or "mined" in name for name in load_file(tmp_path / "cut/best/model.safetensors"))
    point = sorted((tmp_path / "cut/checkpoints").glob("step-*"))[-1]
    assert any("queue" in name or "mined" in name for name in load_file(point / "model.safetensors"))


def test_self_negatives_need_ends_of_one_type(shop_config: Callable[..., Pipeline]) -> None:
    task = {"type": "graph_pretraining", "edge_types": ["user:buys:item"]}
    negatives = {"self_negative": True, "popularity_correction": False}
    with pytest.raises(ConfigError, match=r"self_negative: must be false where no relation has both ends of one node"):
        shop_config("graph_pretraining", task={**task, "negatives": negatives})

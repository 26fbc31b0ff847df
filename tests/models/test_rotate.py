"""RotatE: known answers, blocks that change nothing, and all that a head which is no inner product must serve."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from graphstorm_like.config import Pipeline
from graphstorm_like.config.link_heads import RotateHeadConfig
from graphstorm_like.errors import ConfigError
from graphstorm_like.launch.stages import read_scores, run_pipeline
from graphstorm_like.models import link_heads
from graphstorm_like.models.link_heads import LINK_HEADS, RotateHead
from graphstorm_like.progress import Reporter
from graphstorm_like.sampling.loader import epoch_batches
from graphstorm_like.tasks import LinkPrediction
from graphstorm_like.tasks.ranking import full_ranks
from graphstorm_like.testing import ranks
from graphstorm_like.training.experiment import build_experiment

QUIET = Reporter(quiet=True)
R, Q = ("a", "r", "b"), ("a", "q", "b")


def rotate(width: int = 4, **options: object) -> RotateHead:
    return RotateHead(RotateHeadConfig(type="rotate", **options), width, [R, Q])  # type: ignore[arg-type]


@pytest.mark.known_answer("link_heads/rotate")
def test_known_answer() -> None:
    head = rotate(gamma=5.0, normalize=False)
    with torch.no_grad():
        head.relations.copy_(torch.tensor([[math.pi / 2, math.pi], [0.0, 0.0]]))
    source = torch.tensor([[1.0, 2.0, 0.0, 1.0]])  # 1, 2 + i
    turned = torch.tensor([[0.0, -2.0, 1.0, -1.0]])  # by a quarter: i; by a half: -2 - i
    torch.testing.assert_close(head.source(source, R), turned, atol=1e-6, rtol=0)
    targets = torch.stack([turned[0], torch.tensor([3.0, -2.0, 5.0, 0.0])])  # apart: 0; 3 + 4i and i
    torch.testing.assert_close(head.scores(source, targets, R), torch.tensor([[5.0, 5.0 - 5.0 - 1.0]]))
    torch.testing.assert_close(head.scores(source, source, Q), torch.tensor([[5.0]]))
    by_length = rotate(gamma=5.0, normalize=False, norm="l2")
    by_length.load_state_dict(head.state_dict())
    of_lengths = torch.tensor([[5.0, 5.0 - 26**0.5]])
    torch.testing.assert_close(by_length.scores(source, targets, R), of_lengths)
    torch.testing.assert_close(by_length.pair_scores(source, targets, R), of_lengths[0])


def test_the_reverse_relation_turns_back() -> None:
    head = rotate(8)
    with torch.no_grad():
        head.relations[1] = -head.relations[0]
    s, t = torch.randn(3, 8), torch.randn(3, 8)
    torch.testing.assert_close(head.pair_scores(s, t, R), head.pair_scores(t, s, Q))
    assert not torch.allclose(head.pair_scores(s, t, R), head.pair_scores(t, s, R))


def test_scores_and_gradients_are_those_of_the_complex_formula_whatever_the_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    head, s, t = rotate(6), torch.randn(5, 6, requires_grad=True), torch.randn(7, 6, requires_grad=True)

    def unit(h: torch.Tensor) -> torch.Tensor:
        return torch.complex(*(h / h.norm(dim=1, keepdim=True)).chunk(2, dim=1))

    turned = unit(s) * torch.polar(torch.ones(3), head.relations[1])
    want = 9.0 - (turned[:, None] - unit(t)).abs().sum(-1)
    towards = torch.randn(5, 7)
    inputs = [s, t, head.relations]
    gradients = torch.autograd.grad((want * towards).sum(), inputs)
    for block in (link_heads.BLOCK, 100, 1):
        monkeypatch.setattr(link_heads, "BLOCK", block)
        got = head.scores(s, t, Q)
        torch.testing.assert_close(got, want)
        for mine, theirs in zip(torch.autograd.grad((got * towards).sum(), inputs), gradients, strict=True):
            torch.testing.assert_close(mine, theirs)
        with torch.no_grad():
            torch.testing.assert_close(head.scores(s, t, Q), want)
    rows = head.scores_of_relations(torch.cat([s, s[:2]]), t, [R, Q], [5, 2])
    torch.testing.assert_close(rows[5:], want[:2])


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_a_source_at_its_target_has_finite_gradients(norm: str) -> None:
    head, s = rotate(normalize=False, norm=norm), torch.randn(2, 4, requires_grad=True)
    with torch.no_grad():
        head.relations.zero_()
    head.scores(s, s.detach(), R).sum().backward()
    assert s.grad is not None
    assert torch.isfinite(s.grad).all()


def test_odd_widths_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.gnn\.hidden: must be even .* \(got 5\)"):
        rotate(5)
    assert LINK_HEADS.of(RotateHeadConfig(type="rotate")) is RotateHead


@pytest.mark.slow
@pytest.mark.parametrize(("candidates", "at_random"), [("all", 0.025), (30, 0.13)])
def test_link_prediction_trains_ranks_and_exports(
    shop_config: Callable[..., Pipeline], tmp_path: Path, candidates: object, at_random: float
) -> None:
    task = {"head": {"type": "rotate"}, "ranking": {"candidates": candidates}}
    config = shop_config("link_prediction", task=task, train={"epochs": 10}, infer={"top_k": 5})
    run_pipeline(config, ["train", "evaluate", "infer"], reporter=QUIET)
    assert read_scores(config)["test"]["mrr"] > 1.5 * at_random
    experiment = build_experiment(config, QUIET)
    experiment.artifacts.load(tmp_path / "run/train/best")
    trained = experiment.task
    assert isinstance(trained, LinkPrediction)
    rows = pq.read_table(tmp_path / "run/infer/predictions").to_pylist()
    vectors = experiment.embedder().layer_wise(["item"])["item"]
    ids = {name: i for i, name in enumerate(experiment.graph.ids_of("item", np.arange(len(vectors))).to_pylist())}
    h = torch.from_numpy(np.asarray(vectors)).float()
    with torch.no_grad():
        scores = trained.head.scores(h, h, trained.edge_type)
    search = json.loads((tmp_path / "run/infer/manifest.json").read_text())["search"]
    assert search["vectors"] is None
    assert "not inner products" in search["note"]
    assert not (tmp_path / "run/infer/link_vectors").exists()
    found: dict[int, dict[int, float]] = {}
    for row in rows:
        found.setdefault(ids[row["source"]], {})[ids[row["target"]]] = row["score"]
    assert len(found) == 240
    for source, of_source in found.items():
        np.testing.assert_allclose(list(of_source.values()), scores[source, list(of_source)], atol=1e-4)
        known = trained.known.pairs(np.array([source]))[1].tolist()
        others = sorted(set(range(240)) - {*known, source, *of_source})
        assert scores[source, others].max() <= min(of_source.values()) + 1e-4


def test_ranks_among_all_are_those_of_the_scores(shop_config: Callable[..., Pipeline]) -> None:
    experiment = build_experiment(shop_config("link_prediction", task={"head": {"type": "rotate"}}), QUIET)
    task = experiment.task
    assert isinstance(task, LinkPrediction)
    h = torch.randn(240, 16)
    source, target = experiment.graph.edges(task.edge_type, task.rows("valid"))
    with torch.no_grad():
        scores = task.head.scores(h, h, task.edge_type)
    got = full_ranks(task.queries(h.numpy())[source], task.keys(h.numpy()), source, target, task.known, True,
                     task.ranker.scores)  # fmt: skip
    for i, (s, t) in enumerate(zip(source, target, strict=True)):
        banned = {s, *task.known.pairs(np.array([s]))[1].tolist()} - {t}
        others = scores[s][[j for j in range(240) if j not in banned and j != t]]
        best = task.head.pair_scores(h[s], h[t], task.edge_type)
        assert got[i] == pytest.approx(1 + int((others > best).sum()), abs=1)


def test_pretraining_on_many_relations(shop_config: Callable[..., Pipeline]) -> None:
    experiment = build_experiment(shop_config("graph_pretraining", task={"head": {"type": "rotate"}}), QUIET)
    batch = next(epoch_batches(experiment.learner.batches(), experiment.task.stream(64, 0), 0))
    total, count = experiment.learner.backward(batch)
    assert math.isfinite(total)
    assert count == 64
    assert experiment.task.relations == ("user:buys:item", "item:similar:item")
    gradient = experiment.task.head.relations.grad
    assert gradient.shape == (2, 8)
    assert bool(gradient.abs().sum(dim=1).all())


@pytest.mark.slow
@pytest.mark.dist
@pytest.mark.parametrize("kind", ["link_prediction", "graph_pretraining"])
def test_ranks_take_the_steps_of_one_process(shop_config: Callable[..., Pipeline], tmp_path: Path, kind: str) -> None:
    def config(name: str) -> Pipeline:
        return shop_config(
            kind,
            output=str(tmp_path / name),
            task={"head": {"type": "rotate"}},
            model={"gnn": {"type": "rgcn", "hidden": 16, "layers": 2, "dropout": 0.0}},
            train={"epochs": 1, "fanouts": [-1, -1], "precision": "float32"},
        )

    def losses(name: str) -> list[float]:
        lines = map(json.loads, (tmp_path / name / "train/metrics.jsonl").read_text().splitlines())
        return [line["loss"] for line in lines if line["kind"] == "train"]

    run_pipeline(config("one"), ["train", "evaluate"], reporter=QUIET)
    ranks.run_stages(config("two"), ["train", "evaluate", "infer"], 1, 2)
    np.testing.assert_allclose(losses("two"), losses("one"), rtol=1e-5)
    scores = read_scores(config("one"))["valid"]
    assert read_scores(config("two"))["valid"] == pytest.approx(scores, abs=1e-6)

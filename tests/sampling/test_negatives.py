"""Negatives as an open choice: today's YAML means what it did; popularity draws by degree; a kind of one's own."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

from graphstorm_like.config import Pipeline, build_pipeline
from graphstorm_like.config.base import PositiveInt
from graphstorm_like.config.link_losses import InfoNceConfig
from graphstorm_like.config.negatives import NegativesConfig, PopularityNegativesConfig, UniformNegativesConfig
from graphstorm_like.errors import ConfigError
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.models.losses import InfoNce
from graphstorm_like.progress import Reporter
from graphstorm_like.sampling.batch import LinkTargets, StreamPosition, link_parts
from graphstorm_like.sampling.links import LinkSeeder, log_sampling_ratio
from graphstorm_like.sampling.negatives import NEGATIVES, Negatives
from graphstorm_like.sampling.negatives.popularity import PopularityNegatives
from graphstorm_like.sampling.negatives.uniform import UniformNegatives
from graphstorm_like.sampling.seeds import RankSlice
from graphstorm_like.sampling.true_targets import TrueTargets
from graphstorm_like.training.experiment import build_experiment

SIMILAR = ("item", "similar", "item")


def test_without_a_type_it_is_uniform(shop_config: Callable[..., Pipeline]) -> None:
    for kind, corrected in (("link_prediction", False), ("graph_pretraining", True)):
        given = {"negatives": {"in_batch": True, "uniform": 32}}
        negatives = shop_config(kind, task=given).task.negatives  # type: ignore[attr-defined]
        wanted = UniformNegativesConfig(type="uniform", uniform=32, popularity_correction=corrected)
        assert negatives == wanted
        off = shop_config(kind, task={"negatives": {"popularity_correction": False}}).task.negatives  # type: ignore[attr-defined]
        assert off == UniformNegativesConfig(type="uniform")
        config = shop_config(kind, task={"negatives": {"type": "popularity", "count": 8}})
        assert isinstance(config.task.negatives, PopularityNegativesConfig)  # type: ignore[attr-defined]
        assert config.task.negatives.popularity_correction == corrected  # type: ignore[attr-defined]
        assert build_pipeline(config.model_dump(mode="json")).task == config.task


def test_other_keys_are_refused(shop_config: Callable[..., Pipeline]) -> None:
    with pytest.raises(ConfigError, match=r"task\.negatives\.uniform: unknown key for type popularity"):
        shop_config("link_prediction", task={"negatives": {"type": "popularity", "uniform": 3}})


def popularity(exponent: float = 0.75, count: int = 40_000) -> PopularityNegatives:
    """Degrees of b: 16, 1, 0, 4 over two relations."""
    targets = {("a", "r", "b"): [0] * 12 + [1] + [3] * 3, ("c", "q", "b"): [0] * 4 + [3]}
    known = {e: TrueTargets(np.zeros(len(t), dtype=np.int64), np.array(t), 1) for e, t in targets.items()}
    config = PopularityNegativesConfig(type="popularity", exponent=exponent, count=count)
    return PopularityNegatives(config, _Nodes(4), known)  # type: ignore[arg-type]


class _Nodes:
    """As much of a graph as is asked."""

    def __init__(self, count: int) -> None:
        self.count = count

    @property
    def manifest(self) -> _Nodes:
        return self

    def node(self, node_type: str) -> _Nodes:
        return self


@pytest.mark.known_answer("negatives/popularity")
@pytest.mark.parametrize("exponent", [0.75, 0.0, 1.0])
def test_popularity_known_answer(exponent: float) -> None:
    negatives = popularity(exponent)
    weights = np.array([16**exponent, 1, 0, 4**exponent])
    want = weights / weights.sum()
    np.testing.assert_allclose(negatives.chances("b", np.arange(4), 1), want)
    drawn = negatives.draw("b", {}, np.random.default_rng(0))
    np.testing.assert_allclose(np.bincount(drawn, minlength=4) / len(drawn), want, atol=0.01)
    again = negatives.draw("b", {}, np.random.default_rng(0))
    assert drawn.tolist() == again.tolist()


def test_log_q_of_the_mixture_known_answer() -> None:
    # 6 targets of the batch and 2 drawn: 6 * .5 + 2 * .7 expected, where uniform drawing of 8 among 4 would bring 2.
    got = log_sampling_ratio(np.array([0.5, 0.0]), 6, 2, 4, np.array([0.7, 0.1]))
    assert got.tolist() == pytest.approx([math.log(4.4 / 2), math.log(0.2 / 2)])


@pytest.mark.known_answer("negatives/uniform")
def test_uniform_known_answer() -> None:
    """Every node alike, whatever its degree; no correction is asked for that would need other chances."""
    known = {("a", "r", "b"): TrueTargets(np.zeros(16, dtype=np.int64), np.array([0] * 15 + [3]), 1)}
    config = UniformNegativesConfig(type="uniform", uniform=40_000)
    negatives = UniformNegatives(config, _Nodes(4), known)  # type: ignore[arg-type]
    drawn = negatives.draw("b", {}, np.random.default_rng(0))
    np.testing.assert_allclose(np.bincount(drawn) / len(drawn), np.full(4, 0.25), atol=0.01)


@pytest.mark.parametrize("in_batch", [True, False])
def test_every_rank_draws_the_same_and_the_correction_knows_how(shop: tuple[Path, Path], in_batch: bool) -> None:
    graph = LocalGraph(shop[1])
    train = {SIMILAR: graph.edge_rows(SIMILAR, "train")}
    config = PopularityNegativesConfig(type="popularity", count=32, in_batch=in_batch, popularity_correction=True)
    ids = train[SIMILAR][:20]
    drawn, log_q = [], []
    for share in (RankSlice(), RankSlice(0, 2), RankSlice(1, 2)):
        seeder = LinkSeeder(graph, train, config, 1, share)
        batch = seeder(ids, StreamPosition(0, 0))
        assert isinstance(batch.targets, LinkTargets)
        mine = batch.seeds["item"][batch.targets.pools["item"].mine]
        drawn.append(mine[-32 if share.size == 1 else -16 :].tolist())
        (part,) = link_parts(batch.targets)
        assert part.log_q is not None
        assert torch.isfinite(part.log_q).all()
        log_q.append(part.log_q.exp().sum().item())
    assert sorted(drawn[0]) == sorted(drawn[1] + drawn[2])
    if in_batch:
        assert log_q[1] == pytest.approx(log_q[0], rel=1e-5)


@pytest.mark.parametrize("corrected", [True, False])
def test_correction_keeps_popularity(corrected: bool) -> None:
    """Every score is learnt against drawn negatives alone: with log Q the popular stay popular."""
    negatives, targets = popularity(count=64), np.repeat([0, 1, 3], [16, 1, 4])
    scores = torch.zeros(4, requires_grad=True)
    optimizer = torch.optim.Adam([scores], lr=0.05)
    loss = InfoNce(InfoNceConfig(type="info_nce", temperature=1.0))
    for step in range(300):
        rng = np.random.default_rng(step)
        ids = np.concatenate([rng.choice(targets, size=64), negatives.draw("b", {}, rng)])
        ratio = log_sampling_ratio(np.zeros(len(ids)), 0, 64, 4, negatives.chances("b", ids, 64))
        log_q = torch.from_numpy(ratio).float() if corrected else None
        mask = torch.zeros(64, 128, dtype=torch.bool)
        value = loss(scores[ids].expand(64, 128), mask, False, log_q)
        optimizer.zero_grad()
        (value / 64).backward()
        optimizer.step()
    learnt = (scores[0] - scores[1]).item()
    # Targets come 16 to 1, negatives 8 to 1: log 16 is learnt, or only what targets have beyond negatives.
    assert learnt == pytest.approx(math.log(16) if corrected else math.log(2), abs=0.5)


class NextNegativesConfig(NegativesConfig):
    """The nodes that follow the batch's targets: for a test."""

    type: Literal["next_ones"]
    count: PositiveInt = 2


@NEGATIVES.register(NextNegativesConfig)
class NextNegatives(Negatives):
    """See configuration."""

    def __init__(self, config: NextNegativesConfig, graph: Any, known: Any) -> None:
        self.count, self.nodes = config.count, graph.manifest.node("item").count

    def draw(self, node_type: str, edges: Any, rng: np.random.Generator) -> np.ndarray:
        """See Negatives."""
        (targets,) = (target for _, target in edges.values())
        return (targets[: self.count] + 1) % self.nodes


def test_a_kind_of_ones_own(shop_config: Callable[..., Pipeline]) -> None:
    task = {"negatives": {"type": "next_ones", "count": 3, "in_batch": False}}
    experiment = build_experiment(shop_config("link_prediction", task=task), Reporter(quiet=True))
    ids = experiment.task.rows("train")[:5]
    batch = experiment.learner.batches().make(ids, StreamPosition(0, 0))
    assert isinstance(batch.targets, LinkTargets)
    pool = batch.seeds["item"][batch.targets.pools["item"].mine].tolist()
    assert pool[5:] == [(target + 1) % 240 for target in pool[:3]]
    assert math.isfinite(experiment.learner.backward(batch)[0])

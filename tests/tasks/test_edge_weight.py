"""Weights of true links in the loss: what a weight of 2, of 0 and of 1 is, where they are read, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor

from gconstruct import build_graph
from graphstorm_like.config import Pipeline, build_pipeline
from graphstorm_like.config.inverses import stored
from graphstorm_like.config.link_losses import LinkLossConfig
from graphstorm_like.errors import ConfigError, DataError
from graphstorm_like.models.losses import LINK_LOSSES, LinkLoss
from graphstorm_like.progress import Reporter
from graphstorm_like.sampling.batch import LinkTargets
from graphstorm_like.sampling.loader import epoch_batches
from graphstorm_like.sampling.loss_weights import LossWeights, weighed_relations
from graphstorm_like.testing.graphs import shop_pipeline
from graphstorm_like.training.checks import check_training
from graphstorm_like.training.experiment import Experiment, build_experiment
from graphstorm_like.training.trainer import describe

QUIET = Reporter(quiet=True)
LOSSES = ["info_nce", "flat_nce", "cross_entropy", "self_adversarial", "bpr", "margin"]
BUYS, SIMILAR = ("user", "buys", "item"), ("item", "similar", "item")


def loss_of(name: str) -> LinkLoss:
    config = TypeAdapter(LinkLossConfig).validate_python({"type": name})
    return LINK_LOSSES.of(config)(config)


def some_pairs() -> tuple[Tensor, Tensor, Tensor]:
    """Scores [4, 4 + 5], a mask with something in it, log_q."""
    torch.manual_seed(0)
    mask = torch.rand(4, 9) < 0.2
    mask.fill_diagonal_(False)
    return torch.randn(4, 9), mask, torch.randn(9)


def some_drawn() -> tuple[Tensor, Tensor, Tensor]:
    """The same without other edges' targets: scores [4, 1 + 5], mask, log_q [4, 1 + 5]."""
    scores, mask, log_q = some_pairs()
    return true_and_drawn(scores), true_and_drawn(mask), true_and_drawn(log_q.expand(4, 9))


def true_and_drawn(values: Tensor) -> Tensor:
    return torch.cat([values.diagonal()[:, None], values[:, len(values) :]], dim=1)


def value_and_gradients(loss: LinkLoss, scores: Tensor, *others: Any) -> tuple[Tensor, list[Tensor]]:
    leaf = scores.clone().requires_grad_()
    found = loss(leaf, *others)
    return found.detach(), list(torch.autograd.grad(found, [leaf, *loss.parameters()]))


@pytest.mark.parametrize("name", LOSSES)
def test_two_is_the_edge_twice_and_none_is_no_edge(name: str) -> None:
    """With drawn negatives, value and gradients; weights that are no whole numbers are between."""
    loss, (scores, mask, log_q) = loss_of(name), some_drawn()
    weights = torch.tensor([1.0, 2.0, 0.0, 1.0])
    value, (gradient, *of_loss) = value_and_gradients(loss, scores, mask, False, log_q, weights)
    rows = [0, 1, 1, 3]
    want, (of_rows, *want_of_loss) = value_and_gradients(loss, scores[rows], mask[rows], False, log_q[rows])
    torch.testing.assert_close(value, want)
    torch.testing.assert_close(of_loss, want_of_loss)
    torch.testing.assert_close(gradient, torch.zeros(4, 6).index_add(0, torch.tensor(rows), of_rows))
    assert (gradient[2] == 0).all()
    half, third = (loss(scores, mask, False, log_q, torch.eye(4)[i] * w) for i, w in ((0, 0.5), (1, 0.3)))
    both = loss(scores, mask, False, log_q, torch.tensor([0.5, 0.3, 0.0, 0.0]))
    torch.testing.assert_close(both, half + third)
    alone = loss(scores[:1], mask[:1], False, log_q[:1])
    torch.testing.assert_close(half, 0.5 * alone)


@pytest.mark.parametrize("in_batch", [True, False])
@pytest.mark.parametrize("name", LOSSES)
def test_ones_change_no_bit(name: str, in_batch: bool) -> None:
    loss, (scores, mask, log_q) = loss_of(name), some_pairs() if in_batch else some_drawn()
    without = value_and_gradients(loss, scores, mask, in_batch, log_q)
    ones = value_and_gradients(loss, scores, mask, in_batch, log_q, torch.ones(4))
    assert torch.equal(without[0], ones[0])
    assert all(torch.equal(a, b) for a, b in zip(without[1], ones[1], strict=True))


@pytest.mark.parametrize("name", LOSSES)
def test_drawn_negatives_alone_are_those_of_a_batch_that_masks_its_own(name: str) -> None:
    """Values and gradients."""
    loss, (scores, mask, log_q), weights = loss_of(name), some_pairs(), torch.tensor([1.0, 2.0, 0.5, 1.0])
    alone = (true_and_drawn(scores), true_and_drawn(mask), False, true_and_drawn(log_q.expand(4, 9)), weights)
    mask[:, :4] = ~torch.eye(4, dtype=torch.bool)
    want, (of_scores, *of_loss) = value_and_gradients(loss, scores, mask, True, log_q, weights)
    found, (gradient, *of_loss_alone) = value_and_gradients(loss, *alone)
    torch.testing.assert_close(found, want)
    torch.testing.assert_close(gradient, true_and_drawn(of_scores))
    torch.testing.assert_close(of_loss_alone, of_loss)


def test_every_loss_has_a_known_answer_here() -> None:
    from graphstorm_like.config.choice import members_of

    ours = [tag for tag, member in members_of(LinkLossConfig).items() if member.__module__.startswith("graphstorm")]
    assert set(ours) == set(LOSSES)


@pytest.fixture(scope="module")
def graph(shop: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The shop with weights as they stand in its table: the section `graph`."""
    folder = tmp_path_factory.mktemp("weights")
    data = shop_pipeline(shop[0], folder / "run")
    data["graph"]["edges"][1]["features"]["weight"]["normalize"] = "none"
    pipeline = build_pipeline(data).with_absolute_paths(folder)
    build_graph(pipeline.graph)
    return {**data["graph"], "path": pipeline.graph.path}


def made(config: Pipeline) -> Experiment:
    return build_experiment(config, QUIET)


def first_batch(experiment: Experiment, size: int = 64) -> Any:
    return next(epoch_batches(experiment.learner.batches(), experiment.task.stream(size, 0), 0))


def vectors_of(batch: Any) -> dict[str, Tensor]:
    torch.manual_seed(0)
    return {t: torch.randn(len(ids), 16) for t, ids in batch.seeds.items()}


def test_weights_are_those_of_the_edges(shop_config: Callable[..., Pipeline], graph: dict[str, Any]) -> None:
    """Each edge of a batch has its own number, found by its ends; the count is their sum."""
    task = {"edge_weight": "weight", "negatives": {"in_batch": True}}
    experiment = made(shop_config("link_prediction", task=task, graph=graph))
    batch, store = first_batch(experiment), experiment.graph
    assert isinstance(batch.targets, LinkTargets)
    (group,) = batch.targets.groups
    source, target = store.edges(SIMILAR)
    known: dict[tuple[int, int], float] = {}
    of_all = store.gather(SIMILAR, "weight", np.arange(len(source)))[:, 0]
    for ends, weight in zip(zip(source.tolist(), target.tolist(), strict=True), of_all.tolist(), strict=True):
        known[ends] = weight  # the shop has no parallel edges
    pool = batch.seeds["item"][batch.targets.pools["item"].mine]
    ends = zip(batch.seeds["item"][group.sources].tolist(), pool[group.own].tolist(), strict=True)
    assert group.weights is not None
    assert group.weights.tolist() == [known[pair] for pair in ends]
    assert len(set(group.weights.tolist())) > 32
    _, count = experiment.task.loss(vectors_of(batch), batch)
    assert count == pytest.approx(sum(group.weights.tolist()))
    assert "no model reads" not in describe(experiment)


@pytest.mark.parametrize("kind", ["link_prediction", "graph_pretraining"])
def test_relations_without_the_feature_weigh_one_and_inverses_as_their_edges(
    shop_config: Callable[..., Pipeline], graph: dict[str, Any], kind: str
) -> None:
    several = {"edge_type": None, "edge_types": "all", "ends": "reciprocal", "head": {"type": "complex"}, "n3": 0.5}
    several["head"] = {"type": "complex", "normalize": False}
    task = several if kind == "link_prediction" else {}
    experiment = made(shop_config(kind, task={**task, "edge_weight": "weight"}, graph=graph))
    batch = first_batch(experiment, 256)
    assert isinstance(batch.targets, LinkTargets)
    kinds = set()
    total = 0.0
    for group in batch.targets.groups:
        assert group.weights is not None
        pieces = torch.split(group.weights, list(group.counts))
        for edge_type, weights in zip(group.edge_types, pieces, strict=True):
            kinds.add(edge_type)
            assert (weights == 1).all() == (stored(edge_type) == BUYS)
            total += float(weights.sum())
    assert len(kinds) == (4 if kind == "link_prediction" else 2)
    loss, count = experiment.task.loss(vectors_of(batch), batch)
    assert count == pytest.approx(total)
    # All weights doubled, those of n3 too: the mean stays.
    doubled = [type(group)(**{**_fields(group), "weights": 2 * group.weights}) for group in batch.targets.groups]
    targets = LinkTargets(tuple(doubled), batch.targets.pools)
    twice, twice_count = experiment.task.loss(vectors_of(batch), batch.replace(targets=targets))
    assert twice.item() / twice_count == pytest.approx(loss.item() / count, rel=1e-5)


def _fields(group: Any) -> dict[str, Any]:
    return {name: getattr(group, name) for name in type(group).__dataclass_fields__}


def test_a_step_is_that_of_the_table_with_edges_repeated(
    shop_config: Callable[..., Pipeline], graph: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights 2 and 0 through seeder, loss and division: the mean loss of the chosen edges, some of them twice."""
    experiment = made(shop_config("link_prediction", task={"edge_weight": "weight"}, graph=graph))
    batch = first_batch(experiment)
    (group,) = batch.targets.groups
    weights = torch.arange(len(group.sources)).remainder(3).float()
    weighed = type(group)(**{**_fields(group), "weights": weights})
    vectors, task = vectors_of(batch), experiment.task
    found, count = task.loss(vectors, batch.replace(targets=LinkTargets((weighed,), batch.targets.pools)))
    plain = type(group)(**{**_fields(group), "weights": None})
    kept: list[Tensor] = []
    rows = type(task.link_loss).of_rows
    monkeypatch.setattr(
        type(task.link_loss), "of_rows", lambda self, *a: kept.append(rows(self, *a)) or kept[-1], raising=True
    )
    task.loss(vectors, batch.replace(targets=LinkTargets((plain,), batch.targets.pools)))
    repeated = torch.cat([kept[0][weights >= 1], kept[0][weights >= 2]])
    assert count == len(repeated)
    assert found.item() == pytest.approx(repeated.sum().item(), rel=1e-5)


def test_what_is_refused(shop_config: Callable[..., Pipeline], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"task\.edge_weight: unknown feature of the edges of the task 'wieght'.*'we"):
        shop_config("link_prediction", task={"edge_weight": "wieght"})
    with pytest.raises(ConfigError, match=r"edge_weight: unknown feature of the edges of the task 'weight'"):
        shop_config("graph_pretraining", task={"edge_types": ["user:buys:item"], "edge_weight": "weight"})
    experiment = made(shop_config("link_prediction"))
    graph, train = experiment.graph, {SIMILAR: experiment.task.rows("train")}
    manifest = graph.manifest
    with pytest.raises(
        DataError, match=r"user:buys:item must have a feature 'weight' for task\.edge_weight \(got none\)"
    ):
        weighed_relations(manifest, [BUYS], "weight")
    schema = manifest.edge(SIMILAR).features["weight"]
    for changed, got in (({"width": 3}, "3 numbers"), ({"sparse": True}, "a sparse one")):
        monkeypatch.setitem(manifest.edge(SIMILAR).features, "weight", schema.model_copy(update=changed))
        with pytest.raises(DataError, match=rf"'weight' must be one number to weigh .* \(got {got}\)"):
            weighed_relations(manifest, [SIMILAR], "weight")
    monkeypatch.setitem(manifest.edge(SIMILAR).features, "weight", schema)
    every = manifest.edge(SIMILAR).count
    for wrong, message in (
        (-0.5, r"must be at least 0, and finite, to weigh edges in the loss \(got -0\.5 for 1 of"),
        (float("nan"), r"\(got nan for 1 of"),
        (float("inf"), r"\(got inf for 1 of"),
    ):
        numbers = np.ones((every, 1), dtype=np.float32)
        numbers[train[SIMILAR][3]] = wrong
        monkeypatch.setattr(type(graph), "gather", lambda *_, numbers=numbers: numbers)
        monkeypatch.setattr(type(graph), "once", lambda self, name, make: make())
        with pytest.raises(DataError, match=message):
            LossWeights(graph, train, "weight")
    monkeypatch.setattr(type(graph), "gather", lambda *_: np.zeros((every, 1), dtype=np.float32))
    with pytest.raises(DataError, match=r"must be above 0 for a training edge of item:similar:item \(got 0 for all\)"):
        LossWeights(graph, train, "weight")


def test_it_is_checked_before_training(shop_config: Callable[..., Pipeline]) -> None:
    """A graph folder whose tables the pipeline does not describe."""
    config = shop_config("link_prediction")
    task = config.task.model_copy(update={"edge_weight": "wieght"})
    with pytest.raises(DataError, match=r"'wieght' for task\.edge_weight"):
        check_training(config.model_copy(update={"task": task}))


def test_what_a_model_is_applied_with_asks_for_no_weights(shop_config: Callable[..., Pipeline]) -> None:
    weighed = shop_config("link_prediction", task={"edge_weight": "weight"})
    assert weighed.task.to_apply().model_dump()["edge_weight"] is None
    several = {"type": "multi", "tasks": {"links": weighed.task.model_dump(mode="json")}}
    several["tasks"]["kind"] = {"type": "node_classification", "node_type": "item", "label": "kind"}
    multi = weighed.model_copy(update={"task": TypeAdapter(type(weighed.task).__mro__[1]).validate_python(several)})
    assert multi.task.weighed([]) == [("weight", (SIMILAR,))]
    assert multi.task.to_apply().weighed([]) == []

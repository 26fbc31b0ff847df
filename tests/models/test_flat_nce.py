"""FlatNCE: known answers, InfoNCE's gradient divided by 1 - p, and what is left of it where InfoNCE has none."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from graphstorm_like.config import Pipeline
from graphstorm_like.config.link_losses import FlatNceConfig, InfoNceConfig
from graphstorm_like.models.losses import LINK_LOSSES, FlatNce, InfoNce, true_pairs
from graphstorm_like.progress import Reporter
from graphstorm_like.sampling.loader import epoch_batches
from graphstorm_like.training.experiment import build_experiment


def flat(temperature: float = 0.5) -> FlatNce:
    return FlatNce(FlatNceConfig(type="flat_nce", temperature=temperature))


def info(temperature: float = 0.5) -> InfoNce:
    return InfoNce(InfoNceConfig(type="info_nce", temperature=temperature))


def some_scores(rows: int = 4, candidates: int = 7) -> tuple[Tensor, Tensor, Tensor]:
    """scores, a mask with something in it, log_q."""
    torch.manual_seed(0)
    mask = torch.rand(rows, candidates) < 0.2
    mask.fill_diagonal_(False)
    return torch.randn(rows, candidates), mask, torch.randn(candidates)


def gradient(loss: torch.nn.Module, scores: Tensor, *others: object) -> Tensor:
    leaf = scores.clone().requires_grad_()
    loss(leaf, *others).backward()
    assert leaf.grad is not None
    return leaf.grad


@pytest.mark.known_answer("link_losses/flat_nce")
def test_known_answer() -> None:
    given, mask = torch.tensor([[1.0, 0.0, 0.5]]), torch.zeros(1, 3, dtype=torch.bool)
    # Over T: 2 against 0 and 1.
    assert flat()(given, mask, True).item() == pytest.approx(math.log(1 + math.exp(-2) + math.exp(-1)), rel=1e-6)
    weights = torch.tensor([math.exp(0), math.exp(1)])
    want = torch.tensor([-1.0, *(weights / weights.sum()).tolist()]) / 0.5
    torch.testing.assert_close(gradient(flat(), given, mask, True)[0], want)


@pytest.mark.parametrize("in_batch", [True, False])
def test_its_value_is_info_nce_s_and_its_gradient_that_divided_by_what_is_left(in_batch: bool) -> None:
    scores, mask, log_q = some_scores()
    mask[:, 0] &= in_batch  # else the column of the true pairs
    arguments = (mask, in_batch, log_q)
    assert flat()(scores, *arguments).item() == pytest.approx(info()(scores, *arguments).item(), rel=1e-5)
    theirs, mine = gradient(info(), scores, *arguments), gradient(flat(), scores, *arguments)
    logits = (scores / 0.5 - log_q).masked_fill(mask, float("-inf"))
    left = 1 - true_pairs(logits.softmax(dim=1), in_batch)
    torch.testing.assert_close(mine, theirs / left[:, None], atol=1e-5, rtol=1e-4)


def test_weights_are_of_negatives_alone() -> None:
    scores, mask, log_q = some_scores()
    found = gradient(flat(1.0), scores, mask, True, log_q)
    torch.testing.assert_close(found.diagonal(), torch.full((4,), -1.0))
    torch.testing.assert_close(found.sum(dim=1), torch.zeros(4), atol=1e-6, rtol=0)
    assert (found[mask] == 0).all()


@pytest.mark.parametrize("gap", [6.0, 12.0, 24.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_won_positives_keep_their_gradient(gap: float, dtype: torch.dtype) -> None:
    """Scores that are far apart: cross-entropy in their own precision loses the direction, this does not."""
    torch.manual_seed(0)
    scores = torch.randn(16, 24)
    scores[:, :16].fill_diagonal_(0)
    scores = scores + gap * torch.eye(16, 24)
    mask = torch.zeros(16, 24, dtype=torch.bool)
    exact = gradient(flat(1.0), scores, mask, True).double()
    rounded = scores.to(dtype)
    found = gradient(flat(1.0), rounded, mask, True).double()
    assert F.cosine_similarity(found.flatten(), exact.flatten(), dim=0) > 0.99
    if gap == 24.0:
        lost = rounded.clone().requires_grad_()
        F.cross_entropy(lost, torch.arange(16)).backward()
        assert lost.grad is not None
        assert lost.grad.diagonal().abs().max() < 1e-6


def test_rows_without_negatives_count_nothing() -> None:
    scores, mask, _ = some_scores(3, 3)
    mask[1] = torch.tensor([True, False, True])
    found = gradient(flat(), scores, mask, True)
    assert torch.isfinite(found).all()
    assert (found[1] == 0).all()
    alone = gradient(flat(), scores[:1, :1], mask[:1, :1], True)
    assert alone.item() == 0


@pytest.mark.parametrize("kind", ["link_prediction", "graph_pretraining"])
def test_tasks_learn_by_it(shop_config: Callable[..., Pipeline], kind: str) -> None:
    losses = {}
    for loss in ("info_nce", "flat_nce"):
        experiment = build_experiment(shop_config(kind, task={"loss": {"type": loss}}), Reporter(quiet=True))
        assert type(experiment.task.link_loss) is LINK_LOSSES.of(experiment.task.config.loss)  # type: ignore[union-attr,arg-type]
        batch = next(epoch_batches(experiment.learner.batches(), experiment.task.stream(64, 0), 0))
        losses[loss] = experiment.learner.backward(batch)[0]
    assert losses["flat_nce"] == pytest.approx(losses["info_nce"], rel=1e-4)

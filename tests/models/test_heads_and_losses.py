"""Heads and losses: known answers, and what masks and normalisation promise."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from graphstorm_like.config.link_heads.distmult import DistMultHeadConfig
from graphstorm_like.config.link_heads.dot import DotHeadConfig
from graphstorm_like.config.link_losses.cross_entropy import CrossEntropyConfig
from graphstorm_like.config.link_losses.info_nce import InfoNceConfig
from graphstorm_like.models.heads import EdgeHead, NodeClassifier
from graphstorm_like.models.link_heads.distmult import DistMultHead
from graphstorm_like.models.link_heads.dot import DotHead
from graphstorm_like.models.losses import LINK_LOSSES
from graphstorm_like.models.losses.cross_entropy import CrossEntropy
from graphstorm_like.models.losses.info_nce import InfoNce

TYPE = ("a", "r", "b")


def scores(head: torch.nn.Module, s: Tensor, t: Tensor) -> Tensor:
    return head.source(s, TYPE) @ head.target(t, TYPE).T


@pytest.mark.known_answer("link_heads/dot")
def test_dot_head() -> None:
    s, t = torch.tensor([[3.0, 4.0]]), torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    plain = DotHead(DotHeadConfig(type="dot", normalize=False), 2, [TYPE])
    assert scores(plain, s, t).tolist() == [[3.0, 8.0]]
    unit = DotHead(DotHeadConfig(type="dot"), 2, [TYPE])
    torch.testing.assert_close(scores(unit, s, t), torch.tensor([[0.6, 0.8]]))
    assert not list(unit.parameters())
    directed = DotHead(DotHeadConfig(type="dot", directed=True), 2, [TYPE])
    assert not torch.allclose(scores(directed, s, t[:1]), scores(directed, t[:1], s))


def test_edge_head_reads_both_ends_and_their_product() -> None:
    s, t = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 5.0]])
    head = EdgeHead(2, 1, layers=1)
    with torch.no_grad():
        head.stack[0].weight.copy_(torch.tensor([[1.0, 10.0, 100.0, 1e3, 1e4, 1e5]]))
        head.stack[0].bias.fill_(0.5)
    assert head(s, t).item() == 1 + 20 + 300 + 5e3 + 3e4 + 10e5 + 0.5
    assert head(t, s).item() != head(s, t).item()
    deep = EdgeHead(2, 3, layers=3)
    assert [tuple(m.weight.shape) for m in deep.stack if hasattr(m, "weight")] == [(2, 6), (2, 2), (3, 2)]
    assert deep(s, t).shape == (1, 3)


@pytest.mark.known_answer("link_heads/distmult")
def test_distmult_starts_as_dot_and_weighs_dimensions() -> None:
    s, t = torch.randn(3, 4), torch.randn(5, 4)
    head = DistMultHead(DistMultHeadConfig(type="distmult", normalize=False), 4, [TYPE])
    torch.testing.assert_close(scores(head, s, t), s @ t.T)
    with torch.no_grad():
        head.relations[0] = torch.tensor([1.0, 0.0, -1.0, 2.0])
    torch.testing.assert_close(scores(head, s, t), (s * head.relations[0]) @ t.T)


@pytest.mark.known_answer("link_losses/info_nce")
def test_info_nce_known_answer() -> None:
    loss = InfoNce(InfoNceConfig(type="info_nce", temperature=0.5))
    given, mask = torch.tensor([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5]]), torch.zeros(2, 3, dtype=torch.bool)
    row = -math.log(math.exp(2) / (math.exp(2) + math.exp(0) + math.exp(1)))
    assert loss(given, mask, True).item() == pytest.approx(2 * row, rel=1e-5)
    mask[0, 1] = mask[0, 2] = True
    assert loss(given, mask, True).item() == pytest.approx(row, rel=1e-5)
    only_extra = -math.log(math.exp(2) / (math.exp(2) + math.exp(1)))
    assert loss(given, torch.zeros_like(mask), False).item() == pytest.approx(2 * only_extra, rel=1e-5)


@pytest.mark.known_answer("link_losses/cross_entropy")
def test_cross_entropy_known_answer() -> None:
    loss = CrossEntropy(CrossEntropyConfig(type="cross_entropy"))
    with torch.no_grad():
        loss.scale.fill_(1.0)
    given, mask = torch.tensor([[2.0, -1.0], [0.5, 1.0]]), torch.zeros(2, 2, dtype=torch.bool)

    def soft(x: float) -> float:
        return math.log1p(math.exp(x))

    want = soft(-2) + soft(-1) + soft(-1) + soft(0.5)
    assert loss(given, mask, True).item() == pytest.approx(want, rel=1e-5)
    mask[1, 0] = True
    assert loss(given, mask, True).item() == pytest.approx(want - soft(0.5), rel=1e-5)


def test_log_q_known_answers() -> None:
    given, mask = torch.tensor([[1.0, 0.0], [0.5, 1.0]]), torch.zeros(2, 2, dtype=torch.bool)
    log_q = torch.tensor([math.log(3.0), math.log(1.0)])  # the first target is drawn three times as often
    loss = InfoNce(InfoNceConfig(type="info_nce", temperature=0.5))
    rows = [math.exp(2) / 3 / (math.exp(2) / 3 + 1), math.exp(2) / (math.exp(1) / 3 + math.exp(2))]
    assert loss(given, mask, True, log_q).item() == pytest.approx(-sum(map(math.log, rows)), rel=1e-5)
    # What all candidates share is nothing to the softmax.
    assert loss(given, mask, True, log_q + 7).item() == pytest.approx(-sum(map(math.log, rows)), rel=1e-4)
    binary = CrossEntropy(CrossEntropyConfig(type="cross_entropy"))
    with torch.no_grad():
        binary.scale.fill_(1.0)
    corrected = binary(given, mask, True, log_q)
    assert corrected.item() == pytest.approx(binary(given - log_q, mask, True).item(), rel=1e-6)


@pytest.mark.parametrize("name", ["info_nce", "cross_entropy"])
def test_masked_pairs_get_no_gradient(name: str) -> None:
    config = {"info_nce": InfoNceConfig(type="info_nce"), "cross_entropy": CrossEntropyConfig(type="cross_entropy")}[
        name
    ]
    # Small, for a softmax that rounds to 1 has no gradient either.
    given = (0.1 * torch.randn(3, 5)).requires_grad_()
    mask = torch.zeros(3, 5, dtype=torch.bool)
    mask[0, 4] = mask[2, 1] = True
    LINK_LOSSES.of(config)(config)(given, mask, True).backward()
    assert given.grad is not None
    assert ((given.grad == 0) == mask).all()


def test_classifier_layers() -> None:
    assert sum(isinstance(m, torch.nn.Linear) for m in NodeClassifier(4, 3, layers=3).modules()) == 3
    assert NodeClassifier(4, 3)(torch.randn(2, 4)).shape == (2, 3)

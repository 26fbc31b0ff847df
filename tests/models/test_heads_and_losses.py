"""Heads and losses: known answers, and what masks and normalisation promise."""

from __future__ import annotations

import math

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor

from graphstorm_like.config.link_heads import DistMultHeadConfig, DotHeadConfig
from graphstorm_like.config.link_losses import (
    BprConfig,
    CrossEntropyConfig,
    InfoNceConfig,
    LinkLossConfig,
    MarginConfig,
    SelfAdversarialConfig,
)
from graphstorm_like.models.heads import EdgeHead, NodeClassifier
from graphstorm_like.models.link_heads import DistMultHead, DotHead
from graphstorm_like.models.losses import LINK_LOSSES, Bpr, CrossEntropy, InfoNce, Margin, SelfAdversarial

TYPE = ("a", "r", "b")


def soft(x: float) -> float:
    """log(1 + exp(x))"""
    return math.log1p(math.exp(x))


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


def test_bilinear_edge_head() -> None:
    """By hand: outputs are weighted sums of h_s' W_b h_t; with inputs of the edges beside them."""
    head = EdgeHead(2, 3, layers=1, bases=2)
    s, t = torch.tensor([[1.0, 2.0], [0.0, 1.0]]), torch.tensor([[3.0, 0.0], [1.0, 1.0]])
    with torch.no_grad():
        head.bases[0] = torch.eye(2)
        head.bases[1] = torch.tensor([[0.0, 1.0], [-1.0, 0.0]])
    products = torch.tensor([[3.0, -6.0], [1.0, -1.0]])
    linear = head.stack[0]
    torch.testing.assert_close(head(s, t), products @ linear.weight.T + linear.bias)
    head(s, t).sum().backward()
    assert head.bases.grad is not None
    assert not torch.equal(head(s, t), head(t, s))
    beside = EdgeHead(2, 3, layers=2, own=True, bases=2)
    beside.reads({"stars": 1})
    assert beside(s, t, {"stars": torch.ones(2, 1)}).shape == (2, 3)


def test_an_edge_s_words_are_divided_by_their_magnitude() -> None:
    head, rows = EdgeHead(2, 3, own=True), {"stars": torch.ones(2, 1), "terms": torch.rand(2, 4)}
    head.reads({"stars": 1, "terms": 4}, {"terms": 0.25})
    assert [len(projection) for projection in head.own] == [1, 2]
    plain = EdgeHead(2, 3, own=True)
    plain.reads({"stars": 1, "terms": 4})
    plain.load_state_dict({name.replace("own.1.1.", "own.1.0."): of for name, of in head.state_dict().items()}, False)
    found = head(torch.ones(2, 2), torch.ones(2, 2), rows)
    torch.testing.assert_close(found, plain(torch.ones(2, 2), torch.ones(2, 2), rows | {"terms": 4 * rows["terms"]}))


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
    alone = given[:, [0, 2]]
    alone[1, 0] = given[1, 1]
    assert loss(alone, torch.zeros(2, 2, dtype=torch.bool), False).item() == pytest.approx(2 * only_extra, rel=1e-5)


@pytest.mark.known_answer("link_losses/cross_entropy")
def test_cross_entropy_known_answer() -> None:
    loss = CrossEntropy(CrossEntropyConfig(type="cross_entropy"))
    with torch.no_grad():
        loss.scale.fill_(1.0)
    given, mask = torch.tensor([[2.0, -1.0], [0.5, 1.0]]), torch.zeros(2, 2, dtype=torch.bool)

    want = soft(-2) + soft(-1) + soft(-1) + soft(0.5)
    assert loss(given, mask, True).item() == pytest.approx(want, rel=1e-5)
    mask[1, 0] = True
    assert loss(given, mask, True).item() == pytest.approx(want - soft(0.5), rel=1e-5)


@pytest.mark.known_answer("link_losses/bpr", "link_losses/margin", "link_losses/self_adversarial")
def test_losses_of_comparisons_known_answers() -> None:
    """Row 0 has negatives at -1 and 0.5, row 1 at 0.5 (masked later) and 1.5."""
    given, mask = torch.tensor([[2.0, -1.0, 0.5], [0.5, 1.0, 1.5]]), torch.zeros(2, 3, dtype=torch.bool)
    bpr = Bpr(BprConfig(type="bpr", temperature=0.5))
    want = (soft(-6) + soft(-3)) / 2 + (soft(-1) + soft(1)) / 2
    assert bpr(given, mask, True).item() == pytest.approx(want, rel=1e-5)
    margin = Margin(MarginConfig(type="margin", margin=1.0))
    assert margin(given, mask, True).item() == pytest.approx((0 + 0) / 2 + (0.5 + 1.5) / 2, rel=1e-5)
    adversarial = SelfAdversarial(SelfAdversarialConfig(type="self_adversarial", sharpness=2.0))
    with torch.no_grad():
        adversarial.scale.fill_(1.0)
    first = [math.exp(2 * score) for score in (-1.0, 0.5)]
    second = [math.exp(2 * score) for score in (0.5, 1.5)]
    want = soft(-2) + (first[0] * soft(-1) + first[1] * soft(0.5)) / sum(first)
    want += soft(-1) + (second[0] * soft(0.5) + second[1] * soft(1.5)) / sum(second)
    assert adversarial(given, mask, True).item() == pytest.approx(want, rel=1e-5)
    mask[1, 0] = True
    assert bpr(given, mask, True).item() == pytest.approx((soft(-6) + soft(-3)) / 2 + soft(1), rel=1e-5)
    alone, none = torch.tensor([[2.0, 0.5], [1.0, 1.5]], requires_grad=True), torch.zeros(2, 2, dtype=torch.bool)
    assert margin(alone, none, False).item() == pytest.approx(0 + 1.5, rel=1e-5)  # the drawn one alone
    # The weights are no path of gradients: with one negative a row they are 1 whatever the score is.
    adversarial(alone, none, False).backward()
    assert alone.grad is not None
    torch.testing.assert_close(alone.grad[:, 1], torch.sigmoid(alone[:, 1]).detach())


@pytest.mark.parametrize("name", ["bpr", "margin", "self_adversarial"])
def test_losses_of_comparisons(name: str) -> None:
    """The correction for frequent targets, and rows without negatives."""
    config = TypeAdapter(LinkLossConfig).validate_python({"type": name})
    torch.manual_seed(0)
    loss, mask = LINK_LOSSES.of(config)(config), torch.rand(4, 6) < 0.2
    mask.fill_diagonal_(False)
    mask[1] = torch.arange(6) != 1
    scores, log_q = torch.randn(4, 6), torch.randn(6)
    found = loss(scores, mask, True)
    assert torch.isfinite(found)
    alone = loss(scores[1:2, 1:2], mask[1:2, 1:2], True)
    rest = loss(scores[[0, 2, 3]][:, [0, 2, 3, 1, 4, 5]], mask[[0, 2, 3]][:, [0, 2, 3, 1, 4, 5]], True)
    torch.testing.assert_close(found, alone + rest)
    # Scale 1 and temperature 1: subtracting log q from scores or within the loss is the same.
    for key in ("temperature", "scale"):
        if isinstance(getattr(loss, key, None), float):
            setattr(loss, key, 1.0)
    if name == "self_adversarial":
        torch.nn.init.ones_(loss.scale)
    torch.testing.assert_close(loss(scores, mask, True, log_q), loss(scores - log_q, mask, True), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["bpr", "self_adversarial"])
def test_gradients_of_losses_of_comparisons(name: str) -> None:
    """Against differences, in float32: the weights of self_adversarial are held fixed."""
    config = TypeAdapter(LinkLossConfig).validate_python(
        {"type": name} | ({"temperature": 1.0} if name == "bpr" else {})
    )
    loss = LINK_LOSSES.of(config)(config)
    scores, mask = torch.tensor([[0.3, -0.2], [0.1, 0.4]]), torch.zeros(2, 2, dtype=torch.bool)
    leaf = scores.clone().requires_grad_()
    loss(leaf, mask, True).backward()
    assert leaf.grad is not None
    for row in range(2):  # of one negative a row, whose weight is 1
        for column in range(2):
            step = torch.zeros(2, 2)
            step[row, column] = 1e-2
            difference = (loss(scores + step, mask, True) - loss(scores - step, mask, True)).item() / 2e-2
            assert leaf.grad[row, column].item() == pytest.approx(difference, rel=2e-2, abs=2e-4)


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


@pytest.mark.parametrize("name", ["info_nce", "cross_entropy", "bpr", "self_adversarial", "margin"])
def test_masked_pairs_get_no_gradient(name: str) -> None:
    config = TypeAdapter(LinkLossConfig).validate_python({"type": name})
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

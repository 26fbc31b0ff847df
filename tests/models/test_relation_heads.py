"""Heads with parameters a relation: known answers, inverses, gradients, and one comparison for many relations."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from graphstorm_like.config.inverses import inverse_of
from graphstorm_like.config.link_heads import LinkHeadConfig
from graphstorm_like.errors import ConfigError
from graphstorm_like.models.link_heads import LINK_HEADS, LinkHead

R, Q = ("a", "r", "b"), ("a", "q", "b")
HEADS: list[dict[str, Any]] = [
    {"type": "distmult"},
    {"type": "complex", "normalize": False},
    {"type": "rotate"},
    {"type": "rotate", "norm": "l2"},
    {"type": "transe", "norm": "l1"},
    {"type": "transe", "norm": "l2", "normalize": True},
    {"type": "bilinear", "bases": 3},
    {"type": "mlp"},
    {"type": "two_tower"},
    {"type": "dot", "directed": True},
]
each_head = pytest.mark.parametrize("settings", HEADS, ids=lambda settings: "-".join(map(str, settings.values())))


def head_of(settings: dict[str, Any], width: int = 4, seed: int = 0) -> LinkHead:
    assert LinkHeadConfig.family is not None
    config = LinkHeadConfig.family.validate(settings)
    torch.manual_seed(seed)
    head = LINK_HEADS.of(config)(config, width, [R, Q])
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return head


@pytest.mark.known_answer("link_heads/complex")
def test_complex_is_the_real_part_of_a_product_of_three() -> None:
    head = head_of({"type": "complex", "normalize": False})
    source, target = torch.tensor([[1.0, 0.0, 2.0, 1.0]]), torch.tensor([[3.0, 1.0, -1.0, 1.0]])  # 1+2i, i; 3-i, 1+i
    with torch.no_grad():
        head.relations[0] = torch.tensor([1.0, 2.0, 1.0, 0.0])  # 1+i, 2
    # (1+2i)(1+i)(3+i) + i*2*(1-i) = (-1+3i)(3+i) + 2+2i; real parts -3-3 + 2
    assert head.scores(source, target, R).item() == pytest.approx(-4.0)
    assert head.cubes(source, target, [R], [len(source)]).item() == pytest.approx(
        5**1.5 + 1 + 2**1.5 + 8 + 10**1.5 + 2**1.5, rel=1e-5
    )
    with pytest.raises(ConfigError, match=r"model\.gnn\.hidden: must be even .* \(got 5\)"):
        head_of({"type": "complex"}, width=5)


def test_distmult_s_factors() -> None:
    head = head_of({"type": "distmult", "normalize": False}, width=2)
    with torch.no_grad():
        head.relations[0] = torch.tensor([1.0, -2.0])
    cubes = head.cubes(torch.tensor([[1.0, 1.0], [0.0, 2.0]]), torch.tensor([[-1.0, 0.0], [0.0, 0.0]]), [R], [2])
    assert cubes.item() == (1 + 1 + 8) + 1 + 2 * (1 + 8)


@pytest.mark.known_answer("link_heads/transe")
@pytest.mark.parametrize(("norm", "want"), [("l1", 9.0 - 7.0), ("l2", 9.0 - 5.0)])
def test_transe_measures_from_where_the_relation_leads(norm: str, want: float) -> None:
    head = head_of({"type": "transe", "norm": norm}, width=2)
    with torch.no_grad():
        head.relations[0] = torch.tensor([1.0, 1.0])
    source, target = torch.tensor([[0.0, 0.0]]), torch.tensor([[1.0, 1.0], [4.0, -3.0]])
    assert head.scores(source, target, R)[0].tolist() == pytest.approx([9.0, want])


@pytest.mark.known_answer("link_heads/bilinear")
def test_bilinear_weighs_its_bases() -> None:
    head = head_of({"type": "bilinear", "bases": 2, "normalize": False}, width=2)
    with torch.no_grad():
        head.bases.copy_(torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 0.0]]]))
        head.relations[0] = torch.tensor([2.0, 10.0])
    source, target = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0]])
    assert head.scores(source, target, R).item() == 2 * (3 + 8) + 10 * 4


@pytest.mark.known_answer("link_heads/mlp")
def test_mlp_known_answer() -> None:
    head = head_of({"type": "mlp"}, width=1)
    with torch.no_grad():
        for parameter, value in zip((head.ends[0].weight, head.ends[1].weight, head.weight), (2.0, -1.0, 3.0)):
            parameter.fill_(value)
        head.relations[0] = 0.5
    score = head.scores(torch.tensor([[1.0]]), torch.tensor([[2.0]]), R).item()
    assert score == pytest.approx(3.0 * torch.tanh(torch.tensor(2.0 - 2.0 + 0.5)).item())


@pytest.mark.known_answer("link_heads/two_tower")
def test_two_towers_map_each_end_by_its_own_network() -> None:
    head = head_of({"type": "two_tower", "normalize": False})
    source, target = torch.randn(3, 4), torch.randn(2, 4)
    want = (head.towers[0](source) * head.relations[1]) @ head.towers[1](target).T
    torch.testing.assert_close(head.scores(source, target, Q), want)


@each_head
def test_an_inverse_without_parameters_of_its_own_swaps_the_ends(settings: dict[str, Any]) -> None:
    head, source, target = head_of(settings), torch.randn(5, 4), torch.randn(7, 4)
    forward = head.scores(source, target, R)
    torch.testing.assert_close(head.scores(target, source, inverse_of(R)), forward.T, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(head.pair_scores(source[:, None], target, R), forward, atol=1e-5, rtol=1e-5)
    is_symmetric = torch.allclose(head.scores(source, source, R), head.scores(source, source, R).T, atol=1e-5)
    assert is_symmetric == (settings["type"] == "distmult")


@each_head
def test_relations_are_compared_at_once_as_each_alone(settings: dict[str, Any]) -> None:
    """Inverses too, whose targets may be mapped in another way."""
    head, target = head_of(settings), torch.randn(6, 4)
    sources = {e: torch.randn(n, 4) for n, e in enumerate((R, inverse_of(R), Q, inverse_of(Q)), start=1)}
    together = head.scores_of_relations(torch.cat([*sources.values()]), target, list(sources), [1, 2, 3, 4])
    alone = torch.cat([head.scores(rows, target, edge_type) for edge_type, rows in sources.items()])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


@each_head
def test_gradients(settings: dict[str, Any]) -> None:
    """Against differences, of ends and parameters, forward and inverse."""
    head = head_of(settings).double()
    source = torch.randn(2, 4, dtype=torch.float64, requires_grad=True)
    target = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)

    def scores(source: torch.Tensor, target: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        return torch.cat([head.scores(source, target, R), head.scores(target, source, inverse_of(R)).T])

    assert torch.autograd.gradcheck(scores, (source, target, *head.parameters()))

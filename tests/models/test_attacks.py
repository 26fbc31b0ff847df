"""Attacks: known answers on linear and quadratic losses, sizes, and the random start."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from graphstorm_like.config.attacks import FgmConfig, PgdConfig
from graphstorm_like.models.attacks import attack_of, random_rows, within

G = torch.tensor([[3.0, -4.0], [0.0, 0.0], [1e-30, 0.0]])


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def slope(changes: list[Tensor]) -> list[Tensor]:
    """Of the loss sum G * change."""
    return [G for _ in changes]


@pytest.mark.parametrize(
    ("norm", "answer"),
    [("l2", [[0.3, -0.4], [0.0, 0.0], [0.0, 0.0]]), ("linf", [[0.5, -0.5], [0.0, 0.0], [0.5, 0.0]])],
)
@pytest.mark.known_answer("attacks/fgm")
def test_fgm_of_a_linear_loss(norm: Any, answer: list[list[float]]) -> None:
    """The exact maximum, and nothing where there is no gradient, or for l2 hardly one."""
    (change,) = attack_of(FgmConfig(type="fgm", norm=norm, epsilon=0.5)).find([G], slope, drawn())
    torch.testing.assert_close(change, torch.tensor(answer))


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.known_answer("attacks/pgd")
def test_pgd_finds_the_maximum_of_a_concave_loss(norm: Any) -> None:
    """-|x - a|^2 within epsilon: a where it is inside, else the nearest point."""
    goal = torch.tensor([[0.1, 0.05], [3.0, 4.0]])

    def gradients(changes: list[Tensor]) -> list[Tensor]:
        leaf = changes[0].clone().requires_grad_()
        return list(torch.autograd.grad(-(leaf - goal).square().sum(), [leaf]))

    config = PgdConfig(type="pgd", norm=norm, epsilon=0.5, steps=200, step_size=0.01)
    (change,) = attack_of(config).find([goal], gradients, drawn())
    torch.testing.assert_close(change, within(norm, goal, 0.5), atol=0.02, rtol=0.0)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_no_row_is_larger_than_epsilon(norm: Any) -> None:
    like = [torch.zeros(5, 7), torch.zeros(2, 3, 4)]

    def noise(changes: list[Tensor]) -> list[Tensor]:
        return [torch.randn(change.shape, generator=drawn(1)) for change in changes]

    for config in (PgdConfig(type="pgd", norm=norm, epsilon=0.2), FgmConfig(type="fgm", norm=norm, epsilon=0.2)):
        changes = attack_of(config).find(like, noise, drawn())
        for change in changes:
            size = change.abs().amax(-1) if norm == "linf" else change.norm(dim=-1)
            assert change.shape in [(5, 7), (2, 3, 4)]
            torch.testing.assert_close(size.clamp(max=0.2), size)


def test_the_random_start_is_even_within_the_ball_and_repeats() -> None:
    """The squared length of a point drawn evenly from a disc of radius 1 has mean 1/2."""
    rows = random_rows("l2", torch.zeros(20_000, 2), 1.0, drawn())
    assert abs(float(rows.square().sum(-1).mean()) - 0.5) < 0.01
    assert torch.equal(rows, random_rows("l2", torch.zeros(20_000, 2), 1.0, drawn()))
    assert not torch.equal(rows, random_rows("l2", torch.zeros(20_000, 2), 1.0, drawn(1)))


def test_one_step_of_pgd_from_zero_is_fgm() -> None:
    one = PgdConfig(type="pgd", epsilon=0.5, steps=1, step_size=0.5, random_start=False)
    (first,), (second,) = (attack_of(c).find([G], slope, drawn()) for c in (one, FgmConfig(type="fgm", epsilon=0.5)))
    torch.testing.assert_close(first, second)

"""Task weightings: each by hand, the floor, and which way noise moves them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from torch import Tensor, nn

from graphstorm_like.config.choice import members_of
from graphstorm_like.config.task_weightings import TaskWeightingConfig
from graphstorm_like.errors import ConfigError
from graphstorm_like.tasks.weightings import WEIGHTINGS, StepLosses, TaskWeighting, with_floor

SHARED = nn.Parameter(torch.tensor([1.0, 2.0]))


def weighting(priors: tuple[float, ...] = (1.0, 1.0), **settings: Any) -> TaskWeighting:
    config = TypeAdapter(TaskWeightingConfig).validate_python(settings)
    return WEIGHTINGS.of(config)(config, torch.tensor(priors), 2)


def step(losses: list[Tensor], epoch: int = 1) -> StepLosses:
    return StepLosses(losses, torch.stack(losses).detach(), epoch)


def two_losses() -> list[Tensor]:
    """4 and 6, with gradients [3, 0] and [0, 4] in the shared weights."""
    return [3.0 * SHARED[0] + 1.0, 4.0 * SHARED[1] - 2.0]


@pytest.mark.known_answer("task_weightings/fixed")
def test_fixed() -> None:
    made = weighting((1.0, 0.5), type="fixed")
    assert made.combine(step(two_losses()), [SHARED]).item() == pytest.approx(4 + 0.5 * 6)


@pytest.mark.known_answer("task_weightings/uncertainty")
def test_uncertainty() -> None:
    made = weighting((1.0, 2.0), type="uncertainty")
    assert made.combine(step(two_losses()), []).item() == pytest.approx(4 + 2 * 6)
    optimizer = torch.optim.SGD(made.parameters(), lr=0.1)
    for _ in range(300):
        optimizer.zero_grad()
        made.combine(step([torch.tensor(4.0), torch.tensor(6.0)]), []).backward()
        optimizer.step()
    # The best s is log L: both parts then are 1 + log L, times the prior.
    assert made.weights.tolist() == pytest.approx([1 / 4, 2 / 6], rel=1e-3)
    log_variance = torch.tensor([0.3, -0.2], dtype=torch.float64, requires_grad=True)
    made.double()

    def loss(given: Tensor) -> Tensor:
        made.log_variance = None  # type: ignore[assignment]
        made.__dict__["log_variance"] = given
        return made.combine(step([torch.tensor(4.0).double(), torch.tensor(6.0).double()]), [])

    assert torch.autograd.gradcheck(loss, log_variance)


@pytest.mark.known_answer("task_weightings/group_dro")
def test_group_dro() -> None:
    made = weighting(type="group_dro", step_size=0.1, warmup_epochs=1)
    made.combine(step(two_losses(), epoch=0), [])
    assert made.weights.tolist() == [1.0, 1.0]
    loss = made.combine(step(two_losses()), [])
    grown = np.exp([0.4, 0.6])
    assert made.weights.tolist() == pytest.approx((2 * grown / grown.sum()).tolist())
    assert loss.item() == pytest.approx((made.weights @ torch.tensor([4.0, 6.0])).item())


@pytest.mark.known_answer("task_weightings/grad_norm")
def test_grad_norm_evens_out_the_norms() -> None:
    made = weighting(type="grad_norm", step_size=0.01, warmup_epochs=0, alpha=0.0)
    for _ in range(200):
        made.combine(step(two_losses()), [SHARED])
    assert made.weights[0].item() * 3 == pytest.approx(made.weights[1].item() * 4, rel=0.05)
    # One step by hand: norms 3 and 4, both at distance 1/2 from their mean.
    once = weighting(type="grad_norm", step_size=0.01, warmup_epochs=0, alpha=0.0)
    once.combine(step(two_losses()), [SHARED])
    moved = np.array([1 + 0.01 * 3 / 3.5, 1 - 0.01 * 4 / 3.5])
    assert once.weights.tolist() == pytest.approx((2 * moved / moved.sum()).tolist())


@pytest.mark.known_answer("task_weightings/excess_risk")
def test_excess_risk_by_hand() -> None:
    made = weighting(type="excess_risk", step_size=0.5, warmup_epochs=1)
    made.combine(step(two_losses(), epoch=0), [SHARED])
    # S = g^2, so that the first excess is g^2 / |g| = |g|: 3 and 4.
    assert made.get_buffer("first").tolist() == pytest.approx([3.0, 4.0], rel=1e-6)
    assert made.weights.tolist() == [1.0, 1.0]
    halved = [1.5 * SHARED[0], 4.0 * SHARED[1]]
    made.combine(step(halved), [SHARED])
    excess = [1.5**2 / math.sqrt(9 + 1.5**2), 16 / math.sqrt(32)]
    grown = np.exp([0.5 * excess[0] / 3, 0.5 * excess[1] / 4])
    assert made.weights.tolist() == pytest.approx((2 * grown / grown.sum()).tolist(), rel=1e-5)


@pytest.mark.parametrize("kind", ["excess_risk", "group_dro"])
def test_weights_stay_finite(kind: str) -> None:
    """A task without gradients at first, and one whose loss or excess grows by a factor that exp cannot hold."""
    made = weighting(type=kind, step_size=10.0, warmup_epochs=1)
    made.combine(step([1e-6 * SHARED[0], 0.0 * SHARED[1]], epoch=0), [SHARED])
    for _ in range(3):
        made.combine(step([1e3 * SHARED[0], 1e3 * SHARED[1]]), [SHARED])
    assert made.weights.isfinite().all()
    assert made.weights.sum().item() == pytest.approx(2.0)


@pytest.mark.parametrize(("kind", "above"), [("excess_risk", False), ("group_dro", True)])
def test_a_task_that_cannot_get_better(kind: str, above: bool) -> None:
    """Its loss stays high while its gradients are small: GroupDRO takes it for the one to learn, ExcessMTL does not."""
    torch.manual_seed(0)
    made = weighting(type=kind, step_size=0.02, warmup_epochs=0, min_weight=0.05)
    for number in range(60):
        noise = 0.3 * torch.randn(()) / (1 + number)
        made.combine(step([5.0 + noise * SHARED[0], 0.5 * SHARED[1]]), [SHARED])
    assert bool(made.weights[0] > 1.2) is above
    assert bool(made.weights[0] < 0.95) is not above
    assert made.weights.sum().item() == pytest.approx(2.0)


def test_changes_only_every_few_steps() -> None:
    made = weighting(type="group_dro", step_size=0.1, warmup_epochs=0, update_every=3)
    seen = []
    for _ in range(5):
        made.combine(step(two_losses()), [])
        seen.append(made.weights[0].item())
    assert seen[0] == seen[1] == seen[2] > seen[3] == seen[4]


def test_weights_that_nothing_shares() -> None:
    with pytest.raises(
        ConfigError, match=r"task\.weighting: must be one that reads no gradients, .* \(got grad_norm\)"
    ):
        weighting(type="grad_norm").combine(step(two_losses()), [])


@given(
    weights=st.lists(st.floats(1e-6, 1e6), min_size=2, max_size=6),
    floor=st.floats(0.0, 0.95),
)
def test_floor(weights: list[float], floor: float) -> None:
    found = with_floor(torch.tensor(weights, dtype=torch.float64), floor)
    assert found.sum().item() == pytest.approx(len(weights))
    assert found.min().item() >= floor - 1e-9
    free = found > floor + 1e-9
    if int(free.sum()) > 1:  # the others keep their ratios
        ratios = found[free] / torch.tensor(weights, dtype=torch.float64)[free]
        assert ratios.max().item() == pytest.approx(ratios.min().item(), rel=1e-6)


def test_every_weighting_is_tried() -> None:
    tried = {"fixed", "uncertainty", "group_dro", "grad_norm", "excess_risk"}
    assert tried == set(members_of(TaskWeightingConfig) or ())

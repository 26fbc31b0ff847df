"""Schedules, clipping before the step, sparse embeddings apart."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from graphstorm_like.config.train import ScheduleConfig, TrainConfig
from graphstorm_like.errors import TrainingError
from graphstorm_like.training.optim import Optimizers, module_groups, schedule_factor


def optimizers_of(modules: list[nn.Module], config: TrainConfig) -> Optimizers:
    root = nn.ModuleList(modules)
    return Optimizers(module_groups(root, config), [], config)


@pytest.mark.parametrize(("kind", "end"), [("constant", 1.0), ("linear", 0.1), ("cosine", 0.1)])
def test_schedule(kind: str, end: float) -> None:
    config = ScheduleConfig(type=kind, warmup_fraction=0.1, final_fraction=0.1)  # type: ignore[arg-type]
    factors = [schedule_factor(config, s, 100) for s in range(101)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[9] == pytest.approx(1.0)
    assert max(factors) == pytest.approx(1.0)
    assert factors[100] == pytest.approx(end)
    assert all(a >= b for a, b in itertools.pairwise(factors[9:]))
    assert schedule_factor(ScheduleConfig(warmup_fraction=0.0), 0, 10) == 1.0


def test_modules_with_a_factor_learn_so_many_times_as_fast() -> None:
    """Adam's first step is as long as the learning rate; below such a module the factor does not hold."""
    fast, plain = nn.Sequential(nn.Linear(3, 1)), nn.Linear(3, 1)
    fast.own = nn.Parameter(torch.zeros(2))
    fast.lr_factor = 10.0  # type: ignore[assignment]
    config = TrainConfig(lr=0.01, weight_decay=0.0, clip_norm=None)
    optimizers = optimizers_of([fast, plain], config)
    parameters = [fast.own, *fast[0].parameters(), *plain.parameters()]
    before = [parameter.detach().clone() for parameter in parameters]
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    rate = optimizers.set_step(50, 100)
    optimizers.step()
    for parameter, old in zip(parameters, before, strict=True):
        factor = 10.0 if parameter is fast.own else 1.0
        torch.testing.assert_close(parameter.detach(), old - factor * rate, rtol=1e-4, atol=1e-5)


def test_the_state_of_other_groups_is_refused() -> None:
    """As of a run that was cut before modules had factors of their own."""
    plain, fast = nn.Linear(3, 1), nn.Linear(3, 1)
    before = optimizers_of([plain, fast], TrainConfig()).state_dict()
    optimizers_of([plain, fast], TrainConfig()).load_state_dict(before)
    fast.lr_factor = 10.0  # type: ignore[assignment]
    now = optimizers_of([plain, fast], TrainConfig())
    with pytest.raises(TrainingError, match=r"run/checkpoints: .* have 1, 1, 1, 1 parameters \(got 2, 2\).*--fresh"):
        now.load_state_dict(before, "run/checkpoints")


def test_clipping_limits_the_step_that_is_taken() -> None:
    """Plain SGD-like check: with clipping the gradient that the optimizer sees has the norm asked for."""
    module = nn.Linear(3, 1, bias=False)
    optimizers = optimizers_of([module], TrainConfig(clip_norm=0.5))
    (module(torch.ones(1, 3)) * 100).sum().backward()
    assert optimizers.clip() == pytest.approx(100 * 3**0.5, rel=1e-5)
    assert module.weight.grad is not None
    assert module.weight.grad.norm().item() == pytest.approx(0.5, rel=1e-4)


def test_mean_over_accumulated_rows() -> None:
    torch.manual_seed(0)
    one, two = nn.Linear(3, 1), nn.Linear(3, 1)
    two.load_state_dict(one.state_dict())
    x = torch.randn(10, 3)
    a, b = optimizers_of([one], TrainConfig()), optimizers_of([two], TrainConfig())
    one(x).square().sum().backward()
    for part in x.split([7, 3]):
        two(part).square().sum().backward()
    a.scale_gradients(1 / 10)
    b.scale_gradients(1 / 10)
    torch.testing.assert_close(one.weight.grad, two.weight.grad)


def test_no_decay_on_vectors() -> None:
    optimizers = optimizers_of([nn.Linear(2, 2)], TrainConfig(weight_decay=0.3))
    decays = {len(g["params"][0].shape): g["weight_decay"] for g in optimizers._dense.param_groups}
    assert decays == {2: 0.3, 1: 0.0}

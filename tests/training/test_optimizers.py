"""Optimizers by name, averages of weights: known answers, what is refused, exact resume."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from graphstorm_like.config import Pipeline
from graphstorm_like.config.choice import members_of
from graphstorm_like.config.optimizers import OptimizerConfig
from graphstorm_like.config.train import TrainConfig
from graphstorm_like.errors import ConfigError
from graphstorm_like.training.ema import Ema
from graphstorm_like.training.optim import Optimizers, module_groups
from graphstorm_like.training.optimizers import check_optimizer

from .test_resume import Stopped, assert_same_run, train


def stepped(steps: int = 1, **settings: Any) -> nn.Linear:
    """A layer of ones after steps along gradients of ones, at rate 0.1."""
    layer = nn.Linear(2, 2)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.fill_(1.0)
    config = TrainConfig(lr=0.1, weight_decay=0.5, **settings)
    optimizers = Optimizers(module_groups(layer, config), [], config)
    for _ in range(steps):
        for parameter in layer.parameters():
            parameter.grad = torch.ones_like(parameter)
        optimizers.step()
    return layer


@pytest.mark.known_answer("optimizers/adamw", "optimizers/sgd", "optimizers/torch")
@pytest.mark.parametrize(
    ("optimizer", "weight", "bias"),
    [
        ("sgd", 1 - 0.1 * 1.5, 0.9),
        ({"type": "sgd", "momentum": 0.0}, 1 - 0.1 * 1.5, 0.9),
        ("adamw", 1 * (1 - 0.05) - 0.1, 0.9),
        ({"type": "torch", "name": "Adamax"}, 0.9, 0.9),  # the decay is in the gradient, which Adamax normalises
        ({"type": "torch", "name": "SGD", "args": {"momentum": 0.5}}, 0.85, 0.9),
    ],
)
def test_first_step_by_hand(optimizer: Any, weight: float, bias: float) -> None:
    """Weights decay, biases do not."""
    layer = stepped(optimizer=optimizer)
    assert layer.weight[0, 0].item() == pytest.approx(weight, abs=1e-5)
    assert layer.bias[0].item() == pytest.approx(bias, abs=1e-5)


def test_momentum() -> None:
    assert stepped(2, optimizer={"type": "sgd", "momentum": 0.5}).bias[0].item() == pytest.approx(1 - 0.1 - 0.15)


@pytest.mark.known_answer("optimizers/adafactor")
def test_adafactor_keeps_rows_and_columns() -> None:
    assert stepped(optimizer="adafactor").weight[0, 0].item() < 1.0
    config = TrainConfig(optimizer={"type": "adafactor"})
    layer = nn.Linear(8, 6, bias=False)
    optimizers = Optimizers(module_groups(layer, config), [], config)
    layer.weight.grad = torch.randn(6, 8)
    optimizers.step()
    state: Any = optimizers.state_dict()["state"]
    assert sum(value.numel() for value in state[0].values() if value.numel() > 1) == 6 + 8


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"name": "NAdm"}, r"train\.optimizer\.name: must be one of .* \(got 'NAdm'\)\. Did you mean 'NAdam'\?"),
        ({"name": "LBFGS"}, r"\(got 'LBFGS'\)"),
        ({"name": "NAdam", "args": {"beta": 1}}, r"train\.optimizer\.args: must be among betas, .* \(got beta\)"),
        ({"name": "NAdam", "args": {"lr": 1}}, r"\(got lr\)"),
        ({"name": "NAdam", "args": {"eps": -1.0}}, r"settings that torch\.optim\.NAdam takes \(Invalid epsilon"),
        ({"name": "Muon"}, r"settings that torch\.optim\.Muon takes"),
    ],
)
def test_what_is_refused(config: dict[str, Any], message: str) -> None:
    made = (members_of(OptimizerConfig) or {})["torch"].model_validate({"type": "torch", **config})
    with pytest.raises(ConfigError, match=message):
        check_optimizer(made)  # type: ignore[arg-type]


def test_average_by_hand() -> None:
    weight = torch.zeros(1)
    ema = Ema([weight], 0.5)
    values = []
    for step in (1, 2, 3):
        weight += 1.0
        ema.update(step)
        values.append(ema.averages[0].item())
    first = 1.0 - 2 / 11  # decay 2/11 in step 1, 3/12 in step 2, 4/13 in step 3
    second = first * 3 / 12 + 2.0 * 9 / 12
    assert values == pytest.approx([first, second, second * 4 / 13 + 3.0 * 9 / 13])
    with ema.applied():
        assert weight.item() == pytest.approx(values[-1])
    assert weight.item() == 3.0


@pytest.mark.parametrize("optimizer", [{"type": "torch", "name": "NAdam"}, {"type": "adafactor"}])
def test_resume_is_exact(shop_config: Callable[..., Pipeline], tmp_path: Path, optimizer: dict[str, Any]) -> None:
    changes = {"optimizer": optimizer, "ema": {"decay": 0.9}, "epochs": 2, "checkpoint": {"every_steps": 1}}
    train(shop_config(train=changes), tmp_path / "whole")
    with pytest.raises(Stopped):
        train(shop_config(train=changes), tmp_path / "cut", stop_at=6)
    train(shop_config(train=changes), tmp_path / "cut")
    assert_same_run(tmp_path / "whole", tmp_path / "cut")

"""Losses of labels: known answers, limits that are other losses, gradients."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from pydantic import TypeAdapter
from torch import Tensor

from graphstorm_like.config.choice import members_of
from graphstorm_like.config.label_losses import LabelLossConfig
from graphstorm_like.models.label_losses import LABEL_LOSSES, LabelLoss

OUTPUTS = torch.tensor([[2.0, 0.0, -1.0], [0.5, 1.5, 0.0]], dtype=torch.float64)
CLASSES = torch.tensor([0, 2])
SETS = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]], dtype=torch.float64)
WEIGHTS = torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64)
ERRORS = torch.tensor([[-2.0], [0.1], [0.5]], dtype=torch.float64)
ZEROS = torch.zeros(3, dtype=torch.float64)


def loss(**settings: Any) -> LabelLoss:
    config = TypeAdapter(LabelLossConfig).validate_python(settings)
    return LABEL_LOSSES.of(config)(config)


@pytest.mark.known_answer(
    "label_losses/huber", "label_losses/mae", "label_losses/mse", "label_losses/quantile", "label_losses/shrinkage"
)
@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"type": "mse"}, 4.0 + 0.01 + 0.25),
        ({"type": "mae"}, 2.6),
        ({"type": "huber"}, 1.5 + 0.005 + 0.125),
        ({"type": "huber", "delta": 0.2}, 0.2 * 1.9 + 0.005 + 0.2 * 0.4),
        # Too low by 2: 0.9 * 2; too high by 0.6 in all: 0.1 * 0.6.
        ({"type": "quantile", "quantile": 0.9}, 1.8 + 0.06),
        ({"type": "quantile"}, 1.3),  # half the absolute error
        (
            {"type": "shrinkage"},
            4 / (1 + math.exp(10 * (0.2 - 2))) + 0.01 / (1 + math.e) + 0.25 / (1 + math.exp(-3)),
        ),
    ],
)
def test_numbers_by_hand(settings: dict[str, Any], wanted: float) -> None:
    found, weight = loss(**settings)(ERRORS, ZEROS)
    assert (found.item(), weight) == (pytest.approx(wanted), 3.0)


@pytest.mark.known_answer("label_losses/cross_entropy", "label_losses/focal")
def test_classes_by_hand() -> None:
    p = OUTPUTS.softmax(1)
    of_label = torch.stack([p[0, 0], p[1, 2]])
    plain, weight = loss(type="cross_entropy")(OUTPUTS, CLASSES)
    assert (plain.item(), weight) == (pytest.approx(-of_label.log().sum().item()), 2.0)
    weighted, weight = loss(type="cross_entropy")(OUTPUTS, CLASSES, WEIGHTS)
    assert (weighted.item(), weight) == (pytest.approx(-(of_label.log() @ WEIGHTS[CLASSES]).item()), 6.0)
    smooth, _ = loss(type="cross_entropy", label_smoothing=0.3)(OUTPUTS, CLASSES)
    assert smooth.item() == pytest.approx(0.7 * plain.item() - 0.1 * p.log().sum().item())
    focal, weight = loss(type="focal", gamma=2.0)(OUTPUTS, CLASSES, WEIGHTS)
    by_hand = -(WEIGHTS[CLASSES] * (1 - of_label) ** 2 * of_label.log()).sum()
    assert (focal.item(), weight) == (pytest.approx(by_hand.item()), 6.0)


@pytest.mark.known_answer("label_losses/bce")
def test_several_classes_by_hand() -> None:
    q = torch.where(SETS > 0.5, OUTPUTS.sigmoid(), 1 - OUTPUTS.sigmoid())
    bce, weight = loss(type="bce")(OUTPUTS, SETS)
    assert (bce.item(), weight) == (pytest.approx(-q.log().mean(1).sum().item()), 2.0)
    positive = torch.where(SETS > 0.5, WEIGHTS, torch.ones(3, dtype=torch.float64))
    weighted, _ = loss(type="bce")(OUTPUTS, SETS, WEIGHTS)
    assert weighted.item() == pytest.approx(-(positive * q.log()).mean(1).sum().item())
    focal, _ = loss(type="focal", gamma=1.5)(OUTPUTS, SETS, WEIGHTS)
    assert focal.item() == pytest.approx(-(positive * (1 - q) ** 1.5 * q.log()).mean(1).sum().item())


def test_focal_without_gamma_is_cross_entropy() -> None:
    focal = loss(type="focal", gamma=0.0)
    torch.testing.assert_close(focal(OUTPUTS, CLASSES), loss(type="cross_entropy")(OUTPUTS, CLASSES))
    torch.testing.assert_close(focal(OUTPUTS, SETS), loss(type="bce")(OUTPUTS, SETS))
    # Of two classes the softmax is the sigmoid of the difference.
    two, of_two = OUTPUTS[:, :2], torch.tensor([0, 1])
    binary = torch.stack([two[0, 0] - two[0, 1], two[1, 1] - two[1, 0]])
    sigmoid = F.softplus(-binary) * (1 - binary.sigmoid()) ** 2
    torch.testing.assert_close(loss(type="focal")(two, of_two)[0], sigmoid.sum())


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_of_rows_that_are_sure(gamma: float) -> None:
    sure = torch.tensor([[80.0, -80.0]], requires_grad=True)
    total, _ = loss(type="focal", gamma=gamma)(sure, torch.tensor([0]))
    total.backward()
    assert total.item() == pytest.approx(0.0, abs=1e-6)
    assert sure.grad is not None
    assert bool(torch.isfinite(sure.grad).all())


NUMBERS = [{"type": name} for name in ("mse", "mae", "huber", "quantile", "shrinkage")]


@pytest.mark.parametrize(
    ("settings", "outputs", "labels"),
    [*((settings, ERRORS, ZEROS) for settings in NUMBERS), ({"type": "cross_entropy"}, OUTPUTS, CLASSES),
     ({"type": "focal"}, OUTPUTS, CLASSES), ({"type": "focal"}, OUTPUTS, SETS), ({"type": "bce"}, OUTPUTS, SETS)],
)  # fmt: skip
def test_gradients(settings: dict[str, Any], outputs: Tensor, labels: Tensor) -> None:
    weights = WEIGHTS if outputs.shape[1] == 3 else None
    of_outputs = outputs.clone().requires_grad_()
    made = loss(**settings)
    assert torch.autograd.gradcheck(lambda given: made(given, labels, weights)[0], of_outputs)


def test_every_loss_is_tried() -> None:
    tried = {"cross_entropy", "bce", "focal"} | {settings["type"] for settings in NUMBERS}
    assert tried == set(members_of(LabelLossConfig) or ())

"""Losses, predictions and metrics of number labels, by hand. Those of classes are in test_node_classification."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from graphstorm_like.config.metrics import selected_metric
from graphstorm_like.config.tasks.node_regression import NodeRegressionConfig
from graphstorm_like.errors import TrainingError
from graphstorm_like.tasks.targets import NumberTarget

ALL = ["rmse", "mae", "r2"]


def regression_metrics(predicted: np.ndarray, labels: np.ndarray, names: list[str]) -> dict[str, float]:
    """Of a task whose training labels are 2, 4, 6, 8."""
    return target(metrics=names, select_by=names[0]).metrics(predicted, labels)


def numbers(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def target(**changes: object) -> NumberTarget:
    """Training labels 2, 4, 6, 8: mean 5, deviation sqrt(5)."""
    config = NodeRegressionConfig.model_validate({"type": "node_regression", "node_type": "a", "label": "b", **changes})
    return NumberTarget(config, [], numbers(2, 4, 6, 8))


def test_metrics_by_hand() -> None:
    found = regression_metrics(numbers(1, 2, 4), numbers(1, 3, 2), ALL)  # errors 0, -1, 2; the labels' own 1, 1, 0
    assert found == pytest.approx({"rmse": (5 / 3) ** 0.5, "mae": 1.0, "r2": 1 - 5 / 2})
    mean = regression_metrics(numbers(2, 2, 2), numbers(1, 3, 2), ALL)
    assert mean["r2"] == pytest.approx(0.0, abs=1e-12)
    assert list(regression_metrics(numbers(1), numbers(2), ["mae"])) == ["mae"]


def test_metrics_of_equal_labels() -> None:
    assert regression_metrics(numbers(7, 7), numbers(7, 7), ALL) == {"rmse": 0.0, "mae": 0.0, "r2": 1.0}
    assert regression_metrics(numbers(7, 8), numbers(7, 7), ALL)["r2"] == 0.0


def test_predictions_that_are_no_numbers() -> None:
    with pytest.raises(TrainingError, match=r"predictions must be finite numbers \(got NaN\)\. Lower train\.lr"):
        regression_metrics(numbers(1, np.nan), numbers(1, 2), ALL)


def test_loss_is_on_standardised_labels_and_a_sum() -> None:
    outputs, labels = torch.tensor([[0.0], [2.0]]), torch.tensor([5.0, 5.0 + 5**0.5])  # standardised: 0, 1
    loss, count = target().loss(outputs, labels)
    assert (loss.item(), count) == (pytest.approx(1.0), 2.0)
    # Huber: half the square up to 1, then linear: 3 deviations off cost 3 - 1/2.
    huber, _ = target(loss="huber").loss(torch.tensor([[3.0], [0.5]]), torch.tensor([5.0, 5.0]))
    assert huber.item() == pytest.approx(2.5 + 0.125)


def test_predictions_are_in_the_labels_units() -> None:
    found = target().predict(torch.tensor([[0.0], [1.0], [-2.0]]))
    torch.testing.assert_close(found, torch.tensor([5.0, 5 + 5**0.5, 5 - 2 * 5**0.5]))


def test_mean_and_deviation_are_saved_with_the_weights() -> None:
    made = target()
    assert {k: v.item() for k, v in made.state_dict().items()} == pytest.approx({"mean": 5.0, "std": 5**0.5})
    other = NumberTarget(made.config, [], numbers(0, 1))
    other.load_state_dict(made.state_dict())
    torch.testing.assert_close(other.predict(torch.tensor([[1.0]])), torch.tensor([5 + 5**0.5]))


def test_equal_training_labels_have_deviation_1() -> None:
    made = NumberTarget(target().config, [], numbers(3, 3))
    assert made.predict(torch.tensor([[0.25]])).item() == 3.25


@pytest.mark.parametrize(("select_by", "higher"), [("rmse", False), ("mae", False), ("r2", True)])
def test_which_way_is_better(select_by: str, higher: bool) -> None:
    assert selected_metric(target(select_by=select_by).config).higher_is_better is higher

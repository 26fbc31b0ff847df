"""The subpackages of torchmetrics that are read here, without the rest of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphstorm_like.testing.forked import Program, run_programs

ALONE = """
import sys
import torch
from graphstorm_like.tasks.metrics import torchmetrics

heavy = {"transformers", "scipy.signal"} - set(sys.modules)
metric = torchmetrics("classification").MulticlassAccuracy(3, average="micro", validate_args=False)
metric.update(torch.eye(3)[[0, 1, 1]], torch.tensor([0, 1, 2]))
error = torchmetrics("regression").MeanAbsoluteError()
error.update(torch.tensor([1.0, 2.0]), torch.tensor([2.0, 4.0]))
print(round(float(metric.compute()), 4), float(error.compute()), sorted(heavy & set(sys.modules)))
print([name for name in sys.modules if name.startswith("torchmetrics")])

import torchmetrics as whole

print(whole.classification.MulticlassAccuracy(3).num_classes, whole.functional.accuracy.__name__)
"""


@pytest.mark.slow
def test_without_the_rest_of_torchmetrics(tmp_path: Path) -> None:
    """Who imports torchmetrics itself afterwards gets all of it."""
    said = tmp_path / "said"
    codes = run_programs([Program(ALONE, [], {}, str(said))], [], 60.0)
    assert codes == [0], said.read_text()
    assert said.read_text().splitlines()[-3:] == ["0.6667 1.5 []", "[]", "3 accuracy"]

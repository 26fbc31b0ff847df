"""The student's loss against values worked out by hand, term by term."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from graphstorm_like.config.phases import StudentPhase
from graphstorm_like.sampling.batch import StreamPosition
from graphstorm_like.tasks import NodeClassification, Task
from graphstorm_like.tasks.imitation import Imitation

TEACHER = np.array([[3.0, 4.0], [0.0, 2.0], [1.0, 0.0]], dtype=np.float32)
PROBABILITIES = np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]], dtype=np.float32)
STUDENT = torch.tensor([[4.0, 3.0], [1.0, 0.0]])
IDS = np.array([0, 2])


def loss_of(monkeypatch: pytest.MonkeyPatch, probabilities: np.ndarray | None = None, **settings: object) -> float:
    """Mean over nodes 0 and 2 of the loss of STUDENT, whose head gives its vectors as logits."""
    task = NodeClassification.__new__(NodeClassification)
    nn.Module.__init__(task)
    task.head = nn.Identity()
    monkeypatch.setattr(Task, "device", torch.device("cpu"))
    phase = StudentPhase(name="s", type="student", **settings)  # type: ignore[arg-type]
    imitation = Imitation(phase, task, {"item": TEACHER}, probabilities)
    batch = imitation.seeder(0)(IDS, StreamPosition(0, 0))
    total, count = imitation.loss({"item": STUDENT}, batch)
    assert count == 2.0
    return float(total) / count


def divergence(heat: float) -> float:
    """Mean KL(teacher || student) at a temperature, written out."""
    found = []
    for logits, row in zip(STUDENT.tolist(), PROBABILITIES[IDS].tolist(), strict=True):
        p = np.array(row) ** (1 / heat)
        q = np.exp(np.array(logits) / heat)
        p, q = p / p.sum(), q / q.sum()
        found.append(float((p * np.log(p / q)).sum()))
    return float(np.mean(found))


def test_cosine(monkeypatch: pytest.MonkeyPatch) -> None:
    # cosines 24/25 and 1
    assert loss_of(monkeypatch, embedding_weight=0.5) == pytest.approx(0.5 * (1 / 25 + 0) / 2, abs=1e-6)


def test_squared_error_over_the_teachers_mean_square(monkeypatch: pytest.MonkeyPatch) -> None:
    # errors (1 + 1) / 2 and 0; the teacher's squares sum to 9 + 16 + 4 + 1 over 6 numbers
    assert loss_of(monkeypatch, embedding_loss="mse") == pytest.approx((1.0 / 5.0 + 0) / 2, rel=1e-5)


@pytest.mark.parametrize("heat", [1.0, 3.0])
def test_soft_labels(monkeypatch: pytest.MonkeyPatch, heat: float) -> None:
    alone = {"embedding_weight": 0.0, "label_weight": 0.25, "temperature": heat}
    found = loss_of(monkeypatch, PROBABILITIES, **alone)
    assert found == pytest.approx(0.25 * heat**2 * divergence(heat), rel=1e-4)


def test_both_terms_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    found = loss_of(monkeypatch, PROBABILITIES)
    assert found == pytest.approx(0.02 + divergence(1.0), rel=1e-4)

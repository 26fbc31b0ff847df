"""Phases that a graph network teaches, as they are built: what they learn from it, by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from graphstorm_like.config import Pipeline
from graphstorm_like.sampling.batch import StreamPosition
from graphstorm_like.training.experiment import Experiment, build_experiment
from graphstorm_like.training.phases.base import phase_of
from graphstorm_like.training.phases.handover import Handover

from .test_strategies import QUIET, train


def taught(
    pipeline: Pipeline, kind: str, monkeypatch: pytest.MonkeyPatch
) -> tuple[Any, Experiment, torch.Tensor, torch.Tensor]:
    """(objective of a phase, its experiment, the teacher's vectors and log probabilities of all items)."""
    train(pipeline, "construct")
    teacher = build_experiment(pipeline, QUIET)
    monkeypatch.setattr(Handover, "teacher", lambda *_: teacher)
    (phase,) = (phase for phase in pipeline.train.phase_list() if phase.type == kind)
    experiment = phase_of(phase).build(Handover(pipeline, pipeline.model.text_encoders()), QUIET)
    vectors = torch.from_numpy(np.asarray(teacher.embedder().layer_wise(["item"])["item"]))
    with torch.no_grad():
        log = teacher.task.head(vectors).log_softmax(dim=1)  # type: ignore[operator]
    return experiment.learner.objective, experiment, vectors, log


@pytest.mark.known_answer("phases/pseudo")
def test_a_pseudo_phase_learns_labels_and_the_teachers_classes(
    configured: Callable[..., Pipeline], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the loss is of labels, half of the teacher's probabilities on all other nodes."""
    objective, experiment, vectors, teacher = taught(configured("glem"), "pseudo", monkeypatch)
    task: Any = experiment.task
    ids = np.arange(len(vectors))
    rows = torch.randn(len(vectors), experiment.model.hidden)
    loss, weight = objective.loss({"item": rows}, objective.seeder(0)(ids, StreamPosition(0, 0)))
    with torch.no_grad():
        log = task.head(rows).log_softmax(dim=1)
    gold = task.rows("train")
    others = np.setdiff1d(ids, gold)
    of_labels = -log[gold, torch.from_numpy(task.labels[gold]).long()].mean()
    of_teacher = -(teacher[others].exp() * log[others]).sum(1).mean()
    assert float(loss.detach()) / weight == pytest.approx(float(0.5 * of_labels + 0.5 * of_teacher), rel=1e-4)


@pytest.mark.known_answer("phases/student")
def test_a_student_phase_learns_the_teachers_vectors_and_classes(
    configured: Callable[..., Pipeline], monkeypatch: pytest.MonkeyPatch
) -> None:
    """1 - cos, and the divergence of the classes of a head that starts as the teacher's."""
    objective, experiment, vectors, teacher = taught(configured("distill"), "student", monkeypatch)
    task: Any = experiment.task
    ids = np.arange(len(vectors))
    batch = objective.seeder(0)(ids, StreamPosition(0, 0))
    same, count = objective.loss({"item": vectors}, batch)
    assert float(same.detach()) / count == pytest.approx(0.0, abs=1e-5)
    rows = torch.randn(len(vectors), vectors.shape[1])
    loss, _ = objective.loss({"item": rows}, batch)
    with torch.no_grad():
        log = task.head(rows).log_softmax(dim=1)
    distance = 1.0 - F.cosine_similarity(rows, vectors)
    divergence = (teacher.exp() * (teacher - log)).sum(1)
    assert float(loss.detach()) / count == pytest.approx(float((distance + divergence).mean()), rel=1e-4)

"""Masked language modelling beside the task or alone: losses and gradients, over ranks too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from graphstorm_like.config import Pipeline
from graphstorm_like.ranks.group import Group
from graphstorm_like.sampling.batch import StreamPosition
from graphstorm_like.training.lm.build import build_lm_experiment
from graphstorm_like.training.phases.base import phase_of, phase_pipeline
from graphstorm_like.training.phases.handover import Handover
from graphstorm_like.training.tracking import read_metrics

from .test_strategies import QUIET, train

FIRST = StreamPosition(0, 0)


def test_masked_language_modelling_alone(configured: Callable[..., Pipeline]) -> None:
    """task_weight 0: the model learns words, the head of the task nothing."""
    pipeline = configured("lm_only", "train.lm.mlm={task_weight: 0.0, probability: 0.3}", "train.lm.epochs=6")
    train(pipeline)
    found = [r["loss"] for r in read_metrics(Path(pipeline.output) / "train") if r["kind"] == "train"]
    assert found[-1] < 0.8 * found[0]
    fresh = build_lm_experiment(phase_pipeline(pipeline, pipeline.train.phase_list()[0]), QUIET)
    saved = load_file(Path(pipeline.output) / "train" / "best" / "model.safetensors")
    for name, value in fresh.artifacts.modules.state_dict().items():
        if name.endswith("weight") and value.dim() > 1:
            # Weight decay alone has touched it.
            torch.testing.assert_close(saved[name], value, rtol=0.01, atol=1e-4)


class OneOfTwo(Group):
    """A rank that hears of another one with 3 seeds and 40 masked tokens."""

    def __init__(self) -> None:
        self.told = np.zeros(2)

    def total(self, values: Any, what: str) -> Any:
        assert what == "masked tokens"
        self.told = values
        return values + np.array([3.0, 40.0])


@pytest.mark.parametrize("weight", [1.0, 0.0])
def test_the_mlm_loss_is_a_mean_over_the_tokens_of_all_ranks(
    configured: Callable[..., Pipeline], weight: float
) -> None:
    pipeline = configured(
        "lm_only", "train.precision=float32", "train.lm.dropout=0.0", "train.lm.mlm={weight: 0.5, task_weight: 0.0}"
    )
    train(pipeline, "construct")
    found, rank = [], OneOfTwo()
    for ranks in (Group(), rank):
        experiment = build_lm_experiment(phase_pipeline(pipeline, pipeline.train.phase_list()[0]), QUIET)
        assert experiment.learner.mlm is not None
        experiment.learner.mlm.group = ranks
        experiment.learner.trained.train()
        batch = experiment.learner.batches().make(np.arange(16), FIRST)
        loss, _ = experiment.learner.backward(batch.replace(weight=weight))
        word = experiment.learner.language_models.of("*").backbone.get_input_embeddings().weight.grad
        assert word is not None
        found.append((word, loss))
    (alone, alone_loss), (one, loss) = found
    if weight == 0.0:  # nothing was left for it: its seed is another rank's
        assert rank.told.tolist() == [0.0, 0.0]
        assert loss == 0.0
        assert not one.any()
        return
    seeds, tokens = rank.told
    assert seeds == 16
    assert 0 < tokens < 200
    ratio = (seeds + 3) / (tokens + 40) * tokens / seeds
    assert loss == pytest.approx(alone_loss * ratio, rel=1e-5)
    torch.testing.assert_close(one, alone * ratio, atol=1e-6, rtol=1e-4)


@pytest.mark.known_answer("phases/lm")
def test_mlm_adds_its_gradient_to_the_tasks(configured: Callable[..., Pipeline]) -> None:
    pipeline = configured("lm_only", "train.precision=float32", "train.lm.dropout=0.0")
    train(pipeline, "construct")
    with_mlm = configured("lm_only", "train.precision=float32", "train.lm.dropout=0.0", "train.lm.mlm={weight: 0.5}")
    without_task = configured(
        "lm_only", "train.precision=float32", "train.lm.dropout=0.0", "train.lm.mlm={weight: 0.5, task_weight: 0.0}"
    )
    gradients = []
    for one in (pipeline, with_mlm, without_task):
        phase = phase_of(one.train.phase_list()[0])
        experiment: Any = phase.build(Handover(one, one.model.text_encoders()), QUIET)
        experiment.learner.trained.train()
        batch = experiment.learner.batches().make(np.arange(16), FIRST)
        loss, count = experiment.learner.backward(batch)
        assert count == 16
        word = experiment.learner.language_models.of("*").backbone.get_input_embeddings().weight.grad
        assert word is not None
        gradients.append((word, loss))
    (task, task_loss), (both, both_loss), (mlm, mlm_loss) = gradients
    torch.testing.assert_close(both, task + mlm, atol=1e-5, rtol=1e-4)
    assert both_loss == pytest.approx(task_loss + mlm_loss, rel=1e-5)

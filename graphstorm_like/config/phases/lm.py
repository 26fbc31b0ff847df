"""`train.phases`, type lm."""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.phases.base import TextPhaseConfig
from graphstorm_like.config.tasks import TaskConfig


class LmPhase(TextPhaseConfig):
    """The language model with a head on its vectors: no graph network. Every text of a batch gets gradients."""

    type: Literal["lm"]
    task: TaskConfig | None = None
    """What it learns from: default the pipeline's task. Graph-aware fine-tuning: link prediction or
    graph_pretraining over relations of your choice."""

    def task_of(self, pipeline_task: TaskConfig) -> TaskConfig:
        """See PhaseConfig."""
        return pipeline_task if self.task is None else self.task

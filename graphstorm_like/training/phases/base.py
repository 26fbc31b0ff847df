"""A phase's operator: (its configuration, what the phases before it pass on) -> an experiment for the training loop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from graphstorm_like.config.phases import PhaseConfig
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.registry import Registry
from graphstorm_like.training.experiment import Experiment, Reading
from graphstorm_like.training.phases.handover import Handover

Config = TypeVar("Config", bound=PhaseConfig)


class Phase(ABC, Generic[Config]):
    """A phase of a training. config: its entry of `train.phases`."""

    def __init__(self, config: Config) -> None:
        self.config = config

    @abstractmethod
    def build(self, handover: Handover, reporter: Reporter) -> Experiment:
        """What the phase trains. handover: what the phases before it pass on."""

    @abstractmethod
    def open(self, pipeline: Pipeline, reporter: Reporter, reading: Reading | None = None) -> Experiment:
        """The model that the phase leaves, without its weights, for evaluation and inference.

        pipeline: as the phase sees it, with the language models that it left. reading: where graph and texts come
        from; None: from the pipeline's folders.
        """

    def pipeline(self, handover: Handover) -> Pipeline:
        """The pipeline as this phase sees it, with the language models as they are now."""
        return handover.derived(phase_pipeline(handover.pipeline, self.config))


PHASES: Registry[type[Phase[PhaseConfig]]] = Registry("phase", "graphstorm_like.training.phases")


def phase_of(config: PhaseConfig) -> Phase[PhaseConfig]:
    """The operator of a phase's configuration."""
    return PHASES.of(config)(config)


def phase_pipeline(pipeline: Pipeline, phase: PhaseConfig) -> Pipeline:
    """The pipeline as one phase sees it: its own training settings, and its task when it has one."""
    changes = {"train": phase.settings(pipeline.train), "task": phase.task_of(pipeline.task)}
    return pipeline.model_copy(update=changes)

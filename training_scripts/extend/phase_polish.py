"""A training phase of your own: the graph network goes on from where the phase before left it, with other settings.

plugins: [./phase_polish.py]
train:
  strategy: custom
  phases:
    - { name: gnn, type: gnn }
    - { name: polish, type: polish, epochs: 2, lr: 1e-4 }
"""

from __future__ import annotations

from typing import ClassVar, Literal

from graphstorm_like.config.phases import PhaseConfig
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.training.experiment import Experiment, Reading, build_experiment
from graphstorm_like.training.phases.base import PHASES, Phase
from graphstorm_like.training.phases.handover import Handover


class PolishPhase(PhaseConfig):
    """More epochs for the graph network that is there."""

    type: Literal["polish"]

    trains_graph: ClassVar[bool] = True
    reads_graph_network: ClassVar[bool] = True
    needs_teacher: ClassVar[bool] = True
    unread_settings: ClassVar[frozenset[str]] = frozenset({"lm"})


@PHASES.register(PolishPhase)
class Polish(Phase[PolishPhase]):
    """See PolishPhase."""

    def build(self, handover: Handover, reporter: Reporter) -> Experiment:
        """The weights of the phase before."""
        experiment = build_experiment(self.pipeline(handover), reporter)
        assert handover.graph_network is not None, "needs_teacher"
        experiment.artifacts.load(handover.graph_network)
        return experiment

    def open(self, pipeline: Pipeline, reporter: Reporter, reading: Reading | None = None) -> Experiment:
        """As the library's own phase with a graph network."""
        return build_experiment(pipeline, reporter, reading)

"""Phase joint: graph network and language models end to end."""

from __future__ import annotations

from graphstorm_like.config.phases import JointPhase
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.training.experiment import Experiment, Reading, build_experiment
from graphstorm_like.training.lm.build import build_joint_experiment
from graphstorm_like.training.phases.base import PHASES, Phase
from graphstorm_like.training.phases.handover import Handover


@PHASES.register(JointPhase)
class Joint(Phase[JointPhase]):
    """See JointPhase."""

    def build(self, handover: Handover, reporter: Reporter) -> Experiment:
        """Starts from the graph network before it, if there is one: an untrained one would send noise into the language
        model."""
        experiment = build_joint_experiment(self.pipeline(handover), self.config, reporter)
        if handover.graph_network is not None:
            experiment.artifacts.load(handover.graph_network)
        return experiment

    def open(self, pipeline: Pipeline, reporter: Reporter, reading: Reading | None = None) -> Experiment:
        """See Phase."""
        return build_experiment(pipeline, reporter, reading)

"""Phase gnn: a fresh graph network on the vectors of the language models as they are now."""

from __future__ import annotations

from graphstorm_like.config.phases import GnnPhase
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.training.experiment import Experiment, Reading, build_experiment
from graphstorm_like.training.phases.base import PHASES, Phase
from graphstorm_like.training.phases.handover import Handover


@PHASES.register(GnnPhase)
class Gnn(Phase[GnnPhase]):
    """See GnnPhase."""

    def build(self, handover: Handover, reporter: Reporter) -> Experiment:
        """See Phase."""
        return build_experiment(self.pipeline(handover), reporter)

    def open(self, pipeline: Pipeline, reporter: Reporter, reading: Reading | None = None) -> Experiment:
        """See Phase."""
        return build_experiment(pipeline, reporter, reading)

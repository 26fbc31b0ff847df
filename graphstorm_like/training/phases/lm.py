"""Phase lm: the language models with a head on their vectors."""

from __future__ import annotations

from graphstorm_like.config.phases import LmPhase
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.training.experiment import Experiment, Reading, build_text_experiment
from graphstorm_like.training.lm.build import build_lm_experiment
from graphstorm_like.training.phases.base import PHASES, Phase
from graphstorm_like.training.phases.handover import Handover


@PHASES.register(LmPhase)
class Lm(Phase[LmPhase]):
    """See LmPhase."""

    def build(self, handover: Handover, reporter: Reporter) -> Experiment:
        """See Phase."""
        return build_lm_experiment(self.pipeline(handover), reporter)

    def open(self, pipeline: Pipeline, reporter: Reporter, reading: Reading | None = None) -> Experiment:
        """See Phase."""
        return build_text_experiment(pipeline, reporter, reading=reading)

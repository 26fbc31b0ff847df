"""Phase pseudo: the language models learn from the graph network's classes of nodes without a label."""

from __future__ import annotations

from dataclasses import replace

from graphstorm_like.config.phases import PseudoPhase
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.tasks.pseudo_labels import PseudoLabels
from graphstorm_like.training.experiment import Experiment, Reading, build_text_experiment
from graphstorm_like.training.lm.build import build_lm_experiment
from graphstorm_like.training.phases.base import PHASES, Phase
from graphstorm_like.training.phases.handover import Handover


@PHASES.register(PseudoPhase)
class Pseudo(Phase[PseudoPhase]):
    """See PseudoPhase."""

    def build(self, handover: Handover, reporter: Reporter) -> Experiment:
        """Pseudo labels are computed once, before the phase, in which the graph network does not change."""
        teacher = handover.teacher(reporter)
        classifier = teacher.task.node_classifier
        assert classifier is not None, "checked by the configuration"
        node_type = classifier.node_type
        probabilities = classifier.probabilities(teacher.embedder(reporter).layer_wise([node_type])[node_type])
        experiment = build_lm_experiment(self.pipeline(handover), reporter)
        learner = experiment.task.node_classifier
        assert learner is not None, "of the same task"
        labels = PseudoLabels(learner, probabilities, self.config.weight, self.config.min_confidence)
        gold = int(labels.is_gold.sum())
        reporter.line(f"{len(labels.rows) - gold:,} nodes with pseudo labels, {gold:,} with gold ones")
        return replace(experiment, learner=replace(experiment.learner, objective=labels))

    def open(self, pipeline: Pipeline, reporter: Reporter, reading: Reading | None = None) -> Experiment:
        """See Phase."""
        return build_text_experiment(pipeline, reporter, reading=reading)

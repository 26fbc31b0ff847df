"""Phase student: language models learn to reproduce the graph network's vectors from text alone."""

from __future__ import annotations

from dataclasses import replace

import torch

from graphstorm_like.config.phases import StudentPhase
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.tasks.imitation import Imitation
from graphstorm_like.training.experiment import Experiment, Reading, build_text_experiment
from graphstorm_like.training.lm.build import build_lm_experiment
from graphstorm_like.training.phases.base import PHASES, Phase, phase_pipeline
from graphstorm_like.training.phases.handover import Handover


@PHASES.register(StudentPhase)
class Student(Phase[StudentPhase]):
    """See StudentPhase."""

    def build(self, handover: Handover, reporter: Reporter) -> Experiment:
        """The teacher's vectors are computed once; the student's head starts from the teacher's."""
        teacher = handover.teacher(reporter)
        vectors = teacher.embedder(reporter).layer_wise(teacher.task.node_types)
        probabilities = None
        if (classifier := teacher.task.node_classifier) is not None:
            probabilities = classifier.probabilities(vectors[classifier.node_type])
        experiment = build_lm_experiment(self.pipeline(handover), reporter, hidden=teacher.model.hidden)
        with torch.no_grad():
            experiment.task.load_state_dict(teacher.task.state_dict())
        imitation = Imitation(self.config, experiment.task, vectors, probabilities)
        return replace(experiment, learner=replace(experiment.learner, objective=imitation))

    def open(self, pipeline: Pipeline, reporter: Reporter, reading: Reading | None = None) -> Experiment:
        """See Phase."""
        return build_text_experiment(pipeline, reporter, pipeline.model.gnn.hidden, reading)

    def pipeline(self, handover: Handover) -> Pipeline:
        """Students start from the configured language models, not from those that the teacher was trained on."""
        pipeline = phase_pipeline(handover.pipeline, self.config)
        students = self.config.encoders_of(pipeline.model.text_encoders())
        return pipeline.model_copy(update={"model": pipeline.model.with_encoders(students)})

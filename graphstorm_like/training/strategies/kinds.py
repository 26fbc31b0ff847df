"""What each kind of stage trains: (stage, its pipeline, what came before) -> an experiment for the training loop."""

from __future__ import annotations

from dataclasses import replace

import torch

from graphstorm_like.config.phases import PhaseConfig
from graphstorm_like.config.phases.gnn import GnnPhase
from graphstorm_like.config.phases.joint import JointPhase
from graphstorm_like.config.phases.lm import LmPhase
from graphstorm_like.config.phases.pseudo import PseudoPhase
from graphstorm_like.config.phases.student import StudentPhase
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.tasks.imitation import Imitation
from graphstorm_like.tasks.pseudo_labels import PseudoLabels
from graphstorm_like.training.experiment import Experiment, build_experiment
from graphstorm_like.training.lm.experiment import build_joint_experiment, build_lm_experiment
from graphstorm_like.training.strategies.lineage import Lineage


def stage_pipeline(pipeline: Pipeline, stage: PhaseConfig) -> Pipeline:
    """The pipeline as one stage sees it: its own training settings, and its task when it has one."""
    changes: dict[str, object] = {"train": pipeline.train.of_stage(stage)}
    if isinstance(stage, LmPhase) and stage.task is not None:
        changes["task"] = stage.task
    return pipeline.model_copy(update=changes)


def build_stage(stage: PhaseConfig, lineage: Lineage, reporter: Reporter) -> Experiment:
    """The experiment that a stage trains."""
    pipeline = lineage.derived(stage_pipeline(lineage.pipeline, stage))
    match stage:
        case GnnPhase():
            return build_experiment(pipeline, reporter)
        case LmPhase():
            return build_lm_experiment(pipeline, reporter)
        case JointPhase():
            return _joint(stage, pipeline, lineage, reporter)
        case PseudoPhase():
            return _pseudo(stage, pipeline, lineage, reporter)
        case StudentPhase():
            return _student(stage, lineage, reporter)


def _joint(stage: JointPhase, pipeline: Pipeline, lineage: Lineage, reporter: Reporter) -> Experiment:
    """From the graph network before it, if there is one: a cold one would send noise into the language model."""
    experiment = build_joint_experiment(pipeline, stage, reporter)
    if lineage.graph_network is not None:
        experiment.load(lineage.graph_network)
    return experiment


def _pseudo(stage: PseudoPhase, pipeline: Pipeline, lineage: Lineage, reporter: Reporter) -> Experiment:
    """Pseudo labels are computed once, before the stage: the graph network does not change in it."""
    teacher = lineage.teacher(reporter)
    classifier = teacher.task.node_classifier
    assert classifier is not None, "checked by the configuration"
    node_type = classifier.node_type
    probabilities = classifier.probabilities(teacher.embedder(reporter).layer_wise([node_type])[node_type])
    experiment = build_lm_experiment(pipeline, reporter)
    student = experiment.task.node_classifier
    assert student is not None, "of the same task"
    labels = PseudoLabels(student, probabilities, stage.weight, stage.min_confidence)
    reporter.line(
        f"{len(labels.rows) - int(labels.is_gold.sum()):,} nodes with pseudo labels, "
        f"{int(labels.is_gold.sum()):,} with gold ones"
    )
    return replace(experiment, other_objective=labels)


def _student(stage: StudentPhase, lineage: Lineage, reporter: Reporter) -> Experiment:
    """The teacher's vectors are computed once; its head is where the student's starts."""
    teacher = lineage.teacher(reporter)
    vectors = teacher.embedder(reporter).layer_wise(teacher.task.node_types)
    probabilities = None
    if (classifier := teacher.task.node_classifier) is not None:
        probabilities = classifier.probabilities(vectors[classifier.node_type])
    pipeline = student_pipeline(stage_pipeline(lineage.pipeline, stage), stage)
    experiment = build_lm_experiment(pipeline, reporter, hidden=teacher.model.hidden)
    with torch.no_grad():
        experiment.task.load_state_dict(teacher.task.state_dict())
    return replace(experiment, other_objective=Imitation(stage, experiment.task, vectors, probabilities))


def student_pipeline(pipeline: Pipeline, stage: StudentPhase) -> Pipeline:
    """A pipeline whose language models are students."""
    original = pipeline.model.text_encoders()
    students = dict.fromkeys(original, stage.text_encoder) if stage.text_encoder is not None else original
    return pipeline.model_copy(update={"model": pipeline.model.with_encoders(students)})

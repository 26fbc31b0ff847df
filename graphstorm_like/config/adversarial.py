"""Rules between attacks and the rest of the pipeline."""

from __future__ import annotations

from collections.abc import Iterator

from graphstorm_like.config.launchers import LaunchConfig
from graphstorm_like.config.problems import Problem
from graphstorm_like.config.tasks import TaskConfig
from graphstorm_like.config.train import InferConfig, TrainConfig


def check_adversarial(train: TrainConfig) -> Iterator[Problem]:
    """One of the phases must read what is attacked in training."""
    attack = train.adversarial
    if attack is None:
        return
    at, phases = ("train", "adversarial", "on"), train.phase_list()
    if attack.on == "tokens" and not any(phase.trains_lm for phase in phases):
        yield (
            at,
            f"must be inputs or text_vectors with strategy {train.strategy}, which trains no language model (got "
            f"'tokens')",
        )
    if attack.on == "inputs" and not any(phase.trains_graph for phase in phases):
        yield (
            at,
            f"must be tokens or text_vectors with strategy {train.strategy}, which trains no graph network (got "
            f"'inputs')",
        )
    if attack.on == "tokens" and train.lm.compile:
        yield at, "must be inputs or text_vectors with train.lm.compile: true (got 'tokens')"


def check_attacks(task: TaskConfig, train: TrainConfig, infer: InferConfig, launch: LaunchConfig) -> Iterator[Problem]:
    """Attacks in evaluation change rows that do not change otherwise, of one task, on one host."""
    if infer.attacks and not task.may_be_joined:
        yield ("infer", "attacks"), f"must be left out with task.type: {task.type}. Attack one label or relation"
    if infer.attacks and launch.hosts > 1:
        yield ("infer", "attacks"), f"must be left out with launch.hosts: {launch.hosts}: evaluate on one host"
    for number, attack in enumerate(infer.attacks):
        if attack.on == "tokens":
            yield (
                ("infer", "attacks", number, "on"),
                "must be inputs or text_vectors (got 'tokens', which are attacked in training alone)",
            )
        if attack.on == "inputs" and not train.phase_list()[-1].trains_graph:
            yield (
                ("infer", "attacks", number, "on"),
                f"must be text_vectors with strategy {train.strategy}, whose last phase has no graph network (got "
                f"'inputs')",
            )
        if attack.weight != type(attack).model_fields["weight"].default:
            yield ("infer", "attacks", number, "weight"), "means nothing here: it is for train.adversarial. Remove it"

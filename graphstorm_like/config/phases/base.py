"""What every training phase has in its configuration, and the facts about a phase that other modules need.

The facts are in the class of the phase's own configuration: what it trains, what it needs from the phases before it,
which settings it reads, and what it checks. Its operator in training/phases does the training.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from graphstorm_like.config.base import Name, PositiveFloat, PositiveInt
from graphstorm_like.config.choice import Choice
from graphstorm_like.config.schedule import EarlyStopConfig, ScheduleConfig
from graphstorm_like.config.tasks import TaskConfig
from graphstorm_like.config.text_encoders import TextEncoderConfig

if TYPE_CHECKING:
    from graphstorm_like.config.model import ModelConfig
    from graphstorm_like.config.train import TrainConfig


@dataclass(frozen=True)
class PhaseSurroundings:
    """The facts about other sections of the pipeline that a phase's checks read."""

    task: TaskConfig
    """What the phase learns."""
    task_node_types: tuple[str, ...]
    """Node types whose vectors the task reads."""
    text_node_types: Collection[str]
    """Node types of which the model reads a text."""
    reads_edge_text: bool
    """Whether the task's head reads a text of the edges that it scores."""
    message_texts: tuple[str, ...]
    """Edge types, 'source:relation:target', whose texts enter messages."""


class PhaseConfig(Choice, tag="type"):
    """Keys that are not given are as in `train` (gnn, joint) or `train.lm` (lm, pseudo, student)."""

    name: Name
    """Of the phase: its folder, and its lines in logs."""
    type: str
    epochs: PositiveInt | None = None
    """Passes over the training rows, at most."""
    batch_size: PositiveInt | None = None
    """Seeds (nodes or edges) per step."""
    lr: PositiveFloat | None = None
    """Of graph network and head."""
    lm_lr: PositiveFloat | None = None
    """Of the language model."""
    schedule: ScheduleConfig | None = None
    """Of all that the phase trains."""
    early_stop: EarlyStopConfig | Literal["off"] | None = None
    """When to stop; off: never."""
    evaluate_every: PositiveInt | None = None
    """Epochs between two validations."""

    trains_lm: ClassVar[bool] = False
    """Whether it changes language models, which later phases get."""
    trains_graph: ClassVar[bool] = False
    """Whether it trains a graph network, which later phases get."""
    reads_graph_network: ClassVar[bool] = False
    """Whether its results depend on the graph network before it."""
    needs_teacher: ClassVar[bool] = False
    """Whether there must be a graph network before it, trained on the language models as they are when it begins."""
    unread_settings: ClassVar[frozenset[str]] = frozenset()
    """Keys of `train` that it does not read: its results do not depend on them."""

    def settings(self, train: TrainConfig) -> TrainConfig:
        """`train` with the settings of this phase."""
        changes = self._usual_settings(train)
        for name in ("epochs", "batch_size", "lr", "schedule", "early_stop", "evaluate_every"):
            if (value := getattr(self, name)) is not None:
                changes[name] = None if value == "off" else value
        lm_settings = {"lr": self.lm_lr, "schedule": self.schedule}
        lm_changes = {name: value for name, value in lm_settings.items() if value is not None}
        if lm_changes:
            changes["lm"] = train.lm.model_copy(update=lm_changes)
        epochs, evaluate_every = (
            changes.get("epochs", train.epochs),
            changes.get("evaluate_every", train.evaluate_every),
        )
        changes["evaluate_every"] = None if evaluate_every is None else min(evaluate_every, epochs)
        return train.model_copy(update=changes)

    def _usual_settings(self, train: TrainConfig) -> dict[str, Any]:
        """Settings that phases of this type do not take from `train` itself."""
        return {}

    def task_of(self, pipeline_task: TaskConfig) -> TaskConfig:
        """The task that it learns, in a pipeline with the given one."""
        return pipeline_task

    def encoders_of(self, present: Mapping[str, TextEncoderConfig]) -> dict[str, TextEncoderConfig]:
        """The language models that it works with, by key. present: those that the phases before it left."""
        return dict(present)

    def own_encoders(self) -> list[TextEncoderConfig]:
        """Language models that its configuration names."""
        return []

    def with_own_encoders(self, change: Callable[[TextEncoderConfig], TextEncoderConfig]) -> PhaseConfig:
        """The same phase with each of `own_encoders` changed."""
        return self

    def check(self, around: PhaseSurroundings) -> Iterator[str]:
        """Messages about parts of the pipeline that do not fit this phase."""
        yield from ()

    def check_hosts(self, model: ModelConfig, hosts: int) -> Iterator[tuple[tuple[str, ...], str]]:
        """Problems when the graph is spread over several hosts: (path in the YAML, message)."""
        yield from ()


class TextPhaseConfig(PhaseConfig):
    """A phase that trains language models without a graph network: its settings are those of `train.lm`."""

    trains_lm: ClassVar[bool] = True
    unread_settings: ClassVar[frozenset[str]] = frozenset({"fanouts", "embedding_lr"})

    def _usual_settings(self, train: TrainConfig) -> dict[str, Any]:
        return {
            "epochs": train.lm.epochs,
            "batch_size": train.lm.batch_size,
            "lr": train.lm.head_lr,
            "schedule": train.lm.schedule,
            "early_stop": train.lm.early_stop,
        }

    def check(self, around: PhaseSurroundings) -> Iterator[str]:
        """There must be texts to train language models on."""
        if around.reads_edge_text:
            return
        for node_type in around.task_node_types:
            if node_type not in around.text_node_types:
                yield (
                    f"must be frozen, or '{node_type}' must have a text: phase {self.name} trains the language model "
                    f"on it. Add graph.nodes.{node_type}.text, or look at model.inputs.{node_type}.text"
                )

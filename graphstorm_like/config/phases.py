"""`train.phases`: what is trained, one after the other.

lm        the language model alone, with a head on its vectors
gnn       a graph network on the vectors of a fixed language model
joint     both, end to end
pseudo    GLEM: the language model learns from the graph network's labels
student   a language model learns the graph network's vectors from text alone
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from graphstorm_like.config.base import Name, NonNegativeFloat, PositiveFloat, PositiveInt
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


class GnnPhase(PhaseConfig):
    """A fresh graph network on vectors of the language model, which are computed once."""

    type: Literal["gnn"]

    trains_graph: ClassVar[bool] = True
    unread_settings: ClassVar[frozenset[str]] = frozenset({"lm"})


class JointPhase(PhaseConfig):
    """Graph network and language model end to end: gradients into the texts of the seeds and of a few neighbours.

    The vectors of all other texts come from a table, and newly computed ones are written back into it.
    """

    type: Literal["joint"]
    neighbors: Annotated[int, Field(ge=0)] = 1
    """How many neighbours per seed get gradients, within the budget, and as many of its edges if texts of edges enter
    the messages (`model.edge_inputs`)."""
    choose: Literal["random", "weight"] = "random"
    """Which neighbours: random ones, or those with the most sampled edges."""
    lm_tokens: PositiveInt = 32768
    """Tokens per step that get gradients: seeds first, then edges, then neighbours. Time grows with it."""
    refresh_steps: PositiveInt | None = None
    """No vector is used that is older than this many steps: each step recomputes the next part of the table. Set it
    for long epochs. null: all vectors are recomputed before each validation, which then sees the same as inference."""

    trains_lm: ClassVar[bool] = True
    trains_graph: ClassVar[bool] = True
    reads_graph_network: ClassVar[bool] = True

    def check(self, around: PhaseSurroundings) -> Iterator[str]:
        """Without texts of nodes or scored edges, there must be texts of edges next to the seeds to train on."""
        if around.reads_edge_text or around.text_node_types:
            return
        read, ends = around.message_texts, around.task_node_types
        if not read:
            yield "must be another strategy: no text enters the model, so there is no language model to train"
        elif not any(name.rsplit(":", 1)[1] in ends for name in read):
            targets = " or ".join(f"'{end}'" for end in ends)
            yield (
                f"must be another strategy, or model.edge_inputs must read texts of edges that lead to {targets} (got "
                f"{', '.join(read)}): the language model learns from those next to the seeds"
            )
        elif self.neighbors == 0:
            yield (
                f"must have neighbors of 1 or more for phase {self.name}: the only texts are of edges, and without "
                f"neighbors none is trained"
            )

    def check_hosts(self, model: ModelConfig, hosts: int) -> Iterator[tuple[tuple[str, ...], str]]:
        """A table of vectors over several hosts has one row per text, not one per piece of it."""
        if hosts == 1:
            return
        for path, encoder in model.encoder_places().items():
            if encoder.chunks is not None:
                yield (
                    (*path, "long_texts"),
                    "must be truncate for a joint phase on several hosts (got 'chunk'). Set it, or train on one host",
                )


class LmPhase(TextPhaseConfig):
    """The language model with a head on its vectors: no graph network. Every text of a batch gets gradients."""

    type: Literal["lm"]
    task: TaskConfig | None = None
    """What it learns from: default the pipeline's task. Graph-aware fine-tuning: link prediction or
    graph_pretraining over relations of your choice."""

    def task_of(self, pipeline_task: TaskConfig) -> TaskConfig:
        """See PhaseConfig."""
        return pipeline_task if self.task is None else self.task


class PseudoPhase(TextPhaseConfig):
    """GLEM's language model step (Zhao et al. 2023): gold labels, and the graph network's on all other nodes."""

    type: Literal["pseudo"]
    weight: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.5
    """Of the pseudo labels' loss; the gold labels have the rest."""
    min_confidence: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """Nodes whose most probable class is less probable are left out."""

    reads_graph_network: ClassVar[bool] = True
    needs_teacher: ClassVar[bool] = True

    def check(self, around: PhaseSurroundings) -> Iterator[str]:
        """See PhaseConfig."""
        if not around.task.classifies_nodes:
            yield f"must be another strategy than glem for {around.task.type}: pseudo labels are classes of nodes"
        if around.task.goes_in_order:
            yield "must be another strategy than glem with task.snapshots: pseudo labels are of all times"
        yield from super().check(around)


class StudentPhase(TextPhaseConfig):
    """A language model learns to give the graph network's vectors from text alone: for nodes without neighbours."""

    type: Literal["student"]
    text_encoder: TextEncoderConfig | None = None
    """The student; default: the model's text encoder, as it was before any training."""
    embedding_loss: Literal["cosine", "mse"] = "cosine"
    """How the student's vectors are compared with the teacher's."""
    embedding_weight: NonNegativeFloat = 1.0
    """Of the loss on vectors."""
    label_weight: NonNegativeFloat = 1.0
    """Of the teacher's class probabilities (node classification)."""
    temperature: PositiveFloat = 1.0
    """Softens the teacher's probabilities: they are those of logits divided by it."""

    reads_graph_network: ClassVar[bool] = True
    needs_teacher: ClassVar[bool] = True

    def encoders_of(self, present: Mapping[str, TextEncoderConfig]) -> dict[str, TextEncoderConfig]:
        """See PhaseConfig."""
        return dict(present) if self.text_encoder is None else dict.fromkeys(present, self.text_encoder)

    def own_encoders(self) -> list[TextEncoderConfig]:
        """See PhaseConfig."""
        return [] if self.text_encoder is None else [self.text_encoder]

    def with_own_encoders(self, change: Callable[[TextEncoderConfig], TextEncoderConfig]) -> StudentPhase:
        """See PhaseConfig."""
        if self.text_encoder is None:
            return self
        return self.model_copy(update={"text_encoder": change(self.text_encoder)})

    def check(self, around: PhaseSurroundings) -> Iterator[str]:
        """See PhaseConfig."""
        if around.reads_edge_text:
            yield (
                "must be another strategy: a student reads texts of nodes, no others. Or leave the text out of "
                "task.inputs"
            )
        yield from super().check(around)

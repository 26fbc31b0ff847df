"""`train.strategy`, `train.stages` and `train.lm`: how language model and graph network are trained together.

A strategy is a list of stages that run one after the other. Each starts from what the stages before it made and is a
training run of its own: own epochs, learning rates, early stop and resume points.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field

from graphstorm_like.config.base import Name, NonNegativeFloat, PositiveFloat, PositiveInt, Strict
from graphstorm_like.config.model import Dropout, TextEncoderConfig
from graphstorm_like.config.schedule import EarlyStopConfig, ScheduleConfig
from graphstorm_like.config.task import TaskConfig

Strategy = Literal["frozen", "lm_only", "staged", "joint", "glem", "distill"]


class FullTuning(Strict):
    """All weights of the language model learn."""

    type: Literal["full"]


class TopTuning(Strict):
    """Only the topmost layers learn: less memory and time, for nothing is propagated below them."""

    type: Literal["top"]
    layers: PositiveInt = 2


class LoraTuning(Strict):
    """Low-rank updates beside frozen matrices (Hu et al. 2022), by peft. What is saved is the merged model."""

    type: Literal["lora"]
    rank: PositiveInt = 8
    alpha: PositiveFloat = 16.0
    dropout: Dropout = 0.0
    modules: list[str] | Literal["all-linear"] = "all-linear"
    """Names of the linear layers, as peft's target_modules."""


TuneConfig = Annotated[FullTuning | TopTuning | LoraTuning, Field(discriminator="type")]


class MlmConfig(Strict):
    """Masked-language-model loss on the texts of the batch, beside the task's (Devlin et al. 2019: 80/10/10)."""

    weight: PositiveFloat = 1.0
    probability: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.15
    task_weight: NonNegativeFloat = 1.0
    """Of the task's own loss; 0: masked language modelling alone (the baseline of graph-aware pre-training)."""


class LmConfig(Strict):
    """How stages that train the language model do it."""

    tune: TuneConfig = FullTuning(type="full")
    epochs: PositiveInt = 2
    batch_size: PositiveInt = 64
    """Seeds (nodes or edges) a step of stages of type lm, pseudo and student."""
    lr: PositiveFloat = 5e-5
    """Of the language model; full tuning wants 1e-5 to 1e-4, LoRA ten times as much."""
    head_lr: PositiveFloat = 1e-3
    """Of the head on its vectors."""
    layer_decay: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """Each layer's learning rate is this times that of the layer above it."""
    weight_decay: NonNegativeFloat = 0.01
    schedule: ScheduleConfig = ScheduleConfig(type="linear", warmup_fraction=0.1)
    """Of the language model's learning rate in all stages that train it; in those of type lm, pseudo and student of the
    head's too."""
    early_stop: EarlyStopConfig | None = EarlyStopConfig(patience=2)
    dropout: Dropout | None = None
    """In the language model while it learns; default: its own. 0 saves up to a third of a step on a CPU."""
    gradient_checkpointing: bool = False
    """Forget activations inside each layer and compute them again: a third more work, several times less memory."""
    activation_tokens: PositiveInt | None = None
    """Padded tokens whose activations are held at once; default: about 2 GB worth on a CPU, 16 GB on a GPU. Batches
    with more go forward twice, in pieces (GradCache, Gao et al. 2021): any batch fits, with the same gradients."""
    compile: bool = False
    """torch.compile the language model: pays on GPUs and long runs; needs a C++ compiler on a CPU."""
    mlm: MlmConfig | None = None


class StageBase(Strict):
    """What is not given is as in `train` (gnn, joint) or `train.lm` (lm, pseudo, student)."""

    name: Name
    epochs: PositiveInt | None = None
    batch_size: PositiveInt | None = None
    lr: PositiveFloat | None = None
    """Of graph network and head."""
    lm_lr: PositiveFloat | None = None
    """Of the language model."""
    schedule: ScheduleConfig | None = None
    """Of all that the stage trains."""
    early_stop: EarlyStopConfig | Literal["off"] | None = None
    evaluate_every: PositiveInt | None = None


class GnnStage(StageBase):
    """A fresh graph network on vectors of the language model, which are computed once."""

    type: Literal["gnn"]


class LmStage(StageBase):
    """The language model with a head on its vectors: no graph network. Every text of a batch gets gradients."""

    type: Literal["lm"]
    task: TaskConfig | None = None
    """What it learns from: default the pipeline's task. Graph-aware fine-tuning: link prediction or
    graph_pretraining over relations of your choice."""


class PseudoStage(StageBase):
    """GLEM's language model step (Zhao et al. 2023): gold labels, and the graph network's on all other nodes."""

    type: Literal["pseudo"]
    weight: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.5
    """Of the pseudo labels' loss; the gold labels have the rest."""
    min_confidence: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """Nodes whose most probable class is less probable are left out."""


class JointStage(StageBase):
    """Graph network and language model end to end: gradients into the texts of the seeds and of a few neighbours.

    All other texts come from a table of vectors; what is computed is written back into it.
    """

    type: Literal["joint"]
    neighbors: Annotated[int, Field(ge=0)] = 1
    """How many neighbours a seed get gradients, within the budget; as many edges to it, where texts of edges enter the
    messages (`model.edge_inputs`)."""
    choose: Literal["random", "weight"] = "random"
    """Which: drawn, or those that most sampled edges lead to."""
    lm_tokens: PositiveInt = 32768
    """Tokens a step that are trained: seeds first, then edges, then neighbours. Time grows with it."""
    refresh_steps: PositiveInt | None = None
    """No vector is used that is older than this many steps: each step computes the next part of the table anew. Set it
    where an epoch is long. null: all are computed anew before each validation, which so sees what inference will."""


class StudentStage(StageBase):
    """A language model learns to give the graph network's vectors from text alone: for nodes without neighbours."""

    type: Literal["student"]
    text_encoder: TextEncoderConfig | None = None
    """The student; default: the model's text encoder, as it was before any training."""
    embedding_loss: Literal["cosine", "mse"] = "cosine"
    embedding_weight: NonNegativeFloat = 1.0
    label_weight: NonNegativeFloat = 1.0
    """Of the teacher's class probabilities (node classification)."""
    temperature: PositiveFloat = 1.0


StageConfig = Annotated[
    GnnStage | LmStage | PseudoStage | JointStage | StudentStage,
    Field(discriminator="type"),
]

_DEFAULTS: dict[str, tuple[str, ...]] = {
    "frozen": ("gnn",),
    "lm_only": ("lm",),
    "staged": ("lm", "gnn"),
    "joint": ("joint",),
    "glem": ("lm", "gnn", "pseudo", "gnn"),
    "distill": ("gnn", "student"),
}
_FORMS: dict[str, tuple[str, str]] = {
    "frozen": (r"gnn", "gnn"),
    "lm_only": (r"(lm )*lm", "lm, once or more"),
    "staged": (r"(lm )+gnn( joint)?", "lm (once or more), gnn, and then joint or not"),
    "joint": (r"(lm )*(gnn )?joint", "joint, with lm and gnn before it or not"),
    "glem": (r"(lm )*gnn( pseudo gnn)+", "lm or not, gnn, then pseudo and gnn, once or more"),
    "distill": (r"(lm )*gnn( joint)? student", "lm or not, gnn, joint or not, student"),
}
_TYPES: dict[str, type[GnnStage | LmStage | PseudoStage | JointStage | StudentStage]] = {
    "gnn": GnnStage,
    "lm": LmStage,
    "pseudo": PseudoStage,
    "joint": JointStage,
    "student": StudentStage,
}
_TRAINS_LM = ("lm", "pseudo", "student")


def default_stages(strategy: Strategy) -> list[StageConfig]:
    """The stages of a strategy, named by their types; a second one of a type is gnn2."""
    found: list[StageConfig] = []
    for kind in _DEFAULTS[strategy]:
        before = sum(stage.type == kind for stage in found)
        found.append(_TYPES[kind](name=f"{kind}{before + 1}" if before else kind, type=kind))  # type: ignore[arg-type]
    return found


def wrong_stages(strategy: Strategy, stages: list[StageConfig]) -> str | None:
    """What is wrong with a list of stages, or None."""
    form, words = _FORMS[strategy]
    types = [stage.type for stage in stages]
    if not re.fullmatch(form, " ".join(types)):
        return f"must be of the types {words} for strategy {strategy} (got {', '.join(types) or 'none'})"
    names = [stage.name for stage in stages]
    twice = next((name for name in names if names.count(name) > 1), None)
    return None if twice is None else f"must have names of their own (got '{twice}' twice)"


def trains_lm_alone(stage: StageConfig) -> bool:
    """Whether a stage trains a language model without a graph network."""
    return stage.type in _TRAINS_LM

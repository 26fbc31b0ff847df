"""`train.lm`: how phases that train the language model do it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from graphstorm_like.config.base import NonNegativeFloat, PositiveFloat, PositiveInt, Strict
from graphstorm_like.config.gnns import Dropout
from graphstorm_like.config.schedule import EarlyStopConfig, ScheduleConfig
from graphstorm_like.config.tuning import FullTuning, TuneConfig


class MlmConfig(Strict):
    """Masked-language-model loss on the texts of the batch, beside the task's (Devlin et al. 2019: 80/10/10)."""

    weight: PositiveFloat = 1.0
    """Of this loss, beside the task's."""
    probability: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.15
    """Share of the tokens that are to be guessed."""
    task_weight: NonNegativeFloat = 1.0
    """Of the task's own loss; 0: masked language modelling alone (the baseline of graph-aware pre-training)."""


class LmConfig(Strict):
    """How phases that train the language model do it."""

    tune: TuneConfig = FullTuning(type="full")
    """Which weights of the language model learn."""
    epochs: PositiveInt = 2
    """Of phases that train the language model alone."""
    batch_size: PositiveInt = 64
    """Seeds (nodes or edges) per step in phases of type lm, pseudo and student."""
    lr: PositiveFloat = 5e-5
    """Of the language model; suitable are 1e-5 to 1e-4 for full tuning, ten times as much for LoRA."""
    head_lr: PositiveFloat = 1e-3
    """Of the head on its vectors."""
    layer_decay: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """Each layer's learning rate is this times that of the layer above it."""
    weight_decay: NonNegativeFloat = 0.01
    """Of the language model's matrices (AdamW)."""
    schedule: ScheduleConfig = ScheduleConfig(type="linear", warmup_fraction=0.1)
    """Of the language model's learning rate in all phases that train it; in those of type lm, pseudo and student of the
    head's too."""
    early_stop: EarlyStopConfig | None = EarlyStopConfig(patience=2)
    """When phases that train the language model alone stop; null: never early."""
    dropout: Dropout | None = None
    """In the language model while it learns; default: its own. 0 saves up to a third of a step on a CPU."""
    gradient_checkpointing: bool = False
    """Forget activations inside each layer and compute them again: a third more work, several times less memory."""
    activation_tokens: PositiveInt | None = None
    """Padded tokens whose activations are kept together; default: about 2 GB worth on a CPU, 16 GB on a GPU. Batches
    with more go forward twice, in pieces (GradCache, Gao et al. 2021): any batch fits, with the same gradients."""
    compile: bool = False
    """torch.compile the language model: pays on GPUs and long runs; needs a C++ compiler on a CPU."""
    mlm: MlmConfig | None = None
    """Masked language modelling beside the task; null: none."""

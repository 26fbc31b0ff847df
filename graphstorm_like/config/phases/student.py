"""`train.phases`, type student."""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.base import NonNegativeFloat, PositiveFloat
from graphstorm_like.config.phases.base import PhaseConfig
from graphstorm_like.config.text_encoders import TextEncoderConfig


class StudentPhase(PhaseConfig):
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

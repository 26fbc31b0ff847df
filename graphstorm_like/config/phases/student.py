"""`train.phases`, type student."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar, Literal

from graphstorm_like.config.base import NonNegativeFloat, PositiveFloat
from graphstorm_like.config.phases.base import PhaseSurroundings, TextPhaseConfig
from graphstorm_like.config.text_encoders import TextEncoderConfig


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

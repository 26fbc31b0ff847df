"""What every attack has in its configuration."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from graphstorm_like.config.base import PositiveFloat
from graphstorm_like.config.choice import Choice

Attacked = Literal["inputs", "text_vectors", "tokens"]


class AttackConfig(Choice, tag="type"):
    """A small change of what the model reads, chosen by the gradient of the loss so that the loss grows."""

    type: str
    on: Attacked = "inputs"
    """What is changed. inputs: numbers of nodes, which are features, averages of neighbours and learnable embeddings;
    text_vectors: vectors of nodes' texts; tokens: embeddings of the tokens of the texts that a language model reads in
    training."""
    norm: Literal["l2", "linf"] = "l2"
    """How the size of a change is measured: of a node's input, of a text's vector, or of a token. l2: its length; linf:
    its largest entry."""
    epsilon: PositiveFloat = 0.5
    """The largest size, in standard deviations of an entry where the model standardises what is changed (text vectors,
    averages) and of the embeddings' entries (tokens); else in the numbers as the graph has them."""
    weight: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5
    """Training: the part of the loss that is of changed inputs; the rest is of the inputs as they are."""

    @property
    def title(self) -> str:
        """In words, for reports."""
        return f"{self.type} {self.norm} {self.epsilon:g} on {self.on}"

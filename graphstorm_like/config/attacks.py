"""`train.adversarial` and `infer.attacks`: how inputs are changed so that the loss grows.

fgm   one step: cheap, for training
pgd   several steps: stronger, for training and for measuring robustness
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from graphstorm_like.config.base import PositiveFloat, PositiveInt
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


class FgmConfig(AttackConfig):
    """The fast gradient method: one step of the largest size along the gradient (Goodfellow et al. 2015; with norm l2
    Miyato et al. 2017)."""

    type: Literal["fgm"]


class PgdConfig(AttackConfig):
    """Projected gradient descent: several small steps, each brought back to the largest size (Madry et al. 2018)."""

    type: Literal["pgd"]
    steps: PositiveInt = 3
    """Steps; each costs a forward and a backward pass."""
    step_size: PositiveFloat | None = None
    """Size of a step; null: 2.5 * epsilon / steps."""
    random_start: bool = True
    """Whether it starts from a random change and not from none."""

    @property
    def step(self) -> float:
        """Size of a step."""
        return 2.5 * self.epsilon / self.steps if self.step_size is None else self.step_size

    @property
    def title(self) -> str:
        """See AttackConfig."""
        return f"{super().title}, {self.steps} steps"

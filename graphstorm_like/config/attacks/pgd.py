"""`train.adversarial.type: pgd`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.attacks.base import AttackConfig
from graphstorm_like.config.base import PositiveFloat, PositiveInt


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

"""`task.negatives.type: uniform`, and what is meant without a type."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from graphstorm_like.config.negatives.base import NegativesConfig


class UniformNegativesConfig(NegativesConfig):
    """All nodes of the target type are drawn alike."""

    type: Literal["uniform"] = "uniform"
    uniform: Annotated[int, Field(ge=0)] = 0
    """This many targets drawn uniformly, shared by the batch."""

    @model_validator(mode="after")
    def _some(self) -> UniformNegativesConfig:
        if not self.in_batch and self.uniform == 0:
            raise ValueError("must have in_batch: true or uniform > 0: without negatives there is nothing to learn")
        return self

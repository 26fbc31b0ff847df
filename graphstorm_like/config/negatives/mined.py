"""What all mined negatives have in their configuration."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from graphstorm_like.config.base import PositiveInt
from graphstorm_like.config.negatives.base import NegativesConfig


class MinedNegativesConfig(NegativesConfig):
    """Wrong targets that look right: for each source with training edges the best-scored targets that no training edge
    leads to. The edges of a batch share what is drawn for each. A true target that nobody has told may be among them:
    `skip` and `below` guard against that."""

    chances_known: ClassVar[bool] = False

    per_edge: PositiveInt = 1
    """This many are drawn for each edge from its source's list; nodes drawn uniformly where the list has fewer."""
    uniform: Annotated[int, Field(ge=0)] = 0
    """This many targets drawn uniformly besides, shared by the batch."""
    candidates: PositiveInt = 50
    """Length of a source's list."""
    skip: Annotated[int, Field(ge=0)] = 0
    """This many of the best are left out of the list: the likeliest to be true."""
    below: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    """Only what scores less than this times the best training target of the source (Moreira et al., NV-Retriever,
    2024: 0.95); sources whose training targets score nothing then get no list."""

"""What is added to the scores of pairs."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator

from graphstorm_like.config.base import Accepts
from graphstorm_like.config.choice import Choice

SUM = "sum"


class PairTermConfig(Choice, tag="type"):
    """Facts about two nodes together, which their vectors cannot know of each other."""

    type: str

    @property
    def compares_source_texts(self) -> bool:
        """Whether it reads the texts of sources, whatever the model reads."""
        return False

    @property
    def reads_all_relations(self) -> bool:
        """Whether it follows edges of all relations, and not those alone that the task is about."""
        return False


def _several(value: Any) -> Any:
    return {"type": SUM, "terms": value} if isinstance(value, list) else value


PairTermField = Annotated[PairTermConfig, BeforeValidator(_several), Accepts(type="array", items={"type": "object"})]
"""One term, or a list of several."""

"""`task.negatives.type: mined_text`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.base import PositiveInt
from graphstorm_like.config.negatives.mined import MinedNegativesConfig


class MinedTextConfig(MinedNegativesConfig):
    """By words: cosine of the TF-IDF rows of both ends' texts."""

    type: Literal["mined_text"]
    most_texts: PositiveInt = 1000
    """Words in more texts than this are left out: they say little, and cost most of the time."""

"""`encode: words`"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from graphstorm_like.config.base import KeyedError, PositiveInt
from graphstorm_like.config.features.base import FeatureConfig


class WordsFeature(FeatureConfig):
    """Words of texts, or n-grams of their characters, by TF-IDF: (1 + ln tf) * (ln((1 + n) / (1 + df)) + 1), each row
    divided by its length. tf: how often the row holds the term; df: how many of all n rows hold it.

    A text without a known term, and null, give the zero vector. Source: Salton & Buckley 1988,
    https://doi.org/10.1016/0306-4573(88)90021-0, with the smoothed idf of scikit-learn's TfidfVectorizer.
    """

    of_texts: ClassVar[bool] = True

    encode: Literal["words"]
    column: str | None = None
    """The column that holds the texts."""
    columns: Annotated[list[str], Field(min_length=1)] | None = None
    """Instead of `column`: several columns, whose words count together; no n-gram goes from one into the next."""
    of: Literal["words", "characters"] = "words"
    """words: runs of letters, digits and `_`, with `+` and `#` where they end one (c++, c#). characters: n-grams of
    characters within what blanks divide, with a blank before and after, for names, identifiers, and languages that do
    not divide words."""
    ngrams: Annotated[list[PositiveInt], Field(min_length=2, max_length=2)] | None = None
    """[shortest, longest]: how many words or characters make a term. Default: [1, 2] of words, [2, 5] of characters."""
    max_words: PositiveInt = 16384
    """Numbers per row at most: the terms that most rows hold are kept (of equal ones the first by alphabet)."""
    min_rows: PositiveInt = 2
    """Rows that must hold a term."""
    max_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the rows that may hold a term, to leave out what nearly all texts have."""
    lowercase: bool = True
    """Whether upper and lower case are the same."""

    @property
    def lengths(self) -> tuple[int, int]:
        """`ngrams`, or its default"""
        shortest, longest = self.ngrams or ([1, 2] if self.of == "words" else [2, 5])
        return shortest, longest

    @classmethod
    def magnitude(cls, fitted: Mapping[str, Any]) -> float | None:
        """Rows have length 1, so that the numbers of k terms are near 1 / sqrt(k); here for the mean k of a text."""
        texts, terms = int(fitted["texts"]), sum(fitted["rows_of_terms"])
        return math.sqrt(texts / terms) if terms else None

    @model_validator(mode="after")
    def _consistent(self) -> WordsFeature:
        if (self.column is None) == (self.columns is None):
            raise ValueError("must have either 'column' or 'columns'")
        if self.columns is not None and len(set(self.columns)) < len(self.columns):
            raise KeyedError("columns", "must name each column once")
        shortest, longest = self.lengths
        if shortest > longest:
            raise KeyedError("ngrams", f"must be [shortest, longest] (got {shortest}, {longest})")
        if longest > 8:
            raise KeyedError("ngrams", f"must be of at most 8 (got {longest})")
        return self

"""`by: folds`"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from graphstorm_like.config.base import KeyedError
from graphstorm_like.config.splits.base import SplitConfig, check_one_draw


class FoldsSplit(SplitConfig):
    """One of k folds, for cross-validation: a fold for the test, the next one for validation, the others for training.

    Rows are drawn into folds as in a random split. Over the runs with fold 0 to k - 1 each row is tested once.
    """

    by: Literal["folds"] = "folds"
    folds: Annotated[int, Field(ge=3)]
    """How many folds there are: k."""
    fold: Annotated[int, Field(ge=0)] = 0
    """Which fold is for the test, from 0. Validation takes the one after it; after the last comes the first."""
    group_by: str | None = None
    """Rows with the same value in this column get into the same fold."""
    stratify: bool = False
    """Give each fold the same share of each class of the label, exact to one row. Takes 8 bytes a row while the table
    is read."""
    seed: int = 0
    """Of the draw: the same for all folds of a cross-validation."""

    @model_validator(mode="after")
    def _valid(self) -> FoldsSplit:
        if self.fold >= self.folds:
            raise KeyedError("fold", f"must be below {self.folds}, the number of folds (got {self.fold})")
        check_one_draw(self.group_by, self.stratify)
        return self

    @property
    def needs_classes(self) -> bool:
        """See SplitConfig."""
        return self.stratify

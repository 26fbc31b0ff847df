"""`by: random`"""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from graphstorm_like.config.base import Fraction
from graphstorm_like.config.splits.base import PARTS, SplitConfig, check_one_draw, check_sum


class RandomSplit(SplitConfig):
    """A seeded draw.

    It hashes the id (or `group_by`) with the seed: it does not depend on the order of rows or files, and a row keeps
    its split when others are added (with `stratify` most rows do).
    """

    by: Literal["random"] = "random"
    train: Fraction
    """Share of rows for training."""
    valid: Fraction
    """Share of rows for validation."""
    test: Fraction
    """Share of rows for the test. Rows beyond the three shares are in no split."""
    group_by: str | None = None
    """Rows with the same value in this column get the same split."""
    stratify: bool = False
    """Give each class of the label these shares, exact to one row. Takes 8 bytes a row while the table is read."""
    seed: int = 0
    """Of the draw."""

    @model_validator(mode="after")
    def _valid(self) -> RandomSplit:
        check_sum((self.train, self.valid, self.test))
        check_one_draw(self.group_by, self.stratify)
        return self

    @property
    def needs_classes(self) -> bool:
        """See SplitConfig."""
        return self.stratify

    def empty_parts(self) -> list[str]:
        """See SplitConfig."""
        return [f"{part}: 0" for part in PARTS if getattr(self, part) == 0.0]

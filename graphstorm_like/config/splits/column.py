"""`by: column`"""

from __future__ import annotations

from typing import ClassVar, Literal

from graphstorm_like.config.splits.base import SplitConfig


class ColumnSplit(SplitConfig):
    """A column says which split a row belongs to."""

    is_written: ClassVar[bool] = True

    by: Literal["column"] = "column"
    column: str
    """A column with the values train, valid (val, validation) and test; a null row is in no split."""

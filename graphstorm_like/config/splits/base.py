"""What every split has in its configuration, and which way of splitting the keys of one without `by` imply."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from graphstorm_like.config.base import KeyedError
from graphstorm_like.config.choice import Choice

PARTS = ("train", "valid", "test")
_DRAWN = (*PARTS, "group_by", "stratify")
_OWN_KEYS = {"time": ("valid_from", "test_from"), "folds": ("folds", "fold")}


class SplitConfig(Choice, tag="by"):
    """Which rows are for training, validation and test.

    Without `by` the keys say it: `column` alone is a column that names the split, fractions are a draw, `valid_from` a
    split by time, `folds` one of several folds, paths of files are lists of ids.
    """

    is_written: ClassVar[bool] = False
    """Whether somebody chose the split of each row: then rows with a split but no label are worth a note."""

    by: str

    @classmethod
    def implied_tag(cls, value: Mapping[str, Any]) -> str | None:
        """See Choice. Raises ValueError for keys of several ways of splitting."""
        for by, own_keys in _OWN_KEYS.items():
            if any(key in value for key in own_keys):
                return by
        if any(isinstance(value.get(part), str | list) for part in PARTS):
            return "ids"
        drawn = any(key in value for key in _DRAWN)
        if "column" in value and drawn:
            raise ValueError(
                "must have either 'column' or drawn fractions (train, valid, test, group_by), not both. For fractions "
                "in the order of a column of times, set by: time"
            )
        if "column" in value:
            return "column"
        return "random" if drawn or "seed" in value else None

    @property
    def needs_classes(self) -> bool:
        """Whether it reads the classes of a label."""
        return False

    @property
    def needs_named_rows(self) -> bool:
        """Whether the table must have every row that it names."""
        return False

    def files(self) -> dict[str, list[str]]:
        """Paths of files that it reads, by their key."""
        return {}

    def empty_parts(self) -> list[str]:
        """Parts that are left empty on purpose, e.g. ['valid: 0']."""
        return []


def check_sum(shares: Iterable[float]) -> None:
    """Raises ValueError when fractions are more than a whole."""
    total = sum(shares)
    if total > 1.0 + 1e-9:
        raise ValueError(f"must have fractions that sum to at most 1 (they sum to {total:g})")


def check_one_draw(group_by: str | None, stratify: bool) -> None:
    """Raises KeyedError when groups are to be kept together and classes to be split evenly."""
    if group_by is not None and stratify:
        raise KeyedError(
            "stratify", "must be left out with 'group_by': rows of a group that stays together may have any classes"
        )

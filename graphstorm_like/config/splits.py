"""`split:` of labels and edges: which rows are for training, validation and test.

random   a draw by a hash of the id; the default
column   a column says it
ids      files name the ids of each
time     the past trains, what comes later is for validation and test
folds    one of k folds, for cross-validation
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from graphstorm_like.config.base import Accepts, Files, Fraction, KeyedError, names_of
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


class ColumnSplit(SplitConfig):
    """A column says which split a row belongs to."""

    is_written: ClassVar[bool] = True

    by: Literal["column"] = "column"
    column: str
    """A column with the values train, valid (val, validation) and test; a null row is in no split."""


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


IdFiles = Annotated[Files, Field(min_length=1)]


class IdsSplit(SplitConfig):
    """Files name the ids of each split: files of any format that tables may have, lists in JSON (.json), or text with
    one id a line.

    Edges take two ids: two columns, pairs in JSON, or two ids in a line with a tab between them. A row that no file
    names is in no split.
    """

    is_written: ClassVar[bool] = True

    by: Literal["ids"] = "ids"
    train: Annotated[IdFiles | None, Accepts("string")] = None
    """Paths, globs, folders or URLs of files with ids for training; left out: all rows that the others do not name."""
    valid: IdFiles
    """Files with ids for validation."""
    test: IdFiles
    """Files with ids for the test."""
    columns: Annotated[list[str], BeforeValidator(names_of), Accepts("string")] = []
    """Where files have columns: that with the id (of edges: the source's, then the target's). Default: the first one,
    of edges the first two."""
    on_unknown_id: Literal["error", "skip"] = "error"
    """What an id that the table lacks does: stop with an error, or nothing. Edges of several relations
    (`relation_column`) need skip."""

    @property
    def needs_named_rows(self) -> bool:
        """See SplitConfig."""
        return self.on_unknown_id == "error"

    def files(self) -> dict[str, list[str]]:
        """See SplitConfig."""
        return {part: paths for part in PARTS if (paths := getattr(self, part)) is not None}


def time_point(value: Any) -> Any:
    """A date, a time or a number, checked."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("must be a date such as '2024-01-31', a time such as '2024-01-31 12:00', or a number")
    if isinstance(value, str):
        try:
            datetime.fromisoformat(value)
        except ValueError:
            raise ValueError("must be a date such as '2024-01-31', or a time such as '2024-01-31 12:00'") from None
    return value


TimePoint = Annotated[str | int | float, BeforeValidator(time_point), Accepts("string", "number")]


class TimeSplit(SplitConfig):
    """By time: the past for training, what comes after it for validation, the latest for the test.

    Either with `valid_from` and `test_from`, or with fractions of the rows that have a time. Rows of one time share a
    split; rows without one are in none.
    """

    by: Literal["time"] = "time"
    column: str
    """A column of dates, of times, of text that is written like one (2024-01-31, 2024-01-31 12:00:00), or of numbers.
    Times without a time zone count as UTC."""
    valid_from: TimePoint | None = None
    """The first time of validation; what is earlier is for training."""
    test_from: TimePoint | None = None
    """The first time of the test."""
    train: Fraction | None = None
    """Share of rows for training: the earliest."""
    valid: Fraction | None = None
    """Share of rows for validation."""
    test: Fraction | None = None
    """Share of rows for the test: the latest. With fractions construction holds 16 bytes for each different time."""

    @model_validator(mode="after")
    def _one_way(self) -> TimeSplit:
        points = [p for p in (self.valid_from, self.test_from) if p is not None]
        shares = [share for share in (self.train, self.valid, self.test) if share is not None]
        if not (len(points) == 2 and not shares) and not (len(shares) == 3 and not points):
            raise ValueError(
                "must have either 'valid_from' and 'test_from' or all three fractions train, valid and test"
            )
        if shares and abs(sum(shares) - 1.0) > 1e-9:
            raise ValueError(f"must have fractions that sum to 1 (they sum to {sum(shares):g})")
        if points:
            self._check_points(*points)
        return self

    def _check_points(self, valid_from: str | int | float, test_from: str | int | float) -> None:
        if isinstance(valid_from, str) != isinstance(test_from, str):
            raise KeyedError("test_from", "must be of the kind of 'valid_from': both times, or both numbers")
        if in_order(valid_from) >= in_order(test_from):
            raise KeyedError("test_from", f"must be later than 'valid_from', {valid_from} (got {test_from})")

    def empty_parts(self) -> list[str]:
        """See SplitConfig."""
        return [f"{part}: 0" for part in PARTS if getattr(self, part) == 0.0]


def in_order(point: str | int | float) -> float:
    """A number that orders cut points: seconds since 1970 in UTC, or the number itself."""
    if not isinstance(point, str):
        return point
    time = datetime.fromisoformat(point)
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()

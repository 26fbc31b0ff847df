"""What is known of a column and a table when roles are guessed: plain records, measured by `measure`."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa

from gconstruct.guess.sketch import Sketch
from gconstruct.guess.sources import Source
from graphstorm_like.config.rows import CsvOptions


@dataclass(frozen=True)
class ColumnFacts:
    """Of one column. Numbers about values are of the sample of rows, unless they say otherwise."""

    name: str
    kind: str
    """As kinds.kind_of; for a CSV column what all its values parse as: integer, float, boolean, time, else string."""
    untyped: bool = False
    """From CSV files."""
    rows: int = 0
    """Of the whole table."""
    nulls: int = 0
    """Of the rows that were read whole: NaN counts as null."""
    whole: bool = True
    """Whether all rows were looked at for nulls, repeated values and what they parse as."""
    distinct: int = 0
    """Different values in the whole column where `sketch` is known, else in the sample."""
    sketch: Sketch | None = None
    """Of columns that may name something."""
    sample_rows: int = 0
    sample_distinct: int = 0
    length: float = 0.0
    """Mean number of characters."""
    words: float = 0.0
    """Mean number of words between blanks."""
    low: float | None = None
    high: float | None = None
    median: float | None = None
    mean: float | None = None
    width: int | None = None
    """Of lists of numbers, or of numbers in a string, that all have this many."""
    separator: str | None = None
    """What divides the categories or numbers of a string, if something does."""
    values: tuple[str, ...] = ()
    """Distinct values in the sample when they are few, sorted."""
    item_count: int = 0
    """Different items of lists, or of separated strings."""
    binary: bool = False
    """Bytes that are no text."""

    @property
    def unique(self) -> bool:
        """Whether it has no null and no value twice, as far as was looked."""
        return self.sketch is not None and self.nulls == 0 and self.rows > 0 and self.sketch.unique

    @property
    def repeats(self) -> float:
        """How often a value comes, on the mean."""
        return (self.rows - self.nulls) / max(self.distinct, 1)


@dataclass(frozen=True)
class TableFacts:
    """Of one table."""

    name: str
    columns: dict[str, ColumnFacts]
    rows: int
    source: Source
    whole: bool = True
    """Whether all rows were read."""
    sample: pa.Table | None = None
    """Rows from all over the table, for questions about pairs of columns."""
    set_aside: dict[str, str] = field(default_factory=dict)
    """Columns that are not looked at: column -> why."""

    @property
    def files(self) -> tuple[str, ...]:
        """Paths and URLs."""
        return tuple(file.path for file in self.source.files)

    @property
    def csv(self) -> CsvOptions:
        """How its CSV files are written."""
        return self.source.csv

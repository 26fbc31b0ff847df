"""Source -> TableFacts: a sample of the rows for what values look like, all rows for what must hold for every one.

The second reading takes columns that are short enough to be ids, numbers or categories, at most ROWS rows of a table,
and keeps hashes of what may name something (`sketch`): memory stays bounded whatever the tables' sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.guess.facts import ColumnFacts, TableFacts
from gconstruct.guess.sketch import LIMIT, Sketch
from gconstruct.guess.sources import Source
from gconstruct.hashing import hash_strings
from gconstruct.kinds import NUMBERS, kind_of
from gconstruct.values import all_integers

SAMPLE_ROWS = 100_000
"""Rows of a table that are looked at closely."""
ROWS = 20_000_000
"""Rows of a table that are looked at for repeated values, nulls and what values parse as."""
HASHES = 64_000_000
"""Of all columns together: 1 GB with their counts."""

_KEY_LENGTH = 128.0
_FEW = 2_000
_DATE = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?(Z|[+-]\d{2}:?\d{2})?$"
_FLOAT = r"^\s*[+-]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*$"


def measure(sources: Sequence[Source], sample_rows: int = SAMPLE_ROWS, rows: int = ROWS) -> list[TableFacts]:
    """What the tables hold. Raises DataError when a file cannot be read."""
    limit = min(LIMIT, HASHES // max(sum(len(source.types) for source in sources), 1))
    return [_table(source, sample_rows, rows, max(limit, 10_000)) for source in sources]


def _table(source: Source, sample_rows: int, rows: int, limit: int) -> TableFacts:
    sample, complete = source.sample(sample_rows)
    columns = {name: look(name, sample.column(name), source.types[name] is None) for name in source.types}
    scans = {name: _Scan(facts, limit) for name, facts in columns.items() if _is_short(facts)}
    seen, whole = 0, True
    narrow = list(scans) or list(columns)[:1]
    for piece in [sample] if complete else source.batches(narrow):
        seen += piece.num_rows
        for name, scan in scans.items():
            scan.add(piece.column(name))
        if seen >= rows:
            whole = False
            break
    measured = {
        name: scans[name].facts(seen, whole) if name in scans else replace(facts, rows=seen, whole=complete)
        for name, facts in columns.items()
    }
    return TableFacts(source.name, measured, seen, source, whole, sample)


def _is_short(facts: ColumnFacts) -> bool:
    """Whether all values are looked at: not for long texts, lists and bytes."""
    return facts.kind in ("string", "time", *NUMBERS) and facts.length <= _KEY_LENGTH and not facts.binary


def look(name: str, column: pa.ChunkedArray, untyped: bool) -> ColumnFacts:
    """What a sample of a column shows."""
    data_type = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if data_type != column.type:
        column = pc.cast(column, data_type)
    kind = kind_of(data_type)
    if kind == "time" and not (pa.types.is_date(data_type) or pa.types.is_timestamp(data_type)):
        kind = "other"  # times of a day, durations
    rows, nulls = len(column), column.null_count
    facts = ColumnFacts(name, kind, untyped, rows, nulls, sample_rows=rows - nulls)
    if kind.startswith("list of "):
        return _look_at_lists(facts, column)
    if pa.types.is_binary(data_type) or pa.types.is_large_binary(data_type):
        try:
            column = pc.cast(column, pa.large_string())
        except pa.ArrowException:
            return replace(facts, binary=True)
    if kind == "string":
        facts = _look_at_strings(facts, column, untyped)
    if facts.kind in NUMBERS:
        return _look_at_numbers(facts, column)
    if facts.kind == "time":
        distinct = int(pc.count_distinct(column).as_py())
        return replace(facts, distinct=distinct, sample_distinct=distinct)
    return facts


def _look_at_strings(facts: ColumnFacts, column: pa.ChunkedArray, untyped: bool) -> ColumnFacts:
    column = pc.cast(column, pa.large_string())
    present = column.drop_null()
    kind = _parses_as(present) if untyped else _only_dates(present)
    distinct = int(pc.count_distinct(present).as_py())
    values = sorted(pc.unique(present).to_pylist()) if distinct <= _FEW else []
    blanks = pc.count_substring_regex(pc.utf8_trim_whitespace(present), r"\s+")
    words = (pc.mean(blanks).as_py() or 0.0) + 1.0 if len(present) else 0.0
    vector = _vector(present)
    separator, items, width = (*_separator(present), None) if vector is None else (vector[0], 0, vector[1])
    return replace(
        facts, kind=kind, distinct=distinct, sample_distinct=distinct, words=words,
        length=pc.mean(pc.utf8_length(present)).as_py() or 0.0, values=tuple(values), separator=separator,
        item_count=items, width=width,
    )  # fmt: skip


def _parses_as(present: pa.ChunkedArray) -> str:
    """What all values of a CSV column are."""
    if not len(present):
        return "string"
    if all_integers(present):
        return "integer"
    if _all_match(present, _FLOAT):
        return "float"
    flags = pc.is_in(pc.utf8_lower(present), value_set=pa.array(["true", "false"], pa.large_string()))
    return "boolean" if pc.all(flags).as_py() else _only_dates(present)


def _only_dates(present: pa.ChunkedArray) -> str:
    return "time" if len(present) and _all_match(present, _DATE) else "string"


def _all_match(values: pa.ChunkedArray, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(values, pattern=pattern), min_count=0).as_py())


def _separator(present: pa.ChunkedArray) -> tuple[str | None, int]:
    """'|' or ';' where at least a third of the values have it and the parts are few; and how many parts there are."""
    for separator in ("|", ";"):
        head = present.slice(0, 20_000)
        share = pc.mean(pc.cast(pc.match_substring(head, separator), pa.float64())).as_py() or 0.0
        if share < 1 / 3:
            continue
        parts = pc.list_flatten(pc.split_pattern(head, separator))
        distinct = int(pc.count_distinct(parts).as_py())
        mean_length = pc.mean(pc.utf8_length(parts)).as_py() or 0.0
        if distinct <= len(parts) / 3 and mean_length <= 40:
            return separator, distinct
    return None, 0


def _vector(present: pa.ChunkedArray) -> tuple[str, int] | None:
    """What divides the numbers of strings that hold a vector each, and how many they are."""
    head = present.slice(0, 1_000)
    for separator in (";", "|", ",", " "):
        parts = pc.split_pattern(head, separator)
        lengths = pc.unique(pc.list_value_length(parts)).to_pylist()
        if len(lengths) == 1 and lengths[0] > 1 and _all_match(pc.list_flatten(parts), _FLOAT):
            return separator, int(lengths[0])
    return None


def _look_at_numbers(facts: ColumnFacts, column: pa.ChunkedArray) -> ColumnFacts:
    numbers = as_floats(column, facts.kind)
    present = pc.drop_null(pc.if_else(pc.is_finite(numbers), numbers, None))
    distinct = int(pc.count_distinct(present).as_py())
    values = sorted(pc.unique(present).to_pylist()) if distinct <= _FEW else []
    nulls = facts.rows - len(present)
    if not len(present):
        return replace(facts, nulls=nulls, sample_rows=0)
    low_high = pc.min_max(present).as_py()
    return replace(
        facts, nulls=nulls, sample_rows=len(present), distinct=distinct, sample_distinct=distinct,
        low=low_high["min"], high=low_high["max"], mean=pc.mean(present).as_py(),
        median=pc.quantile(present, 0.5)[0].as_py(), values=tuple(f"{value:g}" for value in values),
    )  # fmt: skip


def as_floats(column: pa.ChunkedArray, kind: str) -> pa.ChunkedArray:
    """Numbers, booleans and strings that stand for them as float64."""
    if kind == "boolean":
        column = pc.cast(pc.cast(column, pa.bool_()), pa.uint8())
    elif kind_of(column.type) == "string":
        column = pc.utf8_trim_whitespace(pc.cast(column, pa.large_string()))
    return pc.cast(column, pa.float64(), safe=False)


def _look_at_lists(facts: ColumnFacts, column: pa.ChunkedArray) -> ColumnFacts:
    present = column.drop_null()
    lengths = pc.unique(pc.list_value_length(present)).to_pylist()
    items = pc.list_flatten(present)
    width = int(lengths[0]) if len(lengths) == 1 else None
    simple = facts.kind.removeprefix("list of ") in ("string", "integer", "boolean")
    distinct = int(pc.count_distinct(items).as_py()) if simple else 0
    return replace(facts, width=width, item_count=distinct)


class _Scan:
    """Reads a whole column piece by piece."""

    def __init__(self, sample: ColumnFacts, limit: int) -> None:
        self.sample, self.kind, self.nulls = sample, sample.kind, 0
        names = sample.kind in ("string", "integer")
        self.sketch = Sketch(limit) if names else None

    def add(self, column: pa.ChunkedArray) -> None:
        if pa.types.is_dictionary(column.type):
            column = pc.cast(column, column.type.value_type)
        present = column.drop_null()
        if pa.types.is_floating(present.type):
            present = pc.drop_null(pc.if_else(pc.is_nan(present), None, present))
        self.nulls += len(column) - len(present)
        if self.sample.untyped and self.kind != "string":
            self._check_strings(present)
        if self.sketch is not None:
            self.sketch.add(hash_strings(pc.cast(present, pa.large_string())))

    def _check_strings(self, present: pa.ChunkedArray) -> None:
        """A later value may not parse as the sample's did. Integers may turn out to be numbers; all else is text."""
        found = _parses_as(present) if len(present) else self.kind
        if found != self.kind:
            self.kind = "float" if {found, self.kind} == {"integer", "float"} else "string"

    def facts(self, rows: int, whole: bool) -> ColumnFacts:
        sketch: Any = self.sketch
        distinct = self.sample.distinct if sketch is None else sketch.distinct
        return replace(
            self.sample, kind=self.kind, rows=rows, nulls=self.nulls, whole=whole, sketch=sketch, distinct=distinct
        )

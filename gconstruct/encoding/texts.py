"""Columns -> one text per row: joined without nulls, or put into a template.

Out: large_string (n), null where all columns are null.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.values import TableRows
from graphstorm_like.config.graph import TextConfig


def encode_text(table: TableRows, config: TextConfig) -> pa.Array:
    """One text column of a table."""
    columns = {c: pc.cast(table.column(c), pa.large_string()) for c in config.template_columns()}
    all_null = reduce(pc.and_, (pc.is_null(c) for c in columns.values()))
    if config.template is None:
        first, *others = (columns[c] for c in config.columns)
        # pyarrow 26 omits a row from the result when all of its values are skipped: give it an empty one.
        first = pc.if_else(all_null, pa.scalar("", pa.large_string()), first)
        joined = _join([first, *others], config.separator, "skip")
    else:
        parts: list[pa.Array | pa.Scalar] = []
        for literal, column, _, _ in string.Formatter().parse(config.template):
            parts += [pa.scalar(literal, pa.large_string())] if literal else []
            parts += [columns[column]] if column is not None else []
        joined = _join(parts, "", "replace")
    return pc.if_else(all_null, pa.scalar(None, pa.large_string()), joined)


def _join(parts: Sequence[pa.Array | pa.Scalar], separator: str, null_handling: str) -> pa.Array:
    return pc.binary_join_element_wise(
        *parts, pa.scalar(separator, pa.large_string()), null_handling=null_handling, null_replacement=""
    )

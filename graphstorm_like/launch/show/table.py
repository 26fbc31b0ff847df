"""Plain-text tables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

Rows = list[list[str]]


def table(header: Sequence[str], rows: Rows) -> Iterator[str]:
    """Lines of a table: columns of numbers are right-aligned, others left-aligned."""
    widths, are_numbers = [], []
    for i, name in enumerate(header):
        column = [row[i] for row in rows]
        widths.append(max(map(len, [name, *column])))
        are_numbers.append(all(re.fullmatch(r"[\d,.%-]*", cell) for cell in column))
    for row in [list(header), *rows]:
        cells = []
        for cell, width, is_number in zip(row, widths, are_numbers, strict=True):
            cells.append(cell.rjust(width) if is_number else cell.ljust(width))
        yield "  ".join(cells).rstrip()

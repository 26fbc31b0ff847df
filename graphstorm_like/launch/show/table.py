"""Tables of plain text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

Rows = list[list[str]]


def table(header: Sequence[str], rows: Rows) -> Iterator[str]:
    """Lines of a table: numbers to the right, words to the left."""
    widths = [max(len(r[i]) for r in [list(header), *rows]) for i in range(len(header))]
    numeric = [all(re.fullmatch(r"[\d,.%-]*", r[i]) for r in rows) for i in range(len(header))]
    for row in [list(header), *rows]:
        cells = [c.rjust(w) if n else c.ljust(w) for c, w, n in zip(row, widths, numeric, strict=True)]
        yield "  ".join(cells).rstrip()

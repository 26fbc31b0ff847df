"""Names of the tables that the processes of a job share."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator


class TableNames:
    """A new name for every table of a process: its kind and a number.

    All ranks must create their tables in the same order, so that a name means the same table on every rank: code that
    calls `new` must call it on every rank.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, Iterator[int]] = defaultdict(itertools.count)

    def new(self, kind: str) -> str:
        """'rows' -> 'rows:0', then 'rows:1' ..."""
        return f"{kind}:{next(self._numbers[kind])}"


TABLE_NAMES = TableNames()
"""The names of this process."""

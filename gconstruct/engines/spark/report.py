"""What executors tell the driver of their pieces: problems, the trace, counts. Its size does not grow with the rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from gconstruct.encoding import Encoded
from gconstruct.problems import Problems
from gconstruct.report.trace import Trace


@dataclass(slots=True)
class Report:
    """Of some pieces of a table, in the order of its rows."""

    problems: Problems = field(default_factory=Problems)
    trace: Trace = field(default_factory=Trace)
    counts: Counter[Any] = field(default_factory=Counter)
    """Numbers that add up, by what they count"""
    by_piece: dict[int, int] = field(default_factory=dict)
    """Rows of each piece"""
    encoded: Encoded = field(default_factory=Encoded)
    """Its counts"""
    notes: list[Any] = field(default_factory=list)
    """What the stage makes of it"""

    def add(self, later: Report) -> None:
        """Add what later pieces tell."""
        self.problems.add_all(later.problems)
        self.trace.merge(later.trace)
        self.counts.update(later.counts)
        self.by_piece.update(later.by_piece)
        self.encoded.count(later.encoded)
        self.notes += later.notes

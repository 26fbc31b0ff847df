"""A finding of the leak guard, and the sizes that bound its work."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from graphstorm_like.graph.schema import SPLITS

LEAKS = "leaks.json"
"""In the graph folder, beside graph.json."""
MAX_PAIRS = 50_000
"""Validation and test edges of a split that are looked up. Each look-up reads all edges into the target."""
MAX_ROWS = 4_000_000
"""Rows of a node type whose contents are compared, 16 bytes each; of more rows, those with certain hashes."""
BLOCK = 1 << 18
"""Rows that are read at one time"""
SHOWN = 3
"""Examples of a finding"""

TRAIN = SPLITS.index("train")
HELD_OUT = (SPLITS.index("valid"), SPLITS.index("test"))


@dataclass(frozen=True, slots=True)
class Leak:
    """One finding: `count` of `looked_at` validation and test rows are given away."""

    rule: str
    """copied_edges, mirrored_edges, copied_relation, copied_edge_rows, copied_nodes, telling_input,
    split_groups or later_training"""
    where: str
    """Whose split it is, e.g. 'edges user:buys:item' or 'nodes paper, label venue'"""
    count: int
    looked_at: int
    """Rows (or pairs of nodes) among which they were found"""
    total: int
    """Of all such rows; more than looked_at: a sample was taken"""
    what: str
    """Continues 'count of looked_at'"""
    fix: str
    examples: tuple[str, ...] = ()
    """The user's own ids"""

    def line(self) -> str:
        """The finding in one line."""
        sample = f" (a sample of {self.total:,})" if self.total > self.looked_at else ""
        examples = f", e.g. {', '.join(self.examples)}" if self.examples else ""
        return f"leak: {self.where}: {self.count:,} of {self.looked_at:,}{sample} {self.what}{examples}. {self.fix}"

    def as_json(self) -> dict[str, Any]:
        """All fields."""
        return asdict(self)

"""Splits of small tables in memory, whole or in pieces."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from gconstruct.encoding.splits import SplitEncoder, SplitPlace, hashed_ids
from gconstruct.problems import Problems
from gconstruct.values import Source
from graphstorm_like.config.graph import EdgeConfig, NodeConfig
from graphstorm_like.config.splits import SplitConfig

NODES = NodeConfig(files=["items.csv"], id="id")
EDGES = EdgeConfig(files=["links.csv"], source="item", relation="link", target="item")


@dataclass
class Piece:
    """Rows of a table that is in one file; the first of them is row `first` of the file."""

    data: pa.Table
    first: int = 0
    key: str = "graph.nodes.item"

    def __len__(self) -> int:
        return int(self.data.num_rows)

    def place(self, row: int) -> tuple[str, int]:
        """See Rows."""
        return "items.csv", self.first + row + 1

    def label(self) -> str:
        """See Rows."""
        return "items.csv"

    def column(self, name: str) -> pa.Array:
        """See TableRows."""
        return pa.concat_arrays(self.data.column(name).chunks or [pa.array([], self.data.schema.field(name).type)])

    def untyped(self, name: str) -> bool:
        """See TableRows."""
        return False

    def source(self, name: str, key: str, problems: Problems) -> Source:
        """See TableRows."""
        return Source(name, self.column(name), self, key, problems, False)


def cut(table: pa.Table, cuts: Sequence[int] = ()) -> list[Piece]:
    """The table in pieces that end at these rows."""
    ends = [0, *sorted(min(end, table.num_rows) for end in cuts), table.num_rows]
    return [Piece(table.slice(start, end - start), start) for start, end in pairwise(ends)]


def split(
    config: dict[str, Any],
    pieces: Sequence[Piece],
    problems: Problems | None = None,
    *,
    of: NodeConfig | EdgeConfig = NODES,
    base: str = ".",
) -> np.ndarray | None:
    """The splits of all pieces, one after another; what is passed on is pickled on the way. A column y holds classes.
    Without `problems` there must be none; with them None stands for a split that could not be made."""
    found = Problems() if problems is None else problems
    place = SplitPlace(of, "graph.nodes.item.labels.y.split", base, lambda table: table.column("y"))
    encoder = SplitEncoder(SplitConfig.model_validate(config), place)
    statistics = [pickle.loads(pickle.dumps(encoder.fit(piece, found))) for piece in pieces]
    state = None if None in statistics else encoder.state(reduce(encoder.merge, statistics), pieces[0], found)
    if problems is None:
        found.raise_if_any()
    if state is None:
        return None
    state, encoder = pickle.loads(pickle.dumps(state)), SplitEncoder(SplitConfig.model_validate(config), place)
    parts = [encoder.apply(piece, state, lambda piece=piece: hashed_ids(piece, of), found) for piece in pieces]  # type: ignore[misc]
    return np.concatenate([part for part in parts if part is not None])


def strings(values: Sequence[Any]) -> pa.Array:
    """large_string; null for None"""
    return pa.array([None if value is None else str(value) for value in values], pa.large_string())

"""Rows of other hosts that this host's trainers need most often, kept in the host's shared memory.

One process of the host fetches them once; every process of the host maps them. They are what the other hosts answer, so
that results are the same with and without them.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from graphstorm_like.errors import DataError
from graphstorm_like.graph.partition_reader import Column
from graphstorm_like.graph.partitioned_graph import KeptRows, PartitionedGraph
from graphstorm_like.graph.shared import create_rows, drop, find, is_there
from graphstorm_like.graph.store import IntArray, NodeType, type_name

PIECE_BYTES = 16 << 20
"""Bytes of rows that are fetched at a time."""
LARGEST_SHARE = 0.5
"""Of what is free in the shared-memory folder, at most so much is taken: node embeddings and others need room, too."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What `fill` has made. sizes: (rows, bytes) by type, without types of which nothing is kept."""

    tables: tuple[str, ...]
    sizes: Mapping[NodeType, tuple[int, int]]


Needed = Mapping[NodeType, tuple[IntArray, IntArray]]
"""(ids [n] of rows on other hosts, how often each was needed [n]), by type."""


@dataclass(frozen=True, slots=True)
class HotRows:
    """The kept rows of one column. ids [K]: ascending; rows [K, width]."""

    ids: IntArray
    rows: npt.NDArray[Any]

    def find(self, ids: IntArray) -> KeptRows:
        """Which of some ids are kept, and their rows."""
        at = np.searchsorted(self.ids, ids)
        at[at == len(self.ids)] = 0
        found = self.ids[at] == ids
        return KeptRows(found, self.rows, at[found])


def fill(
    graph: PartitionedGraph,
    shm: Path,
    name: str,
    columns: Mapping[NodeType, Sequence[Column]],
    needed: Needed,
    mb: float,
) -> Kept:
    """Fetch the rows that were needed most often for their size, up to `mb` megabytes, into tables of this host.

    name: a new one of the job. DataError, and nothing is left, when shared memory is full.
    """
    budget = int(min(mb * 1e6, LARGEST_SHARE * shutil.disk_usage(shm).free))
    widths = {
        t: _row_bytes(graph, columns[t], ids[:1]) for t, (ids, _) in needed.items() if len(ids) and columns.get(t)
    }
    tables: list[str] = []
    sizes = {}
    try:
        for node_type, ids in choose(needed, widths, budget).items():
            for number, column in enumerate(columns[node_type]):
                tables.append(_table(name, node_type, number))
                _fetch(graph, shm, tables[-1], column, ids)
            tables.append(_table(name, node_type, None))
            create_rows(shm, tables[-1], (len(ids), 1), "<i8")[:, 0] = ids
            sizes[node_type] = (len(ids), len(ids) * widths[node_type])
    except DataError:
        for table in tables:
            drop(shm, table)
        raise
    return Kept(tuple(tables), sizes)


def choose(needed: Needed, row_bytes: Mapping[NodeType, int], budget: int) -> dict[NodeType, IntArray]:
    """Ids [k] by type, ascending: those needed most often for each of their bytes, as many as fit into the budget."""
    types = list(row_bytes)
    if not types:
        return {}
    ids = np.concatenate([needed[t][0] for t in types])
    type_of = np.repeat(np.arange(len(types)), [len(needed[t][0]) for t in types])
    size = np.array([row_bytes[t] for t in types])[type_of]
    worth = np.concatenate([needed[t][1] for t in types]) / size
    order = np.argsort(-worth, kind="stable")
    taken = order[np.cumsum(size[order]) <= budget]
    chosen = {t: np.sort(ids[taken[type_of[taken] == i]]) for i, t in enumerate(types)}
    return {t: of_type for t, of_type in chosen.items() if len(of_type)}


def opened(shm: Path, name: str, columns: Mapping[NodeType, Sequence[Column]]) -> dict[Column, HotRows]:
    """What `fill` has kept, by column."""
    found: dict[Column, HotRows] = {}
    for node_type, of_type in columns.items():
        if not is_there(shm, _table(name, node_type, None)):
            continue
        ids = np.array(find(shm, _table(name, node_type, None)).open().values[:, 0])
        for number, column in enumerate(of_type):
            found[column] = HotRows(ids, find(shm, _table(name, node_type, number)).open().values)
    return found


def _table(name: str, node_type: NodeType, number: int | None) -> str:
    """Name of the table of a column, by its number; None: of the ids, which is made last."""
    return f"{type_name(node_type)}:{name}:{'ids' if number is None else number}"


def _row_bytes(graph: PartitionedGraph, columns: Sequence[Column], one: IntArray) -> int:
    """Bytes of a node's rows in all columns, and of its id."""
    pending = [graph.begin_rows(column, one) for column in columns]
    return 8 + sum(int(rows.wait().nbytes) for rows in pending)


def _fetch(graph: PartitionedGraph, shm: Path, table: str, column: Column, ids: IntArray) -> None:
    first = graph.begin_rows(column, ids[:1]).wait()
    made = create_rows(shm, table, (len(ids), first.shape[1]), first.dtype.str)
    step = max(PIECE_BYTES // max(first.nbytes, 1), 1)
    for start in range(0, len(ids), step):
        made[start : start + step] = graph.begin_rows(column, ids[start : start + step]).wait()

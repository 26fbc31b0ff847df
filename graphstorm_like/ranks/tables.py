"""Tables of numbers with one row per node, shared by all ranks: each rank writes its own rows and reads any.

A single process holds the whole table, in memory or in a file. With several ranks, a host's rows lie in its
shared-memory folder, which its ranks map; other hosts read them from its servers. A rank sees what others have written
after a barrier.
"""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from graphstorm_like.files import reserve
from graphstorm_like.graph.partitioned_graph import PartitionedGraph
from graphstorm_like.graph.shared import create_rows, drop, find
from graphstorm_like.graph.store import Graph, IntArray, NodeType, RowType
from graphstorm_like.pending import Pending
from graphstorm_like.ranks.group import Group
from graphstorm_like.ranks.names import TABLE_NAMES

_unused: list[tuple[Path, str]] = []
"""Tables that this process, the leader of its host, no longer uses, but other ranks may still read."""
FloatRows = npt.NDArray[np.float32]


def rank_bounds(cuts: IntArray, group: Group) -> IntArray:
    """[ranks + 1]: rank r has the rows bounds[r]:bounds[r + 1]. Host h has the rows cuts[h]:cuts[h + 1], divided
    equally among its ranks."""
    inner = [cuts[:-1] + (np.diff(cuts) * i) // group.local_size for i in range(group.local_size)]
    return np.array([*np.stack(inner, axis=1).ravel(), cuts[-1]])


def row_bounds(graph: Graph, row_type: RowType, group: Group) -> IntArray:
    """See rank_bounds: the rows of a type, where each host has those of its partition."""
    if group.hosts > 1:
        assert isinstance(graph, PartitionedGraph)
        cuts = graph.starts(row_type)
    else:
        schema = graph.manifest.node(row_type) if isinstance(row_type, str) else graph.manifest.edge(row_type)
        cuts = np.array([0, schema.count])
    return rank_bounds(cuts, group)


class HostRows:
    """Numbers [count, width], zero at first, of which each host has one copy. All ranks create it together and map it;
    servers find it by its name. index: see SharedTable."""

    def __init__(
        self,
        group: Group,
        shm: Path | None,
        name: str,
        shape: tuple[int, int],
        dtype: str,
        index: tuple[str, str] = ("", ""),
    ) -> None:
        self.values: npt.NDArray[Any]
        if group.size == 1:
            self.values = np.zeros(shape, dtype=dtype)
            return
        assert shm is not None, "ranks of a launcher have a shared-memory folder"
        if group.leads_host:
            create_rows(shm, name, shape, dtype, index)
        group.barrier(f"making table {name}")
        while _unused:  # all ranks have reached this point, so none still reads these tables
            drop(*_unused.pop())
        if group.leads_host:
            weakref.finalize(self, _unused.append, (shm, name)).atexit = False
        self.values = find(shm, name).open("r+").values


class RowTable:
    """float32 rows [count, width] of the nodes of a type, zero at first. All ranks create it together.

    own [stop - start, width]: this rank's rows, which it may write. shm: the host's shared-memory folder, needed with
    several ranks. file: where a single process keeps the rows; None: in memory.
    """

    def __init__(
        self, graph: Graph, node_type: NodeType, width: int, group: Group, shm: Path | None, file: Path | None = None
    ) -> None:
        self.bounds = row_bounds(graph, node_type, group)
        self.start, self.stop = int(self.bounds[group.rank]), int(self.bounds[group.rank + 1])
        self.shape = (int(self.bounds[-1]), width)
        self._graph, self.node_type, self._group = graph, node_type, group
        self._here: FloatRows
        """The rows that this process has mapped: all rows, or with several hosts those of its own host."""
        if group.size == 1:
            self._here = self.own = _alone(self.shape, file)
            return
        self._name = TABLE_NAMES.new("rows")
        first = int(self.bounds[group.host * group.local_size])
        last = int(self.bounds[(group.host + 1) * group.local_size])
        self._table = HostRows(group, shm, f"{node_type}:{self._name}", (last - first, width), "<f4")
        self._here = self._table.values
        self.own = self._here[self.start - first : self.stop - first]

    @property
    def is_whole(self) -> bool:
        """Whether `own` is the whole table."""
        return self._group.size == 1

    def put(self, first: int, rows: FloatRows) -> None:
        """Write some of this rank's rows, from row `first` on."""
        assert self.start <= first <= self.stop - len(rows), "another rank's rows"
        self.own[first - self.start : first - self.start + len(rows)] = rows

    def begin_rows(self, ids: IntArray) -> Pending[FloatRows]:
        """Start to read rows [N, width]; the result waits for them."""
        if self._group.hosts == 1:
            return Pending(lambda: self._here[ids])
        assert isinstance(self._graph, PartitionedGraph)
        return self._graph.begin_shared(self.node_type, self._name, ids)

    def rows(self, ids: IntArray) -> FloatRows:
        """[N, width] rows of nodes."""
        return self.begin_rows(ids).wait()

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | IntArray) -> FloatRows:
        if self._group.hosts == 1:
            chosen: FloatRows = self._here[rows]
            return chosen
        return self.rows(np.arange(len(self))[rows] if isinstance(rows, slice) else rows)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.asarray(self[:], dtype=dtype)


def _alone(shape: tuple[int, int], file: Path | None) -> FloatRows:
    if file is None or 0 in shape:
        return np.zeros(shape, dtype=np.float32)
    reserve(file, 4 * shape[0] * shape[1])
    return np.memmap(file, dtype=np.float32, mode="r+", shape=shape)

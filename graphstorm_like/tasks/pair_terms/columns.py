"""Sparse terms of pairs: from some entries (row, node, value) to a column for each candidate."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from graphstorm_like.graph.store import IntArray
from graphstorm_like.ranges import ranges


class Columns:
    """Of candidates [m], which may repeat; None: all `count` nodes. distinct: their ids, ascending, each once."""

    def __init__(self, candidates: IntArray | None, count: int) -> None:
        self.distinct: IntArray | None = None
        self.width = count
        if candidates is not None:
            self.width = len(candidates)
            self.distinct, often = np.unique(candidates, return_counts=True)
            self._order = np.argsort(candidates, kind="stable")
            self._starts = np.concatenate([[0], np.cumsum(often)])

    def numbers(self, nodes: IntArray) -> tuple[IntArray, IntArray]:
        """Nodes [p] -> the entries whose nodes are candidates, and the number of each of these among the distinct."""
        if self.distinct is None:
            return np.arange(len(nodes)), nodes
        number = np.searchsorted(self.distinct, nodes)
        found = number < len(self.distinct)
        found[found] = self.distinct[number[found]] == nodes[found]
        return np.flatnonzero(found), number[found]

    def places(self, numbers: IntArray) -> tuple[IntArray, IntArray]:
        """Numbers [p] among the distinct candidates -> (entry, column) of all columns where they stand."""
        if self.distinct is None:
            return np.arange(len(numbers)), numbers
        begin = self._starts[numbers]
        often = self._starts[numbers + 1] - begin
        return np.repeat(np.arange(len(numbers)), often), self._order[ranges(begin, often)[0]]

    def filled(self, rows: IntArray, columns: IntArray, values: Tensor, count: int) -> Tensor:
        """[count, m]: the sums of values [p] that belong there, else 0."""
        flat = torch.from_numpy(rows * self.width + columns).to(values.device)
        return values.new_zeros(count * self.width).index_add(0, flat, values).view(count, self.width)

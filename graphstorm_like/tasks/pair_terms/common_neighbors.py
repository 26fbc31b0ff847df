"""Typed common neighbours: the structural part of NCN's head (Wang et al., ICLR 2024) for many relations.

    term(s, t) = sum over pairs of relations (a, b) of w_ab * log(1 + sum over x in N_a(s) and N_b^-1(t) of 1 / deg(x))

(the inner sum is resource allocation, Zhou et al. 2009). Each relation counts in both directions. deg(x) is the number
of distinct neighbours of x. Weights start at 0: at first there is the decoder alone. The edge (s, t) that a training
row is about is never part of a path from s to t, and paths from s to other candidates do not use it in this row.

The vectors of the common neighbours, which NCN reads too, are not read.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.pair_terms.common_neighbors import CommonNeighborsConfig
from graphstorm_like.graph.store import Graph, IntArray
from graphstorm_like.ranges import ranges
from graphstorm_like.sampling.negatives.paths import Numbers, Table
from graphstorm_like.tasks.pair_terms.base import PAIR_TERMS, PairTerm

MOST_EDGES = 20_000
"""Training edges by which the pairs of relations are chosen."""
BLOCK = 2_000_000
"""Paths that are followed at once, about."""
Counts = tuple[IntArray, IntArray, IntArray, Numbers]
"""(row, target id, kind, sum) of all pairs with a common neighbour."""


@PAIR_TERMS.register(CommonNeighborsConfig)
class CommonNeighbors(PairTerm):
    """See module. `weights` [kinds]; `codes` [kinds]: the pairs of relations, a * ways + b, -1 for none."""

    def __init__(self, config: CommonNeighborsConfig, graph: Graph, edge_type: EdgeType) -> None:
        super().__init__()
        self.config, self.graph, self.edge_type = config, graph, edge_type
        self._relations = [edge.edge_type for edge in graph.manifest.edges if not edge.is_reverse]
        self.ways = 2 * len(self._relations)
        self._own_way = 2 * self._relations.index(edge_type)
        self.weights = nn.Parameter(torch.zeros(config.kinds))
        self.register_buffer("codes", torch.full((config.kinds,), -1))
        rows = graph.edge_rows(edge_type, "train")[:MOST_EDGES]
        if len(rows):
            self.get_buffer("codes").copy_(torch.from_numpy(self._most_connecting(*graph.edges(edge_type, rows))))

    @cached_property
    def _first(self) -> dict[str, int]:
        counts = [node.count for node in self.graph.manifest.nodes.values()]
        return dict(zip(self.graph.manifest.nodes, np.concatenate([[0], np.cumsum(counts)]).tolist(), strict=False))

    @cached_property
    def _tables(self) -> tuple[Table, Table]:
        """Ways from each node to its neighbours that do not have too many of their own, and from these to all of
        theirs; the number of the way, relation and direction, in place of weights."""
        total = sum(node.count for node in self.graph.manifest.nodes.values())
        rows, columns, ways = [], [], []
        for number, edge_type in enumerate(self._relations):
            source, target = self.graph.edges(edge_type)
            shown = np.ones(len(source), dtype=bool)
            shown[self.graph.hidden_rows(edge_type)] = False
            source, target = source[shown] + self._first[edge_type[0]], target[shown] + self._first[edge_type[2]]
            rows += [source, target]
            columns += [target, source]
            ways += [np.full(len(source), 2 * number), np.full(len(source), 2 * number + 1)]
        one, other, way = (np.concatenate(parts) for parts in (rows, columns, ways))
        keys = np.unique((one * total + other) * self.ways + way)  # parallel edges are one
        way, one, other = keys % self.ways, keys // self.ways // total, keys // self.ways % total
        one, other, way = one[one != other], other[one != other], way[one != other]
        pairs = np.unique(one * total + other)
        degrees = np.bincount(pairs // total, minlength=total)
        few = degrees <= self.config.most_neighbors
        first = Table.of(one[few[other]], other[few[other]], way[few[other]].astype(np.float64), total)
        keep = few[one]
        second = Table.of(one[keep], other[keep], way[keep].astype(np.float64), total)
        self._degrees = degrees
        return first, second

    def counts(self, sources: IntArray, targets: IntArray | None, chosen: IntArray | None) -> Counts:
        """Of all targets of some sources. targets: see PairTerm. chosen [ways * ways]: kind of each pair of relations,
        -1: none; None: the pairs themselves."""
        first, second = self._tables
        source_type, _, target_type = self.edge_type
        at, width = self._first[target_type], self.graph.manifest.node(target_type).count
        found: list[Counts] = []
        for rows in _blocks(first, second, sources + self._first[source_type]):
            row, between, way_in = _steps(first, rows, sources[rows] + self._first[source_type])
            if targets is not None:
                own = (between == targets[row] + at) & (way_in == self._own_way)
                row, between, way_in = row[~own], between[~own], way_in[~own]
            place, end, way_out = _steps(second, np.arange(len(row)), between)
            code = way_in[place] * self.ways + way_out
            kind = code if chosen is None else chosen[code]
            back = end == sources[row[place]] + self._first[source_type]
            good = (kind >= 0) & (end >= at) & (end < at + width) & ~back
            place, end, kind = place[good], end[good] - at, kind[good]
            kinds = self.ways * self.ways
            keys, inverse = np.unique((row[place] * width + end) * kinds + kind, return_inverse=True)
            sums = np.bincount(inverse, weights=1.0 / self._degrees[between[place]], minlength=len(keys)).astype(
                np.float64
            )
            found.append((keys // kinds // width, keys // kinds % width, keys % kinds, sums))
        row, end, kind, sums = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return row, end, kind, sums

    def _most_connecting(self, sources: IntArray, targets: IntArray) -> IntArray:
        row, end, kind, _ = self.counts(sources, targets, None)
        frequency = np.bincount(kind[end == targets[row]], minlength=self.ways * self.ways)
        best = np.argsort(-frequency, kind="stable")[: self.config.kinds]
        codes = np.full(self.config.kinds, -1)
        codes[: len(best)] = np.where(frequency[best] > 0, best, -1)
        return codes

    def _terms(self, sources: IntArray, targets: IntArray | None) -> tuple[IntArray, IntArray, Tensor]:
        """(row, target id, part of the term)"""
        chosen = np.full(self.ways * self.ways, -1)
        codes = self.get_buffer("codes").cpu().numpy()
        chosen[codes[codes >= 0]] = np.flatnonzero(codes >= 0)
        row, end, kind, sums = self.counts(sources, targets, chosen)
        kinds = torch.from_numpy(kind).to(self.weights.device)
        return row, end, self.weights[kinds] * torch.from_numpy(np.log1p(sums)).to(self.weights)

    def forward(self, sources: IntArray, candidates: IntArray | None, targets: IntArray | None = None) -> Tensor:
        """See PairTerm."""
        row, end, parts = self._terms(sources, targets)
        width = self.graph.manifest.node(self.edge_type[2]).count if candidates is None else len(candidates)
        if candidates is not None:
            order = np.argsort(candidates, kind="stable")
            start = np.searchsorted(candidates[order], end, side="left")
            often = np.searchsorted(candidates[order], end, side="right") - start
            end = order[ranges(start, often)[0]]
            parts = torch.repeat_interleave(parts, torch.from_numpy(often).to(parts.device))
            row = np.repeat(row, often)
        flat = torch.from_numpy(row * width + end).to(parts.device)
        return parts.new_zeros(len(sources) * width).index_add(0, flat, parts).view(len(sources), width)

    def of_pairs(self, sources: IntArray, candidates: IntArray) -> Tensor:
        """See PairTerm."""
        row, end, parts = self._terms(sources, None)
        width = self.graph.manifest.node(self.edge_type[2]).count
        keys, inverse = np.unique(row * width + end, return_inverse=True)
        if not len(keys):
            return parts.new_zeros(candidates.shape)
        sums = parts.new_zeros(len(keys) + 1).index_add(0, torch.from_numpy(inverse).to(parts.device), parts)
        wanted = np.arange(len(sources))[:, None] * width + candidates
        at = np.searchsorted(keys, wanted)
        at[keys[np.minimum(at, len(keys) - 1)] != wanted] = len(keys)  # the 0 behind the sums
        return sums[torch.from_numpy(at).to(sums.device)]


def _steps(table: Table, rows: IntArray, at: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """From places, of which each belongs to one of `rows`, along all edges: rows, ends and ways."""
    row, end, way = table.steps(rows, at, np.ones(len(rows)))
    return row, end, way.astype(np.int64)


def _blocks(first: Table, second: Table, sources: IntArray) -> list[IntArray]:
    """The rows of some sources, cut so that each block has about BLOCK paths."""
    lengths = np.diff(second.starts)
    up_to = np.concatenate([[0], np.cumsum(lengths[first.columns])])
    paths = np.cumsum(up_to[first.starts[sources + 1]] - up_to[first.starts[sources]])
    return np.split(np.arange(len(sources)), np.flatnonzero(np.diff(paths // BLOCK, prepend=0)))
